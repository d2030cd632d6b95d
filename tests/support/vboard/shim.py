"""What a board's firmware has and the unix port of MicroPython lacks: the raw REPL, raw paste, the order of starting.

    micropython shim.py FOLDER friendly|raw OPTIONS

FOLDER is the file system, OPTIONS a JSON object, see VirtualBoard. The process ends where a board would restart; its
exit code tells whoever started it how to go on: see _RAW and the others. Runs under MicroPython, on a terminal.
"""

import json
import sys
import termios

import machine
import micropython
import vboard_files
import vfs

_RAW, _FRIENDLY, _RESET, _BOOTLOADER = 40, 41, 42, 43
_WINDOW = 128  # of raw paste, as boards have it
_HOST_LEFT = 4

_root, _mode, _options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
_input, _output = sys.stdin.buffer, sys.stdout.buffer
_key = bytearray(1)
_globals = {"__name__": "__main__"}
_version = _options["version"] or list(sys.implementation.version[:3])
_banner = b'MicroPython v%d.%d.%d on virtual board\r\nType "help()" for more information.\r\n' % tuple(_version)


class _Proxy:
    """A module with some names of our own."""

    def __init__(self, module, **names):
        self._module = module
        for name, value in names.items():
            setattr(self, name, value)

    def __getattr__(self, name):
        return getattr(self._module, name)


class _Implementation(_Proxy):
    def __getitem__(self, index):
        return (self.name, self.version)[index]


def _interrupts(on):
    """Whether Ctrl-C interrupts, rather than being a byte like others; what was typed before it is kept (NOFLSH)."""
    attributes = termios.tcgetattr(0)
    attributes[3] = (attributes[3] | 1 | 0x80) if on else (attributes[3] & ~1)
    termios.tcsetattr(0, termios.TCSANOW, attributes)


def _receive():
    while True:
        try:
            if not _input.readinto(_key):
                sys.exit(_HOST_LEFT)
            return _key[0]
        except KeyboardInterrupt:
            return 3


def _exit_code(error):
    return error.args[0] if error.args else None


def _run(source, name):
    """Run a program. Returns None, the exception that ended it, or "soft" for a soft reset."""
    _interrupts(True)
    try:
        exec(compile(source, name, "exec"), _globals)
        return None
    except SystemExit as error:
        if _exit_code(error) in (_RESET, _BOOTLOADER):
            raise
        # a board would restart; the unix firmware tells so that config.json cannot be used, and then is to end
        return "soft" if not _exit_code(error) else None
    except BaseException as error:
        return error
    finally:
        _interrupts(False)


def _show(result):
    if isinstance(result, BaseException):
        sys.print_exception(result, sys.stdout)


def _answer(source):
    """Run a program of the raw REPL; True: soft reset."""
    result = _run(source, "<stdin>")
    _output.write(b"\x04")
    _show(result)
    _output.write(b"\x04")
    return result == "soft"


def _run_file(name):
    """Returns None when there is no such file or it ended well, "soft", or "failed"."""
    try:
        with open(name) as file:
            source = file.read()
    except OSError:
        return None
    result = _run(source, name)
    _show(result)
    return result if result in (None, "soft") else "failed"


def _paste():
    """Raw paste: the host sends at most a window ahead of what was read. True: soft reset."""
    if _receive() != 65:
        _receive()
        _output.write(b"R\x00")
        return False
    _receive()
    _output.write(b"R\x01" + bytes([_WINDOW, 0]) + b"\x01")
    source, left = bytearray(), _WINDOW
    while True:
        key = _receive()
        if key == 4:
            _output.write(b"\x04")
            return _answer(bytes(source).decode())
        if key == 3:
            _output.write(b"\x04\x04Traceback (most recent call last):\r\nKeyboardInterrupt: \r\n\x04")
            return False
        source.append(key)
        left -= 1
        if not left:
            left = _WINDOW
            _output.write(b"\x01")


def _raw():
    """Returns "raw" for a soft reset, None when the host leaves it."""
    prompt = b"raw REPL; CTRL-B to exit\r\n>"
    _output.write(prompt)
    source = bytearray()
    while True:
        key = _receive()
        if key == 1:
            source = bytearray()
            _output.write(prompt)
        elif key == 2:
            _output.write(b"\r\n")
            return None
        elif key == 3:
            source = bytearray()
        elif key == 5 and not source:
            if _paste():
                return "raw"
            _output.write(b">")
        elif key == 4:
            _output.write(b"OK")
            if not source:
                _output.write(b"\r\n")
                return "raw"
            if _answer(bytes(source).decode()):
                return "raw"
            source = bytearray()
            _output.write(b">")
        else:
            source.append(key)


def _run_line(line):
    """A line that a person typed. True: soft reset."""
    try:
        compile(line, "<stdin>", "eval")
        line = "_ = (%s)\nif _ is not None: print(repr(_))" % line
    except SyntaxError:
        pass
    result = _run(line, "<stdin>")
    _show(result)
    return result == "soft"


def _friendly():
    """Returns "raw" or "friendly", the mode after the soft reset."""
    _output.write(_banner + b">>> ")
    line = bytearray()
    while True:
        key = _receive()
        if key == 1:
            if _raw():
                return "raw"
            _output.write(_banner + b">>> ")
            line = bytearray()
        elif key == 3:
            line = bytearray()
            _output.write(b"\r\n>>> ")
        elif key == 4 and not line:
            _output.write(b"\r\n")
            return "friendly"
        elif key in (10, 13):
            _output.write(b"\r\n")
            text, line = bytes(line).decode().strip(), bytearray()
            if text and _run_line(text):
                return "friendly"
            _output.write(b">>> ")
        elif key >= 32:
            line.append(key)
            _output.write(bytes([key]))


def _become():
    """The modules and the file system of a board."""
    real = sys.implementation
    implementation = _Implementation(
        real,
        version=tuple(_version) + ("",),
        _mpy=_options["mpy"] or real._mpy,
        _build="" if _options["machine"] else _options["build"] or "standard",
        _machine=_options["machine"] or real._machine,
    )
    sys.modules["sys"] = _Proxy(sys, implementation=implementation, platform=_options["platform"] or sys.platform)
    sys.modules["micropython"] = _Proxy(micropython, kbd_intr=lambda key: _interrupts(key == 3))
    sys.modules["machine"] = _Proxy(
        machine,
        reset=lambda: sys.exit(_RESET),
        bootloader=lambda *_: sys.exit(_BOOTLOADER),
        unique_id=lambda: bytes.fromhex(_options["unique_id"]),
    )
    vfs.umount("/")
    vfs.mount(vboard_files.Folder(_root, _options["capacity"]), "/")
    import os

    os.chdir("/")
    sys.path[:] = ["", ".frozen", "/lib"]


def _live():
    """Start as a board does, then serve the REPL. Returns the mode after the soft reset."""
    failed = _run_file("boot.py")
    if failed == "soft":
        return _mode
    if _mode == "raw":
        if _raw():
            return "raw"
    elif failed is None and _run_file("main.py") == "soft":
        return "friendly"
    return _friendly()


_interrupts(False)
_become()
try:
    _next = _live()
except SystemExit as _error:
    sys.exit(_exit_code(_error))
_output.write(b"MPY: soft reboot\r\n")
sys.exit(_RAW if _next == "raw" else _FRIENDLY)
