"""The runs of which the tests are a short form and soak.py is the full one."""

from faults.plan import CORRUPT, LOSSLESS, RESET, Plan
from faults.power import PowerCuts
from faults.traffic import DEVICE, ROUGH, SETTLED, Traffic
from tools import toolchain

FACES = ("sync", "asyncio")
VERSIONS = {"3.1.1": (4,), "5": (5,), "5 and 3.1.1": (5, 4)}  # of MQTT, for the lives of a device in turn
TRANSPORTS = ("tcp", "ws")
KINDS = (*dict.fromkeys(LOSSLESS), CORRUPT)  # of faults


def _gap(messages: int, faults: int, transport: str) -> int:
    """Bytes between two faults, so that there are about 1.2 times as many. Of WebSocket a good part is HTTP."""
    return (120 if transport == "tcp" else 300) * messages // faults


def lossless(
    face: str, seed: int, messages: int, faults: int, kills: int, version: str = "3.1.1", transport: str = "tcp"
) -> Traffic:
    """Every fault that TCP may show, and a broker that is killed when its database is written."""
    plan = Plan(seed, gap=_gap(messages, faults, transport))
    more = {"kills": [SETTLED] * kills, "versions": VERSIONS[version], "transport": transport}
    return Traffic(toolchain.micropython(), face, plan, messages, faults=faults, **more)


def rough(face: str, seed: int, messages: int, kills: int, version: str = "3.1.1", transport: str = "tcp") -> Traffic:
    """A broker that is killed at any moment: judged at the wire."""
    more = {"kills": [ROUGH] * kills, "versions": VERSIONS[version], "transport": transport}
    return Traffic(toolchain.micropython(), face, Plan(seed, gap=10000), messages, **more)


def corrupt(
    face: str, seed: int, messages: int, faults: int, version: str = "3.1.1", transport: str = "tcp"
) -> Traffic:
    """Bytes that change on their way to the device: see proxy.py for what is promised then."""
    plan = Plan(seed, (CORRUPT, CORRUPT, CORRUPT, RESET), _gap(messages, faults, transport), first=1)
    more = {"versions": VERSIONS[version], "transport": transport}
    return Traffic(toolchain.micropython(), face, plan, messages, faults=faults, **more)


def device_killed(
    face: str, seed: int, messages: int, faults: int, kills: int, version: str = "3.1.1", transport: str = "tcp"
) -> Traffic:
    """A device with its outbox on flash that is killed at any moment, on a bad link."""
    plan = Plan(seed, gap=_gap(messages, faults, transport))
    more = {"kills": [DEVICE] * kills, "versions": VERSIONS[version], "flash": True, "transport": transport}
    return Traffic(toolchain.micropython(), face, plan, messages, faults=faults, **more)


def power_cuts(seed: int, cuts: int) -> PowerCuts:
    """A device that is killed while it publishes into its flash outbox."""
    return PowerCuts(toolchain.micropython(), seed, cuts)
