"""aedes, which runs in Node.js: aedes_server.mjs has the server."""

import json
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from interop.differences import AEDES
from interop.serving import HOST, Local

_SERVER = Path(__file__).resolve().with_name("aedes_server.mjs")
_SETTINGS = "settings.json"


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
        settings = {
            "host": HOST,
            "ports": {kind: end.port for kind, end in self.endpoints.items()},
            "cert": str(self.made.server.pem),
            "key": str(self.made.server.key_pem),
            "ca": str(self.made.ca.pem),
            "login": self.login,
        }
        path = self.folder / _SETTINGS
        path.touch(0o600)  # the login is in it: any user of this machine can read a command line
        path.write_text(json.dumps(settings))

    def command(self) -> Sequence[str | Path]:
        return [self._node, _SERVER, _SETTINGS]

    def read_version(self) -> str:
        found = re.search(r"^aedes (\S+) started", self.log(), re.MULTILINE)
        return found[1] if found else ""
