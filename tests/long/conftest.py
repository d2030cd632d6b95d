"""The library as a board has it, once for all long runs."""

from pathlib import Path

import pytest

from long.measured import compiled


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("lib"))
