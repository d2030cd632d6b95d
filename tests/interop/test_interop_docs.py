"""docs/brokers.md keeps its word: what stands there as a client connects, config.json and mosquitto.conf are taken."""

import getpass
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from docs.docs_programs import blocks
from interop import cluster, table
from interop.brokers import BROKERS
from interop.cases import BY_NAME
from interop.cases_ends import Trial
from interop.serve_url import CA, CERT, KEY, LIMITS, limits
from interop.served import MTLS, TCP, TLS, WS, WSS, Endpoint, Served
from interop.serving import accepts
from support.certificates import Certificates
from tools import provision_schema, tables, toolchain
from tools.broker import free_port

PAGE = toolchain.ROOT / "docs" / "brokers.md"
TEXT = PAGE.read_text(encoding="utf-8")
_KINDS = {"mqtt": TCP, "mqtts": TLS, "ws": WS, "wss": WSS}


def clients() -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """The arguments of every client of the page."""
    found: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def note(*arguments: Any, **keywords: Any) -> None:
        found.append((arguments, keywords))

    for program in blocks(PAGE, "python"):
        exec(program, {"MQTTClient": note})
    return found


CLIENTS = clients()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with BROKERS["mosquitto"]() as served:
        yield served


def kind(server: str, keywords: dict[str, Any]) -> str:
    """How a client of the page speaks to its broker."""
    found = _KINDS[urlsplit(server).scheme] if "://" in server else TCP
    found = WS if keywords.get("transport") == "ws" else found
    found = TLS if keywords.get("ssl") else found
    return MTLS if "cert" in keywords.get("ssl_params", ()) else found


def moved(server: str, end: Endpoint, login: tuple[str, str]) -> str:
    """The server of the page, with the address and the login of one that is here."""
    if "://" not in server:
        return "localhost"
    url = urlsplit(server)
    return f"{url.scheme}://{':'.join(login)}@localhost:{end.port}{url.path}"


@pytest.mark.parametrize(("arguments", "keywords"), CLIENTS, ids=[arguments[1] for arguments, _ in CLIENTS])
def test_client(served: Served, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    _, server, *_ = arguments
    end = served.endpoints[kind(server, keywords)]
    made, login = served.certificates, served.login
    assert made and login
    mine = {"cafile": str(made.ca), "cert": str(made.client_cert), "key": str(made.client_key)}
    values = {**keywords, "server": moved(server, end, login)}
    if "ssl_params" in keywords:
        values["ssl_params"] = {name: mine[name] for name in keywords["ssl_params"]}
    if "://" in server:
        values["port"] = 0
    if "user" in keywords or "@" not in server:
        values["user"], values["password"] = login
    with Trial(served, toolchain.micropython(), "sync") as trial:
        other = trial.other(trial.topic("shed"))
        board = trial.board(end=end, **values)
        board.do("connect")
        board.do("publish", trial.topic("shed"), "21.5", qos=1)
        assert other.next().payload == b"21.5"


def test_every_transport_is_shown() -> None:
    assert {kind(arguments[1], keywords) for arguments, keywords in CLIENTS} == {TCP, TLS, MTLS, WS, WSS}


def test_config() -> None:
    [config] = [json.loads(text) for text in blocks(PAGE, "json")]
    complete = provision_schema.complete(config)
    assert complete["mqtt"]["websocket"] == "/mqtt" and complete["mqtt"]["tls"]["ca"]


def test_mosquitto_conf(tmp_path: Path, certificates: Certificates) -> None:
    """As it stands there, on other ports of loopback and with our certificate: every listener opens."""
    [text] = [text for text in blocks(PAGE, "text") if "password_file" in text]
    made = {"broker.pem": certificates.server.pem, "broker.key": certificates.server.key_pem}
    ports = [line.split()[1] for line in text.splitlines() if line.startswith("listener ")]
    moved_to = {port: free_port() for port in ports}
    for name, path in made.items():
        text = text.replace(name, str(path))
    for port, mine in moved_to.items():  # mosquitto before 2.0.12 takes no address for its WebSocket listener
        text = text.replace(f"listener {port}", f"listener {mine} 127.0.0.1")
    (tmp_path / "store").mkdir()
    (tmp_path / "passwords").touch(0o600)
    (tmp_path / "mosquitto.conf").write_text(f"user {getpass.getuser()}\n{text}")
    program = toolchain.mosquitto()
    assert program and len(ports) == 3
    with subprocess.Popen([program, "-c", "mosquitto.conf"], cwd=tmp_path, stderr=subprocess.PIPE) as broker:
        try:
            end = time.monotonic() + 15
            while not all(accepts(port) for port in moved_to.values()):
                assert broker.poll() is None and broker.stderr and time.monotonic() < end, text
                time.sleep(0.05)
        finally:
            broker.terminate()


def test_table() -> None:
    """What stands there was written by the command: of every case that there is, with nothing that failed."""
    columns = table.parsed(TEXT)
    assert {"mosquitto", "rabbitmq", "aedes", "amqtt"} <= {column.name for column in columns if column.texts}
    for column in columns:
        assert not column.texts or column.texts.keys() == BY_NAME.keys(), f"{column.name}: make interop"
        assert not any("FAILED" in text or "remove" in text for text in column.texts.values()), column.name
    shown = [column for column in columns if column.texts]
    assert tables.written(TEXT, table.MARKERS, table.markdown(columns, list(BY_NAME))) == TEXT and len(shown) >= 4


def test_cluster_table() -> None:
    """A row for each scenario and kind of queue."""
    lines = tables.between(TEXT, cluster.MARKERS).splitlines()
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    expected = [(scenario.__doc__, kind) for scenario in cluster.SCENARIOS for kind in cluster.QUEUES]
    assert [(row[0], row[1]) for row in rows] == expected, "make cluster ARGS=--write"
    assert all(len(row) == len(head) and all(row) for row in rows)


def test_variables_of_a_broker_by_its_url() -> None:
    said = {name for name in (LIMITS, CA, CERT, KEY) if f"`{name}`" in TEXT}
    assert said == {LIMITS, CA, CERT, KEY}
    [example] = [line.split("`")[3] for line in TEXT.splitlines() if line.startswith(f"| `{LIMITS}`")]
    assert limits(example) == {"max_qos": 1, "max_payload": 131072, "keepalive": (30, 1200), "topic_depth": 7}
