"""Certificates and keys are checked before they go to a board: each mistake has its own words and what to do."""

import datetime
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from support.certificates import Authority, Certificates
from tools import certificates as checked
from tools.certificates import CertificateError
from tools.provision_draft import Draft
from tools.provision_target import FolderTarget

NAMES = ("cert", "key")
_PEM, _DER = serialization.Encoding.PEM, serialization.Encoding.DER
_PKCS8, _PLAIN = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()


def self_signed(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    """A PEM certificate that signs itself."""
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "evil\x1b[2Jname")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - datetime.timedelta(1))
    builder = builder.not_valid_after(now + datetime.timedelta(90))
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(_PEM)


def refusal(check: Callable[..., object], *arguments: object) -> str:
    with pytest.raises(CertificateError) as caught:
        check(*arguments)
    return str(caught.value)


def at(days: float) -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)


@pytest.mark.parametrize("form", ["pem", "der"])
def test_an_authority_becomes_der(certificates: Certificates, form: str) -> None:
    found = checked.authority(getattr(certificates.ca, form).read_bytes(), "ca.pem", at(-1))
    assert found.der == certificates.ca.der.read_bytes()
    assert found.facts.startswith("«test-ca», until ")
    assert found.warnings == []


@pytest.mark.parametrize(("cert", "key"), [("pem", "key_pem"), ("der", "key_der"), ("pem", "key_der")])
def test_a_pair_becomes_der(certificates: Certificates, cert: str, key: str) -> None:
    files = [getattr(certificates.client, form).read_bytes() for form in (cert, key)]
    own, private = checked.own(*files, NAMES, at(-1))
    assert (own.der, private.der) == (certificates.client.der.read_bytes(), certificates.client.key_der.read_bytes())
    assert own.warnings == private.warnings == []
    assert private.facts == "EC secp256r1"


def test_dates(certificates: Certificates) -> None:
    data = certificates.ca.pem.read_bytes()  # valid for 30 days from the start of the tests
    assert "not valid before" in refusal(checked.authority, data, "ca.pem", at(-3))
    assert "expired on" in refusal(checked.authority, data, "ca.pem", at(31))
    [warning] = checked.authority(data, "ca.pem", at(10)).warnings
    assert warning.startswith("ca.pem: expires on ")
    assert "in 19 days" in warning or "in 20 days" in warning
    own = certificates.expired.pem.read_bytes(), certificates.expired.key_pem.read_bytes()
    assert "expired on" in refusal(checked.own, *own, NAMES)


def test_a_key_that_is_not_the_certificates(certificates: Certificates) -> None:
    files = certificates.client.pem.read_bytes(), certificates.stranger_client.key_pem.read_bytes()
    assert refusal(checked.own, *files, NAMES).startswith("key: not the key of cert, «device-1»")


def test_an_encrypted_key(certificates: Certificates) -> None:
    locked = serialization.BestAvailableEncryption(b"pass")
    key = certificates.client.key.private_bytes(_PEM, _PKCS8, locked)
    message = refusal(checked.own, certificates.client.pem.read_bytes(), key, NAMES)
    assert message.startswith("key: encrypted, and a board cannot ask")
    assert "openssl pkey" in message


def test_files_in_the_wrong_place(certificates: Certificates) -> None:
    cert, key = certificates.client.pem.read_bytes(), certificates.client.key_pem.read_bytes()
    assert "this is a private key" in refusal(checked.own, key, key, NAMES)
    assert "this is a certificate" in refusal(checked.own, cert, cert, NAMES)
    assert "is no certificate authority; it was signed by test-ca" in refusal(checked.authority, cert, "ca")
    request = b"-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n"
    assert "nobody has signed yet" in refusal(checked.authority, request, "ca")


@pytest.mark.parametrize("data", [b"", b"\n", b"hello", b"-----BEGIN CERTIFICATE-----\nnonsense\n", b"\x30\x82" * 40])
def test_what_is_no_certificate(certificates: Certificates, data: bytes) -> None:
    assert refusal(checked.authority, data, "ca.pem").startswith("ca.pem: ")
    assert refusal(checked.own, certificates.client.pem.read_bytes(), data, NAMES).startswith("key: ")


def test_keys_that_boards_cannot_do() -> None:
    keys = {
        "an RSA key of 1024 bits": rsa.generate_private_key(65537, 1024),
        "an EC key on secp256k1": ec.generate_private_key(ec.SECP256K1()),
        "a key of the kind Ed25519": ed25519.Ed25519PrivateKey.generate(),
    }
    for what, key in keys.items():
        cert, private = self_signed(key), key.private_bytes(_PEM, _PKCS8, _PLAIN)
        assert f"key: {what}; boards can do EC keys on P-256" in refusal(checked.own, cert, private, NAMES)
        assert what in refusal(checked.authority, cert, "ca")


def test_rsa_of_2048_bits_is_fine_and_its_key_is_pkcs1() -> None:
    key = rsa.generate_private_key(65537, 2048)
    own, private = checked.own(self_signed(key), key.private_bytes(_DER, _PKCS8, _PLAIN), NAMES)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    assert private.der == key.private_bytes(_DER, form, _PLAIN)
    assert own.warnings == private.warnings == []


def test_names_do_not_reach_the_terminal_as_they_are() -> None:
    cert = self_signed(ec.generate_private_key(ec.SECP256R1()))
    assert "\x1b" not in checked.authority(cert, "ca").facts


def test_a_chain(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    between = authority.make("between", is_authority=True)
    leaf = authority.make("leaf", issuer=between, client=True)
    key = leaf.key_pem.read_bytes()
    ordered = leaf.pem.read_bytes() + between.pem.read_bytes()
    own, _ = checked.own(ordered, key, NAMES, at(-1))
    assert own.der == leaf.der.read_bytes()
    assert own.warnings == ["cert: the board sends its own certificate only; the broker must know those between"]
    own, _ = checked.own(between.pem.read_bytes() + leaf.pem.read_bytes(), key, NAMES, at(-1))
    assert own.der == leaf.der.read_bytes()
    assert "«between» was not signed by «leaf», which follows it" in own.warnings[0]
    # Of a file with several authorities the board gets the root; of several roots it cannot get all.
    root = authority.root.pem.read_bytes()
    assert checked.authority(between.pem.read_bytes() + root, "ca", at(-1)).der == authority.root.der.read_bytes()
    assert "2 certificates; a board takes one" in refusal(checked.authority, root + root, "ca")


def test_a_certificate_for_servers(certificates: Certificates) -> None:
    files = certificates.server.pem.read_bytes(), certificates.server.key_pem.read_bytes()
    assert "cert: issued for servers, not for clients" in checked.own(*files, NAMES, at(-1))[0].warnings[0]


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "disk.img").write_bytes(b"\0" * 100_000)
    assert "more than 65536 bytes" in refusal(checked.read, tmp_path / "disk.img")


def test_certificates_beside_the_file_that_names_them(certificates: Certificates, tmp_path: Path) -> None:
    """`--from FILE` finds them there, whatever they are called, and they are checked as all are."""
    source = tmp_path / "fleet"
    source.mkdir()
    (source / "root.crt").write_bytes(certificates.ca.pem.read_bytes())
    (source / "shed.json").write_text('{"ntp": "a", "mqtt": {"server": "broker", "tls": {"ca": "root.crt"}}}')
    draft = Draft(FolderTarget(tmp_path / "config.json"))
    draft.start_from(source / "shed.json")
    ready = draft.ready()
    [ca, config] = ready.files
    assert (ready.files[ca], config) == (certificates.ca.der.read_bytes(), "config.json")
