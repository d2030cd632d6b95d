"""The other end, as far as it is there without a download: paho-mqtt. The rest is tests/interop/ends/run.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from docs.docs_programs import blocks, commands
from interop.ends import run
from interop.ends.cases import Case, readings_and_command
from interop.ends.clients import CLIENTS, PAGE, PROGRAMS, Client, Command, Job, PahoPython
from interop.ends.exchanges import DIRECTIONS, FROM_BOARD, TO_BOARD, Exchange, exchange
from tools import toolchain
from tools.packages import Unavailable

_VERSIONS = pytest.mark.parametrize("level", [4, 5])


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_paho(direction: str, qos: int, micropython: Path) -> None:
    level = 4 if qos == 1 else 5  # run.py tries each; the boards have both
    exchange(PahoPython(), Exchange(PahoPython, direction, qos, level), micropython)


@_VERSIONS
def test_firmware_and_the_programs_of_the_page(level: int) -> None:
    readings_and_command(PahoPython(), toolchain.micropython(), level)


class _Careless(PahoPython):
    """It takes every payload for text."""

    def publishers(self, job: Job, messages: list[bytes]) -> Iterator[tuple[Command, list[bytes]]]:
        spoilt = [message.decode(errors="ignore").encode() for message in messages]
        return super().publishers(job, spoilt)

    def shown(self, payload: bytes) -> object:
        return payload.decode(errors="ignore").encode()


class _Stammering(PahoPython):
    """It says twice what it should say once."""

    def publishers(self, job: Job, messages: list[bytes]) -> Iterator[tuple[Command, list[bytes]]]:
        return super().publishers(job, [*messages[:2], *messages[1:]])

    def subscriber(self, job: Job) -> Command:
        command = super().subscriber(job)
        program = Path(command.words[1])
        program.write_text(program.read_text().replace("    print(", "    for _ in range(2):\n        print("))
        return command


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("client", [_Careless, _Stammering])
def test_a_message_that_is_not_as_it_was_sent(client: type[Client], direction: str) -> None:
    with pytest.raises(AssertionError, match=r"(sync|asyncio)-[45]: message \d is .*, not "):
        exchange(client(), Exchange(client, direction, 1, 5), toolchain.micropython())


def test_the_page_has_the_programs() -> None:
    shown = [*blocks(PAGE, "python"), *blocks(PAGE, "js")]
    names = ("paho/sub.py", "paho/pub.py", "umqtt/sub.py", "umqtt/pub.py", "mqttjs/sub.mjs", "mqttjs/pub.mjs")
    assert shown == [(PROGRAMS / name).read_text(encoding="utf-8") for name in names]


def test_the_page_has_the_commands() -> None:
    found = [line.split()[0] for line in commands(PAGE)]
    assert found == ["mosquitto_sub", "mosquitto_pub", "paho_c_sub", "paho_c_pub"]


def test_the_tables_of_the_page_are_whole() -> None:
    text = PAGE.read_text(encoding="utf-8")
    part = text[text.index(run.MARKERS[0]) : text.index(run.MARKERS[1])]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line[:1] == "|"]
    messages = [row for row in rows if len(row) == 9 and row[0] in [client.name for client in CLIENTS]]
    for client in CLIENTS:
        mine = [row for row in messages if row[0] == client.name]
        cell = ["works" if qos in client.qos else "cannot" for qos in (0, 1, 2)]
        assert [row[3:] for row in mine] == [[*cell, *cell] for _ in client.levels]
        tried = [row[2:] for row in rows if len(row) == 4 and row[0] == client.name]
        assert tried == [[case.name, "works"] for case in run.cases(client)]


class _Fake(Client):
    """Tried in no time: what it does is the test's."""

    name = "fake"
    levels = (5,)
    qos = (1,)

    def __init__(self) -> None:
        self.version = "1.0"

    def subscriber(self, job: Job) -> Command:
        raise NotImplementedError

    def publishers(self, job: Job, messages: list[bytes]) -> Iterator[tuple[Command, list[bytes]]]:
        raise NotImplementedError

    def received(self, output: bytes) -> list:
        raise NotImplementedError


class _Absent(_Fake):
    name = "absent"

    def __init__(self) -> None:
        raise Unavailable("there is no such thing")


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """run.py with the fake clients: messages to the board are lost. Yields the page that it writes."""

    def lose(client: Client, wanted: Exchange, micropython: Path) -> None:
        assert wanted.direction != TO_BOARD, "it is lost"

    page = tmp_path / "page.md"
    page.write_text("\n".join(("before", *run.MARKERS, "behind")))
    monkeypatch.setattr(run, "PAGE", page)
    monkeypatch.setattr(run, "CLIENTS", (_Fake, _Absent))
    monkeypatch.setattr(run, "exchange", lose)
    monkeypatch.setattr(run, "cases", lambda client: [Case(client, "a case", lambda *_: None)])
    yield page


def _run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(run.app, [*arguments])
    return result.exit_code, result.output


def test_failed_and_skipped(fakes: Path) -> None:
    code, output = _run()
    assert code == 1
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in output.splitlines() if "| 1.0" in line]
    assert rows == [
        ["fake", "1.0", "5", "cannot", "works", "cannot", "cannot", "failed", "cannot"],
        ["fake", "1.0", "a case", "works"],
    ]
    assert "fake: MQTT 5, client → board, QoS 1: it is lost\n" in output
    assert "absent: skipped: there is no such thing\n" in output


def test_skipped_is_no_failure(fakes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "exchange", lambda *_: None)
    assert _run()[0] == 0


def test_nothing_could_be_tried(fakes: Path) -> None:
    code, output = _run("--client", "absent")
    assert code == 2 and "absent: skipped: there is no such thing" in output


def test_written_only_when_each_was_tried(fakes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fakes.read_text()
    code, output = _run("--write")
    assert code == 2 and "not every client was tried" in output and fakes.read_text() == before
    monkeypatch.setattr(run, "CLIENTS", (_Fake,))
    _run("--write")
    text = fakes.read_text()
    assert text.startswith("before\n" + run.MARKERS[0]) and text.endswith(run.MARKERS[1] + "\nbehind")
    assert "| fake | 1.0 | 5 | cannot | works | cannot | cannot | failed | cannot |" in text
    assert "| fake | 1.0 | a case | works |" in text
    assert FROM_BOARD in text
