"""See messages.py: the program for MQTTClient."""

import gc

from mix import BACK, QOS, TOPICS, Mix, payload
from report import heap


def run(client, messages, every):
    mix = Mix(client)
    client.connect()
    client.subscribe(BACK, 2)
    for i in range(messages):
        client.publish(TOPICS[i % 10], payload(i), False, QOS[i % 10], False)
        client.check_msg()
        if (i + 1) % every == 0:
            client.flush()
            mix.published(every)
            while mix.missing > 0:
                client.wait_msg()
            gc.collect()  # so that the next message, which is the last one in the report, gets a place in a gap
            while not mix.go:
                client.wait_msg()
            heap(i + 1)
    client.disconnect()
