"""Certificates and keys for a board: converted to DER and checked before they go there.

A board reads DER everywhere and PEM only since MicroPython 1.29, one certificate to a file, no encrypted keys; it has
RSA and the NIST curves. What would fail there for any of these reasons is refused here, with the reason.
"""

import datetime
import itertools
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SOON = datetime.timedelta(days=30)
_MAX_BYTES = 65536
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_RSA_BITS = (2048, 4096)
_RSA_QUICK = 2048  # more take a board without a fast multiplier many seconds
_CAN_DO = "boards can do EC keys on P-256, P-384 and P-521, and RSA keys of 2048 to 4096 bits"
_NEW_KEY = "make one: openssl ecparam -name prime256v1 -genkey -noout -out key.pem"

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class CertificateError(ValueError):
    """A certificate or key that cannot be used. The message names the file and what to do; never a part of a key."""


@dataclass
class Checked:
    """What goes to the board, and what its owner should know."""

    der: bytes
    facts: str
    warnings: list[str] = field(default_factory=list)


def read(path: Path) -> bytes:
    """The content of a file of reasonable size. Raises CertificateError."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror}; is the path right?") from None
    if len(data) > _MAX_BYTES:
        raise CertificateError(f"{path}: more than {_MAX_BYTES} bytes; that is no certificate or key of a board")
    return data


def authority(data: bytes, name: str, now: datetime.datetime | None = None) -> Checked:
    """Check the certificate of who signed the broker's; `name` is for messages. Raises CertificateError."""
    found = _certificates(data, name)
    warnings = []
    if len(found) > 1:
        roots = [one for one in found if one.issuer == one.subject]
        if len(roots) != 1:
            raise CertificateError(
                f"{name}: {len(found)} certificates; a board takes one: the root of your broker's chain"
            )
        warnings.append(f"{name}: of its {len(found)} certificates the board gets the root, {_subject(roots[0])}")
        found = roots
    [one] = found
    warnings += _dates(one, name, now)
    if not _is_authority(one) and one.issuer != one.subject:
        who = f"it was signed by {_common_name(one.issuer)}: give the certificate of that one"
        raise CertificateError(f"{name}: {_subject(one)} is no certificate authority; {who}")
    _check_public_key(one, name)
    return Checked(_der(one), _facts(one), warnings)


def own(
    cert: bytes, key: bytes, names: tuple[str, str], now: datetime.datetime | None = None
) -> tuple[Checked, Checked]:
    """Check the board's own certificate and its key, together; `names` are for messages. Raises CertificateError."""
    private = _private_key(key, names[1])
    chain = _certificates(cert, names[0])
    warnings = _order(chain, names[0])
    leaf = next((one for one in chain if _public(one) == _public(private)), None)
    if leaf is None:
        raise CertificateError(
            f"{names[1]}: not the key of {names[0]}, {_subject(chain[0])}; give the key with which it was requested"
        )
    if leaf is not chain[0]:
        warnings.append(f"{names[0]}: the board's own certificate is not the first one; the board gets the right one")
    if len(chain) > 1:
        warnings.append(f"{names[0]}: the board sends its own certificate only; the broker must know those between")
    warnings += _dates(leaf, names[0], now) + _client_use(leaf, names[0])
    _check_public_key(leaf, names[0])
    form, plain = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    slow = isinstance(private, rsa.RSAPrivateKey) and private.key_size > _RSA_QUICK
    key_warnings = [f"{names[1]}: RSA of {private.key_size} bits takes a small board many seconds"] if slow else []
    key_der = private.private_bytes(serialization.Encoding.DER, form, plain)
    return Checked(_der(leaf), _facts(leaf), warnings), Checked(key_der, _kind(private), key_warnings)


def expires(certificate: bytes, name: str, now: datetime.datetime | None = None) -> list[str]:
    """Warnings for a certificate (DER) that ends soon. Raises CertificateError when it is not valid today."""
    return _dates(_certificates(certificate, name)[0], name, now)


def names(certificate: x509.Certificate) -> list[str]:
    """The hosts that a certificate is for, as they can be shown: at most ten."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return [_common_name(certificate.subject)]
    hosts = [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]
    return [_shown(host) for host in hosts[:10]]


def issuer(certificate: x509.Certificate) -> str:
    """Who signed it, as it can be shown."""
    return _common_name(certificate.issuer)


def _certificates(data: bytes, name: str) -> list[x509.Certificate]:
    _refuse_others(data, name)
    try:
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificates(data)
        return [x509.load_der_x509_certificate(data)]
    except (ValueError, UnsupportedAlgorithm):
        hint = "a .p12 or .pfx file first has to be taken apart: openssl pkcs12 -in FILE -nodes"
        raise CertificateError(f"{name}: not a certificate in PEM or DER; {hint}") from None


def _refuse_others(data: bytes, name: str) -> None:
    if b"PRIVATE KEY-----" in data and b"BEGIN CERTIFICATE-----" not in data:
        raise CertificateError(f"{name}: this is a private key; the certificate belongs here, and the key to --key")
    if b"CERTIFICATE REQUEST-----" in data:
        raise CertificateError(f"{name}: a request that nobody has signed yet; have the certificate authority sign it")
    if not data.strip():
        raise CertificateError(f"{name}: empty; export the certificate again")


def _private_key(data: bytes, name: str) -> PrivateKey:
    if b"BEGIN CERTIFICATE-----" in data and b"PRIVATE KEY-----" not in data:
        raise CertificateError(f"{name}: this is a certificate; the private key that was made with it belongs here")
    load = serialization.load_pem_private_key if b"-----BEGIN" in data else serialization.load_der_private_key
    try:
        key = load(data, password=None)
    except TypeError:
        how = "openssl pkey -in KEY -out plain.key.pem"
        raise CertificateError(
            f"{name}: encrypted, and a board cannot ask for the password; decrypt it: {how}"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(f"{name}: not a private key in PEM or DER") from None
    problem = _weakness(key.public_key())
    if problem or not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise CertificateError(f"{name}: {problem}; {_CAN_DO}; {_NEW_KEY}")
    return key


def _weakness(public: object) -> str | None:
    """Why boards cannot use a key, None if they can."""
    if isinstance(public, ec.EllipticCurvePublicKey):
        return None if public.curve.name in _CURVES else f"an EC key on {public.curve.name}"
    if isinstance(public, rsa.RSAPublicKey):
        return None if _RSA_BITS[0] <= public.key_size <= _RSA_BITS[1] else f"an RSA key of {public.key_size} bits"
    return f"a key of the kind {type(public).__name__.strip('_').removesuffix('PublicKey')}"


def _check_public_key(certificate: x509.Certificate, name: str) -> None:
    try:
        problem = _weakness(certificate.public_key())
    except (ValueError, UnsupportedAlgorithm):
        problem = "a key of an unknown kind"
    if problem:
        raise CertificateError(f"{name}: {_subject(certificate)} has {problem}; {_CAN_DO}")


def _dates(certificate: x509.Certificate, name: str, now: datetime.datetime | None) -> list[str]:
    now = now or datetime.datetime.now(datetime.timezone.utc)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begin:
        hint = "is the clock of this computer right? Otherwise wait, or have one made that is valid now"
        raise CertificateError(f"{name}: not valid before {begin:%Y-%m-%d %H:%M} UTC; {hint}")
    if now > end:
        raise CertificateError(f"{name}: expired on {end:%Y-%m-%d %H:%M} UTC; get a new one from who issued it")
    if end - now < SOON:
        return [f"{name}: expires on {end:%Y-%m-%d}, in {(end - now).days} days; get the next one in time"]
    return []


def _order(chain: list[x509.Certificate], name: str) -> list[str]:
    """A chain goes from the board's certificate upwards, each signed by the next."""
    for one, signer in itertools.pairwise(chain):
        try:
            one.verify_directly_issued_by(signer)
        except (ValueError, TypeError, InvalidSignature):
            return [
                f"{name}: {_subject(one)} was not signed by {_subject(signer)}, which follows it: the chain's order"
            ]
    return []


def _client_use(certificate: x509.Certificate, name: str) -> list[str]:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    if ExtendedKeyUsageOID.CLIENT_AUTH in usage or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage:
        return []
    return [f"{name}: issued for servers, not for clients; brokers may refuse it"]


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return certificate.version == x509.Version.v1  # which has no extensions to say so


def _public(of: x509.Certificate | PrivateKey) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    try:
        return of.public_key().public_bytes(serialization.Encoding.DER, form)
    except (ValueError, UnsupportedAlgorithm):
        return b""


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return _shown(str(found[0].value) if found else name.rfc4514_string())


def _shown(text: str) -> str:
    """What others wrote must not reach a terminal as it is."""
    return "".join(character for character in text if character.isprintable())[:80]


def _subject(certificate: x509.Certificate) -> str:
    return f"«{_common_name(certificate.subject)}»"


def _kind(key: PrivateKey) -> str:
    return f"EC {key.curve.name}" if isinstance(key, ec.EllipticCurvePrivateKey) else f"RSA {key.key_size} bits"


def _facts(certificate: x509.Certificate) -> str:
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex()[:16]
    return f"{_subject(certificate)}, until {certificate.not_valid_after_utc:%Y-%m-%d}, SHA-256 {fingerprint}…"
