"""examples/scram.py: SCRAM-SHA-256 against a broker that has the server's side, and the exchange of RFC 7677."""

import hashlib
import hmac
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from docs_programs import adapted

from support import reference5
from support.device import Device
from support.scripted import Peer, ScriptedBroker
from tools.toolchain import ROOT

EXAMPLE = ROOT / "examples" / "scram.py"
METHOD = "SCRAM-SHA-256"
PASSWORD = "the board's password"

# The same without waiting, as a program of its own would be.
ASYNC = """
import asyncio
from fieldmqtt import AsyncMQTTClient

async def main():
    client = AsyncMQTTClient("example-scram", BROKER, version=5, auth=Scram(USER, PASSWORD), timeout=30)
    await client.connect()
    print("each knows the other")
    await client.publish("examples/scram", "hello", qos=1)
    await client.reauthenticate()
    print("and still does")
    await client.disconnect()

asyncio.run(main())
"""

# RFC 7677, section 3.
RFC = """
from scram import Scram

scram = Scram("user", "pencil")
scram.nonce = lambda: "rOprNGfwEbeRWgbNEkqO"
print(scram.start().decode())
first = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
print(scram.step(first).decode())
scram.done(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
"""
FIRST = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
FINAL = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="

# One complaint for each line: what a server may try. The nonce is "mine".
WRONG = """
from scram import Scram

for first in FIRSTS:
    scram = Scram("user", "pencil")
    scram.nonce = lambda: "mine"
    scram.start()
    try:
        print("taken", scram.step(first))
    except ValueError as error:
        print("refused", error)
for last in LASTS:
    scram.start()
    scram.step(b"r=mine2,s=c2FsdA==,i=4096")
    try:
        scram.done(last)
        print("taken", last)
    except ValueError as error:
        print("refused", error)
"""
FIRSTS = (
    b"r=mine,s=c2FsdA==,i=4096",  # nothing of the server's own
    b"r=theirs,s=c2FsdA==,i=4096",
    b"r=mine2,s=c2FsdA==,i=4095",
    b"r=mine2,s=c2FsdA==,i=100000000",
    b"r=mine2,s=c2FsdA==,i=-1",
    b"r=mine2,s=c2FsdA==",
    b"m=more,r=mine2,s=c2FsdA==,i=4096",
    b"e=unknown-user",
    b"",
    b"\xff\xfe",
    None,
)
LASTS = (b"v=", b"v=AAAA", b"e=invalid-proof", b"", None)


class Server:
    """The server's side for one user (RFC 5802, section 3). `honest`: it knows the password."""

    def __init__(self, peer: Peer, password: str = PASSWORD, honest: bool = True) -> None:
        self._peer = peer
        self._password = password if honest else "a guess"
        self._honest = honest

    def first(self, said: str) -> str:
        """The answer to the client's first message."""
        assert said.startswith("n,,n=shed,r=")
        self._bare = said.removeprefix("n,,")
        self._nonce = said.rpartition("r=")[2] + "theirs"
        self._said = f"r={self._nonce},s={b64encode(b'salt').decode()},i=4096"
        return self._said

    def final(self, said: str) -> str | None:
        """The proof of this side; None: the client's is wrong."""
        without, _, proof = said.rpartition(",p=")
        assert without == f"c=biws,r={self._nonce}"
        salted = hashlib.pbkdf2_hmac("sha256", self._password.encode(), b"salt", 4096)
        message = f"{self._bare},{self._said},{without}".encode()
        key = _hmac(salted, b"Client Key")
        signature = _hmac(hashlib.sha256(key).digest(), message)
        if self._honest and bytes(a ^ b for a, b in zip(key, signature, strict=True)) != b64decode(proof):
            return None
        return f"v={b64encode(_hmac(_hmac(salted, b'Server Key'), message)).decode()}"

    def exchange(self, first: str) -> str | None:
        """From the client's first message to the server's last."""
        self._peer.send(reference5.auth(0x18, **_properties(self.first(first))))
        return self.final(self.said("AUTH"))

    def said(self, name: str) -> str:
        """The data of the client's next packet, which is of this kind."""
        fields = reference5.decode(self._peer.packet())
        assert fields["packet"] == name and fields["properties"]["authentication_method"] == METHOD
        return fields["properties"]["authentication_data"].decode()


def _properties(data: str) -> dict[str, object]:
    return {"authentication_method": METHOD, "authentication_data": data.encode()}


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


@pytest.fixture
def program(run: Callable[..., Device], scripted_broker: ScriptedBroker, face: str) -> Callable[..., Device]:
    def start(**values: object) -> Device:
        text = adapted(EXAMPLE.read_text(), BROKER=("127.0.0.1", scripted_broker.port), **values)
        if face == "asyncio":
            text = text.replace('if __name__ == "__main__":\n    main()\n', ASYNC)
        return run(text)

    return start


def test_both_prove_themselves_and_once_more(program: Callable[..., Device], scripted_broker: ScriptedBroker) -> None:
    device = program()
    peer = scripted_broker.accept()
    server = Server(peer)
    last = server.exchange(server.said("CONNECT"))
    assert last
    peer.send(reference5.connack(**_properties(last)))
    device.line("each knows the other")
    published = reference5.decode(peer.packet())
    peer.send(reference5.ack(0x40, published["packet_id"]))
    last = server.exchange(server.said("AUTH"))
    assert last
    peer.send(reference5.auth(0, **_properties(last)))
    device.line("and still does")
    assert reference5.decode(peer.packet())["packet"] == "DISCONNECT"
    device.finish()


def test_wrong_password(program: Callable[..., Device], scripted_broker: ScriptedBroker) -> None:
    device = program(**{"USER, PASSWORD": ("shed", "wrong")})
    peer = scripted_broker.accept()
    server = Server(peer)
    assert server.exchange(server.said("CONNECT")) is None
    peer.send(reference5.connack(0x87))
    peer.expect_end()
    assert "MQTTException: (135, 'not authorised')" in "\n".join(device.finish(1))


@pytest.mark.parametrize("last", ["guessed", "none"])
def test_server_that_cannot_prove_itself(
    program: Callable[..., Device], scripted_broker: ScriptedBroker, last: str
) -> None:
    device = program()
    peer = scripted_broker.accept()
    server = Server(peer, honest=False)
    proof = server.exchange(server.said("CONNECT"))
    assert proof
    shown = _properties(proof) if last == "guessed" else {"authentication_method": METHOD}
    peer.send(reference5.connack(**shown))
    assert "does not know the password" in "\n".join(device.finish(1))
    assert not any("each knows the other" in line for line in device.output)


def _said(micropython: Path, code: str) -> list[str]:
    environment = {"MICROPYPATH": f"{ROOT / 'lib'}:{EXAMPLE.parent}:.frozen"}
    run = subprocess.run(
        [micropython, "-X", "heapsize=256k", "-c", code], env=environment, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def test_the_exchange_of_rfc_7677(micropython: Path) -> None:
    assert _said(micropython, RFC) == [FIRST, FINAL]


def test_what_a_server_may_try_is_refused(micropython: Path) -> None:
    said = _said(micropython, f"FIRSTS = {FIRSTS!r}\nLASTS = {LASTS!r}\n{WRONG}")
    assert len(said) == len(FIRSTS) + len(LASTS)
    assert all(line.startswith("refused ") for line in said), said


def test_a_long_password_and_names_with_commas(micropython: Path) -> None:
    """A password longer than a block of SHA-256 is hashed first; a name is escaped."""
    password = "p" * 100
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), b"salt", 4096).hex()
    code = f"from scram import salted\nprint(salted(b{password!r}, b'salt', 4096).hex())"
    assert _said(micropython, code) == [salted]
    code = 'from scram import Scram\ns = Scram("a,b=c", "x")\ns.nonce = lambda: "1"\nprint(s.start().decode())'
    assert _said(micropython, code) == ["n,,n=a=2Cb=3Dc,r=1"]
