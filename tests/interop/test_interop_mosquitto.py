"""The short form of interop.py: the cases on mosquitto, whatever its transport."""

import threading
import time
from collections.abc import Iterator, Mapping

import pytest

from interop.brokers import BROKERS
from interop.cases import BY_NAME, CASES, FACES, Case
from interop.cases_ends import Board, Trial
from interop.cases_run import Run, attempt
from interop.differences import AEDES, AMQTT, RABBITMQ, mosquitto
from interop.served import Difference, Served
from interop.table import judged
from tools import toolchain

# Those that take seconds, and that tests/broker has as well; the whole run has all of them.
_LONG = {"takeover", "v5_session_expiry", "v5_message_expiry", "v5_will_delay"}
_PATIENCE_S = 15.0
_SHORT = [case for case in CASES if case.name not in _LONG]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with BROKERS["mosquitto"]() as served:
        yield served


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("case", _SHORT, ids=lambda case: case.name)
def test_case(served: Served, case: Case, face: str) -> None:
    result = attempt(served, toolchain.micropython(), case, face)
    if result.forbidden:
        pytest.skip(result.forbidden)
    cell = judged(served.differences.get(case.name), [result.error] if result.error else [])
    assert not cell.outcome.wrong, f"{cell.outcome.value}: {cell.why}\n{result.report}"


def test_an_interrupted_run_waits_for_nobody(served: Served) -> None:
    boards: list[Board] = []
    waiting = threading.Barrier(3)

    def interrupts(trial: Trial) -> None:
        waiting.wait(_PATIENCE_S)
        raise KeyboardInterrupt

    def waits_for_a_board(trial: Trial) -> None:
        boards.append(trial.online())
        waiting.wait(_PATIENCE_S)
        boards[0].wait("message", 4 * _PATIENCE_S)

    def waits_for_paho(trial: Trial) -> None:
        other = trial.other(trial.topic("never"))
        waiting.wait(_PATIENCE_S)
        other.next(4 * _PATIENCE_S)

    cases = [Case(each) for each in (interrupts, waits_for_a_board, waits_for_paho)]
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        Run(served, toolchain.micropython(), cases, ("sync",)).go(lambda event: None)
    assert time.monotonic() - began < 2 * _PATIENCE_S
    with pytest.raises(AssertionError, match="the device ended"):
        boards[0].line("anything")


@pytest.mark.parametrize(
    "known", [mosquitto("2.0.11"), RABBITMQ, AEDES, AMQTT], ids=["mosquitto", "RabbitMQ", "aedes", "amqtt"]
)
def test_every_difference_is_of_a_case(known: Mapping[str, Difference]) -> None:
    assert known and known.keys() <= BY_NAME.keys()
