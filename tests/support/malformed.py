"""A packet that no client may take, said to it in the state in which it comes."""

from support.answering import CONNECT, PUBLISH, PUBREL, SUBSCRIBE, UNSUBSCRIBE

BEFORE_CONNACK = ("connecting", "authenticating")
_PUBREC = b"\x50\x02\x00\x01"


def silent(broker):
    """The broker, without an answer to what the client asks for in one of the states."""
    for packet_type in (PUBLISH, SUBSCRIBE, UNSUBSCRIBE, PUBREL):
        broker.answers[packet_type] = None
    return broker


def met(session, state, received):
    """Bring the session of a silent broker into this state, receive; return what the client raises, None: nothing."""
    client = session.client
    if state in BEFORE_CONNACK:
        session.broker.answers[CONNECT] = lambda packet: received
        return _error_of(client.connect)
    client.connect()
    if state in ("subscribing", "unsubscribing"):
        getattr(client, state[:-3] + "e")("t", wait=False)
    elif state in ("publishing 1", "publishing 2"):
        client.publish("t", "hi", qos=int(state[-1]), wait=False)
    elif state == "releasing":
        client.publish("t", "hi", qos=2, wait=False)
        session.sock.reply(_PUBREC)
    session.pump(20)
    session.sock.reply(received)
    return _error_of(client.wait_msg, 5)


def _error_of(call, *arguments):
    try:
        call(*arguments)
    except Exception as error:
        return error
