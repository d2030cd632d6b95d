"""The synchronous client of MQTT 5. Here is only the waiting."""

from .calls5 import Calls5
from .client import MQTTClient


class MQTTClient5(Calls5, MQTTClient):
    """MQTTClient with version=5. See docs/mqtt5.md for what each argument does."""

    _client = MQTTClient

    def publish(self, topic, msg, retain=False, qos=0, wait=True, **properties):
        """As MQTTClient.publish; raises MQTTException when the server refuses the message.

        Properties: payload_format, message_expiry (s), content_type, response_topic, correlation_data, user_properties.
        """
        topic = self._addressed(topic, properties)
        qos = self._protocol.check(topic, msg, retain, qos)  # type: ignore[attr-defined]
        return MQTTClient.publish(self, topic, msg, retain, qos, wait)

    def subscribe(
        self,
        topic,
        qos=0,
        *,
        callback=None,
        wait=True,
        no_local=False,
        retain_as_published=False,
        retain_handling=0,
        user_properties=(),
    ):
        """As MQTTClient.subscribe. retain_handling: retained messages come always (0), if new (1), never (2)."""
        options = (4 if no_local else 0) | (8 if retain_as_published else 0) | retain_handling << 4
        entries = self._want5(topic, qos, callback, True, options, user_properties)
        if wait and not self._delivering:
            self._await(entries)
            return self._granted(entries)

    def unsubscribe(self, topic, *, wait=True, user_properties=()):
        """As MQTTClient.unsubscribe; raises MQTTException when the server refuses."""
        entries = self._want5(topic, 0, None, False, 0, user_properties)
        if wait and not self._delivering:
            self._await(entries)
            self._removed(entries)

    def disconnect(self, session_expiry=None, user_properties=(), reason_code=0):
        """As MQTTClient.disconnect. reason_code=4: the last will is published. session_expiry: s, from now on."""
        self._take_leave(session_expiry, user_properties, reason_code)
        MQTTClient.disconnect(self)

    def reauthenticate(self, timeout=None):
        """Authenticate once more on the living connection (section 4.12.1)."""
        deadline = self._deadline(timeout)
        self._reauthenticate()
        while self._authenticating():
            self._wait(deadline)

    def request(self, topic, payload, timeout=None, qos=0, wait=True, **properties):
        """Publish a request; return the Message that answers it, or with wait=False a key for response()."""
        deadline = self._deadline(timeout)
        requests = self._exchange()
        entries = requests.subscribe()
        while not self._answered(entries):
            self._wait(deadline)
        self._granted(entries)
        key = requests.begin(properties)
        try:
            self.publish(topic, payload, False, qos, False, **properties)
        except (OSError, ValueError):
            requests.end(key)
            raise
        return self.response(key, timeout) if wait else key

    def response(self, key, timeout=None):
        """Wait for the answer to the request with this key; return its Message."""
        deadline = self._deadline(timeout)
        try:
            while not self._requests.ready(key):
                self._wait(deadline)
        finally:
            message = self._requests.end(key)
        return message

    def reply(self, message, payload, qos=0, **properties):
        """Answer a request: publish to its response topic, with its correlation data."""
        topic = self._exchange().reply_to(message, properties)
        return self.publish(topic, payload, False, qos, not self._delivering, **properties)
