"""`make check` finds what it is there to find."""

import subprocess
from pathlib import Path

import pytest

from tools import check, house

_LONG_BODY = "    a = 1\n" * (house.MAX_FUNCTION_LINES + 1)


def _violations(root: Path, name: str, text: str) -> list[str]:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return house.violations(root)


# Written with ~ for a slash and ! for a dot, so that this file does not break the rules itself.
@pytest.mark.parametrize("text", ["see ~house~x", 'open("~Data~x")', "cd ~users-2~ann~x", "(~tmp~x)", "path=~mnt~x"])
def test_path_of_one_machine_is_found(text: str, tmp_path: Path):
    found = _violations(tmp_path, "README.md", "first line\n" + text.replace("~", "/"))
    assert found[0].startswith("README.md:2: a path of one machine")


@pytest.mark.parametrize("host", ["packages!net", "files!packages!net:8443", "me:word@packages!net", "semver!org!net"])
def test_host_that_no_document_needs_is_found(host: str, tmp_path: Path):
    text = f"x = 'https:~~{host}~simple'\n".replace("!", ".").replace("~", "/")
    assert "x.py:1: a host that no document" in _violations(tmp_path, "tools/x.py", text)[0]


def test_hosts_of_documents_and_made_up_ones_are_allowed(tmp_path: Path):
    text = "https://semver.org/spec http://127.0.0.1:9/x http://me:pw@mirror.test/x, see https://github.com."
    assert _violations(tmp_path, "README.md", text) == []


def test_long_file_is_found(tmp_path: Path):
    assert "401 lines" in _violations(tmp_path, "lib/x.py", "a = 1\n" * 401)[0]


def test_long_function_is_found(tmp_path: Path):
    assert _violations(tmp_path, "lib/x.py", f"def long():\n{_LONG_BODY}")[0].startswith("lib/x.py:1: long() has 31")


def test_docstring_comments_and_blank_lines_cost_nothing(tmp_path: Path):
    text = f'def f():\n    """Say\n{"more" * 40}\n    """\n' + "    # why\n\n" * 40 + "    return 1\n"
    assert _violations(tmp_path, "lib/x.py", text) == []


def test_paths_that_every_machine_has_are_allowed(tmp_path: Path):
    assert _violations(tmp_path, "lib/x.py", 'a = "/lib /etc/os-release $here/root/usr network/x"\n') == []


def test_what_git_ignores_is_not_checked(tmp_path: Path):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("build/\n")
    assert _violations(tmp_path, "build/x.py", "a = 1\n" * 401) == []


@pytest.mark.parametrize("board", check.BOARDS)
def test_device_types_find_what_the_port_does_not_have(board: str, tmp_path: Path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import time\n\n\ndef f():\n    return time.ticks_ms() + time.perf_counter()\n")
    passed, output = check.device_types(board, [str(wrong)])
    assert not passed
    assert "perf_counter" in output and "ticks_ms" not in output


@pytest.mark.parametrize("board", check.BOARDS)
def test_device_types_pass_what_the_port_has(board: str, tmp_path: Path):
    right = tmp_path / "right.py"
    right.write_text(
        "import time\nfrom micropython import const\n\n_A = const(1)\nprint(time.ticks_add(time.ticks_ms(), _A))\n"
    )
    assert check.device_types(board, [str(right)]) == (True, "")


def test_machine_is_the_ports_own(tmp_path: Path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import machine\n\nmachine.WDT(timeout=8000)\n")
    assert check.device_types("W5100S_EVB_PICO", [str(wrong)])[0]
    assert not check.device_types("unix", [str(wrong)])[0]


def test_wiznet_chip_is_that_of_its_board(tmp_path: Path):
    wired = tmp_path / "wired.py"
    wired.write_text("import network\n\nnetwork.WIZNET5K()\n")
    assert check.device_types("W5100S_EVB_PICO", [str(wired)])[0]
    assert not check.device_types("RPI_PICO_W", [str(wired)])[0]
