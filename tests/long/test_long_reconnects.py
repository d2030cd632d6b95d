"""The short form of long/reconnects.py."""

from pathlib import Path

from long.measured import Client
from long.reconnects import Bench
from support.certificates import Certificates

_COUNTS = {Client.sync: 250, Client.asyncio: 40}  # of each end of a connection


def test_no_socket_stays_open_over_reconnects(micropython: Path, library: Path, certificates: Certificates) -> None:
    bench = Bench(micropython, library, certificates, _COUNTS)
    problems = [f"{row.end.name}, {row.face.value}: {problem}" for row in bench.rows() for problem in row.problems]
    assert not problems, "\n".join(problems)
