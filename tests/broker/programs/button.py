"""Says when a button is pressed, with all arguments by position."""

import sys
import time

from machine import Pin
from umqtt.simple import MQTTClient

button = Pin(0, Pin.IN)
client = MQTTClient("button-1", "127.0.0.1", int(sys.argv[1]), None, None, 30)
client.set_last_will(b"button/state", b"offline", True, 1)
print("session", client.connect())
client.publish(b"button/state", b"online", True, 1)
presses = 0
while presses < 2:
    if button.value() == 0:
        presses += 1
        client.publish(b"button/pressed", b"%d" % presses, False, 1)
    client.ping()
    client.check_msg()
    time.sleep_ms(20)
client.disconnect()
