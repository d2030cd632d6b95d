"""What reason codes mean, in words. Loaded when a peer refuses something."""

_TEXT = {
    1: "unacceptable protocol version",
    2: "client identifier rejected",
    3: "server unavailable",
    4: "bad user name or password",
    5: "not authorised",
}


def text(reason_code):
    """Return the meaning of a CONNACK return code of MQTT 3.1.1 (section 3.2.2.3)."""
    return _TEXT.get(reason_code, "unknown reason code")
