"""Device code as a board has it: .mpy files in a folder, for compiling takes more heap than running."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from tools import toolchain

TESTS = toolchain.ROOT / "tests"
LIB = toolchain.ROOT / "lib"
LIBRARY = [path.relative_to(LIB) for path in LIB.glob("fieldmqtt/*.py")]


def compile_into(folder: Path, root: Path, sources: Iterable[str | Path]) -> None:
    """Compile files, named as they lie below `root`, to the same places below `folder`."""
    for source in map(Path, sources):
        target = folder / source.with_suffix(".mpy")
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([*toolchain.mpy_cross(), "-O3", "-o", target, root / source], check=True)
