"""`make deploy`: compile, copy what changed, restart the board, wait for its first reading at the broker.

The cable may come out, and the power with it, at any moment: the board starts the old version or the new one, never
half of each. How:

1. What is new is written as `NAME.new` beside what is there; nothing looks for such a name. First of all the new
   manifest (`deploy.json.new`), so that the next deploy knows what a deploy that was cut off has left, and uses it.
2. The hash of everything that arrived is asked of the board.
3. The list of renames and removals is written, and gets its name, `deploy.todo`, by one rename. That is the switch:
   before it the old version starts, after it the new one.
4. The list is carried out, from here; and by `main.py`, before it imports anything else, should the power be lost
   meanwhile. A line that is done already is passed over, so it may begin again as often as it has to. Then main.py
   starts the board anew, for it may itself have been replaced while it ran.

A board whose main.py does not know the list has still the old version after step 3, and the new one when the first line
of the list is done, which puts our main.py in place: this rename is the switch then. On flash with littlefs, which all
boards here have, a rename replaces a file at once.

`deploy.json` names the files that are ours, with their hashes: so those that are gone from the project are removed, and
nothing else is. config.json, certificates, outbox/ and whatever else is there stay as they are. When a file that others
put there has to give way (their main.py, their boot.py), it is kept under another name first.
"""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Annotated

import typer
from rich.console import Console

from tools import deploy_arrival, deploy_build, deploy_plan, deploy_put, remote
from tools.deploy_arrival import Arrival
from tools.deploy_build import DeployError
from tools.deploy_plan import TODO, Plan
from tools.provision_tls import Settings
from tools.remote import Info, Remote, RemoteError
from tools.remote_info import FROZEN

_LOG_LINES = 15
_AT_ONCE = 8
_EXPLAIN_S = 3.0  # of log when this computer cannot watch the broker

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    source: bool = False
    dry_run: bool = False
    board: str | None = None
    timeout: float = 60.0


@dataclass
class Outcome:
    """What was done."""

    plan: Plan
    board: str
    seconds: float | None = None  # from the restart to the first reading
    topic: str = ""
    reading: dict[str, object] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """In one line."""
        changed = f"{len(self.plan.put)} copied, {len(self.plan.removed)} removed"
        arrived = "" if self.seconds is None else f", first reading after {self.seconds:.1f} s at {self.topic}"
        return f"{self.board}: {changed if not self.plan.empty else 'nothing to copy'}{arrived}"


def deploy(port: str, options: Options, say: Say, progress: Say = lambda text: None) -> Outcome:
    """Deploy to one board. Raises DeployError or RemoteError; whenever it can be, the board is left running."""
    with Remote(port) as board, ExitStack() as watching:
        with _left_running(board):
            outcome, settings = _change(board, options, say, progress)
            arrival = watching.enter_context(Arrival(settings)) if settings else None
        if arrival:
            progress(f"the first reading at {arrival.topic}")
            return _wait(board, outcome, arrival, options.timeout)
        board.restart()
        return outcome


@contextmanager
def _left_running(board: Remote) -> Iterator[None]:
    """Whatever goes wrong meanwhile, Ctrl-C too: the program on the board starts again."""
    try:
        yield
    except BaseException:
        with suppress(RemoteError):
            board.restart()
        raise


def _change(board: Remote, options: Options, say: Say, progress: Say) -> tuple[Outcome, Settings | None]:
    """Everything with the program stopped. Returns what was done, and what the board connects with; dry run: None."""
    if board.boot_blocked:
        say("boot.py on the board did not end by itself; it was interrupted. Ours, which ends, takes its place.")
    info = board.info()
    name = deploy_build.recognise(info, options.board)
    plan = _prepare(board, info, name, options)
    settings = None if options.dry_run else deploy_arrival.settings(board, info, name)
    for line in plan.lines():
        say(line)
    if settings and not plan.empty:
        deploy_plan.check_room(plan, info, board.port)
        deploy_put.carry_out(board, plan, deploy_build.version(), progress)
    return Outcome(plan, name), settings


def _prepare(board: Remote, info: Info, name: str, options: Options) -> Plan:
    files = deploy_build.build(name, info, options.source)
    _refuse_frozen(info)
    if board.exists(TODO):
        deploy_put.finish(board)  # a deploy was cut off after its switch
    return deploy_plan.make(board, files, deploy_build.known(name))


def _refuse_frozen(info: Info) -> None:
    """A frozen main.py comes before the one in the file system: what is copied would not run."""
    if info.fieldmqtt == FROZEN:
        raise DeployError(
            "fieldmqtt is frozen into the MicroPython of this board, and comes before files. To update it, build and\n"
            "flash again (docs/freezing.md); to deploy files, flash a stock MicroPython first: make flash"
        )


def _wait(board: Remote, outcome: Outcome, arrival: Arrival, timeout: float) -> Outcome:
    """Restart; return when a reading has come. Raises DeployError with the board's log when none has."""
    board.restart()
    began = time.monotonic()
    log: list[str] = []
    seconds = timeout if not arrival.problem else min(timeout, _EXPLAIN_S)
    while time.monotonic() < began + seconds:
        log += board.lines(0.1)
        if arrival.reading is not None:
            outcome.seconds, outcome.topic = time.monotonic() - began, arrival.topic
            outcome.reading = arrival.reading
            return outcome
    raise DeployError(_explain(outcome, arrival, timeout, [line for line in log if line.strip()]))


def _explain(outcome: Outcome, arrival: Arrival, timeout: float, log: list[str]) -> str:
    what = f"no reading arrived at {arrival.topic} within {timeout:g} s"
    if arrival.problem:
        what = (
            f"this computer cannot watch the board's broker ({arrival.problem}), so it is not known whether readings\n"
            "arrive. From here: python -m tools provision --check"
        )
    said = "\n".join(f"  {line}" for line in log[-_LOG_LINES:]) or "  (nothing)"
    return f"{outcome.summary}; but {what}.\nThe board says:\n{said}\n{deploy_arrival.hint(log)}"


def _one(console: Console, port: str, options: Options) -> None:
    with console.status(f"looking at the board at {port}") as status:
        outcome = deploy(port, options, console.print, lambda text: status.update(text))
    planned = (
        f"{outcome.board}: {len(outcome.plan.put)} to copy, {len(outcome.plan.removed)} to remove; nothing was done"
    )
    console.print(planned if options.dry_run else outcome.summary)
    if outcome.reading:
        console.print(json.dumps(outcome.reading), style="dim")


def _fleet(console: Console, ports: list[str], options: Options) -> bool:
    """Every board at once, a line for each; False if one failed."""

    def one(port: str) -> bool:
        try:
            line, fine = deploy(port, options, lambda text: None).summary, True
        except (DeployError, RemoteError) as error:
            line, fine = f"failed: {' '.join(str(error).split())}", False
        console.print(f"{port}  {line}", soft_wrap=True, markup=False, highlight=False)
        return fine

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return all(list(pool.map(one, ports)))


def _ports(port: str | None) -> list[str]:
    if port == "all":
        found = [one.device for one in remote.ports()]
        if not found:
            raise RemoteError(remote.NO_BOARD)
        return found
    return port.split(",") if port and "," in port else [remote.choose(port)]


Port = Annotated[str | None, typer.Option(help="The board's port, several with commas, or `all`; else the only one.")]
Source = Annotated[bool, typer.Option("--source", help="Copy .py files instead of compiled ones.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done.")]
Board = Annotated[str | None, typer.Option(help="A folder of boards/; else the board says what it is.")]
Timeout = Annotated[float, typer.Option(min=1, help="Seconds to wait for the first reading.")]


def main(
    port: Port = None, source: Source = False, dry_run: DryRun = False, board: Board = None, timeout: Timeout = 60
) -> None:
    """Compile, copy what changed, restart the board, wait for its first reading at the broker.

    Exit code 0 only when the reading has arrived; 1 when not, or when one board of several failed.
    """
    console = Console(highlight=False, markup=False, soft_wrap=True)
    options = Options(source, dry_run, board, timeout)
    try:
        ports = _ports(port or None)
        if len(ports) == 1 and port != "all":
            _one(console, ports[0], options)
        elif not _fleet(console, ports, options):
            raise typer.Exit(1)
    except (DeployError, RemoteError) as error:
        typer.echo(f"deploy: {error}", err=True)
        raise typer.Exit(1) from None
