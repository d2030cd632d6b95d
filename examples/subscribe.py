"""Receive messages, with all that is known about each.

This computer:  MICROPYPATH=lib:.frozen micropython examples/subscribe.py
A board:        mpremote run examples/online.py run examples/subscribe.py
Try it:         mosquitto_pub -t examples/subscribe/greeting -m hello
End it:         mosquitto_pub -t examples/subscribe/greeting -m stop
"""

from fieldmqtt import MQTTClient

BROKER = "127.0.0.1"  # its name or address, or (name, port)


def main():
    client = MQTTClient("example-subscribe", BROKER)
    client.connect()
    granted = client.subscribe("examples/subscribe/#", qos=1)
    print("subscribed at QoS", granted)
    while client.wait_msg():
        message = client.message
        print(message.topic.decode(), message.payload.decode(), "QoS", message.qos, "retained", message.retain)
        if message.payload == b"stop":
            break
    client.disconnect()


main()
