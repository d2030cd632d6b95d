"""aedes, which runs in Node.js: aedes_server.mjs has the server."""

import json
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from interop.differences import AEDES
from interop.serving import HOST, Local

_SERVER = Path(__file__).resolve().with_name("aedes_server.mjs")


class Aedes(Local):
    """`node`: the program; `packages`: the folder whose node_modules has aedes."""

    started = " started\n"

    def __init__(self, node: Path, packages: Path) -> None:
        super().__init__("aedes")
        self._node, self._packages = node, packages
        self.login = ("device", secrets.token_urlsafe(12))
        self.differences = AEDES

    def prepare(self) -> None:
        for name in ("package.json", "node_modules"):
            (self.folder / name).symlink_to(self._packages / name)

    def command(self) -> Sequence[str | Path]:
        settings = {
            "host": HOST,
            "ports": {kind: end.port for kind, end in self.endpoints.items()},
            "cert": str(self.made.server.pem),
            "key": str(self.made.server.key_pem),
            "ca": str(self.made.ca.pem),
            "login": self.login,
        }
        return [self._node, _SERVER, json.dumps(settings)]

    def read_version(self) -> str:
        found = re.search(r"^aedes (\S+) started", self.log(), re.MULTILINE)
        return found[1] if found else ""
