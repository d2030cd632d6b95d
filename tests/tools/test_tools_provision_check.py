"""`provision --check` against a real broker: what fails is named, with what to do, and the board is not disturbed."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from support.certificates import Certificates, Pair
from support.mosquitto import listener
from tools import provision, provision_check, provision_schema
from tools.broker import Broker, Tls, free_port
from tools.provision_check import Result
from tools.provision_tls import NO_LOGIN, NO_NAME, NO_PERMISSION, NO_PORT, NO_TLS, Settings

_PATIENCE_S = 30.0
_NO_ANSWER_S = 0.5


def settings(port: int, certificates: Certificates | None = None, **mqtt: Any) -> Settings:
    """Those of a board «shed»; files by their name are the attributes of `certificates`."""
    given = {"name": "shed", "mqtt": {"server": "127.0.0.1", "port": port, **mqtt}}
    whole = provision_schema.complete(given, "unix")
    files = {}
    for role in ("ca", "cert", "key"):
        name = (whole["mqtt"]["tls"] or {}).get(role)
        if name and certificates:
            pair: Pair = getattr(certificates, name.removesuffix(".key"))
            files[name] = (pair.key_der if role == "key" else pair.der).read_bytes()
    return Settings("shed", whole["mqtt"], files)


def outcome(result: Result) -> tuple[int, str, str, str]:
    """The exit code, and of the step that failed its name, what was found, the advice."""
    failed = result.failed
    assert failed, [step.found for step in result.steps]
    after = result.steps[result.steps.index(failed) + 1 :]
    assert all(step.ok is None for step in after)
    return result.code, failed.name, failed.found, failed.advice


@pytest.fixture(scope="module")
def brokers(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Broker]]:
    rules = tmp_path_factory.mktemp("rules") / "acl"
    rules.write_text(
        "user all\ntopic readwrite #\nuser reader\ntopic read fieldmqtt/#\nuser writer\ntopic write fieldmqtt/#\n"
    )
    users = dict.fromkeys(("all", "reader", "writer"), "s3cret")
    made = {"plain": Broker(), "rules": Broker(users=users, extra=[f"acl_file {rules}"])}
    for name in ("server", "wrong_host", "expired", "self_signed"):
        pair = getattr(certificates, name)
        made[name] = Broker(tls=Tls(pair.pem, pair.key_pem, certificates.ca.pem))
    server = certificates.server
    made["mutual"] = Broker(tls=Tls(server.pem, server.key_pem, certificates.ca.pem, require_client=True))
    made["kept"] = Broker(extra=["retain_available false"])
    for broker in made.values():
        broker.start()
    yield made
    for broker in made.values():
        broker.__exit__()


def test_all_is_well_and_the_board_stays(brokers: dict[str, Broker]) -> None:
    port = brokers["plain"].port
    with listener(port, "fieldmqtt/#", client_id="shed") as board:
        result = provision_check.check(settings(port), _PATIENCE_S)
        assert (result.code, [step.ok for step in result.steps]) == (0, [True] * 7)
        topics = {board.next().topic for _ in range(3)}
        assert topics == {"fieldmqtt/shed/check"}, "nothing else was published: no last will, no false state"
        assert board.client.is_connected()
    with listener(port, "fieldmqtt/#") as later:
        later.expect_nothing()


def test_with_the_boards_version_of_mqtt(brokers: dict[str, Broker]) -> None:
    assert provision_check.check(settings(brokers["plain"].port, version=5), _PATIENCE_S).code == 0
    log = brokers["plain"].log()
    assert re.findall(r"as shed-check \(p(\d)", log)[-1] == "5", "what the board speaks"


def test_tls_with_and_without_a_certificate_of_the_board(
    brokers: dict[str, Broker], certificates: Certificates
) -> None:
    result = provision_check.check(settings(brokers["server"].port, certificates, tls={"ca": "ca"}), _PATIENCE_S)
    assert result.code == 0
    assert result.steps[2].found == "TLSv1.2, the certificate is for 127.0.0.1"
    assert result.warnings[0].startswith("the broker's: expires on")
    tls = {"ca": "ca", "cert": "client", "key": "client.key"}
    result = provision_check.check(settings(brokers["mutual"].port, certificates, tls=tls), _PATIENCE_S)
    assert result.code == 0
    assert "with a certificate" in result.steps[3].found


def test_another_name_in_the_certificate(brokers: dict[str, Broker], certificates: Certificates) -> None:
    tls = {"ca": "ca", "hostname": "broker.example"}
    assert provision_check.check(settings(brokers["wrong_host"].port, certificates, tls=tls), _PATIENCE_S).code == 0


@pytest.mark.parametrize(
    ("broker", "ca", "found", "advice"),
    [
        ("wrong_host", "ca", "for another address (names: broker.example; issued by test-ca;", "use one of its names"),
        ("expired", "ca", "expired (names: localhost, 127.0.0.1;", "is the clock of this computer right?"),
        ("self_signed", "ca", "signed by itself", "or give the certificate itself"),
        ("server", "stranger_client", "signed by another authority (names: localhost", "ask who runs the broker"),
    ],
)
def test_a_broker_that_is_not_trusted(
    brokers: dict[str, Broker], certificates: Certificates, broker: str, ca: str, found: str, advice: str
) -> None:
    before = len(brokers[broker].log())
    result = provision_check.check(settings(brokers[broker].port, certificates, tls={"ca": ca}), _PATIENCE_S)
    code, step, said, hint = outcome(result)
    assert (code, step) == (NO_TLS, "TLS")
    assert said.startswith(f"the broker's certificate is {found}")
    assert advice in hint
    assert " as shed-check" not in brokers[broker].log()[before:], "nothing was told to it"


def test_a_broker_that_trusts_not(brokers: dict[str, Broker], certificates: Certificates) -> None:
    port = brokers["mutual"].port
    code, step, _, advice = outcome(provision_check.check(settings(port, certificates, tls={"ca": "ca"}), _PATIENCE_S))
    assert (code, step) == (NO_TLS, "TLS")
    assert "asks for a certificate of the board" in advice
    tls = {"ca": "ca", "cert": "stranger_client", "key": "stranger_client.key"}
    code, step, _, advice = outcome(provision_check.check(settings(port, certificates, tls=tls), _PATIENCE_S))
    assert (code, step) == (NO_TLS, "TLS")
    assert "must know who signed it" in advice


def test_ports_that_are_mixed_up(brokers: dict[str, Broker], certificates: Certificates) -> None:
    plain, secure = brokers["plain"].port, brokers["server"].port
    code, step, _, advice = outcome(provision_check.check(settings(secure), _PATIENCE_S))
    assert (code, step) == (NO_LOGIN, "login")
    assert "a port for TLS" in advice
    code, step, _, advice = outcome(provision_check.check(settings(plain, certificates, tls={"ca": "ca"}), _PATIENCE_S))
    assert (code, step) == (NO_TLS, "TLS")
    assert "is it a port for TLS?" in advice


@pytest.mark.parametrize(("user", "password"), [("all", "wrong"), ("nobody", "s3cret"), (None, None)])
def test_a_login_that_is_refused(brokers: dict[str, Broker], user: str | None, password: str | None) -> None:
    result = provision_check.check(settings(brokers["rules"].port, user=user, password=password), _PATIENCE_S)
    code, step, found, advice = outcome(result)
    assert (code, step) == (NO_LOGIN, "login")
    assert "refused" in found
    assert "user" in advice


def test_rules_that_do_not_allow_it(brokers: dict[str, Broker], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provision_check, "BACK_S", _NO_ANSWER_S)
    port = brokers["rules"].port
    for user, advice in (("reader", "must let user reader publish"), ("writer", "publish and subscribe to")):
        result = provision_check.check(settings(port, user=user, password="s3cret"), _PATIENCE_S)
        code, step, found, hint = outcome(result)
        assert (code, step, found) == (NO_PERMISSION, "publish", "did not come back within 0.5 s")
        assert hint.endswith(advice) if user == "reader" else advice in hint


def test_a_broker_that_keeps_nothing(brokers: dict[str, Broker]) -> None:
    code, step, _, advice = outcome(provision_check.check(settings(brokers["kept"].port), _PATIENCE_S))
    assert (code, step) == (NO_LOGIN, "login")
    assert "it does not take the last will, which is retained" in advice


def test_nobody_there() -> None:
    code, step, found, advice = outcome(provision_check.check(settings(free_port()), _PATIENCE_S))
    assert (code, step) == (NO_PORT, "port")
    assert "refuses" in found
    assert "is the broker running" in advice
    result = provision_check.check(settings(1883, server="broker.invalid"), _PATIENCE_S)
    code, step, found, _ = outcome(result)
    assert (code, step, found) == (NO_NAME, "name", "broker.invalid has no IPv4 address that this computer can find")


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A port where whoever connects gets this, and then silence."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        ends: list[socket.socket] = []

        def serve() -> None:
            for _ in range(2):
                connection = server.accept()[0]
                ends.append(connection)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)
        for end in ends:
            end.close()


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH_9.9\r\n", b"\xff" * 2000])
def test_something_else_is_there(answer: bytes) -> None:
    with answering(answer) as port:
        code, step, _, advice = outcome(provision_check.check(settings(port), _NO_ANSWER_S))
    assert (code, step) == (NO_LOGIN, "login")
    assert "no MQTT there" in advice


def test_the_command(brokers: dict[str, Broker], certificates: Certificates, tmp_path: Path) -> None:
    """Its exit code is that of the step, its table names all steps, it writes nothing and shows no secret."""
    app = typer.Typer()
    app.command()(provision.main)
    config = tmp_path / "config.json"
    config.write_text(
        json.dumps(
            {
                "name": "shed",
                "mqtt": {"server": "127.0.0.1", "port": brokers["rules"].port, "user": "all", "password": "s3cret"},
            }
        )
    )
    before = config.stat().st_mtime_ns
    run = CliRunner().invoke(app, ["--output", str(config), "--check"])
    assert run.exit_code == 0, run.output
    for step in ("name", "port", "TLS", "login", "subscribe", "publish", "retained"):
        assert f" {step} " in run.output
    assert "s3cret" not in run.output
    run = CliRunner().invoke(app, ["--from", str(config), "--check", "--set", "mqtt.user=nobody"])
    assert run.exit_code == NO_LOGIN, run.output
    assert "mqtt.user or mqtt.password" in " ".join(run.output.split())
    assert config.stat().st_mtime_ns == before
    # Before certificates are written they are tried; where the broker cannot be reached this is only said.
    for port, code, said in (
        (brokers["server"].port, 0, "checked TLS: TLSv1.2, the certificate is for localhost"),
        (brokers["wrong_host"].port, NO_TLS, "the broker's certificate is for another host name"),
        (free_port(), 0, "not tried: host name and chain of the broker's certificate"),
    ):
        options = (
            f"--set name=a --set ntp=a --set mqtt.server=localhost --set mqtt.port={port} --ca {certificates.ca.pem}"
        )
        place = tmp_path / str(port) / "config.json"
        run = CliRunner().invoke(app, ["--output", str(place), *options.split()])
        assert run.exit_code == code, run.output
        assert said in " ".join(run.output.split())
        assert place.exists() == (code == 0)
