"""The questions of `make provision`. What is there already is the default; secrets are typed unseen."""

from getpass import getpass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.prompt import Confirm, Prompt

from tools import certificates, provision_schema
from tools.certificates import CertificateError
from tools.provision_draft import Draft
from tools.provision_schema import HIDDEN, LANINFO, SettingError, get, put

_NOTHING = "-"  # the answer that removes what is there


class Wizard:
    """Asks, and puts the answers into the draft. Raises KeyboardInterrupt or EOFError when nobody answers."""

    def __init__(self, draft: Draft, console: Console) -> None:
        self._draft, self._config, self._console = draft, draft.config, console

    def run(self) -> None:
        """All questions."""
        target = self._draft.target
        self._say(f"Settings for {target.where}{f', {target.board}' if target.board else ''}")
        self._say(f"Enter keeps what is in brackets; {_NOTHING} removes it. Nothing is written before the end.", "dim")
        own = f" (without one: {target.chip_name})" if target.chip_name else ""
        self._ask("name", f"Name of the board, unique at the broker{own}")
        kind = provision_schema.network_kind(target.board) if target.board else self._kind()
        if kind == "wifi":
            self._wifi()
        if kind != "computer":
            self._address()
        self._broker()
        self._ask("interval", "Seconds between readings", provision_schema.fields()["interval"].default)

    def confirm(self, question: str, default: bool = True) -> bool:
        """Yes or no."""
        return Confirm.ask(question, default=default, console=self._console)

    def _kind(self) -> str:
        choices = {"wifi": "wifi", "ethernet": "wired", "none": "computer"}
        return choices[Prompt.ask("Network", choices=list(choices), default="wifi", console=self._console)]

    def _wifi(self) -> None:
        self._ask("network.ssid", "Name of your WiFi (SSID)")
        self._secret("network.password", "WiFi password")
        self._ask("network.country", "Country, two letters")

    def _address(self) -> None:
        has_static = get(self._config, "network.static") is not None
        laninfo = self._draft.target.read(LANINFO) is not None
        default = "static" if has_static else "laninfo" if laninfo else "dhcp"
        choices = ["dhcp", "static", "laninfo"]
        way = Prompt.ask("Address of the board", choices=choices, default=default, console=self._console)
        if way == "dhcp":
            put(self._config, "network.static", None)
            put(self._config, "network.dhcp", True if laninfo else None)
        elif way == "static":
            put(self._config, "network.dhcp", None)
            for part, question in (
                ("ip", "IP address"),
                ("subnet", "Subnet mask"),
                ("gateway", "Gateway"),
                ("dns", "DNS"),
            ):
                self._ask(f"network.static.{part}", question)
        elif not laninfo or self.confirm(f"Read another {LANINFO} than the one on the board?", default=False):
            self._laninfo()

    def _laninfo(self) -> None:
        while True:
            path = Prompt.ask(f"File {LANINFO} on this computer", default=LANINFO, console=self._console)
            try:
                self._draft.set_address(provision_schema.laninfo(Path(path).expanduser()))
                return
            except SettingError as error:
                self._say(str(error), "red")

    def _broker(self) -> None:
        self._ask("mqtt.server", "Broker: name or IPv4 address")
        before = provision_schema.usual_port(self._config["mqtt"])
        if self.confirm("TLS", default=get(self._config, "mqtt.tls") is not None):
            self._tls()
        else:
            put(self._config, "mqtt.tls", None)
        self._ask("mqtt.websocket", "WebSocket path, if only web ports are open")
        if get(self._config, "mqtt.port") in (1883, 8883, before):
            put(self._config, "mqtt.port", None)  # the default, which goes with TLS and WebSocket or without
        self._ask("mqtt.port", "Port", provision_schema.usual_port(self._config["mqtt"]))
        self._ask("mqtt.user", "User at the broker")
        if get(self._config, "mqtt.user") is None:
            put(self._config, "mqtt.password", None)
        else:
            self._secret("mqtt.password", "Password at the broker")

    def _tls(self) -> None:
        if not self._file("ca", f"Certificate of the authority that signed the broker's (file; {_NOTHING}: no TLS)"):
            put(self._config, "mqtt.tls", None)
            return
        if self.confirm(
            "Does the broker ask for a certificate of the board?", get(self._config, "mqtt.tls.cert") is not None
        ):
            while not self._file("cert", "Certificate of the board (file)"):
                pass
            while not self._file("key", "Its private key (file)"):
                pass
        else:
            put(self._config, "mqtt.tls.cert", None)
            put(self._config, "mqtt.tls.key", None)
        if self._draft.target.board != "unix":
            self._ask("ntp", "Time server, which TLS needs", "pool.ntp.org")
            if get(self._config, "ntp") is None:
                put(self._config, "ntp", "pool.ntp.org")

    def _file(self, role: str, question: str) -> bool:
        """A file of this computer; what the board has already is kept by Enter. False: none is given."""
        there = get(self._config, f"mqtt.tls.{role}")
        while True:
            path = Prompt.ask(question, default=there, console=self._console, show_default=there is not None)
            if path in (None, "", _NOTHING):
                return False
            if path == there:
                return True
            try:
                certificates.read(Path(str(path)).expanduser())
            except CertificateError as error:
                self._say(str(error), "red")
                continue
            self._draft.set_source(role, Path(str(path)).expanduser())
            return True

    def _ask(self, path: str, question: str, otherwise: Any = None) -> None:
        """One field; `otherwise` is the firmware's default, which is not written."""
        there = get(self._config, path)
        shown = there if there is not None and str(there).isprintable() else otherwise
        example = str(provision_schema.example(path))
        hint = "" if shown is not None or " " in example else f" [dim]such as {escape(example)}[/]"
        while True:
            default = None if shown is None else str(shown)
            answer = Prompt.ask(
                question + hint, default=default, console=self._console, show_default=default is not None
            )
            if answer == default and answer is not None:
                return
            try:
                value = provision_schema.parse(path, "" if answer in (None, _NOTHING) else str(answer).strip())
            except SettingError as error:
                self._say(str(error).partition("; for example")[0], "red")
                continue
            problem = provision_schema.problem(path, value)
            if problem is None:
                put(self._config, path, value)
                return
            self._say(problem.partition("; for example")[0], "red")

    def _secret(self, path: str, question: str) -> None:
        there = get(self._config, path)
        hint = f"{HIDDEN}; Enter keeps it, {_NOTHING} removes it" if there else "unseen"
        while True:
            answer = getpass(f"{question} ({hint}): ")  # asks when nothing is echoed any more, not before
            if not answer:
                return
            value = None if answer == _NOTHING else answer
            problem = provision_schema.problem(path, value)
            if problem is None:
                put(self._config, path, value)
                return
            self._say(problem.partition("; for example")[0], "red")

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
