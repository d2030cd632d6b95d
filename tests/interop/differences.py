"""What the brokers are known for: by case, why it does not work there as it should, as measured, with a link.

`cannot`: the broker has no such thing. Otherwise it has, and does it in a way of its own.
"""

from collections.abc import Mapping

from interop.served import Difference

# The cases of MQTT 5: what a broker that speaks only 3.1.1 cannot do.
FIVE = tuple(
    f"v5_{feature}"
    for feature in (
        "session_expiry",
        "message_expiry",
        "reason_codes",
        "server_disconnect",
        "payload_format",
        "request_response",
        "shared",
        "subscription_identifiers",
        "topic_alias",
        "flow_control",
        "user_properties",
        "maximum_packet_size",
        "server_limits",
        "subscription_options",
        "will_delay",
        "server_keep_alive",
        "assigned_client_id",
    )
)

_MOSQUITTO = "https://github.com/eclipse-mosquitto/mosquitto/issues"
_RABBITMQ = "https://github.com/rabbitmq/rabbitmq-website/blob/main/docs/mqtt.md"
_AEDES = "https://github.com/moscajs/aedes"
_AMQTT = "https://github.com/Yakifo/amqtt"


def mosquitto(version: str) -> Mapping[str, Difference]:
    """Of this version, as it says it."""
    numbers = tuple(int(part) for part in version.split(".") if part.isdigit())
    found = {}
    if numbers < (2, 0, 15):
        text = (
            "says nothing when it closes a connection whose session another client takes over; from 2.0.15 on it does"
        )
        found["v5_server_disconnect"] = Difference(text, f"{_MOSQUITTO}/2607", cannot=False)
    if numbers < (2, 0, 13):
        text = "has more messages in flight than the client's receive maximum allows when a queue has built up"
        found["v5_flow_control"] = Difference(text, f"{_MOSQUITTO}/2301", cannot=False)
    return found


_NO_QOS2 = Difference("has QoS 0 and 1; QoS 2 becomes QoS 1", f"{_RABBITMQ}#features")
_ONE_POLICY = Difference(
    "all TLS listeners for MQTT have one policy for clients' certificates, and here they ask for one: see `mtls`",
    f"{_RABBITMQ}#tls",
    cannot=False,
)
_RABBITMQ_SHARED = Difference("has no shared subscriptions", f"{_RABBITMQ}#features")

RABBITMQ: Mapping[str, Difference] = {
    "qos2": _NO_QOS2,
    "tls": _ONE_POLICY,
    "shared_subscriptions": _RABBITMQ_SHARED,
    "v5_shared": _RABBITMQ_SHARED,
}

AEDES: Mapping[str, Difference] = {
    **dict.fromkeys(FIVE, Difference("speaks MQTT 3.1.1; MQTT 5 is being made", f"{_AEDES}/issues/821")),
    "shared_subscriptions": Difference("has no shared subscriptions", f"{_AEDES}/issues/228"),
    "broker_restart": Difference(
        "keeps sessions in memory unless it is given another persistence", f"{_AEDES}#persistence", cannot=False
    ),
}

_HANDLER = f"{_AMQTT}/blob/main/amqtt/mqtt/protocol/broker_handler.py"
_BROKER = f"{_AMQTT}/blob/main/amqtt/broker.py"
_AMQTT_FIVE = Difference("speaks MQTT 3.1.1", f"{_AMQTT}#readme")

AMQTT: Mapping[str, Difference] = {
    **dict.fromkeys(FIVE, _AMQTT_FIVE),
    "fallback": Difference(
        "leaves a CONNECT of MQTT 5 with properties without an answer: set version=4", _HANDLER, cannot=False
    ),
    "mtls": Difference("verifies a client's certificate and demands none", _BROKER),
    "shared_subscriptions": Difference("has no shared subscriptions", f"{_AMQTT}#readme"),
    "broker_restart": Difference(
        "keeps sessions in memory; a plug-in for a database is in its contrib package", f"{_AMQTT}#readme", cannot=False
    ),
    "takeover": Difference(
        "leaves the first connection open when both clients connect with clean_session=True", _BROKER, cannot=False
    ),
    "keepalive": Difference(
        "does not drop a client that is silent for longer than its keep alive, and its will does not come", _HANDLER
    ),
    "will": Difference("keeps a retained will with QoS 0, whatever the will's QoS", _BROKER, cannot=False),
    "empty_payload": Difference(
        "delivers at the subscription's QoS what was published with a lower one", _BROKER, cannot=False
    ),
    "dollar_topics": Difference(
        "sends a client retained messages that match no filter of its own", _BROKER, cannot=False
    ),
}
