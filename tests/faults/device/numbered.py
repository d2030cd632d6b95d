"""Messages that the receiver can check: numbered, with a checksum of their own. For MicroPython and CPython.

A label is "run.n": which life of the sender, and which of its messages.
"""

from binascii import crc32

LOGIN = ("device", "of-the-tests")  # of everybody, where there is one


def topic(direction, qos, n):
    return "%s/%d/%d" % (direction, qos, n % 2)


def payload(run, n):
    """Most are short, of any length up to 40 and some; one in fifty is long."""
    text = "%d.%d:%s" % (run, n, "x" * (600 if n % 50 == 49 else n * 7 % 40))
    return ("%s:%08x" % (text, crc32(text.encode()))).encode()


def properties(run, n):
    """What a message has under MQTT 5: one in three has properties, a long one has none."""
    if n % 3 or n % 50 == 49:
        return {}
    pairs = [("run", str(run)), ("n", str(n)), ("n", "again")]
    return {"content_type": "%d.%d" % (run, n), "message_expiry": 3600, "user_properties": pairs}


def described(label, content_type, user_properties):
    """True when these are the properties of the message with this label."""
    if label is None:
        return False
    wanted = properties(*[int(part) for part in label.split(".")])
    return content_type == wanted.get("content_type") and user_properties == wanted.get("user_properties", [])


def label(payload):
    """Return the label; None: this is not what was sent."""
    try:
        text, checksum = bytes(payload).decode().rsplit(":", 1)
        if int(checksum, 16) == crc32(text.encode()):
            return text.split(":")[0]
    except (ValueError, UnicodeError):
        pass
    return None
