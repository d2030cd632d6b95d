"""Firmware images as MicroPython's build makes them, small: UF2 by hand, those of the ESP32 by esptool's own tools."""

import contextlib
import io
import struct

MACHINES = {
    "RPI_PICO_W": "Raspberry Pi Pico W with RP2040",
    "RPI_PICO": "Raspberry Pi Pico with RP2040",
    "W5100S_EVB_PICO": "W5100S-EVB-Pico with RP2040",
    "ESP32_GENERIC": "Generic ESP32 module with ESP32",
    "ESP32_GENERIC_C3": "ESP32C3 module with ESP32-C3",
    "ESP32_GENERIC_S3": "Generic ESP32S3 module with ESP32-S3",
}


def texts(board: str, version: str = "1.26.1", build: str | None = None) -> bytes:
    """What a program of MicroPython holds about itself, among other bytes. `build`: other than the board; "": none."""
    greeting = f"\0MicroPython v{version} on 2025-09-11\0; {MACHINES[board]}\0"
    name = board if build is None else build
    return b"\x13\x37" + greeting.encode() + (f"\0{name}\0".encode() if name else b"") + bytes(300)


def block(payload: bytes, number: int, count: int, **other: int) -> bytes:
    """One block of UF2, 512 bytes. `other`: magic, end, flags, address, size, family in place of the right ones."""
    header = struct.pack(
        "<IIIIIIII",
        other.get("magic", 0x0A324655),
        0x9E5D5157,
        other.get("flags", 0x2000),
        other.get("address", 0x10000000 + 256 * number),
        other.get("size", 256),
        number,
        count,
        other.get("family", 0xE48BFF56),
    )
    return header + payload.ljust(476, b"\0") + struct.pack("<I", other.get("end", 0x0AB16F30))


def blocks(payload: bytes, **other: int) -> list[bytes]:
    """A payload as blocks of 256 bytes."""
    parts = [payload[at : at + 256].ljust(256, b"\0") for at in range(0, len(payload), 256)]
    return [block(part, number, len(parts), **other) for number, part in enumerate(parts)]


def uf2(board: str, version: str = "1.26.1", build: str | None = None) -> bytes:
    """An image for an RP2040."""
    return b"".join(blocks(bytes(range(256)) * 8 + texts(board, version, build)))


# chip: where its bootloader lies, where RAM is, where flash is mapped, the machine of its ELF files
_CHIPS = {
    "esp32": (0x1000, 0x40080000, 0x3F400020, 0x5E),
    "esp32s3": (0x0, 0x40378000, 0x3C000020, 0x5E),
    "esp32c3": (0x0, 0x40380000, 0x3C000020, 0xF3),
}


def esp_part(chip: str, data: bytes, in_flash: bool = False) -> bytes:
    """An image with one segment, made by esptool from an ELF file."""
    from esptool.cmds import elf2image

    _, ram, flash, machine = _CHIPS[chip]
    with contextlib.redirect_stdout(io.StringIO()):
        return elf2image(_elf(data, flash if in_flash else ram, machine), chip, flash_size="4MB")


def esp(chip: str, board: str, version: str = "1.26.1") -> bytes:
    """MicroPython's whole image: bootloader, partition table, program."""
    offset = _CHIPS[chip][0]
    image = esp_part(chip, b"bootloader".ljust(64, b"\0")).ljust(0x8000 - offset, b"\xff")
    table = partition(1, 2, 0x9000, 0x6000, b"nvs") + partition(0, 0, 0x10000, 0x1F0000, b"factory")
    image += table + b"\xeb\xeb".ljust(32, b"\xff")
    return image.ljust(0x10000 - offset, b"\xff") + esp_part(chip, texts(board, version).ljust(2048, b"\0"), True)


def partition(kind: int, subtype: int, place: int, size: int, label: bytes) -> bytes:
    """A line of the partition table."""
    return struct.pack("<2sBBII16sI", b"\xaa\x50", kind, subtype, place, size, label, 0)


def _elf(data: bytes, address: int, machine: int) -> bytes:
    """An ELF file with one section of data and one of names."""
    names = b"\0.text\0.names\0"
    begin = 0x34
    after = begin + len(data) + len(names)
    header = struct.pack(
        "<16sHHLLLLLHHHHHH",
        *(b"\x7fELF\1\1\1", 2, machine, 1, address, 0, after, 0, begin, 0, 0, 40, 3, 2),
    )
    sections = bytes(40)
    sections += struct.pack("<10L", 1, 1, 2, address, begin, len(data), 0, 0, 4, 0)
    sections += struct.pack("<10L", 7, 3, 0, 0, begin + len(data), len(names), 0, 0, 1, 0)
    return header + data + names + sections
