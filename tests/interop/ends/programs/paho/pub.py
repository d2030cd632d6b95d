"""Send a board its commands."""

import paho.mqtt.client as mqtt

BROKER = "192.168.1.10"
PORT = 1883
TOPIC = "fieldmqtt/shed/command"
QOS = 1
VERSION = mqtt.MQTTv5  # MQTTv311 for MQTT 3.1.1
MESSAGES = ['{"id": 1, "command": "interval", "value": 5}']

client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=VERSION)
client.connect(BROKER, PORT)
client.loop_start()
for message in MESSAGES:
    client.publish(TOPIC, message, QOS).wait_for_publish()
client.disconnect()
client.loop_stop()
