"""Brings the clients that the tests of tests/interop/ends run, into `.toolchain/interop/ends`, when one is asked for.

Nothing of it is needed for `make setup` and `make test`. paho-mqtt is there already; programs on PATH come first.
What cannot be had raises packages.Unavailable with the reason.
After an edit of ends/package.json:

    npm install --package-lock-only --omit-lockfile-registry-resolved

and take the `funding` fields out of package-lock.json: they name hosts that are no part of this project.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from interop.bring import Part, alone, node, npm_install, npm_pins, placed, run
from tools import bench_peers, packages, toolchain
from tools.packages import Unavailable

_NPM_PACKAGES = Path(__file__).resolve().parent / "ends"


@dataclass(frozen=True)
class Brought:
    """`programs`: by name, the path of each; `version`: of the client."""

    version: str
    programs: dict[str, Path]


def mosquitto_clients() -> Brought:
    """mosquitto_pub and mosquitto_sub."""
    programs = _debian_programs("mosquitto-clients", (2, 0), "mosquitto_pub", "mosquitto_sub")
    return Brought(_said(programs["mosquitto_pub"], "--version", r"version ([\d.]+)"), programs)


def paho_c() -> Brought:
    """paho_c_pub and paho_c_sub, the programs that Eclipse Paho's C library brings."""
    programs = _debian_programs("paho.mqtt.c-examples", (1, 3), "paho_c_pub", "paho_c_sub")
    return Brought(_said(programs["paho_c_pub"], "--help", r"Version: ([\d.]+)"), programs)


def mqttjs() -> Brought:
    """Node.js, and the folder node_modules in which MQTT.js is."""
    part = Part("ends/npm", "MQTT.js", partial(npm_install, _NPM_PACKAGES), partial(npm_pins, _NPM_PACKAGES), node)
    modules = placed(part) / "node_modules"
    found = re.search(r'"version": "([\d.]+)"', (modules / "mqtt" / "package.json").read_text(encoding="utf-8"))
    if not found:
        raise Unavailable(
            f"there is no MQTT.js in {modules.relative_to(toolchain.ROOT)}: remove that folder, try again"
        )
    return Brought(found[1], {"node": node()[0], "node_modules": modules})


def umqtt_simple() -> Brought:
    """The folder in which `umqtt/simple.py` is."""
    try:
        with alone():
            folder = bench_peers.umqtt_simple()
    except bench_peers.PeerMissing as error:
        raise Unavailable(str(error)) from None
    return Brought(folder.name.rpartition("-")[2], {"lib": folder})


def _debian_programs(package: str, minimum: tuple[int, ...], *names: str) -> dict[str, Path]:
    """Programs of a Debian package: those on PATH, else brought."""
    on_path = {name: Path(path) for name in names if (path := shutil.which(name))}
    if len(on_path) == len(names):
        return on_path
    place = placed(Part(f"ends/{package}", package, partial(_debian_package, package, minimum, names)))
    return {name: place / name for name in names}


def _debian_package(package: str, minimum: tuple[int, ...], names: tuple[str, ...], place: Path) -> None:
    packages.unpack_first(package, minimum, place / "root", run)
    for name in names:
        packages.write_wrapper(place, name)


def _said(program: Path, option: str, pattern: str) -> str:
    """The version in what a program prints; its exit code is not asked for, as some give 1 for help."""
    shown = subprocess.run([program, option], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)
    found = re.search(pattern, shown.stdout.decode(errors="replace"))
    if not found:
        raise Unavailable(f"{program.name} does not run here; remove {program.parent.name} in .toolchain, try again")
    return found[1]
