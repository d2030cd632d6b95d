"""The fleet's broker, the one subscriber that takes every reading's time, and the certificate for --tls."""

import json
import os
import secrets
import signal
import ssl
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt.enums import CallbackAPIVersion

from tools.broker import Broker, Tls
from tools.fleet_boards import FleetError
from tools.fleet_figures import Arrivals
from tools.paho_client import leave

HOST = "127.0.0.1"

_PATIENCE_S = 20.0
_LOOK_S = 0.02
_DAY = timedelta(days=1)

# The default of 20 in flight and 1000 waiting is for one board; for the one who gets everything it would mean that the
# broker drops messages whenever that one is late.
_OPTIONS = ("max_inflight_messages 0", "max_queued_messages 0")


@dataclass(frozen=True)
class Topics:
    """Boards publish below prefix/name<number>/. On a broker that others use too nothing of it is in use."""

    prefix: str = "fieldmqtt"
    name: str = "board-"

    @classmethod
    def apart(cls) -> "Topics":
        """Names that no other fleet has."""
        tag = secrets.token_hex(4)
        return cls(f"fieldmqtt-fleet-{tag}", f"board-{tag}-")


class LocalBroker(Broker):
    """mosquitto for a fleet; kill() and start() are a storm."""

    def __init__(self, tls: Tls | None = None) -> None:
        super().__init__(extra=_OPTIONS, tls=tls)

    def remember(self) -> None:
        """Write down the sessions that there are, so that they outlive kill(): who subscribed gets all of it."""
        stored = self.folder / "mosquitto.db"
        if not self.process:
            return
        os.kill(self.process.pid, signal.SIGUSR1)
        deadline = time.monotonic() + _PATIENCE_S
        while not stored.exists():
            if time.monotonic() > deadline:
                raise FleetError(f"The broker did not write {stored.name} in {_PATIENCE_S:.0f} s.")
            time.sleep(_LOOK_S)


class Listener:
    """Subscribes to every board's readings at QoS 1 and notes when they come. Its session outlives the connection."""

    def __init__(self, host: str, port: int, topics: Topics, ca: Path | None) -> None:
        self._address, self._topics, self._ca = (host, port), topics, ca
        self.arrivals = Arrivals()
        self.where = f"{host} port {port}"
        self._name = f"fleet-listener-{secrets.token_hex(4)}"
        self._ready = threading.Event()
        self._wrong = ""
        self._client = self._make(clean_session=False)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(f"{topics.prefix}/+/reading", qos=1)
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._on_message

    def open(self) -> None:
        """Connect and subscribe. Raises FleetError."""
        try:
            self._client.connect(*self._address)
        except OSError as error:
            raise FleetError(f"No broker at {self.where}: {error}. Start it first.") from None
        self._client.loop_start()
        if not self._ready.wait(_PATIENCE_S) or self._wrong:
            why = self._wrong or f"no answer in {_PATIENCE_S:.0f} s; it must take clients without a password"
            self.close()
            raise FleetError(f"The broker at {self.where}: {why}")

    def close(self) -> None:
        """Disconnect."""
        leave(self._client)

    def forget(self, boards: int) -> None:
        """Disconnect, and take back what a broker keeps: the boards' retained states and the listener's session."""
        self.close()  # two of one name would take the connection from each other
        client = self._make(clean_session=True)
        client.connect(*self._address)
        client.loop_start()
        sent = [
            client.publish(f"{self._topics.prefix}/{self._topics.name}{i}/state", b"", 1, True) for i in range(boards)
        ]
        for each in sent:
            each.wait_for_publish(_PATIENCE_S)
        leave(client)

    def _make(self, clean_session: bool) -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2, self._name, clean_session=clean_session)
        client.max_inflight_messages_set(0)
        if self._ca:
            client.tls_set(str(self._ca), tls_version=ssl.PROTOCOL_TLS_CLIENT)
        return client

    def _subscribed(self, client: paho.Client, data: object, mid: int, codes: Any, properties: object) -> None:
        if any(code.is_failure for code in codes):
            self._wrong = f"it does not allow to subscribe to {self._topics.prefix}/+/reading"
        self._ready.set()

    def _on_message(self, client: paho.Client, data: object, message: paho.MQTTMessage) -> None:
        arrived = time.time()
        try:
            board = int(message.topic.split("/")[-2].removeprefix(self._topics.name))
            reading = json.loads(message.payload)
            self.arrivals.add(board, reading["seq"], reading["sent"] / 1e6, arrived, len(message.payload))
        except (ValueError, KeyError, TypeError):
            return  # nobody of this fleet


def local_tls(folder: Path) -> tuple[Tls, Path]:
    """A certificate of two days for HOST that is its own authority; for the broker, and in DER for the boards."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fleet")])
    now = datetime.now(timezone.utc)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - _DAY, now + _DAY)
    made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(HOST))]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = made.sign(key, hashes.SHA256())
    pem, der = serialization.Encoding.PEM, serialization.Encoding.DER
    files = [folder / name for name in ("fleet.pem", "fleet.der", "fleet.key")]
    files[2].touch(0o600)
    files[0].write_bytes(certificate.public_bytes(pem))
    files[1].write_bytes(certificate.public_bytes(der))
    files[2].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return Tls(files[0], files[2], files[0]), files[1]
