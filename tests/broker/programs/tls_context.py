"""Over TLS with the program's own context, user name and password."""

import sys

import tls
from umqtt.simple import MQTTClient

context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
context.verify_mode = tls.CERT_REQUIRED
with open(sys.argv[2], "rb") as file:
    context.load_verify_locations(file.read())
client = MQTTClient("tls-1", "localhost", int(sys.argv[1]), user="device", password="pw", ssl=context)
client.connect()
client.publish(b"tls", b"hello")
client.disconnect()
