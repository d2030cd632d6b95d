"""None of the 25 points is forgotten, and none is there twice. `docs/guarantees.md` says what is promised."""

import ast
from pathlib import Path

POINTS = 25


def test_every_point_has_its_test() -> None:
    numbers = []
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_point_"):
                numbers.append(int(node.name.split("_")[2]))
                assert ast.get_docstring(node), f"{node.name} does not say what users suffer from"
    assert sorted(numbers) == list(range(1, POINTS + 1))
