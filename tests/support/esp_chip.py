"""A chip of the ESP32 family as esptool sees it: the serial protocol of its boot ROM and of esptool's own stub.

esptool itself runs unmodified against it, over a `socket:` port. What it writes ends up in `flash`.
"""

import hashlib
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress

SYNC, WRITE_REG, READ_REG, MEM_END = 0x08, 0x09, 0x0A, 0x06
DEFLATE_BEGIN, DEFLATE_DATA, MD5, SECURITY_INFO, ERASE_FLASH = 0x10, 0x11, 0x13, 0x14, 0xD0

_IDS = {"esp32s3": 9, "esp32c3": 5}  # those that tell it; the ESP32 is known by a register
_MAGIC_REGISTER, _ESP32_MAGIC = 0x40001000, 0x00F01D83
_FLASH_ID = 0x1640EF  # 4 MB
_FLASH_ID_REGISTERS = (0x3FF42080, 0x60002058)  # where the answer of the flash chip is read
_UNKNOWN_COMMAND = b"\x01\x05"
_SIZE = 4 << 20


class EspChip:
    """Listens on `port`, a name for esptool. `drop_after`: the cable is pulled after so many blocks of flash."""

    def __init__(self, chip: str, drop_after: int | None = None) -> None:
        self.flash = bytearray(b"\0" * _SIZE)
        self.commands: list[int] = []
        self._chip, self._drop_after = chip, drop_after
        self._is_stub = False
        self._at = 0
        self._blocks = 0
        self._inflate = zlib.decompressobj()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = f"socket://127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._server.accept()
                with peer:
                    for frame in _frames(peer):
                        if self._drop_after is not None and self._blocks >= self._drop_after:
                            self.close()  # nothing answers any more
                            return
                        for answer in self._answers(frame):
                            escaped = answer.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
                            peer.sendall(b"\xc0" + escaped + b"\xc0")

    def _answers(self, frame: bytes) -> Iterator[bytes]:
        _, command, size, _ = struct.unpack_from("<BBHI", frame)
        data = frame[8 : 8 + size]
        self.commands.append(command)
        value, result = self._run(command, data)
        answer = struct.pack("<BBHI", 1, command, len(result), value) + result
        for _ in range(8 if command == SYNC else 1):
            yield answer
        if command == MEM_END:
            self._is_stub = True
            yield b"OHAI"

    def _run(self, command: int, data: bytes) -> tuple[int, bytes]:
        status = b"\0\0" if self._is_stub else b"\0\0\0\0"
        if command == SYNC:
            return 0x20120707, status
        if command == READ_REG:
            return self._register(int.from_bytes(data[:4], "little")), status
        if command == SECURITY_INFO:
            if self._chip not in _IDS:
                return 0, _UNKNOWN_COMMAND + b"\0\0"
            return 0, struct.pack("<IB7sII", 0, 0, b"", _IDS[self._chip], 0) + status
        if command == MD5:
            at, size = struct.unpack_from("<II", data)
            return 0, hashlib.md5(self.flash[at : at + size]).digest() + status
        self._write(command, data)
        return 0, status

    def _register(self, address: int) -> int:
        if address == _MAGIC_REGISTER and self._chip == "esp32":
            return _ESP32_MAGIC
        return _FLASH_ID if address in _FLASH_ID_REGISTERS else 0

    def _write(self, command: int, data: bytes) -> None:
        if command == ERASE_FLASH:
            self.flash[:] = b"\xff" * _SIZE
        elif command == DEFLATE_BEGIN:
            self._at = struct.unpack_from("<IIII", data)[3]
            self._inflate = zlib.decompressobj()
        elif command == DEFLATE_DATA:
            self._blocks += 1
            plain = self._inflate.decompress(data[16:])
            self.flash[self._at : self._at + len(plain)] = plain
            self._at += len(plain)


def _frames(peer: socket.socket) -> Iterator[bytes]:
    """What lies between two bytes C0, unescaped."""
    rest = b""
    while received := peer.recv(65536):
        *whole, rest = (rest + received).split(b"\xc0")
        for frame in whole:
            if frame:
                yield frame.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
