"""A folder of the computer as the flash of a board: listings have sizes, and it can be full. Runs under MicroPython."""

import io

import vfs

_BLOCK = 4096
_ENOSPC = 28
_DIRECTORY = 0x4000


class _Written(io.IOBase):
    """A file open for writing, as long as there is room."""

    def __init__(self, file, folder):
        self._file, self._folder = file, folder

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def write(self, data):
        if self._folder.free() < len(data):
            raise OSError(_ENOSPC)
        return self._file.write(data)

    def read(self, *size):
        return self._file.read(*size)

    def readinto(self, buffer):
        return self._file.readinto(buffer)

    def seek(self, *to):
        return self._file.seek(*to)

    def flush(self):
        self._file.flush()

    def close(self):
        self._file.close()


class Folder:
    """`capacity`: bytes that all files together may have; None: as many as the computer takes."""

    def __init__(self, root, capacity):
        self._posix, self._capacity = vfs.VfsPosix(root), capacity
        self._here = "/"
        for name in ("mount", "umount", "getcwd", "mkdir", "remove", "rmdir", "stat"):
            setattr(self, name, getattr(self._posix, name))

    def chdir(self, path):
        self._posix.chdir(path)
        self._here = path if path.startswith("/") else self._here.rstrip("/") + "/" + path

    def open(self, path, mode):
        file = self._posix.open(path, mode)
        return file if self._capacity is None or mode in ("r", "rb", "rt") else _Written(file, self)

    def ilistdir(self, path):
        for name, kind, number in self._posix.ilistdir(path):
            size = 0 if kind == _DIRECTORY else self._posix.stat((path.rstrip("/") + "/" if path else "") + name)[6]
            yield name, kind, number, size

    def rename(self, old, new):
        """VfsPosix has one buffer for both names when they begin with a slash."""
        if not (old.startswith("/") and new.startswith("/")):
            return self._posix.rename(old, new)
        self._posix.chdir("/")
        try:
            self._posix.rename(old[1:], new[1:])
        finally:
            self._posix.chdir(self._here)

    def statvfs(self, path):
        if self._capacity is None:
            return self._posix.statvfs(path)
        size, free = self._capacity // _BLOCK, self.free() // _BLOCK
        return (_BLOCK, _BLOCK, size, free, free, 0, 0, 0, 0, 255)

    def free(self):
        return max(0, self._capacity - self._used("/"))

    def _used(self, path):
        used = 0
        for name, kind, _, size in self.ilistdir(path):
            used += self._used(path + name + "/") if kind == _DIRECTORY else size
        return used
