"""Over TLS with ssl=True; what it must trust is new beside the import line, for nothing was verified before."""

import sys

from umqtt.simple import MQTTClient

ssl_params = {"server_hostname": "localhost", "cafile": sys.argv[2]}
client = MQTTClient("tls-2", "127.0.0.1", int(sys.argv[1]), "device", "pw", 60, True, ssl_params)
client.connect()
client.publish(b"tls", b"hello")
client.disconnect()
