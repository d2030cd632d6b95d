"""Request and response (MQTT 5, section 4.10): who asked what. Loaded with the first request."""

import os


class Requests:
    """The requests of one client that wait for their response, by their correlation data."""

    def __init__(self, client):
        self._client = client
        self._last = int.from_bytes(os.urandom(2), "big")  # a late answer may be to an earlier life
        self._waiting = {}
        self._entries = None
        self._topic = None

    def subscribe(self):
        """Ask for the topic on which responses come; return its subscription's entries."""
        client = self._client
        if not self._entries or self._entries[0] not in client._protocol.subscriptions.entries:
            # The server may say under which topics a client may listen (section 3.1.2.11.7).
            prefix = client.server_limits.get("response_information") or "fieldmqtt/" + client._login[0].decode()
            self._topic = prefix.rstrip("/") + "/response"
            self._entries = client._want5(self._topic, 1, self._came, True, 0, ())
        return self._entries

    def begin(self, properties):
        """Add to the properties of a request what its response needs; return its key."""
        self._last = self._last % 65535 + 1
        key = self._last.to_bytes(2, "big")
        self._waiting[key] = None
        properties["response_topic"] = self._topic
        properties["correlation_data"] = key
        return key

    def ready(self, key):
        """True when the response has come."""
        return self._waiting[key] is not None

    def end(self, key):
        """Forget a request; return its response, None: it has not come."""
        return self._waiting.pop(key, None)

    def _came(self, topic, payload):
        message = self._client.message
        key = (message.properties or {}).get("correlation_data")
        if key in self._waiting:  # else it is too late, or somebody else's
            self._waiting[key] = message

    def reply_to(self, message, properties):
        """Add to the properties of a response what its request asked for; return where it goes."""
        asked = message.properties or {}
        if "response_topic" not in asked:
            raise ValueError("message has no response topic")
        properties["correlation_data"] = asked.get("correlation_data")
        return asked["response_topic"]
