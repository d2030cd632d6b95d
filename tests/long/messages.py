"""A million messages through one device in a small heap: none lost, none twice, the heap flat.

    python tests/long/messages.py                       the synchronous client, 64 KB
    python tests/long/messages.py --client asyncio      the asyncio client, 80 KB

The device runs the library as .mpy files against mosquitto. Of ten messages it publishes five at QoS 0, four at QoS 1
and one at QoS 2, none waited for, in a window of 20; three come back to it. Every message is looked at: by a subscriber
on this computer, and those that come back by the device. Exit code 1: one was lost or came twice, or the heap grew.
"""

import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

if __name__ == "__main__":
    _ROOT = Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(_ROOT), str(_ROOT / "tests")]

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from long.measured import DEVICE, Client, Heap, compiled, growth, heap, tenths
from support.device import Device
from support.mosquitto import Listener, listener
from tools import toolchain
from tools.broker import Broker, BrokerError

BOUND = 512  # bytes: the message that is being delivered

_EVERY = 10_000  # messages between two reports
_TOPICS = [f"soak/{kind}" for kind in range(10)]
_WAIT_S = 20.0  # for a message, or for the device


HEAPS = {Client.sync: "64k", Client.asyncio: "80k"}


class Messages:
    """All messages, looked at one by one: those of each topic come in order, none missing, none twice."""

    def __init__(self, receiver: Listener) -> None:
        self._receiver = receiver
        self._next = {topic: number for number, topic in enumerate(_TOPICS)}

    def take(self, count: int) -> None:
        """Wait for so many more. Raises AssertionError when one is not the next of its topic, or none comes."""
        for _ in range(count):
            message = self._receiver.next(_WAIT_S)
            number, wanted = int(message.payload.split()[0]), self._next[message.topic]
            assert number == wanted, f"on {message.topic} came message {number}, not {wanted}"
            self._next[message.topic] = number + len(_TOPICS)


def run(micropython: Path, client: Client, messages: int, every: int, library: Path) -> Iterator[Heap]:
    """The heap each time that `every` messages more have arrived; `library`: what compiled() made.

    Raises AssertionError when a message was lost or came twice, or the device failed.
    """
    with Broker(extra=["max_queued_messages 0"]) as broker, listener(broker.port, *_TOPICS, qos=0) as receiver:
        arriving = Messages(receiver)
        arguments = (client.value, broker.port, messages, every)
        device = Device(micropython, DEVICE / "messages.py", *arguments, heap=HEAPS[client], lib=library)
        try:
            for _ in range(0, messages, every):
                arriving.take(every)
                receiver.publish("soak/go", "", qos=1)
                yield heap(device, _WAIT_S)
            wrong = [line for line in device.finish() if line.startswith("wrong")]
            assert not wrong, "\n".join(wrong)
            receiver.expect_nothing()
        except AssertionError as error:
            last = "\n".join(device.output[-15:])
            raise AssertionError(f"{error}\nthe device said last:\n{last}") from None
        finally:
            device.close()


def _soak(console: Console, client: Client, messages: int, library: Path) -> list[Heap]:
    heaps: list[Heap] = []
    columns = (BarColumn(), MofNCompleteColumn(), "messages", TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=messages)
        for each in run(toolchain.micropython(), client, messages, _EVERY, library):
            heaps.append(each)
            bar.update(task, completed=each.done)
            line = f"{each.done:>9,} messages, {each.allocated:,} bytes allocated, largest free block {each.largest:,}"
            console.print(line, highlight=False, soft_wrap=True)
    return heaps


app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})
Count = Annotated[int, typer.Option("--messages", help=f"How many; whole {_EVERY:,}s.", min=_EVERY)]
Face = Annotated[Client, typer.Option("--client", help="Which client publishes.")]


@app.command()
def main(messages: Count = 1_000_000, client: Face = Client.sync) -> None:
    """Publish many messages from a small heap. Exit code 1: one was lost or came twice, or the heap grew."""
    console = Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # broker and device must end with us
    messages -= messages % _EVERY
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="fieldmqtt-soak-") as folder:
            heaps = _soak(console, client, messages, compiled(Path(folder)))
    except (toolchain.ToolchainMissing, BrokerError, AssertionError) as error:
        typer.echo(f"messages: {error}", err=True)
        raise typer.Exit(1) from None
    took = time.monotonic() - began
    best = tenths(heaps)
    typer.echo(f"messages: {messages:,} through {HEAPS[client]} ({client.value}) in {took:.0f} s, 0 lost, 0 twice")
    typer.echo(f"messages: allocated {min(h.allocated for h in heaps):,} to {max(h.allocated for h in heaps):,} bytes")
    typer.echo(f"messages: largest free block, best of each tenth: {' '.join(f'{each:,}' for each in best)} bytes")
    if problems := growth(heaps, BOUND):
        typer.echo("\n".join(f"messages: {problem}" for problem in problems), err=True)
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
