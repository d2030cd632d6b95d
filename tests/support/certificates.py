"""A certificate authority made for one run of the tests: nothing of it is kept, nothing of it is in the repository."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = datetime.timedelta(days=1)


@dataclass
class Pair:
    """A certificate and its key, each as a PEM and a DER file beside each other."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    pem: Path
    der: Path
    key_pem: Path
    key_der: Path


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _names(hosts: list[str]) -> x509.SubjectAlternativeName:
    addresses = [x509.IPAddress(ipaddress.ip_address(host)) for host in hosts if host[0].isdigit()]
    return x509.SubjectAlternativeName([*map(x509.DNSName, (h for h in hosts if not h[0].isdigit())), *addresses])


class Authority:
    """Signs what the tests need; `make` writes the files of a pair into `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.root = self.make("test-ca", issuer=None, is_authority=True)

    def make(
        self,
        name: str,
        hosts: list[str] | None = None,
        *,
        issuer: Pair | str | None = "root",
        days: tuple[int, int] = (-2, 30),
        is_authority: bool = False,
        client: bool = False,
    ) -> Pair:
        """`issuer` None signs with the pair's own key; `days` from now to begin and end of validity."""
        key = ec.generate_private_key(ec.SECP256R1())
        signer = self.root if issuer == "root" else issuer
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(signer.certificate.subject if isinstance(signer, Pair) else _name(name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + days[0] * _DAY)
            .not_valid_after(now + days[1] * _DAY)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if hosts:
            builder = builder.add_extension(_names(hosts), critical=False)
        if not is_authority:
            usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        certificate = builder.sign(signer.key if isinstance(signer, Pair) else key, hashes.SHA256())
        return self._write(name, certificate, key)

    def _write(self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
        paths = [self._folder / f"{name}{end}" for end in (".pem", ".der", ".key.pem", ".key.der")]
        pem, der = serialization.Encoding.PEM, serialization.Encoding.DER
        private, plain = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        contents = [
            certificate.public_bytes(pem),
            certificate.public_bytes(der),
            key.private_bytes(pem, private, plain),
            key.private_bytes(der, private, plain),
        ]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        return Pair(certificate, key, *paths)


class Certificates:
    """All that the TLS tests present to each other."""

    def __init__(self, folder: Path) -> None:
        here = ["localhost", "127.0.0.1"]
        authority = Authority(folder)
        self.ca = authority.root
        self.server = authority.make("server", here)
        self.wrong_host = authority.make("elsewhere", ["broker.example"])
        self.expired = authority.make("expired", here, days=(-30, -1))
        self.self_signed = authority.make("self-signed", here, issuer=None)
        self.client = authority.make("device-1", client=True)
        stranger = authority.make("stranger-ca", issuer=None, is_authority=True)
        self.stranger_client = authority.make("stranger", issuer=stranger, client=True)
