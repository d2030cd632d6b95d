"""Print what another board says."""

from umqtt.simple import MQTTClient

BROKER = "192.168.1.10"
PORT = 1883
TOPIC = "fieldmqtt/shed/#"
QOS = 1


def on_message(topic, msg):
    print(topic.decode(), msg)


client = MQTTClient("display", BROKER, PORT)
client.set_callback(on_message)
client.connect()
client.subscribe(TOPIC.encode(), QOS)
while True:
    client.wait_msg()
