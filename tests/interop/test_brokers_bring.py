"""Bringing brokers: what is there stays, what cannot be had says why and leaves nothing half made.

Nothing is downloaded.
"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from interop import bring
from interop.bring import Part, brought
from tools import packages
from tools.packages import Unavailable


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Makes `bring.brought("thing")` call what is given; returns a list that grows with every attempt."""
    monkeypatch.setattr(bring, "PLACE", tmp_path / "interop")
    monkeypatch.setattr(bring, "_LOG", tmp_path / "interop" / "bring.log")

    def make(action: Callable[[Path], None], pins: Callable[[], str] = lambda: "") -> list[str]:
        attempts: list[str] = []

        def counted(place: Path) -> None:
            attempts.append(pins())
            action(place)

        monkeypatch.setitem(bring._PARTS, "thing", Part("thing", "the thing", counted, pins))
        return attempts

    return make


def test_what_was_brought_is_not_brought_again(part: Callable[..., list[str]]):
    attempts = part(lambda place: (place / "program").touch())
    assert (brought("thing") / "program").exists()
    assert brought("thing") == bring.PLACE / "thing"
    assert len(attempts) == 1


def test_with_other_pins_it_is_brought_again_into_an_empty_folder(part: Callable[..., list[str]]):
    pins = ["1"]
    attempts = part(lambda place: (place / pins[0]).touch(), lambda: pins[0])
    brought("thing")
    pins[0] = "2"
    assert sorted(path.name for path in brought("thing").iterdir()) == ["2", "done"]
    assert attempts == ["1", "2"]


def test_what_cannot_be_had_says_why_in_one_line_and_is_tried_again(part: Callable[..., list[str]]):
    def fail(place: Path) -> None:
        (place / "half").touch()
        raise subprocess.CalledProcessError(1, "apt-get", "much\nsaid before\nE: no such package\n")

    attempts = part(fail)
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"^the thing could not be brought: E: no such package$"):
            brought("thing")
        assert not (bring.PLACE / "thing").exists()
    assert len(attempts) == 2


_NPM = """\
npm error code ENOTFOUND
npm error request to the mirror failed
npm error A complete log of this run can be found in: logs/debug-0.log
"""


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (_NPM, "npm error code ENOTFOUND"),
        ("npm ERR! code E404\nnpm ERR! see logs/debug-0.log\n", "npm ERR! code E404"),
        ("E: no such package\nE: another\n", "E: no such package"),
        ("a\nERROR: no matching version\n\nnotice: upgrade\n", "ERROR: no matching version"),
        ("first\nlast\n", "last"),
        (" \n", "Command 'npm' returned non-zero exit status 1."),
    ],
)
def test_the_reason_is_the_line_that_says_why(said: str, line: str):
    assert packages.reason(subprocess.CalledProcessError(1, "npm", said)) == line


def test_an_error_without_words_has_its_name():
    assert packages.reason(OSError(" ")) == "OSError"


def test_what_a_part_needs_is_brought_before_it_by_itself(part: Callable[..., list[str]], tmp_path: Path):
    part(lambda place: (place / "program").touch())

    def build(place: Path) -> None:
        (place / "built").write_text(str(brought("thing") / "program"))

    other = Part("other", "the other", build, needs=lambda: brought("thing"))
    assert Path((bring.placed(other) / "built").read_text()).exists()
    with bring.alone():
        assert brought("thing").is_dir(), "what is there needs no lock"


def test_an_address_with_a_password_is_in_no_log_and_no_error(part: Callable[..., list[str]]):
    part(lambda place: bring.run(["sh", "-c", "echo https://ann:secret@mirror.test/ is away; exit 1"]))
    with pytest.raises(Unavailable, match=r"mirror\.test") as error:
        brought("thing")
    assert "secret" not in str(error.value)
    assert "mirror.test" in bring._LOG.read_text() and "secret" not in bring._LOG.read_text()


def test_npm_packages_are_pinned_with_their_checksums_and_without_addresses():
    text = (bring.NODE_FILES / "package-lock.json").read_text()
    lock = json.loads(text)
    assert "://" not in text
    wanted = json.loads((bring.NODE_FILES / "package.json").read_text())["dependencies"]
    assert lock["packages"][""]["dependencies"] == wanted
    installed = {name: each for name, each in lock["packages"].items() if name}
    assert all(each["integrity"].startswith("sha512-") for each in installed.values())
    assert {name: installed[f"node_modules/{name}"]["version"] for name in wanted} == wanted


class _FakeApt:
    """Suites with one version of a package each."""

    versions = {"old": "1.9.0", "new": "2.1.2", "newest": "2.2.0"}

    def __init__(self, system: object, suite: str, run: object) -> None:
        self.suite = suite

    def __enter__(self) -> "_FakeApt":
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def version(self, package: str) -> str:
        return self.versions[self.suite]

    def unpack(self, package: str, into: Path) -> None:
        if self.suite == "new":
            raise Unavailable("the mirror is away")
        into.mkdir()


class _FakeSystem:
    def __init__(self, run: object) -> None:
        pass

    def suites(self) -> list[str]:
        return list(_FakeApt.versions)


@pytest.fixture
def _suites(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "Apt", _FakeApt)
    monkeypatch.setattr(packages, "System", _FakeSystem)
    monkeypatch.setattr(packages, "_has_only_brew", lambda: False)


@pytest.mark.usefixtures("_suites")
def test_a_package_comes_from_the_first_suite_that_has_it_and_gives_it(tmp_path: Path):
    assert packages.unpack_first("mosquitto", (2, 1), tmp_path / "root", lambda command: "") == "2.2.0"
    assert packages.unpack_first("mosquitto", (1, 9), tmp_path / "other", lambda command: "") == "1.9.0"


@pytest.mark.usefixtures("_suites")
def test_without_a_suite_that_has_it_every_one_is_named(tmp_path: Path):
    with pytest.raises(
        Unavailable, match=r"no mosquitto of 3\.0 or later .*old: 1\.9\.0, new: 2\.1\.2, newest: 2\.2\.0"
    ):
        packages.unpack_first("mosquitto", (3, 0), tmp_path / "root", lambda command: "")


def test_a_wrapped_program_runs_under_its_name_from_wherever_its_folder_is(tmp_path: Path):
    program = tmp_path / "first" / "root" / "usr" / "bin" / "greet"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$(basename "$0") $1"\n')
    program.chmod(0o755)
    packages.wrap_in_place(tmp_path / "first", [program])
    (tmp_path / "first").rename(tmp_path / "second")
    moved = tmp_path / "second" / "root" / "usr" / "bin" / "greet"
    assert subprocess.check_output([moved, "you"], text=True) == "greet you\n"
