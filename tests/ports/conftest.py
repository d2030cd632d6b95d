"""After each test the fake network is that of unix again, as the other tests expect."""

import gc
from collections.abc import Iterator

import pytest

from support import fakenet


@pytest.fixture(autouse=True)
def unix_again(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # The library collects before each of thousands of connections, here among all that pytest has in memory.
    monkeypatch.setattr(gc, "collect", lambda: 0)
    yield
    fakenet.use("unix")
