"""Fixtures that every folder of tests may use. Device code is found on the path that a board would have."""

import gc
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

_TESTS = Path(__file__).resolve().parent
_ROOT = _TESTS.parent
# The root first: `tools` is the package there, not the folder of tests of that name.
sys.path[:0] = [str(_ROOT), str(_TESTS), str(_ROOT / "lib"), str(_TESTS / "stubs")]

from support.certificates import Certificates  # noqa: E402
from support.device import CLIENTS, Device  # noqa: E402
from support.scripted import ScriptedBroker  # noqa: E402
from tools import toolchain  # noqa: E402

# A shell that runs the tests in the background ignores SIGINT for them, and all that they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def _micropythons() -> list:
    """One parameter for each MicroPython; without any, one that fails and says what to run."""
    try:
        found = toolchain.micropythons()
    except toolchain.ToolchainMissing as missing:
        return [pytest.param(missing, id="missing")]
    return [pytest.param(path, id=".".join(map(str, toolchain.version_of(path) or ()))) for path in found]


# Their tests share what is measured once, in seconds: all of a file go to one process.
_WHOLE = (
    "tests/faults/test_deadlines.py",
    "tests/faults/test_faults.py",
    "tests/tools/test_tools_bench.py",
    "tests/tools/test_tools_sizes.py",
)


class _OneByOne(LoadScopeScheduling):
    """Each process has the next test as soon as it is free; most of their time they wait."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.split("::")[0]
        return path if path in _WHOLE else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    config.option.loadscopereorder = False  # in the order in which they are collected
    return _OneByOne(config, log)


def pytest_collection_finish() -> None:
    """What lives as long as the tests is not looked through again: the library collects before each connection."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def frozen_heap() -> None:
    """Nor what the modules before have left; without this the tests of the protocol take minutes at the end."""
    gc.freeze()


@pytest.fixture(params=_micropythons())
def micropython(request: pytest.FixtureRequest) -> Path:
    """Each MicroPython in turn."""
    if isinstance(request.param, toolchain.ToolchainMissing):
        pytest.fail(str(request.param))
    return request.param


@pytest.fixture(params=["sync", "asyncio"])
def face(request: pytest.FixtureRequest) -> str:
    """Both clients in turn."""
    return request.param


@pytest.fixture
def run_client(micropython: Path) -> Iterator[Callable[..., Device]]:
    """Start `tests/broker/clients/<script>.py` with arguments; whatever still runs at the end is killed."""
    running: list[Device] = []

    def start(script: str, *arguments: object, **options: str) -> Device:
        running.append(Device(micropython, CLIENTS / f"{script}.py", *arguments, **options))
        return running[-1]

    yield start
    for device in running:
        device.close()


@pytest.fixture
def device(run_client: Callable[..., Device], face: str) -> Callable[..., Device]:
    """Start a case of a client script: device(script, case, port, key=value…), once for each face of the library."""

    def start(script: str, case: str, port: int, **settings: object) -> Device:
        return run_client(script, case, face, port, *(f"{key}={value}" for key, value in settings.items()))

    return start


@pytest.fixture
def scripted_broker() -> Iterator[ScriptedBroker]:
    broker = ScriptedBroker()
    yield broker
    broker.close()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))
