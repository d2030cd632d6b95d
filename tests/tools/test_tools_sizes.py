"""`make sizes`: the README's table is true, and a table that is not true is found."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools import sizes, toolchain


def _sizes(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tools", "sizes", *map(str, arguments)]
    return subprocess.run(command, cwd=toolchain.ROOT, capture_output=True, text=True, timeout=100)


@pytest.fixture(scope="module")
def measured() -> sizes.Sizes:
    return sizes.measure()


@pytest.fixture(scope="module")
def table(measured: sizes.Sizes) -> str:
    return sizes.markdown(measured)


@pytest.fixture(scope="module")
def plain() -> "subprocess.CompletedProcess[str]":
    """Without options."""
    return _sizes()


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def _scaled(text: str, module: str, factor: float) -> str:
    """The table with another number of bytes for one module."""

    def scale(row: re.Match) -> str:
        return f"{row[1]}{round(_number(row[2]) * factor):,}"

    changed, count = re.subn(rf"(\| `{module}` \| )([\d,]+)", scale, text)
    assert count == 1
    return changed


def test_readme_is_true_and_the_budget_kept(plain: "subprocess.CompletedProcess[str]"):
    assert plain.returncode == 0, plain.stderr


def test_write_rewrites_the_table_and_nothing_else(measured: sizes.Sizes, tmp_path: Path):
    readme = tmp_path / "README.md"
    readme.write_text("# Title\n\n<!-- sizes -->\nold\n<!-- /sizes -->\n\nMore.\n")
    assert _sizes("--readme", readme, "--write").returncode == 0
    text = readme.read_text()
    assert text.startswith("# Title\n\n<!-- sizes -->\n") and text.endswith("<!-- /sizes -->\n\nMore.\n")
    assert "old" not in text
    assert sizes.differences(measured, text) == []


def test_write_needs_the_markers(tmp_path: Path):
    readme = tmp_path / "README.md"
    readme.write_text("# Title\n")
    run = _sizes("--readme", readme, "--write")
    assert run.returncode == 1
    assert "<!-- sizes -->" in run.stderr
    assert readme.read_text() == "# Title\n"


def test_no_readme_is_an_empty_table(tmp_path: Path):
    run = _sizes("--readme", tmp_path / "README.md")
    assert run.returncode == 1
    assert "does not exist" in run.stderr and "no row in the table" in run.stderr
    assert "python -m tools sizes --write" in run.stderr


def test_table_has_every_module_and_the_sums(table: str):
    modules = {path.stem for path in (toolchain.ROOT / "lib" / "fieldmqtt").glob("*.py")}
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d,]+)", table, re.M))
    assert set(rows) == modules
    sums = {name: _number(size) for name, size in re.findall(r"\*\*([\w ]+)\*\* \| \*\*([\d,]+)", table)}
    assert sums["everything"] == sum(map(_number, rows.values()))
    optional = [module for option in sizes.OPTIONS.values() for module in option]
    others = sum(_number(rows[name]) for name in ("aio", "tls", "reasons", *optional))
    assert sums["MQTTClient"] == sums["everything"] - others
    options = ("outbox on flash", "MQTT 5", "WebSocket", "URLs", "streaming")
    assert sums["without options"] == sums["everything"] - sum(sums[option] for option in options)


def test_every_module_of_mqtt_5_counts_as_such(measured: sizes.Sizes):
    command = "from fieldmqtt import MQTTClient5, AsyncMQTTClient5"
    environment = {"MICROPYPATH": f"{toolchain.ROOT / 'lib'}:.frozen"}
    code = f"{command}\nimport sys\nprint(*[name for name in sys.modules if name.startswith('fieldmqtt.')])"
    run = subprocess.run(
        [toolchain.micropython(), "-c", code], env=environment, capture_output=True, text=True, timeout=20, check=True
    )
    loaded = {name.removeprefix("fieldmqtt.") for name in run.stdout.split()}
    of_clients = {module.name for module in measured.modules if module.clients}
    assert loaded - of_clients == set(sizes.MQTT_5) - {"plain", "requests5", "reasons5"}, "these when they are used"


@pytest.mark.parametrize("factor, word", [(0.999, "more"), (0.5, "more"), (1.03, "fewer")])
def test_a_row_that_is_not_true_is_found(measured: sizes.Sizes, table: str, factor: float, word: str):
    (found,) = sizes.differences(measured, _scaled(table, "protocol", factor))
    assert re.fullmatch(rf"protocol: .* {word} than the table says", found)


def test_a_little_smaller_is_no_difference(measured: sizes.Sizes, table: str):
    assert sizes.differences(measured, _scaled(table, "protocol", 1.01)) == []


def test_a_missing_row_and_a_row_too_many_are_found(measured: sizes.Sizes, table: str):
    missing, surplus = sizes.differences(measured, table.replace("| `wire` |", "| `wired` |"))
    assert missing.startswith("wire: ") and missing.endswith("no row in the table")
    assert surplus == "wired: a row in the table, and no such module"


def _of(mpy: int) -> sizes.Sizes:
    return sizes.Sizes([sizes.Module("client", mpy, 0, ("MQTTClient",))], "6.3", "1.26.1")


def test_goal_may_be_missed_and_the_budget_may_not():
    assert sizes.over_budget(_of(22_528)) == []
    assert sizes.over_budget(_of(22_529)) == ["everything without options: 22 KB (missed): 22,529 bytes"]


def test_budgets_are_shown(plain: "subprocess.CompletedProcess[str]"):
    shown = plain.stdout
    assert re.search(r"^budget: 3\.1\.1 synchronous client: 9 KB \(goal, (met|missed)\)", shown, re.M)
    assert re.search(r"^budget: everything: 20 KB \(goal, (met|missed)\)", shown, re.M)
