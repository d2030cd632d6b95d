"""Print what a board says."""

import paho.mqtt.client as mqtt

BROKER = "192.168.1.10"
PORT = 1883
TOPIC = "fieldmqtt/shed/#"
QOS = 1
VERSION = mqtt.MQTTv5  # MQTTv311 for MQTT 3.1.1


def on_connect(client, userdata, flags, reason_code, properties):
    client.subscribe(TOPIC, QOS)  # here, so that it is done again after each reconnect


def on_message(client, userdata, message):
    print(message.topic, message.qos, message.payload, flush=True)


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=VERSION)
client.on_connect = on_connect
client.on_message = on_message
client.connect(BROKER, PORT)
client.loop_forever()
