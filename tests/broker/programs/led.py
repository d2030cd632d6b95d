"""Switches an LED by message; a class that keeps the client, its callback a method."""

import sys

from machine import Pin
from umqtt.simple import MQTTClient


class Lamp:
    def __init__(self, port):
        self.led = Pin(2, Pin.OUT, value=0)
        self.switched = 0
        self.client = MQTTClient("lamp-1", "127.0.0.1", port=port, keepalive=10)
        self.client.set_callback(self.switch)
        self.client.connect()
        self.client.subscribe(b"lamp/set", 1)
        print("ready")

    def switch(self, topic, msg):
        if msg == b"toggle":
            self.led.value(1 - self.led.value())
        else:
            self.led.value(1 if msg == b"on" else 0)
        self.client.publish(b"lamp/state", b"on" if self.led.value() else b"off", retain=True)
        self.switched += 1

    def run(self):
        try:
            while self.switched < 3:
                self.client.wait_msg()
        finally:
            self.client.disconnect()


Lamp(int(sys.argv[1])).run()
