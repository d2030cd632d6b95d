"""From a bare board to its readings at the broker: provision, deploy, as docs/first-board.md has it."""

import json

import pytest

from board.conftest import Command, Plug
from firmware.watcher import Watcher
from support.certificates import Certificates
from tools.broker import Broker, Tls

pytestmark = pytest.mark.xdist_group("board-whole")


def test_provision_then_deploy(plug: Plug, broker: Broker, command: Command):
    board = plug()
    settings = ("name=shed", "mqtt.server=127.0.0.1", f"mqtt.port={broker.port}", "interval=0.5")
    run = command("provision", "--port", board.port, *(part for one in settings for part in ("--set", one)))
    assert run.exit_code == 0, run.output
    with Watcher(broker.port, "shed") as watcher:
        run = command("deploy", "--port", board.port)
        assert run.exit_code == 0, run.output
        assert "at fieldmqtt/shed/reading" in run.output
        watcher.until_state("online")
        watcher.until_readings(2)
    assert json.loads((board.folder / "config.json").read_text())["name"] == "shed"


def test_with_a_certificate_of_its_own(plug: Plug, certificates: Certificates, command: Command):
    server, client = certificates.server, certificates.client
    with Broker(tls=Tls(server.pem, server.key_pem, certificates.ca.pem, require_client=True)) as broker:
        board = plug()
        settings = ("name=shed", "mqtt.server=localhost", f"mqtt.port={broker.port}", "interval=0.5")
        files = ("--ca", certificates.ca.pem, "--cert", client.pem, "--key", client.key_pem)
        options = [part for one in settings for part in ("--set", one)]
        run = command("provision", "--port", board.port, *options, *files)
        assert run.exit_code == 0, run.output
        secrets = {path: path.read_bytes() for path in board.folder.glob("*.der")}
        assert len(secrets) == 3
        run = command("deploy", "--port", board.port)
        assert run.exit_code == 0, run.output
        assert {path: path.read_bytes() for path in board.folder.glob("*.der")} == secrets
