"""Setting up: what is there is found without network or delay, and what is missing is said in a way that helps."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools import packages, setup, toolchain

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


def _working(folder: Path) -> Path:
    """A MicroPython that runs whatever the PATH is."""
    return _program(folder, f'PATH="{os.environ["PATH"]}" exec "{toolchain.micropython()}" "$@"')


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


def test_the_commands_start_without_what_windows_lacks():
    """pyserial and mpremote have a way of their own there; on this computer they need what is taken away then."""
    code = (
        "import serial, mpremote.transport_serial, sys\n"
        "sys.modules.update(dict.fromkeys(('fcntl', 'termios', 'tty', 'pty', 'resource', 'pwd', 'grp')))\n"
        "import tools.cli"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=toolchain.ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr


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


def _offline_pip(**more: str) -> dict[str, str]:
    """Settings with which pip reaches nothing, at once."""
    index = "http://ann:secret@127.0.0.1:9/simple"
    return {
        "PATH": os.environ["PATH"],
        "PIP_INDEX_URL": index,
        "PIP_RETRIES": "0",
        "PIP_CONFIG_FILE": os.devnull,
        **more,
    }


def test_first_setup_without_a_network_says_what_failed_and_what_to_do(clone: Path):
    (clone / ".venv").unlink()
    half_made = clone / ".venv" / "bin" / "python"
    half_made.parent.mkdir(parents=True)
    half_made.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')  # without pip, as an interruption leaves it
    half_made.chmod(0o755)
    run = _python(clone, "-m", "tools", "setup", **_offline_pip())
    assert run.returncode == 1
    assert "pip could not install" in run.stderr and "offline?" in run.stderr
    assert "No matching distribution" in run.stderr, "the end of what pip said"
    assert ".toolchain/setup.log" in run.stderr and "Run `make setup` again" in run.stderr
    assert "No module named pip" not in run.stderr and "Traceback" not in run.stderr
    assert "secret" not in run.stderr + (clone / ".toolchain" / "setup.log").read_text()


def test_without_python3_venv_nothing_half_made_is_left(clone: Path, tmp_path: Path):
    (clone / ".venv").unlink()
    venv = tmp_path / "stand-in" / "venv.py"  # as Debian's without its package: a Python, then an error
    venv.parent.mkdir()
    made = "path = pathlib.Path(sys.argv[1], 'bin'); path.mkdir(parents=True); (path / 'python').touch()"
    venv.write_text(f"import pathlib, sys\n{made}\nsys.exit('ensurepip is not available')\n")
    for _ in range(2):
        run = _python(clone, "-m", "tools", "setup", **_offline_pip(PYTHONPATH=str(venv.parent)))
        assert run.returncode == 1
        assert "apt install python3-venv" in run.stderr and "ensurepip is not available" in run.stderr
        assert not (clone / ".venv").exists()


def test_interrupted_search_for_micropython_goes_on(clone: Path):
    version = "micropython-1.0"
    (clone / ".toolchain" / version).mkdir()
    _working(clone / ".toolchain" / version)
    first, second = (_python(clone, "-m", "tools", "setup", PATH="").stdout for _ in range(2))
    assert "MicroPython for this computer" in first
    assert "MicroPython for this computer" not in second


@pytest.fixture
def without_mosquitto(clone: Path) -> Path:
    """A clone where everything is there but mosquitto, with amqtt in its place; apt is a stand-in in bin/."""
    (clone / ".venv").unlink()
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "bin" / "python").touch()
    shutil.copy(toolchain.VENV / "done", clone / ".venv")
    (clone / ".venv" / "lib" / "python3" / "site-packages" / "amqtt").mkdir(parents=True)
    module = clone / "tools" / "toolchain.py"
    module.write_text(re.sub(r"_SBIN = \(.*\)", "_SBIN = ()", module.read_text()))
    module = clone / "tools" / "setup.py"
    module.write_text(re.sub(r"_RETRY_S = \d+", "_RETRY_S = 1", module.read_text()))
    (clone / "bin").mkdir()
    _program(clone / "bin", "exit 1").rename(clone / "bin" / "dpkg")
    _working(clone / "bin")
    return clone


def _apt(clone: Path, suite: str, update: str) -> None:
    """apt with a private mirror; `update` is what it does then."""
    row = f"Debian|{suite}|{suite}|http://ann:secret@mirror.test/"
    script = f'#!/bin/sh\necho "$*" >> "$0.called"\ncase "$*" in *indextargets*) echo "{row}";; *) {update};; esac\n'
    path = clone / "bin" / "apt-get"
    path.write_text(script)
    path.chmod(0o755)


online = pytest.mark.skipif(setup.is_offline(), reason="there is no network")


@online
def test_mosquitto_is_tried_at_each_setup_while_it_is_missing(without_mosquitto: Path, system: packages.System):
    _apt(without_mosquitto, system.suite, "echo 'E: http://ann:secret@mirror.test/ cannot be reached'; exit 100")
    called = without_mosquitto / "bin" / "apt-get.called"
    for _ in range(2):
        called.unlink(missing_ok=True)
        run = _python(without_mosquitto, "-m", "tools", "setup", PATH=str(without_mosquitto / "bin"))
        assert run.returncode == 0, run.stderr
        assert " update" in called.read_text()
        assert "no mosquitto: E: http://***@mirror.test/ cannot be reached" in run.stdout
        assert "`make test` needs mosquitto" in run.stdout
        assert run.stdout.splitlines()[-1].endswith("broker amqtt, for `make demo` only)")


@online
def test_credentials_of_a_private_mirror_reach_apt_and_no_log(without_mosquitto: Path, system: packages.System):
    keep = 'for a in "$@"; do case "$a" in *sourcelist=*) read -r l < "${a#*=}"; echo "$l" > "$0.sources";; esac; done'
    _apt(without_mosquitto, system.suite, keep)
    run = _python(without_mosquitto, "-m", "tools", "setup", PATH=str(without_mosquitto / "bin"))
    assert "//ann:secret@mirror.test/" in (without_mosquitto / "bin" / "apt-get.sources").read_text()
    log = (without_mosquitto / ".toolchain" / "setup.log").read_text()
    assert "//***@mirror.test/" in log
    assert "secret" not in run.stdout + run.stderr + log


@online
def test_a_further_attempt_at_mosquitto_ends_in_time(without_mosquitto: Path, system: packages.System):
    _apt(without_mosquitto, system.suite, f"exec {shutil.which('sleep')} 60")
    began = time.monotonic()
    run = _python(without_mosquitto, "-m", "tools", "setup", PATH=str(without_mosquitto / "bin"))
    assert run.returncode == 0, run.stderr
    assert "no mosquitto: " in run.stdout and "timed out" in run.stdout
    assert time.monotonic() - began < 20


def test_without_any_network_mosquitto_is_not_tried_again(without_mosquitto: Path, system: packages.System):
    alone = ["unshare", "--map-root-user", "--net"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("unshare cannot take the network away here")
    _apt(without_mosquitto, system.suite, "exit 100")
    command = [*alone, sys.executable, "-S", "-m", "tools", "setup"]
    environment = {"PATH": f"{without_mosquitto / 'bin'}:{os.environ['PATH']}"}
    if shutil.which("mosquitto", path=environment["PATH"]):
        pytest.skip("mosquitto is on PATH")
    run = subprocess.run(command, cwd=without_mosquitto, env=environment, capture_output=True, text=True)
    assert run.stdout.startswith("setup: ready") and "amqtt" in run.stdout
    assert not (without_mosquitto / "bin" / "apt-get.called").exists()


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
