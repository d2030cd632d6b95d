"""The local broker that the demo, the benchmark and the tests start."""

import socket
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from support.certificates import Certificates
from tools.broker import Broker, BrokerError, Tls
from tools.paho_client import leave

_WAIT_S = 5


@contextmanager
def _client(broker: Broker, name: str = "", password: str = "", ca: str = "") -> Iterator[paho.Client]:
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.user_data_set({"refused": None, "messages": []})
    client.on_connect = lambda client, data, flags, code, properties: data.update(refused=code.is_failure)
    client.on_message = lambda client, data, message: data["messages"].append(message.payload)
    if name:
        client.username_pw_set(name, password)
    if ca:
        client.tls_set(ca, cert_reqs=ssl.CERT_REQUIRED)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    try:
        _until(lambda: client.user_data_get()["refused"] is not None)
        yield client
    finally:
        leave(client)


def _until(true) -> None:
    deadline = time.monotonic() + _WAIT_S
    while not true():
        assert time.monotonic() < deadline, "nothing came"
        time.sleep(0.01)


def _publish_retained(broker: Broker, payload: bytes) -> None:
    with _client(broker) as client:
        client.publish("kept", payload, qos=1, retain=True).wait_for_publish(_WAIT_S)


def _retained(broker: Broker) -> list[bytes]:
    with _client(broker) as client:
        messages = client.user_data_get()["messages"]
        client.subscribe([("kept", 1), ("after", 1)])
        client.publish("after", b"last", qos=1).wait_for_publish(_WAIT_S)
        _until(lambda: b"last" in messages)
        return [message for message in messages if message != b"last"]


def test_stop_and_start_keep_port_and_retained_messages():
    with Broker() as broker:
        port = broker.port
        _publish_retained(broker, b"1")
        broker.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 1)
        broker.start()
        assert broker.port == port
        assert _retained(broker) == [b"1"]


def test_kill_loses_what_is_not_durable():
    with Broker() as broker:
        _publish_retained(broker, b"1")
        broker.kill()
        broker.start()
        assert _retained(broker) == []


def test_kill_keeps_what_is_durable():
    with Broker(durable=True) as broker:
        _publish_retained(broker, b"1")
        _until(lambda: any(broker.folder.glob("*.db")))
        broker.kill()
        broker.start()
        assert _retained(broker) == [b"1"]


def test_two_brokers_at_once():
    with Broker() as one, Broker() as other:
        assert one.port != other.port
        _publish_retained(one, b"1")
        assert _retained(other) == []


def test_passwords():
    with Broker(users={"ann": "right"}) as broker:
        for password, refused in (("right", False), ("wrong", True)):
            with _client(broker, "ann", password) as client:
                assert client.user_data_get()["refused"] is refused
        with _client(broker) as client:
            assert client.user_data_get()["refused"] is True


def test_tls(certificates: Certificates):
    server = certificates.server
    with Broker(tls=Tls(server.pem, server.key_pem, certificates.ca.pem)) as broker:
        assert broker.url == f"mqtts://127.0.0.1:{broker.port}"
        with _client(broker, ca=str(certificates.ca.pem)) as client:
            assert client.user_data_get()["refused"] is False


@pytest.mark.skipif(sys.platform != "linux", reason="needs a second loopback address")
def test_listens_on_this_computer_only():
    with Broker() as broker, socket.socket() as other:
        other.bind(("127.0.0.2", broker.port))  # would fail if the broker listened on every address


def test_error_in_the_configuration_is_shown():
    with pytest.raises(BrokerError, match="nonsense"), Broker(extra=["nonsense 1"]):
        pass


def test_nothing_is_left_behind():
    with Broker() as broker:
        folder, process = broker.folder, broker.process
    assert not folder.exists()
    assert process is not None and process.poll() is not None
