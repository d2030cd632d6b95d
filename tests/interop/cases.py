"""Every case by name: a plain function of a Trial that raises when a user would see something else than promised.

`Served.limits`, what an operator's rules leave of a broker, by name: max_qos; max_payload, bytes; keepalive, the
shortest and the longest, seconds; topic_depth, slashes. A case beyond them is not run, or not to its end. A broker that
has limits, or is reached by URL, need not have every kind of endpoint.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from interop import cases_five as five
from interop import cases_five_sessions as five_sessions
from interop import cases_messages as messages
from interop import cases_sessions as sessions
from interop import cases_transports as transports
from interop.cases_ends import Trial

FACES = ("sync", "asyncio")


@dataclass(frozen=True)
class Case:
    """A case, and what it needs of a broker. alone: while it runs no other one may."""

    run: Callable[[Trial], None]
    qos: int = 1
    payload: int = 0
    keepalive: int = 60
    alone: bool = False

    @property
    def name(self) -> str:
        return self.run.__name__

    def beyond(self, limits: Mapping[str, Any]) -> str:
        """Which of an operator's limits forbids this case, in words; empty: none."""
        shortest, longest = limits.get("keepalive", (0, 65535))
        if self.qos > limits.get("max_qos", 2):
            return f"QoS {limits['max_qos']} at most"
        if self.payload > limits.get("max_payload", self.payload):
            return f"{limits['max_payload']:,} bytes of payload at most"
        if not shortest <= self.keepalive <= longest:
            return f"keep alive from {shortest} to {longest} s"
        return ""


CASES = (
    Case(messages.qos0, qos=0),
    Case(messages.qos1),
    Case(messages.qos2, qos=2),
    Case(messages.thousand),
    Case(messages.retained),
    Case(sessions.will),
    Case(sessions.durable_session),
    Case(sessions.broker_restart, alone=True),
    Case(sessions.takeover),
    Case(messages.wildcards),
    Case(messages.dollar_topics),
    Case(messages.shared_subscriptions),
    Case(sessions.keepalive, keepalive=sessions.KEEPALIVE_S),
    Case(messages.empty_payload),
    Case(messages.large_payload, payload=messages.LARGE),
    Case(messages.utf8_topics),
    Case(transports.tls),
    Case(transports.mtls),
    Case(transports.websocket),
    Case(transports.secure_websocket),
    Case(sessions.fallback),
    Case(five_sessions.v5_session_expiry),
    Case(five.v5_message_expiry),
    Case(five.v5_reason_codes),
    Case(five_sessions.v5_server_disconnect),
    Case(five.v5_payload_format),
    Case(five.v5_request_response),
    Case(five.v5_shared),
    Case(five.v5_subscription_identifiers),
    Case(five.v5_topic_alias),
    Case(five.v5_flow_control),
    Case(five.v5_user_properties),
    Case(five_sessions.v5_maximum_packet_size),
    Case(five_sessions.v5_server_limits),
    Case(five.v5_subscription_options),
    Case(five_sessions.v5_will_delay),
    Case(five_sessions.v5_server_keep_alive),
    Case(five_sessions.v5_assigned_client_id),
)
BY_NAME = {case.name: case for case in CASES}
