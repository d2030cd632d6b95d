"""Brings umqtt.simple for the benchmark. Its archive has nothing that pip could build: pip only downloads it."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools import toolchain

_NAME = "micropython-umqtt.simple"
_VERSION = "1.3.4"
_HASH = "sha256:b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f"
_TIMEOUT_S = 120


class PeerMissing(RuntimeError):
    """It cannot be had; the message says why."""


def umqtt_simple() -> Path:
    """The folder in which `umqtt/simple.py` is; downloads it the first time. Raises PeerMissing."""
    folder = toolchain.TOOLCHAIN / "peers" / f"umqtt.simple-{_VERSION}"
    if not (folder / "umqtt" / "simple.py").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="download-", dir=folder.parent) as temporary:
            found = _download(Path(temporary))
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(found, folder)
    return folder


def _download(temporary: Path) -> Path:
    """pip checks the hash, unpacks, finds nothing to build and gives up; --no-clean leaves what it unpacked."""
    wanted = temporary / "wanted.txt"
    wanted.write_text(f"{_NAME}=={_VERSION} --hash={_HASH}\n")
    options = ["--no-clean", "--no-deps", "--require-hashes", "--no-binary", _NAME, "--dest", str(temporary)]
    command = [str(toolchain.python()), "-m", "pip", "download", *options, "--requirement", str(wanted)]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    try:
        run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise PeerMissing(f"pip did not download {_NAME} in {_TIMEOUT_S} s") from None
    found = next(temporary.rglob("umqtt/simple.py"), None)
    if not found:
        said = (run.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise PeerMissing(f"pip could not download {_NAME} {_VERSION}: {said}")
    return found.parent.parent
