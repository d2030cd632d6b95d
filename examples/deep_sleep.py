"""Wake, publish, sleep: flush() returns when the broker has everything, and says so when it has not.

This computer:  MICROPYPATH=lib:.frozen micropython examples/deep_sleep.py
A board:        mpremote run examples/online.py run examples/deep_sleep.py
"""

import machine

from fieldmqtt import MQTTClient

BROKER = "127.0.0.1"  # its name or address, or (name, port)
SLEEP = 600  # seconds


def main():
    client = MQTTClient("example-deep-sleep", BROKER, timeout=5)
    try:
        client.connect()
        client.publish("examples/deep_sleep/temperature", "21.5", qos=1, wait=False)
        client.publish("examples/deep_sleep/battery", "3.71", qos=1, wait=False)
        client.flush(10)
        print("delivered")
        client.disconnect()
    except OSError as error:
        print("not delivered:", error)  # and lost: what waits is in RAM, which deep sleep clears


main()
if hasattr(machine, "deepsleep"):  # a computer has none
    machine.deepsleep(SLEEP * 1000)
