"""The inputs worth keeping, as lines of hex in corpus/<target>.hex. What follows `#` says what it showed once."""

from collections.abc import Callable, Iterable
from pathlib import Path

from fuzz import decoder, decoder5, frames, ordeal, ordeal5

FOLDER = Path(__file__).parent / "corpus"
TARGETS: dict[str, Callable[[bytes], None]] = {
    "decoder": decoder.check,
    "session": ordeal.check,
    "decoder5": decoder5.check,
    "session5": ordeal5.check,
    "frames": frames.check,
}


def path(target: str) -> Path:
    return FOLDER / f"{target}.hex"


def load(target: str) -> dict[bytes, str]:
    """Input -> its remark, "" for none."""
    found = {}
    for line in path(target).read_text().splitlines():
        text, _, remark = line.partition("#")
        if data := bytes.fromhex(text):
            found[data] = remark.strip()
    return found


def store(target: str, inputs: Iterable[bytes], remarks: dict[bytes, str]) -> None:
    """Write the corpus anew, what has a remark first."""
    lines = [f"{data.hex()}  # {remarks[data]}" if remarks.get(data) else data.hex() for data in inputs if data]
    path(target).write_text("\n".join(sorted(lines, key=lambda line: "#" not in line)) + "\n")
