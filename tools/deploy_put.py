"""Carry out a plan on a board, so that at any moment the old version or the new one starts. See tools/deploy.py."""

import ast
from collections.abc import Callable

from tools import deploy_plan
from tools.deploy_build import DeployError, sha256
from tools.deploy_plan import NEW, TODO, Plan
from tools.remote import Remote, RemoteExecError
from tools.remote_info import MANIFEST
from tools.toolchain import ROOT

Progress = Callable[[str], None]

_MAIN = "main.py"
_COPY = """
import os
with open({0!r}, "rb") as f, open({1!r}, "wb") as g:
    while True:
        b = f.read(512)
        if not b:
            break
        g.write(b)
os.rename({1!r}, {2!r})
"""


def carry_out(remote: Remote, plan: Plan, version: str, progress: Progress) -> None:
    """Copy what is new, then switch. Raises DeployError, or RemoteError when the cable comes out."""
    try:
        _bring(remote, plan, version, progress)
        remote.put(TODO + NEW, _todo(plan).encode())
    except RemoteExecError as error:
        if "ENOSPC" not in error.last_line and "Errno 28" not in error.last_line:
            raise
        _tidy(remote, plan)
        raise deploy_plan.full(plan, remote.port, error.last_line) from None
    remote.rename(TODO + NEW, TODO)
    finish(remote)


def finish(remote: Remote) -> None:
    """Do what is left to do after the switch, in the words of the firmware's own main.py."""
    remote.exec(f"import errno, os\n{_finish_deploy()}\nfinish_deploy()", timeout=60)


def _bring(remote: Remote, plan: Plan, version: str, progress: Progress) -> None:
    """Everything that is new, under names that nothing looks for; what others put there is copied aside."""
    for stray in plan.strays:
        remote.remove(stray)
    # First: should this be cut off, the next deploy knows by it what is its own.
    remote.put(MANIFEST + NEW, plan.manifest(version))
    for path in plan.put:
        if path not in plan.ready:
            progress(path)
            remote.put(path + NEW, plan.files[path])
    _verify(remote, plan, version)
    for path, to in plan.saved.items():
        remote.exec(_COPY.format(path, to + NEW, to), timeout=60)


def _verify(remote: Remote, plan: Plan, version: str) -> None:
    wanted = {path + NEW: sha256(plan.files[path]) for path in plan.put}
    wanted[MANIFEST + NEW] = sha256(plan.manifest(version))
    found = remote.hashes(wanted)
    wrong = [path.removesuffix(NEW) for path, digest in wanted.items() if found.get(path) != digest]
    if wrong:
        raise DeployError(
            f"These files did not arrive as they were sent: {', '.join(wrong)}. The board still runs what it ran.\n"
            "Repeat the command; if it happens again, try another cable, another USB port."
        )


def _todo(plan: Plan) -> str:
    """main.py first: from then on the board knows how to go on by itself."""
    put = sorted(plan.put, key=lambda path: path != _MAIN)
    return "\n".join([*(f"+{path}" for path in put), *(f"-{path}" for path in plan.removed), f"+{MANIFEST}"])


def _tidy(remote: Remote, plan: Plan) -> None:
    """Make room again: nothing looks for these files."""
    names = [path + NEW for path in (*plan.put, *plan.saved.values(), MANIFEST, TODO)]
    there = remote.list()
    for name in names:
        if name in there:
            remote.remove(name)


def _finish_deploy() -> str:
    source = (ROOT / "firmware" / _MAIN).read_text(encoding="utf-8")
    function = next(node for node in ast.parse(source).body if getattr(node, "name", "") == "finish_deploy")
    return ast.get_source_segment(source, function) or ""
