"""Callbacks per topic filter: who is called, by the table of the specification (MQTT 3.1.1, section 4.7)."""

from support.session import Session

# (topic filter, topics that match, topics that do not)
_TABLE = (
    ("sport/tennis/player1", ("sport/tennis/player1",), ("sport/tennis/player", "sport/tennis/player1/", "sport")),
    (
        "sport/tennis/player1/#",
        ("sport/tennis/player1", "sport/tennis/player1/ranking", "sport/tennis/player1/score/wimbledon"),
        ("sport/tennis/player2", "sport/tennis/player11", "sport/tennis"),
    ),
    ("sport/#", ("sport", "sport/", "sport/a/b/c"), ("sports", "Sport", "/sport")),
    ("#", ("a", "/", "/a", "a/b/c"), ("$SYS", "$SYS/x", "$a/b")),
    ("sport/tennis/+", ("sport/tennis/player1", "sport/tennis/"), ("sport/tennis", "sport/tennis/player1/ranking")),
    ("sport/+", ("sport/", "sport/a"), ("sport", "sport/a/b")),
    ("+", ("finance", "a b"), ("/finance", "finance/", "a/b", "$SYS")),
    ("+/+", ("/finance", "finance/", "/", "a/b"), ("finance", "a/b/c", "$SYS/x")),
    ("/+", ("/finance", "/"), ("finance", "/a/b")),
    ("+/tennis/#", ("a/tennis", "/tennis", "a/tennis/b/c"), ("tennis", "a/b/tennis", "$SYS/tennis")),
    ("sport/+/player1", ("sport/tennis/player1", "sport//player1"), ("sport/player1", "sport/a/b/player1")),
    ("+/monitor/Clients", ("x/monitor/Clients",), ("$SYS/monitor/Clients",)),
    ("$SYS/#", ("$SYS", "$SYS/", "$SYS/monitor/Clients"), ("SYS/a", "$SYSTEM")),
    ("$SYS/monitor/+", ("$SYS/monitor/Clients",), ("$SYS/monitor", "$SYS/monitor/a/b")),
    ("a/$b", ("a/$b",), ("a/b",)),
    ("a/+/#", ("a/b", "a/b/c", "a/"), ("a", "b/a")),
    ("+/#", ("a", "a/b", "/"), ("$a", "$a/b")),
    ("zähler/+", ("zähler/ö",), ("zahler/ö", "zähler")),
    ("/", ("/",), ("a", "//", "/a")),
)


def _publish(session, topic):
    topic = topic.encode()
    session.sock.reply(bytes((0x30, len(topic) + 2, 0, len(topic))) + topic)
    session.pump(10)


def test_table_of_the_specification():
    for topic_filter, matching, others in _TABLE:
        called = []
        session = Session().connected()
        session.client.subscribe(topic_filter, callback=lambda topic, msg, called=called: called.append(topic.decode()))
        for topic in matching + others:
            _publish(session, topic)
        assert called == list(matching), topic_filter


def test_every_matching_callback_is_called():
    called = []
    session = Session().connected()
    client = session.client
    for topic_filter in ("a/#", "a/+", "b/#", "a/b"):
        client.subscribe(topic_filter, callback=lambda topic, msg, name=topic_filter: called.append(name))
    _publish(session, "a/b")
    assert called == ["a/#", "a/+", "a/b"]


def test_the_global_callback_gets_what_no_filter_has_a_callback_for():
    called = []
    session = Session().connected()
    session.client.subscribe("mine", callback=lambda topic, msg: called.append(topic))
    session.client.subscribe("other")
    for topic in ("mine", "other"):
        _publish(session, topic)
    assert called == [b"mine"]
    assert (b"other", b"", False, 0, False) in session.messages


def test_callback_of_a_list_of_filters():
    called = []
    session = Session().connected()
    session.client.subscribe(["a", "b/#"], 1, callback=lambda topic, msg: called.append(topic))
    for topic in ("a", "b/c", "c"):
        _publish(session, topic)
    assert called == [b"a", b"b/c"]


def test_no_callback_after_unsubscribe():
    called = []
    session = Session().connected()
    session.client.subscribe("a/#", callback=lambda topic, msg: called.append(topic))
    session.client.unsubscribe("a/#")
    _publish(session, "a/b")
    assert called == []


def test_subscribing_again_replaces_the_callback():
    called = []
    session = Session().connected()
    session.client.subscribe("a", callback=lambda topic, msg: called.append("first"))
    session.client.subscribe("a", 1, callback=lambda topic, msg: called.append("second"))
    _publish(session, "a")
    assert called == ["second"]
