"""The pages in docs/ are true to the code, their links lead somewhere, package.json brings what there is."""

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docs_programs import adapted, commands, table

from support.device import Device
from tools.broker import Broker, Tls
from tools.toolchain import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DOCS = ROOT / "docs"
LIB = ROOT / "lib" / "fieldmqtt"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]


def anchors(page: Path) -> set[str]:
    """The headings of a page, as they are named in links."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith("https:"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tests_named_in_the_pages_exist(page: Path) -> None:
    for name, function in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text(encoding="utf-8")):
        tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{name}::{function}"


def signatures(module: str, name: str) -> Iterator[tuple[str, bool]]:
    """The constructor and the public methods of a class, as api.md writes them, and whether they are coroutines."""
    tree = ast.parse((LIB / f"{module}.py").read_text(encoding="utf-8"))
    [found] = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    for node in found.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        arguments = ast.unparse(node.args).removeprefix("self").removeprefix(", ").replace("'", '"')
        if node.name == "__init__":
            yield f"{'MQTTClient' if name == 'Connection' else name}({arguments})", False
        elif node.name[0] != "_":
            yield f"{node.name}({arguments})", isinstance(node, ast.AsyncFunctionDef)


def test_api_has_every_name_as_it_is() -> None:
    headings = re.findall(r"^### (.*)$", (DOCS / "api.md").read_text(encoding="utf-8"), flags=re.M)
    named = {name for heading in headings for name in re.findall(r"`([^`]+)`", heading)}
    awaited = {re.findall(r"`([^`]+)`", heading)[0] for heading in headings if heading.endswith("*awaited*")}
    shared = list(signatures("calls", "Calls"))  # they return what connect() does
    both = [*signatures("connection", "Connection"), *shared, *signatures("client", "MQTTClient")]
    coroutines = {text for text, is_coroutine in signatures("aio", "AsyncMQTTClient") if is_coroutine}
    coroutines |= {text for text, _ in shared}
    outbox = [text for text, _ in signatures("outbox", "Outbox")][:1]
    flash = [text for text, _ in signatures("flash", "FlashOutbox")][:3]  # what a user calls comes first
    assert {text for text, _ in both} | {*outbox, *flash} == named
    assert coroutines == awaited


def test_bounds_are_those_of_the_code() -> None:
    rows = table(DOCS / "design.md", "what", "default", "where")
    assert len(rows) >= 8
    for what, default, where in rows:
        name = re.findall(r"`(\w+)`", what)[0]
        number = default.split()[0]
        text = (ROOT / where.strip("`")).read_text(encoding="utf-8")
        assigned = re.search(rf"\b{name}(\s*=|\":)\s*(const\()?{number}\b", text)
        assert assigned, f"{name} is not {number} in {where}"


def test_states_are_those_of_the_code() -> None:
    text = (LIB / "connection.py").read_text(encoding="utf-8")
    states = {name.lower() for name in re.findall(r"^_([A-Z]+) = const\(\d\)", text, flags=re.M)}
    rows = table(DOCS / "design.md", "state", "event", "what happens", "next state")
    assert states == {word for row in rows for cell in (row[0], row[3]) for word in cell.split(", ")} - {"lost"}


def test_reason_codes_are_those_of_the_code() -> None:
    tree = ast.parse((LIB / "reasons.py").read_text(encoding="utf-8"))
    [texts] = [ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign)]
    assert {int(code): reason for code, reason in table(DOCS / "api.md", "code", "reason")} == texts


def test_the_library_touches_no_hardware() -> None:
    for path in LIB.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            module = node.module if isinstance(node, ast.ImportFrom) else None
            assert not {"network", "machine"} & {*names, module}, path


def test_package_brings_every_module() -> None:
    package = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    modules = sorted(path.relative_to(LIB).as_posix() for path in LIB.rglob("*.py"))
    assert package["urls"] == [[f"fieldmqtt/{name}", f"lib/fieldmqtt/{name}"] for name in modules]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert package["version"] == project["version"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the commands of docs/tls.md were typed, but for the copying to a board."""
    if not shutil.which("openssl"):
        pytest.skip("there is no openssl")
    folder = tmp_path_factory.mktemp("openssl")
    lines = commands(DOCS / "tls.md")
    first = next(at for at, line in enumerate(lines) if "ecparam" in line)
    for line in [*lines[first:], lines[0]]:
        subprocess.run(line, shell=True, cwd=folder, check=True, capture_output=True, timeout=30)
    return folder


def test_certificates_of_your_own(run: Callable[..., Device], made: Path) -> None:
    program = (ROOT / "examples" / "publish_tls.py").read_text()
    with Broker(tls=Tls(made / "broker.pem", made / "broker.key", made / "ca.pem")) as broker:
        run(adapted(program, BROKER=("localhost", broker.port), CA=str(made / "ca.der"))).line("the broker has it")


def test_client_certificate(run: Callable[..., Device], made: Path) -> None:
    program = (ROOT / "examples" / "publish_tls.py").read_text()
    [ssl_params] = re.findall(r"^ssl_params = (.*)$", (DOCS / "tls.md").read_text(), flags=re.M)
    files = {name: str(made / file) for name, file in ast.literal_eval(ssl_params).items()}
    tls = Tls(made / "broker.pem", made / "broker.key", made / "ca.pem", require_client=True)
    with Broker(tls=tls) as broker:
        program = adapted(program, BROKER=("localhost", broker.port))
        device = run(program.replace('{"cafile": CA}', repr(files)))
        device.line("the broker has it")
        device.finish()
