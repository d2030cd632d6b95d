"""Real brokers for the tests of this folder."""

from collections.abc import Iterator

import pytest

from tools.broker import Broker


@pytest.fixture
def mosquitto() -> Iterator[Broker]:
    """A broker of the test's own, with mosquitto's default configuration: it may be killed and started again."""
    with Broker(durable=True) as broker:
        yield broker


@pytest.fixture(scope="module")
def shared_mosquitto() -> Iterator[Broker]:
    """One broker for all tests of a file that leave nothing behind."""
    with Broker() as broker:
        yield broker
