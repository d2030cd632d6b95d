"""TLS against mosquitto: what verifies connects, what does not is refused, and nothing is verified only on demand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.certificates import Certificates, Pair
from support.device import CLIENTS
from tools.broker import Broker, Tls

# As run_client() wants it: below the folder of the client scripts, without its suffix.
_DER_ONLY = "../stand_ins/tls_before_1_29"


@pytest.fixture(scope="module")
def brokers(certificates: Certificates) -> Iterator[dict[str, Broker]]:
    """A broker for each of its certificates; `mutual` asks for the client's as well."""
    made: dict[str, Broker] = {}

    def start(name: str, pair: Pair, mutual: bool = False) -> None:
        made[name] = Broker(tls=Tls(pair.pem, pair.key_pem, certificates.ca.pem, require_client=mutual))
        made[name].start()

    start("good", certificates.server)
    start("mutual", certificates.server, mutual=True)
    for name in ("wrong_host", "expired", "self_signed"):
        start(name, getattr(certificates, name))
    yield made
    for broker in made.values():
        broker.stop()


@pytest.mark.parametrize("form", ["pem", "der"])
def test_verified(device, brokers: dict[str, Broker], certificates: Certificates, form: str) -> None:
    client = device("live", "try_connect", brokers["good"].port, cafile=getattr(certificates.ca, form))
    client.line("connected")
    client.finish()


@pytest.mark.parametrize("form", ["pem", "der"])
def test_cadata(device, brokers: dict[str, Broker], certificates: Certificates, form: str) -> None:
    client = device("live", "try_connect", brokers["good"].port, cafile=getattr(certificates.ca, form), as_bytes=1)
    client.line("connected")
    client.finish()


def test_context_of_the_program(device, brokers: dict[str, Broker], certificates: Certificates) -> None:
    client = device("live", "try_connect", brokers["good"].port, context=certificates.ca.der)
    client.line("connected")
    client.finish()


@pytest.mark.parametrize("name", ["wrong_host", "expired", "self_signed"])
def test_not_trusted(device, brokers: dict[str, Broker], certificates: Certificates, name: str) -> None:
    client = device("live", "try_connect", brokers[name].port, cafile=certificates.ca.der)
    assert "TLS" in client.line("OSError"), "the error says that it is TLS"
    client.finish()
    assert "connected" not in client.output
    assert "publish" not in brokers[name].log().lower(), "nothing went to a broker that nobody vouches for"


@pytest.mark.parametrize("name", ["wrong_host", "expired", "self_signed"])
def test_insecure_on_demand(device, brokers: dict[str, Broker], name: str) -> None:
    client = device("live", "try_connect", brokers[name].port, insecure=1)
    client.line("connected")
    client.finish()


def test_server_hostname(device, brokers: dict[str, Broker], certificates: Certificates) -> None:
    ca = certificates.ca.der
    port = brokers["wrong_host"].port
    client = device("live", "try_connect", port, cafile=ca, server_hostname="broker.example")
    client.line("connected")
    client.finish()
    client = device("live", "try_connect", brokers["good"].port, cafile=ca, server_hostname="broker.example")
    client.line("OSError")
    client.finish()


@pytest.mark.parametrize("form", ["pem", "der"])
def test_client_certificate(device, brokers: dict[str, Broker], certificates: Certificates, form: str) -> None:
    own = certificates.client
    cert, key = (own.pem, own.key_pem) if form == "pem" else (own.der, own.key_der)
    client = device("live", "try_connect", brokers["mutual"].port, cafile=certificates.ca.der, cert=cert, key=key)
    client.line("connected")
    client.finish()


_EC_PARAMETERS = b"""\
-----BEGIN EC PARAMETERS-----
BggqhkjOPQMBBw==
-----END EC PARAMETERS-----
"""  # the curve, as `openssl ecparam -genkey` puts it before the key


@pytest.mark.parametrize("parameters", [b"", _EC_PARAMETERS], ids=["key", "parameters-and-key"])
def test_pem_where_the_port_takes_der_only(
    run_client, face: str, brokers: dict[str, Broker], certificates: Certificates, tmp_path: Path, parameters: bytes
) -> None:
    own = certificates.client
    key = tmp_path / "key.pem"
    key.write_bytes(parameters + own.key_pem.read_bytes())
    settings = (f"cafile={certificates.ca.pem}", f"cert={own.pem}", f"key={key}")
    script = CLIENTS / "live.py"
    client = run_client(_DER_ONLY, script, "try_connect", face, brokers["mutual"].port, *settings)
    client.line("connected")
    client.finish()
    assert client.output.count("PEM refused") == 2, "certificate and key, then the authority"


@pytest.mark.parametrize("stranger", [True, False], ids=["of-a-stranger", "none"])
def test_client_certificate_refused(
    device, brokers: dict[str, Broker], certificates: Certificates, stranger: bool
) -> None:
    pair = certificates.stranger_client
    own = {"cert": pair.der, "key": pair.key_der} if stranger else {}
    client = device("live", "try_connect", brokers["mutual"].port, cafile=certificates.ca.der, **own)
    client.line("OSError")
    client.finish()


def test_comes_back_over_tls(device, certificates: Certificates) -> None:
    pair = certificates.server
    with Broker(tls=Tls(pair.pem, pair.key_pem, certificates.ca.pem)) as broker:
        client = device("live", "stay", broker.port, cafile=certificates.ca.der, subscribe="news/#")
        client.line("ready")
        for _ in range(2):
            broker.kill()
            client.line("lost")
            broker.start()
            client.line("online False")


def test_plain_client_at_a_tls_broker(device, brokers: dict[str, Broker]) -> None:
    client = device("live", "try_connect", brokers["good"].port, timeout=0.5)
    client.line("OSError")
    client.finish()


def test_tls_client_at_a_plain_broker(device, scripted_broker, certificates: Certificates) -> None:
    client = device("live", "try_connect", scripted_broker.port, cafile=certificates.ca.der, timeout=0.5)
    peer = scripted_broker.accept()
    assert peer.read(1) == b"\x16", "a TLS handshake"
    peer.send(b"\x20\x02\x00\x00 this is not TLS at all")
    client.line("OSError")
    client.finish()


def test_handshake_that_never_ends(device, scripted_broker, certificates: Certificates) -> None:
    client = device("live", "try_connect", scripted_broker.port, cafile=certificates.ca.der, timeout=0.5)
    scripted_broker.accept()
    assert "ETIMEDOUT" in client.line("OSError", 4)
    client.finish()
