"""Log in with SCRAM-SHA-256 (RFC 5802, RFC 7677): the password never crosses the network, and the broker has to prove
that it knows it too. Needs MQTT 5 and a broker with enhanced authentication.

This computer:  MICROPYPATH=lib:.frozen micropython examples/scram.py
A board:        mpremote cp examples/scram.py : + run examples/online.py run examples/scram.py

Scram is what `auth=` takes, of both clients: method, start, step, done. Your own program says
`from scram import Scram`. The first login costs 2 SHA-256 for each of the iterations that the
broker wants, 4096 or more: 20 ms on a computer, and on a board, some hundred times as slow, seconds in which nothing
else runs, asyncio tasks neither. Mind the watchdog and `timeout`. What comes of it is kept, so that a reconnect costs a
few, as long as the broker stays with its salt.
"""

import hashlib
import os
from binascii import a2b_base64, b2a_base64

from fieldmqtt import MQTTClient

BROKER = "192.168.1.10"  # or (address, port)
USER, PASSWORD = "shed", "the board's password"

FEWEST, MOST = 4096, 20000  # iterations: fewer make a password easy to guess, more would hold the board for minutes
BLOCK = 64  # bytes that SHA-256 takes at a time


class Scram:
    """SCRAM-SHA-256 without channel binding. user and password: str, taken as they are, so best ASCII (no SASLprep)."""

    method = "SCRAM-SHA-256"

    def __init__(self, user, password):
        self._user = user.replace("=", "=3D").replace(",", "=2C")
        self._password = password.encode()
        self._salt = None  # with the iterations, and what comes of them: the salted password
        self._salted = b""
        self._bare = self._nonce = ""
        self._signature = None  # what the server has to show

    def start(self):
        """Return the first message: who we are."""
        self._nonce = self.nonce()
        self._bare = "n=%s,r=%s" % (self._user, self._nonce)
        self._signature = None
        return b"n,," + self._bare.encode()

    def step(self, data):
        """Return the answer to the server's message: the proof that we know the password."""
        fields = parsed(data)
        nonce, salt, iterations = [fields.get(name, "") for name in "rsi"]
        if not nonce.startswith(self._nonce) or nonce == self._nonce or self._signature:
            raise ValueError("not an answer to our message")
        if "m" in fields or not iterations.isdigit() or not FEWEST <= int(iterations) <= MOST:
            raise ValueError("iterations: %s, not %d to %d, or an extension" % (iterations, FEWEST, MOST))
        if (salt, iterations) != self._salt:
            self._salted = salted(self._password, a2b_base64(salt), int(iterations))
            self._salt = (salt, iterations)
        final = "c=biws,r=" + nonce
        message = b"%s,%s,%s" % (self._bare.encode(), data, final.encode())
        key = hmac(self._salted, b"Client Key")
        signature = hmac(hashlib.sha256(key).digest(), message)
        self._signature = encoded(hmac(hmac(self._salted, b"Server Key"), message))
        proof = bytes([one ^ other for one, other in zip(key, signature)])
        return (final + ",p=" + encoded(proof)).encode()

    def done(self, data):
        """The server lets us in. Raises ValueError unless it proves that it knows the password."""
        expected, self._signature = self._signature, None
        if not (expected and data) or parsed(data).get("v") != expected:
            raise ValueError("it does not know the password")

    def nonce(self):
        """Return a text that never comes again."""
        return encoded(os.urandom(18))


def parsed(data):
    """Return the fields of a message as a dict. Raises ValueError where it is none."""
    fields = {}
    for part in (data or b"").decode().split(","):
        name, equals, value = part.partition("=")
        if not equals or name in fields:
            raise ValueError("not a message of SCRAM")
        fields[name] = value
    return fields


def encoded(data):
    """Return bytes as base64."""
    return b2a_base64(data).decode().strip()


def hmac(key, message):
    """Return HMAC-SHA-256 (RFC 2104); here no key is longer than a block, but passwords may be."""
    if len(key) > BLOCK:
        key = hashlib.sha256(key).digest()
    key += bytes(BLOCK - len(key))
    inner = hashlib.sha256(bytes([byte ^ 0x36 for byte in key]))
    inner.update(message)
    outer = hashlib.sha256(bytes([byte ^ 0x5C for byte in key]))
    outer.update(inner.digest())
    return outer.digest()


def salted(password, salt, iterations):
    """Return PBKDF2 of one block: HMAC upon HMAC, all XORed. The pads are made once, unlike in hmac()."""
    if len(password) > BLOCK:
        password = hashlib.sha256(password).digest()
    password += bytes(BLOCK - len(password))
    inner_pad = bytes([byte ^ 0x36 for byte in password])
    outer_pad = bytes([byte ^ 0x5C for byte in password])
    last = salt + b"\0\0\0\1"
    result = 0
    for _ in range(iterations):
        last = hashlib.sha256(outer_pad + hashlib.sha256(inner_pad + last).digest()).digest()
        result ^= int.from_bytes(last, "big")
    return result.to_bytes(32, "big")


def main():
    client = MQTTClient("example-scram", BROKER, version=5, auth=Scram(USER, PASSWORD), timeout=30)
    client.connect()
    print("each knows the other")
    client.publish("examples/scram", "hello", qos=1)
    client.reauthenticate()
    print("and still does")
    client.disconnect()


if __name__ == "__main__":
    main()
