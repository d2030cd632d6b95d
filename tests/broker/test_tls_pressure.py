"""TLS over a stream that takes nothing for a while: no packet vanishes, none comes twice, none is broken."""

import socket
import ssl
import time

from support.certificates import Certificates
from support.fakenet import split

_CONNACK = b"\x20\x02\x00\x00"
_PAUSE_S = 2.0


def _receive_all(connection: ssl.SSLSocket) -> bytes:
    data = bytearray()
    while more := connection.recv(65536):
        data += more
    return bytes(data)


def test_no_packet_vanishes_when_the_server_stops_reading(device, certificates: Certificates) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server.pem, certificates.server.key_pem)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.settimeout(10)
        client = device("tasks", "publish_without_pause", listener.getsockname()[1], cafile=certificates.ca.der)
        plain, _ = listener.accept()
        plain.settimeout(10)
        with context.wrap_socket(plain, server_side=True, suppress_ragged_eofs=True) as connection:
            assert connection.recv(1000)[:1] == b"\x10", "CONNECT"
            connection.sendall(_CONNACK)
            time.sleep(_PAUSE_S)
            data = _receive_all(connection)
    count = int(client.line("published"))
    client.finish()
    packets, rest = split(data)
    assert rest == 0
    assert [packet[6:12] for packet in packets if packet[0] == 0x30] == [b"%06d" % i for i in range(count)]
    assert packets[-1] == b"\xe0\x00"
