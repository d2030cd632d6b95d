"""A broker by its URL: what the variables say, and that a password is shown nowhere."""

from pathlib import Path

import pytest

from interop.serve_url import ByUrl, limits
from interop.served import Endpoint
from tools.packages import Unavailable

_URL = "mqtts://us%40er:p%3Ass@broker.example"


def _served(url: str = _URL, **more: str) -> ByUrl:
    return ByUrl({"INTEROP_BROKER": url, **more})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://broker.example", Endpoint("tcp", 1883, "broker.example")),
        ("mqtts://broker.example", Endpoint("tls", 8883, "broker.example")),
        ("mqtts://broker.example:443", Endpoint("tls", 443, "broker.example")),
        ("ws://broker.example", Endpoint("ws", 80, "broker.example", "/mqtt")),
        ("wss://broker.example:8084/devices?x=1", Endpoint("wss", 8084, "broker.example", "/devices?x=1")),
    ],
)
def test_endpoint(url: str, expected: Endpoint):
    assert _served(url).endpoints == {expected.kind: expected}


def test_several_urls_are_transports_of_one_broker():
    served = _served(f"{_URL} wss://broker.example/mqtt")
    assert list(served.endpoints) == ["tls", "wss"]
    assert served.login == ("us@er", "p:ss") and served.name == "broker.example"


def test_with_a_certificate_of_the_client_it_is_mutual(tmp_path: Path):
    for name in ("ca.pem", "client.pem", "client.key"):
        (tmp_path / name).touch()
    files = {
        "INTEROP_CA": str(tmp_path / "ca.pem"),
        "INTEROP_CERT": str(tmp_path / "client.pem"),
        "INTEROP_KEY": str(tmp_path / "client.key"),
    }
    served = _served(**files)
    assert list(served.endpoints) == ["mtls"]
    assert served.certificates
    made = served.certificates
    assert [made.ca, made.client_cert, made.client_key] == [Path(file) for file in files.values()]
    (tmp_path / "client.key").unlink()
    with pytest.raises(Unavailable, match="INTEROP_KEY: there is no file"):
        _served(**files)


def test_limits():
    assert limits("max_qos=1, max_payload=131072,keepalive=30-1200") == {
        "max_qos": 1,
        "max_payload": 131072,
        "keepalive": (30, 1200),
    }
    assert limits("") == {}
    assert _served().limits, "it need not have every transport"


@pytest.mark.parametrize("wrong", ["max_qos", "max_qos=one", "keepalive=30", "speed=1", "max_payload=-1"])
def test_a_limit_that_is_not_understood_is_named(wrong: str):
    with pytest.raises(Unavailable, match=f"INTEROP_LIMITS: {wrong}: there are .*max_payload"):
        limits(wrong)


@pytest.mark.parametrize(
    "wrong", ["", "broker.example", "http://u:secret@broker.example", "mqtt://u:secret@h:99999", "mqtt://:secret@"]
)
def test_a_url_that_cannot_be_used_says_so_without_its_password(wrong: str):
    with pytest.raises(Unavailable, match="INTEROP_BROKER") as error:
        _served(wrong)
    assert "secret" not in str(error.value)


def test_the_password_is_shown_nowhere_and_the_broker_left_alone():
    with _served() as served:
        assert "p:ss" not in repr(served) + str(served.__dict__.get("name")) + served.log()
        with pytest.raises(NotImplementedError):
            served.restart()
