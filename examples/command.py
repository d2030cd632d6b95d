"""A lamp and a button: the broker switches the lamp, and is told when the button is pressed.

This computer:  MICROPYPATH=lib:.frozen micropython examples/command.py
A board:        mpremote run examples/online.py run examples/command.py
Try it:         mosquitto_pub -t examples/command/lamp -m on
End it:         mosquitto_pub -t examples/command/lamp -m stop
"""

from fieldmqtt import MQTTClient

BROKER = "127.0.0.1"  # its name or address, or (name, port)
LAMP_PIN = None  # 25 on a W5100S-EVB-Pico, "LED" on a Pico W, 2 on many boards with an ESP32
BUTTON_PIN = None  # the button is between this pin and GND
PAUSE = 0.05  # seconds between two looks at the button

wanted = "off"


def make_pins():
    if LAMP_PIN is None and BUTTON_PIN is None:
        return None, None
    from machine import Pin

    lamp = None if LAMP_PIN is None else Pin(LAMP_PIN, Pin.OUT)
    button = None if BUTTON_PIN is None else Pin(BUTTON_PIN, Pin.IN, Pin.PULL_UP)
    return lamp, button


# A callback only notes what is wanted: what takes time, as publishing does, is done by the loop.
def on_lamp(topic, msg):
    global wanted
    wanted = msg.decode()


def main():
    lamp, button = make_pins()
    client = MQTTClient("example-command", BROKER)
    client.set_last_will("examples/command/state", "offline", retain=True, qos=1)
    client.connect()
    client.publish("examples/command/state", "online", retain=True, qos=1)
    client.subscribe("examples/command/lamp", qos=1, callback=on_lamp)
    shown, released = None, 1
    while wanted != "stop":
        if wanted != shown:
            shown = wanted
            print("lamp", shown)
            if lamp:
                lamp.value(shown == "on")
            client.publish("examples/command/lamp/state", shown, retain=True, qos=1)
        before, released = released, button.value() if button else 1
        if before and not released:
            client.publish("examples/command/button", "pressed", qos=1)
        client.wait_msg(PAUSE)
    client.publish("examples/command/state", "offline", retain=True, qos=1)
    client.disconnect()


main()
