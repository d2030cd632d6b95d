"""UF2 files: what a drive like RPI-RP2 takes, checked block by block before anything is written.

A file is a row of 512-byte blocks: two magic numbers, flags, target address, payload size, block number, number of
blocks, family, up to 476 bytes of payload, a third magic number. The format lets blocks come in any order and with
gaps; firmware images use neither, and the bootloader of the RP2040 takes no payload but 256 bytes.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

RP2040 = 0xE48BFF56
FLASH = range(0x10000000, 0x11000000)  # where the RP2040 maps up to 16 MB of flash

_BLOCK = 512
_PAYLOAD = 256
_HEADER = struct.Struct("<8I")
_MAGIC = (0x0A324655, 0x9E5D5157)
_END = struct.pack("<I", 0x0AB16F30)
_HAS_FAMILY = 0x2000
_HARMLESS = 0x4000 | 0x8000  # an MD5 or tags behind the payload: bootloaders pass over them

_FAMILIES = {
    RP2040: "RP2040",
    0xE48BFF57: "RP2040 or RP2350, absolute addresses",
    0xE48BFF59: "RP2350 (ARM)",
    0xE48BFF5A: "RP2350 (RISC-V)",
    0x1C5F21B0: "ESP32",
    0xBFDD4EEE: "ESP32-S2",
    0xC47E5767: "ESP32-S3",
    0xD42BA06C: "ESP32-C3",
}


class Uf2Error(ValueError):
    """Not an image that the board could take. The message says why, and what to do."""


@dataclass(frozen=True)
class Image:
    """What a file puts into flash: `payload` from `address` on."""

    address: int
    payload: bytes


def parse(data: bytes, family: int = RP2040) -> Image:
    """The image in a UF2 file, or Uf2Error for whatever is not whole, in order and for this family of chips."""
    if len(data) < _BLOCK or struct.unpack_from("<2I", data) != _MAGIC:
        raise Uf2Error("This is no UF2 file: it does not begin with the magic number. Use the .uf2 of the board.")
    if len(data) % _BLOCK:
        raise Uf2Error(f"The file is cut short: {len(data)} bytes are no whole number of blocks. Download it again.")
    count = _HEADER.unpack_from(data)[6]
    payload = bytearray()
    for number, block in enumerate(_blocks(data)):
        _check_frame(block, number)
        _check_place(block, number, count, family)
        payload += block[_HEADER.size : _HEADER.size + _PAYLOAD]
    if len(data) // _BLOCK < count:
        raise Uf2Error(f"The file is cut short: {len(data) // _BLOCK} of {count} blocks. Download it again.")
    return Image(FLASH.start, bytes(payload))


def _blocks(data: bytes) -> Iterator[bytes]:
    return (data[start : start + _BLOCK] for start in range(0, len(data), _BLOCK))


def _check_frame(block: bytes, number: int) -> None:
    """What holds for a block by itself."""
    magic0, magic1, flags, _, size, *_ = _HEADER.unpack_from(block)
    if (magic0, magic1) != _MAGIC or block[-4:] != _END:
        raise Uf2Error(f"Block {number} is damaged: a magic number is missing. Download the file again.")
    if not flags & _HAS_FAMILY:
        raise Uf2Error(f"Block {number} does not say which chip it is for. Use an image from MicroPython's page.")
    if flags & ~(_HAS_FAMILY | _HARMLESS):
        raise Uf2Error(f"Block {number} has the flags 0x{flags:x}: it is not for flash. Use MicroPython's own image.")
    if size != _PAYLOAD:
        raise Uf2Error(f"Block {number} holds {size} bytes; the bootloader takes {_PAYLOAD} only. Use another image.")


def _check_place(block: bytes, number: int, count: int, family: int) -> None:
    """What must fit the blocks before it."""
    _, _, _, address, _, said, of, found = _HEADER.unpack_from(block)
    if found != family:
        raise Uf2Error(f"The image is for {name_of(found)}, the board has {name_of(family)}. Use the board's image.")
    if of != count or said >= count:
        raise Uf2Error(f"Block {number} says it is {said} of {of}, the first said {count} blocks. Download it again.")
    if said < number:
        raise Uf2Error(f"Block {said} comes twice, or too late. Download the file again.")
    if said > number:
        raise Uf2Error(f"Block {number} is missing: {said} follows on {number - 1}. Download the file again.")
    expected = FLASH.start + number * _PAYLOAD
    if address != expected or expected + _PAYLOAD > FLASH.stop:
        raise Uf2Error(
            f"Block {number} goes to 0x{address:08x}, expected was 0x{expected:08x} in flash. "
            "Use MicroPython's own image."
        )


def name_of(family: int) -> str:
    """A family of chips, for people."""
    return f"{_FAMILIES.get(family, 'unknown chips')} (family 0x{family:08X})"
