"""A message with properties for a client of MQTT 3.1.1. Loaded when an outbox on flash finds one: see `sending5`."""

from .wire import put_field, put_head


def plain(buf, start, end):
    """Make of the record buf[start:end] a PUBLISH without properties that ends there too; return where it begins.

    What it was is given up in RAM, on flash it stays. The first bytes then say where the PUBLISH is, so that it is
    found when it is to be sent once more; of the first one all flags are kept up to date there.
    """
    if buf[start + 1]:  # a Remaining Length, which is never 0
        at = start + 1
        while buf[at] & 0x80:
            at += 1
        end_of_topic = at + 3 + (buf[at + 1] << 8 | buf[at + 2])
        topic = bytes(memoryview(buf)[at + 3 : end_of_topic])
        topic = topic[: topic.find(b"\0")]
        remaining = 2 + len(topic) + end - end_of_topic
        head = 1 + (1 if remaining < 128 else 2 if remaining < 16384 else 3)
        at = end_of_topic - 2 - len(topic) - head
        put_field(buf, put_head(buf, at, 0x30, remaining), topic)
        buf[start + 1] = 0
        buf[start + 2 : start + 4] = (at - start).to_bytes(2, "big")
    at = start + (buf[start + 2] << 8 | buf[start + 3])
    buf[at] = 0x30 | buf[start] & 0x0F
    return at
