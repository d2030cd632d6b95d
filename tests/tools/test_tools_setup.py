"""Setting up: what is there is found without network or delay, and what is missing is said in a way that helps."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools import packages, toolchain

_SETUP_FILES = ("__init__", "__main__", "setup", "toolchain", "packages")


def _python(root: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a Python that has the standard library and nothing else."""
    command = [sys.executable, "-S", *arguments]
    return subprocess.run(
        command, cwd=root, env={"HOME": os.environ.get("HOME", ""), **environment}, capture_output=True, text=True
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone whose Python packages and stubs are there, without any MicroPython."""
    (tmp_path / "tools").mkdir()
    for name in _SETUP_FILES:
        shutil.copy(toolchain.ROOT / "tools" / f"{name}.py", tmp_path / "tools")
    shutil.copy(toolchain.ROOT / "pyproject.toml", tmp_path)
    (tmp_path / ".toolchain").mkdir()
    (tmp_path / ".toolchain" / "stubs").symlink_to(toolchain.STUBS)
    (tmp_path / ".venv").symlink_to(toolchain.VENV)
    return tmp_path


def _program(folder: Path, text: str) -> Path:
    path = folder / "micropython"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_second_setup_needs_no_network_and_no_time():
    offline = dict.fromkeys(("http_proxy", "https_proxy", "PIP_INDEX_URL"), "http://127.0.0.1:9")
    began = time.monotonic()
    run = _python(toolchain.ROOT, "-m", "tools", "setup", PATH=os.environ["PATH"], **offline)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("setup: ready (MicroPython 1."), run.stdout
    assert time.monotonic() - began < 5


def test_setup_help():
    run = _python(toolchain.ROOT, "-m", "tools", "setup", "--help")
    assert run.returncode == 0
    assert "Usage: python -m tools setup" in run.stdout


def test_setup_with_an_unknown_option_shows_its_usage_and_fails():
    run = _python(toolchain.ROOT, "-m", "tools", "setup", "--nonsense")
    assert run.returncode == 2
    assert "Usage: python -m tools setup" in run.stdout


def test_without_any_way_to_get_micropython_setup_says_what_to_install(clone: Path):
    run = _python(clone, "-m", "tools", "setup", PATH="")
    assert run.returncode == 1
    assert "No MicroPython 1.23 or later" in run.stderr
    assert "apt install micropython mosquitto" in run.stderr
    assert "brew install micropython mosquitto" in run.stderr
    assert "Traceback" not in run.stderr


def test_what_needs_micropython_says_to_run_setup(clone: Path):
    code = "from tools import toolchain\ntry: toolchain.micropython()\nexcept toolchain.ToolchainMissing as e: print(e)"
    assert "Run: make setup" in _python(clone, "-c", code, PATH="").stdout


def test_without_the_environment_commands_say_to_run_setup(clone: Path):
    (clone / ".venv").unlink()
    run = _python(clone, "-m", "tools", "demo", PATH="")
    assert run.returncode == 1
    assert run.stderr.strip().endswith("Run: make setup")


def test_micropython_on_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    older = toolchain.micropythons()[-1]
    mine = _program(tmp_path, f'exec "{older}" "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert toolchain.micropythons()[0] == mine
    assert toolchain.version_of(toolchain.micropython()) == max(map(toolchain.version_of, toolchain.micropythons()))


@pytest.mark.parametrize("text", ["echo version 1 22 0", "echo nonsense", "exit 1"])
def test_micropython_on_path_that_is_old_or_broken_is_passed_over(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    useless = _program(tmp_path, text)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    try:
        assert useless not in toolchain.micropythons()
    except toolchain.ToolchainMissing:
        pass  # the useless one hid the only one there was


def test_every_micropython_has_tls_and_asyncio():
    for path in toolchain.micropythons():
        run = subprocess.run([path, "-c", "import tls, asyncio; print(6 * 7)"], capture_output=True, text=True)
        assert run.stdout == "42\n", run.stderr


@pytest.fixture
def system() -> packages.System:
    try:
        return packages.System(lambda command: subprocess.check_output(command, text=True))
    except packages.Unavailable as reason:
        pytest.skip(str(reason))


def test_mirror_is_that_of_this_system_whoever_else_uses_its_suite_names(system: packages.System):
    row = f"{{}}|{system.suite}|{system.suite}|{{}}\n"
    listed = row.format("Vendor", "http://vendor.test/") + row.format(system.name, "http://mirror.test/")
    source = packages.System(lambda command: listed).source("new-suite")
    assert "http://mirror.test/ new-suite main" in source


def test_mirror_is_found_where_package_lists_were_never_fetched(system: packages.System):
    def run(command: packages.Command) -> str:
        row = f"$(ORIGIN)|{system.suite}|$(CODENAME)|http://mirror.test/\n"
        return row if "--no-release-info" in command else ""

    assert "http://mirror.test/ new-suite main" in packages.System(run).source("new-suite")


def test_without_a_mirror_for_this_suite_there_are_no_packages(system: packages.System):
    with pytest.raises(packages.Unavailable, match=f"not configured for the suite {system.suite}"):
        packages.System(lambda command: "Vendor|other|other|http://vendor.test/\n")
