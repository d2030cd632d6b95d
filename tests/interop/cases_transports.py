"""Cases about what is below MQTT: TLS, with the board's certificate or without, and WebSocket."""

from interop.cases_ends import Forbidden, Trial, same
from interop.served import MTLS, TLS, WS, WSS, Endpoint

_LARGE = 20_000  # bytes: more than a record of TLS, or what a frame's short length tells
_ROOM = 24_000


def _endpoint(trial: Trial, kind: str) -> Endpoint:
    if kind in trial.served.endpoints:
        return trial.served.endpoints[kind]
    if trial.served.limits:
        raise Forbidden("not offered")
    raise AssertionError(f"there is no listener of kind {kind}, and the broker's differences do not say why")


def _over(trial: Trial, kind: str) -> None:
    """Small and larger messages each way; the connection is lost and made again."""
    other = trial.other(trial.topic("out"))
    board = trial.online(end=_endpoint(trial, kind), max_packet=_ROOM, outbox=_ROOM)
    board.do("subscribe", trial.topic("in"), 1)
    for payload in (b"21.5", b"", bytes(range(256)) * (_LARGE // 256)):
        for qos in (0, 1):
            board.do("publish", trial.topic("out"), payload, qos=qos)
            same(other.next().payload, payload)
            other.publish(trial.topic("in"), payload, qos=qos)
            same(board.message().payload, payload)
    board.do("reconnect")
    board.do("publish", trial.topic("out"), b"again", qos=1)
    same(other.next().payload, b"again")
    board.do("disconnect")
    assert not board.heard("lost")


def tls(trial: Trial) -> None:
    """The broker's certificate is verified."""
    _over(trial, TLS)


def mtls(trial: Trial) -> None:
    """The broker asks for the board's certificate, and refuses who has none."""
    _over(trial, MTLS)
    stranger = trial.board("stranger", end=_endpoint(trial, MTLS), own=False, timeout=5)
    assert stranger.refusal("connect").kind in ("OSError", "MQTTException")


def websocket(trial: Trial) -> None:
    """MQTT in the frames of a WebSocket."""
    _over(trial, WS)


def secure_websocket(trial: Trial) -> None:
    """The same within TLS: what goes through a firewall that lets only port 443 out."""
    _over(trial, WSS)
