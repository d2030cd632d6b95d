"""What a fleet costs as it grows, and what follows for a hundred thousand boards: the tables of docs/fleet.md."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tools import fleet_view, tables
from tools.fleet_run import Plan, Result
from tools.toolchain import ROOT

RATE = 60.0  # messages per board per minute
DOC = ROOT / "docs" / "fleet.md"
PARTS = ("measured", "arithmetic", "keepalive", "storm")  # of the page, each between <!-- name --> and <!-- /name -->

_SECONDS = 20.0
_MANY = 100_000
_MANY_RATE = 6  # readings a minute: the firmware's interval of 10 s
_MONTH_S = 30 * 24 * 3600
_HEADERS = 40  # of IPv4 and TCP without options
_RECORD = 29  # what a record of TLS 1.2 with AES-GCM adds
_PING = 2
_PUBACK = 4
_AROUND = (
    36  # of PUBLISH besides the payload: 5 bytes, the packet identifier, a topic such as fieldmqtt/board-12/reading
)
_KEEPALIVES = (60, 300, 1200, 3600)
_CPUS = 8
_LONGEST_PAUSE_S = 60  # of the library's backoff; on average a pause is half as long
_HEAD = (
    *(
        "boards",
        "over",
        "KB a board",
        "CPU a board, ms/s",
        "broker, KB",
        "KB a connection",
        "broker's CPU a message, ms",
    ),
    *("and to connect a board, ms", "latency p50, ms", "p95", "p99", "max", "lost"),
)


def plans(counts: Sequence[int], rate: float, seconds: float | None) -> Iterator[Plan]:
    """What is run: each count in peace, without TLS and with it, and a storm of the most boards with TLS."""
    for tls in (False, True):
        for count in counts:
            yield Plan(count, rate, seconds or _SECONDS, tls=tls)
    yield Plan(max(counts), rate, seconds or _SECONDS, tls=True, storm=True)


def page_parts(results: Sequence[Result], command: str) -> dict[str, str]:
    """The content of each of PARTS."""
    calm = [result for result in results if not result.storm]
    parts = {"measured": f"{_table(_HEAD, [_row(result) for result in calm])}\n\n    {command}\n"}
    parts["keepalive"] = _keepalives()
    plain, tls = (max((r for r in calm if r.plan.tls == with_tls), key=lambda r: r.plan.boards) for with_tls in (0, 1))
    parts["arithmetic"] = _table(("what", "without TLS", "with TLS", "how"), list(_arithmetic(plain, tls)))
    for result in results:
        if result.storm:
            parts["storm"] = f"```text\n{fleet_view.summary(result)}\n```"
    return parts


def written(text: str, parts: dict[str, str]) -> str:
    """`text` with each part between its markers. ValueError when they are not there."""
    for name, content in parts.items():
        text = tables.written(text, (f"<!-- {name} -->", f"<!-- /{name} -->"), content)
    return text


def write(parts: dict[str, str], page: Path = DOC) -> None:
    """Put the parts into the page. ValueError when it has no place for one."""
    page.write_text(written(page.read_text(encoding="utf-8"), parts), encoding="utf-8")


def _row(result: Result) -> tuple[str, ...]:
    costs, latency = result.costs, result.latency
    figures = [(costs.board_kb, 0), (costs.board_ms, 2), (costs.broker_kb, 0), (costs.connection_kb, 1)]
    figures += [(costs.message_ms, 3), (costs.connection_ms, 2)]
    times = (latency.p50, latency.p95, latency.p99, latency.max) if latency else (None,) * 4
    cells = [_number(value, digits) for value, digits in figures]
    cells += [_number(value and value * 1000, 1) for value in times]
    return (str(result.plan.boards), "TLS" if result.plan.tls else "TCP", *cells, str(result.lost))


def _arithmetic(plain: Result, tls: Result) -> Iterator[tuple[str, ...]]:
    both = plain, tls
    messages = _MANY * _MANY_RATE / 60
    many = f"{_MANY:,}"
    yield ("messages a second", *(f"{messages:,.0f}",) * 2, f"{many} * {_MANY_RATE} / 60")
    gigabytes = [_times(each.costs.connection_kb, _MANY / 1e6) for each in both]
    yield ("memory for the connections, GB", *_cells(gigabytes, 1), f"{many} * KB a connection")
    cpus = [_times(each.costs.message_ms, messages / 1000) for each in both]
    yield ("CPUs for the messages", *_cells(cpus, 1), f"{messages:,.0f} a second * CPU a message")
    seconds = [_times(each.costs.connection_ms, _MANY / 1000) for each in both]
    yield ("CPU to connect all of them once, s", *_cells(seconds, 0), f"{many} * CPU to connect a board")
    spread = [_times(value, 1 / _CPUS) for value in seconds]
    yield (f"the same on {_CPUS} CPUs, s", *_cells(spread, 1), f"/ {_CPUS}")
    often = _MANY / _LONGEST_PAUSE_S * 2
    cpus = [_times(each.costs.connection_ms, often / 1000) for each in both]
    yield ("CPUs when they come back after some minutes", *_cells(cpus, 1), f"{often:,.0f} a second at first")
    on_wire = [reading_bytes(plain.payload, with_tls) for with_tls in (False, True)]
    yield ("a reading and its PUBACK, bytes", *(f"{size:.0f}" for size in on_wire), "with IP and TCP")
    months = (f"{size * _MONTH_S * _MANY_RATE / 60 / 1e6:.0f}" for size in on_wire)
    yield ("a month of readings, MB a board", *months, f"{_MANY_RATE * _MONTH_S // 60:,} of them")
    seldom = (f"{size * _MONTH_S / 900 / 1e6:.1f}" for size in on_wire)
    yield ("a month at one in 15 minutes, MB a board", *seldom, f"{_MONTH_S // 900:,} of them")


def reading_bytes(payload: float, tls: bool) -> float:
    """On the wire, both ways: PUBLISH at QoS 1, PUBACK, and TCP's acknowledgement of that."""
    return payload + _AROUND + _PUBACK + 3 * _HEADERS + (2 * _RECORD if tls else 0)


def ping_bytes(tls: bool) -> int:
    """On the wire, both ways: PINGREQ, PINGRESP, and TCP's acknowledgement of that."""
    return 2 * _PING + 3 * _HEADERS + (2 * _RECORD if tls else 0)


def _keepalives() -> str:
    rows = []
    for keepalive in _KEEPALIVES:
        every = keepalive * 3 / 4  # as lib/fieldmqtt/connection.py does it
        months = (f"{ping_bytes(tls) * _MONTH_S / every / 1e6:.2f}" for tls in (False, True))
        rows.append((str(keepalive), f"{every:g}", f"{_MANY / every:,.0f}", *months, f"{keepalive * 1.5:g}"))
    head = ("keepalive, s", "a ping every, s", f"pings a second, {_MANY:,} boards", "MB a month a board", "with TLS")
    return _table((*head, "a dead link is noticed within, s"), rows)


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _cells(values: Sequence[float | None], digits: int) -> Iterator[str]:
    return (_number(value, digits) for value in values)


def _number(value: float | None, digits: int) -> str:
    return "?" if value is None else f"{value:,.{digits}f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["--:" if cell[:1].isdigit() else "---" for cell in rows[0]], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
