"""`make provision`: settings and certificates for a board: asked for, checked, written, read back.

Exit codes: 0 done; 1 the board or folder; 2 settings or certificates, nothing was written; and of the connection
3 name, 4 port, 5 TLS, 6 login, 7 permission.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tools import deploy_build, provision_check, provision_schema, tables
from tools.certificates import CertificateError
from tools.provision_draft import ROLES, Draft, Ready
from tools.provision_recipes import Recipe, recipe
from tools.provision_schema import FILE, SettingError
from tools.provision_target import BoardTarget, FolderTarget, Nowhere, Target, TargetError, deliver
from tools.provision_tls import NO_NAME, NO_PORT, Failed
from tools.provision_wizard import Wizard
from tools.remote import Remote, RemoteError, choose

_ENVIRONMENT = "FIELDMQTT_"


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    board: str | None
    port: str | None
    output: Path | None
    values: list[str]
    secrets: list[str]
    source: Path | None
    laninfo: Path | None
    ca: Path | None
    cert: Path | None
    key: Path | None
    recipe: str | None
    check: bool
    dry_run: bool
    no_connect: bool

    @property
    def says_something(self) -> bool:
        """Whether settings are given here, so that nothing is asked."""
        return bool(self.values or self.secrets or self.source or self.laninfo or self.ca or self.cert or self.key)


@contextmanager
def _target(options: Options) -> Iterator[Target]:
    """Where the settings go. A board, whose program was stopped for this, is started again at the end."""
    if options.output:
        is_file = options.output.suffix == ".json"
        yield FolderTarget(options.output if is_file else options.output / FILE, options.board)
    elif options.source and not options.port and (options.check or options.dry_run):
        yield Nowhere(options.board)
    else:
        with Remote(choose(options.port)) as remote:
            try:
                yield BoardTarget(remote, options.board)
            finally:
                with suppress(RemoteError):  # the cable is out; the board starts when it is powered
                    remote.restart()


def _apply(draft: Draft, options: Options, chosen: Recipe | None) -> None:
    """Everything of the command line, from the general to the particular."""
    if options.source:
        draft.start_from(options.source)
    if chosen:
        draft.preset(chosen.preset)
    if options.laninfo:
        draft.set_address(provision_schema.laninfo(options.laninfo))
    for assignment in options.values:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise SettingError(f"--set {path[:60]}: it must be FIELD=VALUE, such as --set mqtt.server=192.168.1.10")
        if text:  # without it a secret is removed, not told
            _refuse_secret(path)
        provision_schema.put(draft.config, path, provision_schema.parse(path, text))
    for path in options.secrets:
        provision_schema.put(draft.config, path, provision_schema.parse(path, _secret(path)))
    for role in ROLES:
        if source := getattr(options, role):
            draft.set_source(role, source)


def _refuse_secret(path: str) -> None:
    field = provision_schema.fields().get(path)
    if field and field.secret:
        raise SettingError(
            f"{path}: not on the command line, where other users and the shell's history see it; nothing was written.\n"
            f"  Say --set-secret {path}: it is asked for unseen, or read from standard input,\n"
            f"  or from the environment variable {_variable(path)}. And delete this line from the history."
        )


def _variable(path: str) -> str:
    return _ENVIRONMENT + path.upper().replace(".", "_")


def _secret(path: str) -> str:
    """From the environment, typed unseen, or the next line of standard input."""
    if "=" in path:
        _refuse_secret(path.partition("=")[0])
        raise SettingError("--set-secret takes the name of a field only; its value is asked for")
    if not provision_schema.find(path).secret:
        raise SettingError(f"{path}: not a secret; say --set {path}=…")
    if (given := os.environ.get(_variable(path))) is not None:
        return given
    if sys.stdin.isatty():
        return getpass(f"{path}: ")
    line = sys.stdin.readline()
    if not line:
        raise SettingError(
            f"{path}: nothing on standard input; give one line for each --set-secret, or {_variable(path)}"
        )
    return line.rstrip("\r\n")


def _show(console: Console, text: str, style: str = "") -> None:
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def _report(console: Console, draft: Draft, ready: Ready, chosen: Recipe | None) -> None:
    for fact in ready.facts:
        _show(console, f"checked   {fact}")
    for warning in [*draft.notes, *ready.warnings]:
        _show(console, f"warning   {warning}", "yellow")
    for advice in chosen.advice if chosen else ():
        _show(console, f"note      {advice}", "cyan")


def _plan(console: Console, draft: Draft, ready: Ready) -> None:
    """What would be written, without the secrets."""
    _show(console, json.dumps(provision_schema.masked(draft.config), indent=4, ensure_ascii=False))
    for name, data in ready.files.items():
        same = draft.target.holds(name, data)
        _show(console, f"{'unchanged' if same else 'to write'}  {name}, {len(data)} bytes")
    for name in ready.unneeded:
        _show(console, f"to remove {name}")
    _show(console, f"Nothing was written to {draft.target.where}.")


def _try_tls(console: Console, ready: Ready) -> None:
    """Whether the broker's certificate fits what the board would trust, when it can be reached from here."""
    if not ready.settings.tls:
        return
    result = provision_check.check_tls(ready.settings)
    failed = result.failed
    for warning in result.warnings:
        _show(console, f"warning   {warning}", "yellow")
    if failed is None:
        _show(console, f"checked   TLS: {result.steps[2].found}")
    elif result.code in (NO_NAME, NO_PORT):
        _show(
            console, f"warning   not tried: host name and chain of the broker's certificate; {failed.found}", "yellow"
        )
    else:
        advice = f"{failed.advice}; or --no-connect, which writes without trying"
        raise Failed(f"{failed.name}: {failed.found}", advice, result.code)


def _check(console: Console, ready: Ready) -> int:
    """All steps of a connection, as a table; returns the exit code."""
    settings = ready.settings
    _show(console, f"From this computer to {settings.host} port {settings.port}, as {settings.name}:")
    result = provision_check.check(settings)
    tables.show(console, result.table())
    for warning in result.warnings:
        _show(console, f"warning   {warning}", "yellow")
    if failed := result.failed:
        _show(console, f"{failed.name}: {failed.found}\n  {failed.advice}", "red")
    return result.code


def _run(console: Console, options: Options) -> int:
    chosen = recipe(options.recipe) if options.recipe else None
    if options.board and options.board not in (known := deploy_build.boards()):
        raise SettingError(f"--board: unknown; there are {', '.join(known)}")
    asks = not options.says_something and not options.check and sys.stdin.isatty()
    if not (asks or options.says_something or options.check or options.dry_run):
        raise SettingError("nothing to set: use a terminal, to be asked, or --set, --from, --ca; --help lists all")
    with _target(options) as target:
        ready, tries = _settle(console, options, target, chosen, asks)
    return _check(console, ready) if tries else 0  # the board runs again, and must not notice


def _settle(
    console: Console, options: Options, target: Target, chosen: Recipe | None, asks: bool
) -> tuple[Ready, bool]:
    """Everything with the board at hand; returns what it has now, and whether to try it. Raises Failed."""
    draft = Draft(target)
    _apply(draft, options, chosen)
    wizard = Wizard(draft, console) if asks else None
    if wizard:
        wizard.run()
    ready = draft.ready()
    if chosen:
        chosen.check(provision_schema.complete(draft.config, target.board), ready.settings.name)
    _report(console, draft, ready, chosen)
    if options.check:
        return ready, True
    if not options.no_connect:
        _try_tls(console, ready)
    if options.dry_run:
        _plan(console, draft, ready)
        return ready, False
    deliver(target, ready.files, ready.unneeded)
    _show(console, f"Written to {target.where} and read back: {', '.join(ready.files)}", "green")
    if isinstance(target, BoardTarget) and target.read("main.py") is None:
        _show(console, "Next: make deploy")
    return ready, bool(wizard and wizard.confirm("Try them from this computer now?"))


def _explained(options: Options) -> int:
    """Run; what goes wrong is said in words. Returns the exit code."""
    complain = Console(stderr=True)
    try:
        return _run(tables.console(), options)
    except (SettingError, CertificateError) as error:
        _show(complain, str(error), "red")
        return 2
    except Failed as failed:
        _show(complain, f"{failed.found}\n  {failed.advice}\nNothing was written.", "red")
        return failed.code
    except (RemoteError, TargetError) as error:
        _show(complain, str(error), "red")
    except (KeyboardInterrupt, EOFError):
        _show(complain, "\nInterrupted. What was there is unchanged unless it says «Written» above.")
    return 1


def main(  # noqa: PLR0913 - the options of a command
    board: Annotated[str | None, typer.Option(help="Such as ESP32_GENERIC; asked of the board unless given.")] = None,
    port: Annotated[str | None, typer.Option(help="The board's port; the only one that is there unless given.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write to this .json file or folder of this computer.")] = None,
    values: Annotated[list[str] | None, typer.Option("--set", help="FIELD=VALUE; FIELD= removes it.")] = None,
    secrets: Annotated[list[str] | None, typer.Option("--set-secret", help="FIELD; asked, or a line of input.")] = None,
    source: Annotated[Path | None, typer.Option("--from", help="A config.json to take instead of the board's.")] = None,
    laninfo: Annotated[Path | None, typer.Option(help="A laninfo.txt: IP, subnet mask, gateway, DNS.")] = None,
    ca: Annotated[Path | None, typer.Option(help="Who signed the broker's certificate, PEM or DER.")] = None,
    cert: Annotated[Path | None, typer.Option(help="The board's own certificate, PEM or DER.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key, PEM or DER.")] = None,
    recipe: Annotated[str | None, typer.Option(help="aws-iot or public: presets and their checks.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; connect from here and say what fails.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; show what would be written.")] = False,
    no_connect: Annotated[bool, typer.Option("--no-connect", help="Write without trying the broker's TLS.")] = False,
) -> None:
    """Give a board its network, broker and certificates."""
    options = Options(
        board,
        port,
        output,
        values or [],
        secrets or [],
        source,
        laninfo,
        ca,
        cert,
        key,
        recipe,
        check,
        dry_run,
        no_connect,
    )
    raise typer.Exit(_explained(options))
