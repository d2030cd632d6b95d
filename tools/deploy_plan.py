"""What has to change on a board: compared with what is there, by SHA-256, before anything is touched."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tools.deploy_build import AS_SOURCE, LIBRARY, DeployError, sha256
from tools.remote import Info, Remote
from tools.remote_info import MANIFEST

NEW = ".new"
OLD = ".old"
TODO = "deploy.todo"
_BLOCK = 4096  # of flash: a file takes whole ones
_SPARE = 4 * _BLOCK  # for folders, and for the outbox to begin with
_SHOWN = 5


@dataclass(frozen=True)
class Plan:
    """Paths on the board. `put`: to be written; `saved`: content of others to be kept, from → to; `removed`: of ours.

    `there`: every file on the board, with its size; `strays`: what a deploy that was cut off has left; `ready`: what of
    it is right already.
    """

    files: Mapping[str, bytes]
    there: Mapping[str, int]
    put: list[str]
    saved: dict[str, str]
    removed: list[str]
    strays: list[str]
    ready: list[str]

    @property
    def empty(self) -> bool:
        """Nothing to do."""
        return not (self.put or self.removed)

    def lines(self) -> Iterator[str]:
        """For people, one for each change."""
        for path in self.put:
            yield f"{'add' if path not in self.there else 'change':<7} {path}  {len(self.files[path]):,} bytes"
        for path in self.removed:
            yield f"remove  {path}"
        for path, to in self.saved.items():
            yield f"keep    {path} as {to}: it was not put there by deploy"

    def manifest(self, version: str) -> bytes:
        """What the board is to know about the files that are ours."""
        hashes = {path: sha256(data) for path, data in sorted(self.files.items())}
        return json.dumps({"version": version, "files": hashes}).encode()


def make(remote: Remote, files: Mapping[str, bytes], known: Mapping[str, set[str]]) -> Plan:
    """Compare `files` with the board. `known`: hashes of contents, by path, that are here too and need not be kept."""
    there = remote.list()
    _refuse_shadow(there)
    recorded = _recorded(remote, MANIFEST, there)
    begun = _recorded(remote, MANIFEST + NEW, there)  # by a deploy that was cut off
    ours = {path for path in (*recorded, *_other_forms(files)) if path in there and path not in files}
    news = [path + NEW for path in sorted({*files, *recorded, *begun, MANIFEST}) if path + NEW in there]
    hashes = remote.hashes([*(path for path in files if path in there), *sorted(ours), *news])
    wanted = {path: sha256(data) for path, data in files.items()}
    put = [path for path in files if hashes.get(path) != wanted[path]]
    lost = [path for path in (*put, *sorted(ours)) if path in there]
    foreign = [path for path in lost if not _is_known(path, hashes[path], recorded, known)]
    ready = [path for path in put if hashes.get(path + NEW) == wanted[path]]
    return Plan(
        files=files,
        there=there,
        put=put,
        saved={path: _free_name(path, there) for path in foreign},
        removed=sorted(ours),
        strays=[new for new in news if new.removesuffix(NEW) not in ready],
        ready=ready,
    )


def check_room(plan: Plan, info: Info, port: str) -> None:
    """Raise DeployError when the new files do not fit beside the old ones, which stay until all new ones are there."""
    sizes = [len(plan.files[path]) for path in plan.put if path not in plan.ready]
    sizes += [plan.there[path] for path in plan.saved]
    needed = sum(_blocks(size) for size in sizes) + _blocks(len(plan.manifest(""))) + _SPARE
    free = info.flash_free + sum(_blocks(plan.there[path]) for path in plan.strays)
    if not plan.empty and needed > free:
        raise full(plan, port, f"{needed:,} bytes are needed, {free:,} are free")


def full(plan: Plan, port: str, what: str) -> DeployError:
    """What to say of a board without room."""
    others = {path: size for path, size in plan.there.items() if path not in plan.files}
    largest = sorted(others.items(), key=lambda pair: -pair[1])[:_SHOWN]
    shown = "".join(f"\n  {size:>9,}  {path}" for path, size in largest)
    return DeployError(
        f"The board is full: {what}. It still runs what it ran.\n"
        f"The largest files there that are not of this version:{shown}\n"
        f"Remove what you do not need: mpremote connect {port} rm :NAME\n"
        "(outbox/ holds readings that wait for the broker; mqtt.flash in config.json limits it)"
    )


def _blocks(size: int) -> int:
    return (size + _BLOCK - 1) // _BLOCK * _BLOCK


def _recorded(remote: Remote, name: str, there: Mapping[str, int]) -> dict[str, str]:
    """The files that a manifest on the board names, with their hashes; none if it cannot be read."""
    if name not in there:
        return {}
    try:
        found = json.loads(remote.get(name))["files"]
        return {str(path): str(digest) for path, digest in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _other_forms(files: Mapping[str, bytes]) -> list[str]:
    """.py for .mpy and the reverse: MicroPython would load the .py rather than the .mpy beside it."""
    return [_other_form(path) for path in files if path not in AS_SOURCE]


def _other_form(path: str) -> str:
    return path.removesuffix(".mpy") + ".py" if path.endswith(".mpy") else path.removesuffix(".py") + ".mpy"


def _is_known(path: str, digest: str, recorded: Mapping[str, str], known: Mapping[str, set[str]]) -> bool:
    """Whether this content may go: deploy put it there, this checkout has it, or it is a copy of the library."""
    return path.startswith(LIBRARY) or recorded.get(path) == digest or digest in known.get(path, ())


def _free_name(path: str, there: Mapping[str, int]) -> str:
    names = [path + OLD, *(f"{path}{OLD}{number}" for number in range(2, len(there) + 3))]
    return next(name for name in names if name not in there)


def _refuse_shadow(there: Mapping[str, int]) -> None:
    """The root folder comes before lib/ when MicroPython looks for a module."""
    found = [path for path in there if path.startswith("fieldmqtt/") or path in ("fieldmqtt.py", "fieldmqtt.mpy")]
    if found:
        name = found[0].partition("/")[0]
        raise DeployError(
            f"On the board is {name} in the root folder; it would be used in place of the library in lib/.\n"
            f"Remove it, then repeat: mpremote rm -r :{name}"
        )
