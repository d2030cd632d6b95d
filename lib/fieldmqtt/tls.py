"""An SSLContext from `ssl_params`, verifying unless told otherwise. Loaded only for ssl=True."""

from binascii import a2b_base64

import tls


def context(params, insecure):
    """Return a client's SSLContext.

    params: `cadata` (bytes) or `cafile` (path): who signed the broker's certificate; `cert` and `key`
    (bytes or path): this board's own. DER everywhere, PEM as well. `server_hostname` is used elsewhere.
    Raises ValueError for what is missing or unknown, OSError for a file that cannot be read.
    """
    for name in params:
        if name not in ("cadata", "cafile", "cert", "key", "server_hostname"):
            raise ValueError("ssl_params: unknown %s; without verification: insecure=True" % name)
    made = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    if ("cert" in params) != ("key" in params):
        raise ValueError("ssl_params: cert with key")
    if "cert" in params:
        _load(made.load_cert_chain, _data(params["cert"]), _data(params["key"]))
    if insecure:
        made.verify_mode = tls.CERT_NONE
        return made
    made.verify_mode = tls.CERT_REQUIRED
    ca = params.get("cadata") or params.get("cafile")
    if not ca:
        raise ValueError("ssl_params: cadata or cafile, or insecure=True")
    _load(made.load_verify_locations, _data(ca))
    return made


# Bytes as they are, a path's content.
def _data(value):
    if isinstance(value, str) and "-----BEGIN" not in value:
        with open(value, "rb") as file:
            return file.read()
    return value.encode() if isinstance(value, str) else value


# Ports before MicroPython 1.29 refuse PEM: then the first certificate or key of it is turned into DER here.
def _load(load, *data):
    try:
        load(*data)
    except ValueError:
        der = tuple(map(_der, data))
        if der == data:
            raise
        load(*der)


def _der(pem):
    parts = pem.split(b"-----")
    for i in range(1, len(parts) - 1):
        if parts[i].startswith(b"BEGIN") and not parts[i].endswith(b"PARAMETERS"):
            return a2b_base64(parts[i + 1])
    return pem
