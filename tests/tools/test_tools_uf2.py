"""UF2 files: a whole image is taken as it is, anything else is refused with the reason."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.made_images import block, blocks
from tools import uf2

PAYLOAD = bytes(range(256)) * 5

Blocks = list[bytes]


def test_an_image_is_what_goes_into_flash():
    image = uf2.parse(b"".join(blocks(PAYLOAD)))
    assert (image.address, image.payload) == (0x10000000, PAYLOAD)


def test_tags_and_checksums_behind_the_payload_are_passed_over():
    assert uf2.parse(b"".join(blocks(PAYLOAD, flags=0xE000))).payload == PAYLOAD


def _with(number: int, **other: int) -> Callable[[Blocks], Blocks]:
    def change(image: Blocks) -> Blocks:
        image[number] = block(PAYLOAD[number * 256 :][:256], number, len(image), **other)
        return image

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda image: [], "no UF2 file"),
        (lambda image: [b"\x7fELF" + bytes(1020)], "no UF2 file"),
        (lambda image: [*image[:-1], image[-1][:100]], "no whole number of blocks"),
        (lambda image: image[:-1], "4 of 5 blocks"),
        (lambda image: [*image, image[-1]], "Block 4 comes twice"),
        (lambda image: [image[0], image[0], *image[2:]], "Block 0 comes twice"),
        (lambda image: [image[0], *image[2:]], "Block 1 is missing"),
        (lambda image: [image[1], image[0], *image[2:]], "Block 0 is missing"),
        (lambda image: [*image[:4], block(b"", 5, 5)], "Block 4 says it is 5 of 5"),
        (lambda image: [*image[:4], block(b"", 4, 6)], "Block 4 says it is 4 of 6"),
        (_with(2, magic=0x12345678), "Block 2 is damaged"),
        (_with(2, end=0x12345678), "Block 2 is damaged"),
        (_with(2, flags=0), "Block 2 does not say which chip"),
        (_with(2, flags=0x2001), "Block 2 has the flags 0x2001: it is not for flash"),
        (_with(2, flags=0x3000), "Block 2 has the flags 0x3000"),
        (_with(2, size=476), "Block 2 holds 476 bytes"),
        (_with(2, address=0x10000300), "Block 2 goes to 0x10000300, expected was 0x10000200"),
        (_with(0, address=0x20000000), "Block 0 goes to 0x20000000, expected was 0x10000000"),
        (_with(0, family=0xE48BFF59), "The image is for RP2350 (ARM)"),
        (_with(2, family=0x12345678), "unknown chips (family 0x12345678), the board has RP2040"),
    ],
)
def test_what_is_not_right_is_refused(change: Callable[[Blocks], Blocks], says: str):
    with pytest.raises(uf2.Uf2Error) as refused:
        uf2.parse(b"".join(change(blocks(PAYLOAD))))
    assert says in str(refused.value)
    assert any(advice in str(refused.value) for advice in ("Download", "Use "))


def test_an_image_longer_than_any_flash_is_refused():
    last = 0x10000
    many = [block(b"", number, last + 1) for number in range(last + 1)]
    with pytest.raises(uf2.Uf2Error, match="goes to 0x11000000"):
        uf2.parse(b"".join(many))


@given(st.binary(max_size=2000), st.integers(0, 2559))
def test_no_bytes_whatever_raise_anything_else(noise: bytes, at: int):
    good = b"".join(blocks(PAYLOAD))
    for data in (noise, good[:at] + noise + good[at + len(noise) :]):
        try:
            uf2.parse(data)
        except uf2.Uf2Error:
            pass
