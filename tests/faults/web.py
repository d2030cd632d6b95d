"""A proxy's tap for links that carry WebSocket: it hears the MQTT in the frames. See traffic.py and wire.py."""

from faults.wire import limited
from support.framing import BINARY, Reader, frame


class Unframed:
    """What the two sides of each connection say, without their frames. `wrong`: frames that break the rules."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self._readers: dict[tuple[int, bool], Reader] = {}

    def hear(self, connection: int, to_broker: bool, data: bytes) -> bytes:
        """The bytes of MQTT in what has come. No data: the connection is over."""
        if not data:
            for direction in (True, False):
                self._readers.pop((connection, direction), None)
            return b""
        reader = self._readers.setdefault((connection, to_broker), Reader(is_client=to_broker))
        try:
            reader.feed(data)
        except AssertionError as error:
            self.wrong.append(f"{'client' if to_broker else 'broker'}, connection {connection}: {error}")
        said = bytes(reader.mqtt)
        reader.mqtt.clear()
        reader.frames.clear()
        return said


def limited_frame(data: bytes) -> bytes:
    """`limited` for a CONNACK in a frame, which other frames may follow."""
    end = 2 + data[1]
    assert data[0] == 0x80 | BINARY and data[1] < 126, data[:10].hex()
    return frame(limited(data[2:end])) + data[end:]
