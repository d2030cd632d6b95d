"""Publish for a long time in a small heap: messages.py sync|asyncio PORT MESSAGES EVERY.

Run from source; what it imports is .mpy. The client is first, as its buffers want the largest pieces of the heap.
"""

import gc
import sys

gc.threshold(1024)  # while importing: what is left over from one module is not to stand between two others

import fieldmqtt  # noqa: E402

face, port, messages, every = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
kind = fieldmqtt.MQTTClient if face == "sync" else fieldmqtt.AsyncMQTTClient
client = kind("soak", "127.0.0.1", port, max_packet=1024)
program = __import__("messages_" + face)
gc.threshold(-1)
program.run(client, messages, every)
print("end")
