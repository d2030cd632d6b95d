"""`python -m tools provision` as scripts use it: what is written, what is refused in which words, and no secrets."""

import json
import os
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from support.certificates import Certificates
from support.vboard import VirtualBoard
from tools import provision, provision_schema, toolchain
from tools.broker import free_port

SECRET = "h0rse-battery"

Provision = Callable[..., Result]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


@pytest.fixture
def run(output: Path) -> Provision:
    """Run `provision --output …` with arguments as they are typed; `code` is expected."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(provision.main)

    def run(line: str, code: int = 0, typed: str = "", where: str = f"--output {output}", **environment: str) -> Result:
        result = CliRunner(env=environment).invoke(app, shlex.split(f"{where} {line}"), input=typed)
        assert result.exit_code == code, result.output + repr(result.exception)
        assert "Traceback" not in result.output
        return result

    return run


def written(output: Path) -> dict[str, Any]:
    return json.loads(output.read_text(encoding="utf-8"))


def flat(result: Result) -> str:
    return " ".join(result.output.split())


def test_every_field_has_an_example() -> None:
    """The examples beside the firmware's table name nothing that it does not have, and leave nothing out."""
    assert all(provision_schema.example(path) is not None for path in provision_schema.fields())
    for path in provision_schema.fields():
        shown = provision_schema.example(path)
        if shown != provision_schema.HIDDEN and not isinstance(shown, str | int | float | bool):
            pytest.fail(f"{path}: {shown!r} cannot be typed")


def test_settings_are_written_for_the_owner_alone(run: Provision, output: Path) -> None:
    run("--set mqtt.server=192.168.1.10 --set name=Gerät --set interval=2.5 --set network.power_save=true")
    assert written(output) == {
        "mqtt": {"server": "192.168.1.10"},
        "name": "Gerät",
        "interval": 2.5,
        "network": {"power_save": True},
    }
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert [path.name for path in output.parent.iterdir()] == ["config.json"]


def test_what_is_there_is_kept_changed_and_removed(run: Provision, output: Path) -> None:
    run("--set mqtt.server=one --set name=shed --set network.ssid=home --set network.country=DE")
    run("--set mqtt.server=two --set network.country= ")
    assert written(output) == {"mqtt": {"server": "two"}, "name": "shed", "network": {"ssid": "home"}}
    run("--set network= ")
    assert "network" not in written(output)


def test_a_password_is_removed_by_nothing(run: Provision, output: Path) -> None:
    run("--set mqtt.server=a --set mqtt.user=u --set-secret mqtt.password", typed=SECRET)
    shown = flat(run("--recipe public --set name=shed", 2))
    advice = re.search(r"remove it: (--set \S+)", shown)
    assert advice
    run(f"--recipe public --set name=shed {advice[1]}")
    assert written(output)["mqtt"] == {"server": "a", "user": "u", "port": 1883}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "--set mqtt.server=a --set mqtt.port=99999",
            "mqtt.port: it must be 1 to 65535; for example --set 'mqtt.port=1883'",
        ),
        ("--set mqtt.port=lots", "mqtt.port: it must be a number; for example --set 'mqtt.port=1883'"),
        ("--set mqtt.sever=x", "mqtt.sever: no such field; there are name, interval,"),
        ("--set name=shed", "mqtt: missing; for example --set 'mqtt.server=192.168.1.10'"),
        ("--set mqtt=x", "mqtt: a section; name one of its fields: mqtt.server, mqtt.port"),
        ("--set mqtt.server", "it must be FIELD=VALUE"),
        ("--set mqtt.server=mqtt://broker:1883", "mqtt.server: only the name or the IPv4 address"),
        ("--set mqtt.server=a --set network.static.ip=1", "network.static.ip: it must be 7 to 15"),
        ("--set mqtt.server=a --board ESP32_GENERIC", "network.ssid: missing; put the name of your WiFi"),
        ("--set mqtt.server=a --board ESP33", "--board: unknown; there are ESP32_GENERIC"),
        ("--set mqtt.server=a --recipe azure", "there is no such recipe; there are aws-iot, public"),
        (
            "--set mqtt.server=a --set ntp=p --ca nowhere.pem",
            "nowhere.pem: No such file or directory; is the path right?",
        ),
        ("--from nowhere.json", "--from nowhere.json: No such file or directory; is the path right?"),
        ("--set mqtt.server=a --laninfo nowhere.txt", "nowhere.txt: it cannot be read"),
        ("", "nothing to set: use a terminal, to be asked, or --set"),
    ],
)
def test_refused_with_the_field_and_what_to_do(run: Provision, output: Path, line: str, message: str) -> None:
    assert message in flat(run(line, code=2))
    assert not output.exists()


@pytest.mark.parametrize(
    "line",
    [
        f"--set mqtt.password={SECRET}",
        f"--set network.password={SECRET}",
        f'--set \'network.fallbacks=[{{"ssid": "barn", "password": "{SECRET}"}}]\'',
        f"--set-secret mqtt.password={SECRET}",
    ],
)
def test_a_secret_on_the_command_line_is_refused(run: Provision, output: Path, line: str) -> None:
    shown = run(f"--set mqtt.server=a {line}", code=2).output
    assert "--set-secret" in shown
    assert "FIELDMQTT_" in shown
    assert SECRET not in shown
    assert not output.exists()


def test_secrets_from_input_and_environment_are_never_shown(run: Provision, output: Path) -> None:
    line = "--set mqtt.server=a --set mqtt.user=u --set network.ssid=s --set-secret mqtt.password"
    shown = run(f"{line} --set-secret network.password", typed=SECRET + "\n", FIELDMQTT_NETWORK_PASSWORD="w-" + SECRET)
    assert (written(output)["mqtt"]["password"], written(output)["network"]["password"]) == (SECRET, "w-" + SECRET)
    assert SECRET not in shown.output
    assert SECRET not in run("--set name=shed --dry-run").output
    assert "****" in run("--set name=shed --dry-run").output
    assert SECRET not in run(f"--set-secret network.password --set name={'x' * 65}", 2, typed=SECRET * 20).output
    assert "one line for each" in flat(run("--set-secret mqtt.password", code=2))
    assert "not a secret" in flat(run("--set-secret mqtt.user", code=2, typed="u\n"))


def test_a_dry_run_writes_nothing(run: Provision, output: Path) -> None:
    shown = run("--set mqtt.server=a --dry-run").output
    assert "to write  config.json" in shown
    assert not output.exists()


def test_a_file_with_a_mistake_names_the_line(run: Provision, tmp_path: Path, output: Path) -> None:
    source = tmp_path / "fleet.json"
    source.write_text('{\n  "name": "shed",\n  "mqtt": {"server": }\n}\n')
    assert "fleet.json, line 3: not JSON" in flat(run(f"--from {source}", code=2))
    source.write_text('{"mqtt": {"server": "a"}, "interval": 5}')
    run("--set mqtt.server=before --set name=before")
    run(f"--from {source} --set name=after")
    assert written(output) == {"mqtt": {"server": "a"}, "interval": 5, "name": "after"}


def test_settings_that_cannot_be_read_are_replaced_and_said_so(run: Provision, output: Path) -> None:
    output.write_text("{ half")
    assert "It is left aside, and replaced" in flat(run("--set mqtt.server=a"))
    assert written(output) == {"mqtt": {"server": "a"}}


def test_laninfo(run: Provision, tmp_path: Path, output: Path) -> None:
    laninfo = tmp_path / "laninfo.txt"
    laninfo.write_text("\ufeff10.0.0.2\r\n255.255.255.0\r\n10.0.0.1\r\n10.0.0.53\r\n")
    run(f"--board W5100S_EVB_PICO --set mqtt.server=a --laninfo {laninfo}")
    static = {"ip": "10.0.0.2", "subnet": "255.255.255.0", "gateway": "10.0.0.1", "dns": "10.0.0.53"}
    assert written(output)["network"]["static"] == static
    assert "network.static: it excludes network.dhcp" in flat(run("--set network.dhcp=true", code=2))
    # What lies beside config.json comes first on a board: it has to say the same.
    run("--set network.static.ip=10.0.0.3")
    assert laninfo.read_text().split() == ["10.0.0.3", "255.255.255.0", "10.0.0.1", "10.0.0.53"]
    laninfo.write_text("10.0.0.2\n255.255.255.0\n")
    assert "2 lines, it needs four" in flat(run(f"--laninfo {laninfo}", code=2))


def test_git_must_ignore_what_holds_secrets(run: Provision, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    shown = flat(run("--set mqtt.server=a", code=1))
    assert "git does not ignore this file" in shown
    assert not (tmp_path / "config.json").exists()
    (tmp_path / ".gitignore").write_text("config.json\n")
    run("--set mqtt.server=a")


def test_this_repository_ignores_config_json() -> None:
    for name in ("config.json", "build/shed/config.json", "build/shed/key-01234567.der"):
        asked = subprocess.run(["git", "-C", toolchain.ROOT, "check-ignore", "--quiet", name], check=False)
        assert asked.returncode == 0, name


def test_certificates_go_as_der_under_new_names(run: Provision, certificates: Certificates, output: Path) -> None:
    pairs = {"ca": certificates.ca.pem, "cert": certificates.client.pem, "key": certificates.client.key_pem}
    options = " ".join(f"--{role} {path}" for role, path in pairs.items())
    shown = run(f"--set mqtt.server=a --set ntp=pool.ntp.org {options} --no-connect").output
    tls = written(output)["mqtt"]["tls"]
    contents = {role: (output.parent / name).read_bytes() for role, name in tls.items()}
    assert contents == {
        "ca": certificates.ca.der.read_bytes(),
        "cert": certificates.client.der.read_bytes(),
        "key": certificates.client.key_der.read_bytes(),
    }
    assert stat.S_IMODE((output.parent / tls["key"]).stat().st_mode) == 0o600
    assert "«device-1», until" in shown
    assert "warning   mqtt.tls.ca" in shown, "they are valid for less than 30 days"
    # The next certificate has another name, and what nothing names any more is removed.
    run(f"--ca {certificates.self_signed.pem} --no-connect")
    assert written(output)["mqtt"]["tls"]["ca"] != tls["ca"]
    assert written(output)["mqtt"]["tls"]["key"] == tls["key"]
    assert not (output.parent / tls["ca"]).exists()
    assert (output.parent / tls["key"]).exists()


def test_a_bad_certificate_is_refused_before_anything_is_written(
    run: Provision, certificates: Certificates, output: Path
) -> None:
    line = f"--set mqtt.server=a --set ntp=pool.ntp.org --ca {certificates.ca.pem} --no-connect"
    cert, key = certificates.client.pem, certificates.stranger_client.key_pem
    assert "not the key of" in flat(run(f"{line} --cert {cert} --key {key}", code=2))
    assert "mqtt.tls: cert and key belong together" in flat(run(f"{line} --cert {cert}", code=2))
    assert "ntp: missing" in flat(run(f"--set mqtt.server=a --ca {certificates.ca.pem}", code=2))
    shown = flat(run("--set mqtt.server=a --set ntp=p --set mqtt.tls.ca=ca.der", code=2))
    assert "there is no file ca.der" in shown
    assert "--ca FILE" in shown
    assert not output.exists()


AWS = "--recipe aws-iot --set mqtt.server=abc-ats.iot.eu-central-1.amazonaws.com --no-connect"


def aws(certificates: Certificates) -> str:
    client = certificates.client
    return f"{AWS} --set name=shed --ca {certificates.ca.pem} --cert {client.pem} --key {client.key_pem}"


def test_recipe_aws_iot(run: Provision, certificates: Certificates, output: Path) -> None:
    shown = flat(run(aws(certificates)))
    assert "QoS 0 and 1 only" in shown
    assert "iot:RetainPublish" in shown
    config = written(output)
    assert (config["mqtt"]["port"], config["mqtt"]["keepalive"], config["ntp"]) == (8883, 60, "pool.ntp.org")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("--set mqtt.server=broker.example", "mqtt.server: not an endpoint of AWS IoT, such as"),
        ("--set mqtt.port=443", "mqtt.port: 8883; 443 needs ALPN"),
        ("--set mqtt.websocket=/mqtt", "mqtt.websocket: AWS IoT wants signed requests for it"),
        ("--set mqtt.keepalive=20", "mqtt.keepalive: AWS IoT takes 30 to 1200 s"),
        ("--set mqtt.prefix=a/b/c/d/e/f/g", "mqtt.prefix: a topic of AWS IoT has at most 7 slashes"),
        ("--set name=$shed", "name: a client id of AWS IoT has at most 128 bytes and begins without $"),
        ("--set mqtt.tls.insecure=true", "mqtt.tls: AWS IoT is reached by verified TLS only"),
        ("--set mqtt.tls.hostname=x", "mqtt.tls.hostname: AWS IoT needs the name of the endpoint itself"),
    ],
)
def test_limits_of_aws_iot(run: Provision, certificates: Certificates, output: Path, change: str, message: str) -> None:
    assert message in flat(run(f"{aws(certificates)} {change}", code=2))
    assert not output.exists()


def test_aws_iot_without_a_certificate(run: Provision, certificates: Certificates) -> None:
    assert "mqtt.tls: AWS IoT" in flat(run(AWS, code=2))
    assert "mqtt.tls.cert: AWS IoT knows a board by" in flat(run(f"{AWS} --ca {certificates.ca.pem}", code=2))


def test_recipe_public(run: Provision, output: Path) -> None:
    assert "name: on a broker that everyone shares" in flat(run("--recipe public --set interval=60", code=2))
    shown = flat(run("--recipe public --set name=shed-7f3a"))
    assert "Everyone can read what this board publishes" in shown
    assert written(output)["mqtt"] == {"server": "test.mosquitto.org", "port": 1883}
    shown = flat(run("--recipe public --set-secret mqtt.password", code=2, typed=SECRET))
    assert "not to a broker that everyone shares" in shown


def test_a_board_gets_its_settings_and_starts_with_them(
    run: Provision, certificates: Certificates, tmp_path: Path
) -> None:
    """Over the wire, with the real mpremote: written, read back, the program started again; nothing else is touched."""
    flash = tmp_path / "flash"
    flash.mkdir()
    (flash / "main.py").write_text("print('main runs with', open('config.json').read().count('shed'))")
    (flash / "config.json").write_text('{"name": "old", "mqtt": {"server": "before", "user": "u", "password": "p"}}')
    for name in ("key-0badf00d.der", "ca-0badf00d.der.new", "config.json.new"):  # a cable came out, some time ago
        (flash / name).write_text("half")
    (flash / "key.der").write_text("not ours")
    with VirtualBoard(flash, build="RPI_PICO_W", platform="rp2") as board:
        where = f"--port {board.port}"
        assert "network.ssid: missing" in flat(run("--set name=shed", 2, where=where))
        line = f"--set name=shed --set network.ssid=home --set ntp=pool.ntp.org --ca {certificates.ca.pem} --no-connect"
        shown = run(f"{line} --set-secret network.password", typed=SECRET, where=where).output
        assert SECRET not in board.output, "it is compared by its hash"
        board.wait_for("main runs with 1")
        assert SECRET not in shown
    config = json.loads((flash / "config.json").read_text())
    assert config["mqtt"]["server"] == "before"
    assert config["mqtt"]["password"] == "p"
    assert config["network"] == {"ssid": "home", "password": SECRET}
    assert (flash / config["mqtt"]["tls"]["ca"]).read_bytes() == certificates.ca.der.read_bytes()
    assert {path.name for path in flash.iterdir()} == {"main.py", "key.der", "config.json", config["mqtt"]["tls"]["ca"]}


def test_a_board_with_an_old_micropython_is_known_by_its_title(run: Provision, tmp_path: Path) -> None:
    with VirtualBoard(tmp_path, machine="Raspberry Pi Pico W with RP2040", platform="rp2", version=(1, 24, 0)) as board:
        assert "network.ssid: missing" in flat(run("--set mqtt.server=a", 2, where=f"--port {board.port}"))


def test_a_board_that_nobody_knows_gets_its_settings_too(run: Provision, tmp_path: Path) -> None:
    with VirtualBoard(tmp_path, build="HOME_MADE", platform="rp2") as board:
        run("--set mqtt.server=a", where=f"--port {board.port}")
    assert written(tmp_path / "config.json") == {"mqtt": {"server": "a"}}


def test_a_cable_that_is_pulled_leaves_the_old_settings_or_the_new(
    run: Provision, certificates: Certificates, tmp_path: Path
) -> None:
    before = {"name": "old", "mqtt": {"server": "before"}}
    after = {"name": "new", "mqtt": {"server": "after", "user": "u", "password": SECRET * 75, "tls": {}}}
    after["network"] = {"fallbacks": [{"ssid": f"network {n}", "password": SECRET * 4} for n in range(8)]}
    (tmp_path / "new.json").write_text(json.dumps(after))
    line = f"--from {tmp_path / 'new.json'} --ca {certificates.ca.pem} --no-connect"
    length, seen = 0, []
    for part in (1.0, 0.5, 0.6, 0.7, 0.97):
        flash = tmp_path / str(part)
        flash.mkdir()
        (flash / "config.json").write_text(json.dumps(before))
        with VirtualBoard(flash) as board:
            board.cut_at = int(part * length) or None
            shown = flat(run(line, 1 if length else 0, where=f"--port {board.port}"))
            length = length or board.received
        found = json.loads((flash / "config.json").read_text())
        if found != before:
            ca = found["mqtt"]["tls"].pop("ca")
            assert found == after
            assert (flash / ca).read_bytes() == certificates.ca.der.read_bytes()
        seen.append(found["name"])
        assert part == 1.0 or "Plug the cable in again" in shown or "does not answer" in shown
    assert {*seen[1:]} == {"old", "new"}, seen


def test_no_board_says_what_to_do() -> None:
    command = [sys.executable, "-m", "tools", "provision", "--port", "/dev/nothing", "--set", "mqtt.server=a"]
    run = subprocess.run(command, cwd=toolchain.ROOT, capture_output=True, text=True, timeout=30, env=os.environ)
    assert run.returncode == 1
    assert "/dev/nothing cannot be opened" in run.stderr
    assert "Traceback" not in run.stderr


def documented() -> Iterator[str]:
    """The commands of docs/provisioning.md that do not connect to somebody else's broker, without `python -m tools`."""
    text = (toolchain.ROOT / "docs" / "provisioning.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```sh\n(.*?)^```$", text, flags=re.M | re.S):
        for line in block.splitlines():
            if not line.endswith("aws-iot --check"):
                yield line


@pytest.mark.parametrize("line", list(documented()))
def test_commands_of_the_document(
    run: Provision, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    """They do what the document says, on a board that has settings already."""
    client = certificates.client
    for name, source in (
        ("AmazonRootCA1.pem", certificates.ca.pem),
        ("ca.pem", certificates.ca.pem),
        ("shed.pem", client.pem),
        ("shed.key.pem", client.key_pem),
    ):
        (tmp_path / name).write_bytes(source.read_bytes())
    monkeypatch.chdir(tmp_path)
    os.symlink(toolchain.ROOT / "firmware", tmp_path / "firmware")
    if "--recipe" not in line:
        run(f"--set mqtt.server=127.0.0.1 --set mqtt.port={free_port()}")
    environment, command = re.fullmatch(
        r"(?:for .* do )?(\w+=\S+ )?python -m tools provision (.*?)(?:; done)?", line
    ).groups()
    command, redirected, _ = command.replace("$name", "shed").partition(" < ")
    given = {environment.partition("=")[0]: SECRET} if environment else {}
    typed = SECRET + "\n" if redirected or "--set-secret" in command else ""
    where = "" if "--output" in command else f"--output {tmp_path / 'config.json'}"
    shown = run(f"{command} --no-connect", 4 if "--check" in command else 0, typed, where, **given)
    assert SECRET not in shown.output
    if "--output build/" in command:
        assert written(tmp_path / "build" / "shed" / "config.json")["name"] == "shed"
