"""Runs a client script with a `tls` that takes certificates and keys in DER only, as boards before MicroPython 1.29.

    micropython tls_before_1_29.py SCRIPT [argument…]

`tls` is built in and comes before every file on the path, so its place in `sys.modules` is taken instead.
"""

import sys

import tls


class SSLContext:
    """The real context, behind a door that turns PEM away."""

    def __init__(self, protocol):
        self._real = tls.SSLContext(protocol)

    def load_verify_locations(self, data):
        _refuse_pem(data)
        self._real.load_verify_locations(data)

    def load_cert_chain(self, cert, key):
        _refuse_pem(cert)
        _refuse_pem(key)
        self._real.load_cert_chain(cert, key)

    @property
    def verify_mode(self):
        return self._real.verify_mode

    @verify_mode.setter
    def verify_mode(self, value):
        self._real.verify_mode = value

    def wrap_socket(self, *arguments, **keywords):
        return self._real.wrap_socket(*arguments, **keywords)


def _refuse_pem(data):
    if b"-----BEGIN" in data:
        print("PEM refused")
        raise ValueError("invalid cert")


class _Module:
    SSLContext = SSLContext

    def __getattr__(self, name):
        return getattr(tls, name)


sys.modules["tls"] = _Module()
sys.argv.pop(0)
sys.path.insert(0, sys.argv[0].rsplit("/", 1)[0])
with open(sys.argv[0]) as _file:
    exec(_file.read())
