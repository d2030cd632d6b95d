"""Request and response with a board that has umqtt.simple; that one's side is umqtt_pair.py.

micropython pair.py ask|answer sync|asyncio PORT request=TOPIC response=TOPIC count=N qos=0|1 level=4|5
"""

import sys

sys.path.append("%s/broker/clients" % __file__.rsplit("/", 4)[0])

from common import main, settings, until


async def ask(new):
    """Send one request after the other, each when the one before is answered; print the answers."""
    client = new("asking", version=int(settings["level"]))
    answers = []
    await client.connect()
    await client.subscribe(settings["response"], settings["qos"], callback=lambda topic, msg: answers.append(msg))
    for number in range(settings["count"]):
        await client.publish(settings["request"], b"request %d \0\xff" % number, qos=settings["qos"])
        await until(client, lambda: len(answers) > number)  # noqa: B023 (is not kept)
        print("answer", answers[number])
    await client.disconnect()


async def answer(new):
    """Answer so many requests; the callback takes them, the loop answers."""
    client = new("answering", version=int(settings["level"]))
    asked = []
    await client.connect()
    await client.subscribe(settings["request"], settings["qos"], callback=lambda topic, msg: asked.append(msg))
    print("ready")
    for number in range(settings["count"]):
        await until(client, lambda: len(asked) > number)  # noqa: B023 (is not kept)
        await client.publish(settings["response"], b"answer to " + asked[number], qos=settings["qos"])
    await client.disconnect()


main(globals())
