"""The commands of `python -m tools`: each is the function `main` of the module of its name."""

from importlib import import_module

import typer

from tools import setup

app = typer.Typer(
    help="fieldmqtt's host side. The make targets call these.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("setup")
def _setup() -> None:
    """Bring what the project needs into .venv and .toolchain."""
    raise typer.Exit(setup.main([]))


_BOARDS = ("boards", "flash", "provision", "deploy", "monitor", "test-board")

for _name in ("demo", *_BOARDS, "check", "sizes", "bench", "fleet"):
    app.command(_name)(import_module(f"tools.{_name.replace('-', '_')}").main)
