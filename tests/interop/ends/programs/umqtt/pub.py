"""Send another board its commands."""

from umqtt.simple import MQTTClient

BROKER = "192.168.1.10"
PORT = 1883
TOPIC = "fieldmqtt/shed/command"
QOS = 1
MESSAGES = [b'{"id": 1, "command": "interval", "value": 5}']

client = MQTTClient("button", BROKER, PORT)
client.connect()
for message in MESSAGES:
    client.publish(TOPIC.encode(), message, qos=QOS)
client.disconnect()
