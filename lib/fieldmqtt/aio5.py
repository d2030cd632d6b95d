"""The asyncio client of MQTT 5. Here is only the waiting."""

from .aio import AsyncMQTTClient
from .calls5 import Calls5


class AsyncMQTTClient5(Calls5, AsyncMQTTClient):
    """AsyncMQTTClient with version=5. See docs/mqtt5.md for what each argument does."""

    _client = AsyncMQTTClient

    async def publish(self, topic, msg, retain=False, qos=0, wait=True, **properties):
        """As MQTTClient5.publish."""
        topic = self._addressed(topic, properties)
        qos = self._protocol.check(topic, msg, retain, qos)  # type: ignore[attr-defined]
        return await AsyncMQTTClient.publish(self, topic, msg, retain, qos, wait)

    async def subscribe(
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
        """As MQTTClient5.subscribe."""
        options = (4 if no_local else 0) | (8 if retain_as_published else 0) | retain_handling << 4
        entries = self._want5(topic, qos, callback, True, options, user_properties)
        if wait:
            await self._await(entries)
            return self._granted(entries)

    async def unsubscribe(self, topic, *, wait=True, user_properties=()):
        """As MQTTClient5.unsubscribe."""
        entries = self._want5(topic, 0, None, False, 0, user_properties)
        if wait:
            await self._await(entries)
            self._removed(entries)

    async def disconnect(self, session_expiry=None, user_properties=(), reason_code=0):
        """As MQTTClient5.disconnect."""
        self._take_leave(session_expiry, user_properties, reason_code)
        await AsyncMQTTClient.disconnect(self)

    async def reauthenticate(self, timeout=None):
        """As MQTTClient5.reauthenticate."""
        deadline = self._deadline(timeout)
        self._reauthenticate()
        while self._authenticating():
            await self._wait(deadline)

    async def request(self, topic, payload, timeout=None, qos=0, **properties):
        """Publish a request; return the Message that answers it. Any number of tasks may do so at once."""
        deadline = self._deadline(timeout)
        requests = self._exchange()
        entries = requests.subscribe()
        while not self._answered(entries):
            await self._wait(deadline)
        self._granted(entries)
        key = requests.begin(properties)
        try:
            await self.publish(topic, payload, False, qos, False, **properties)
            while not requests.ready(key):
                await self._wait(deadline)
        finally:
            message = requests.end(key)
        return message

    async def reply(self, message, payload, qos=0, **properties):
        """As MQTTClient5.reply."""
        topic = self._exchange().reply_to(message, properties)
        return await self.publish(topic, payload, False, qos, **properties)
