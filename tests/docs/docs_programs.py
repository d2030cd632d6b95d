"""Programs and commands as the documents have them."""

import re
from pathlib import Path


def adapted(program: str, **values: object) -> str:
    """The program with other values for names that it defines at its top."""
    for name, value in values.items():
        program, found = re.subn(rf"^{name} = .*$", lambda _, n=name, v=value: f"{n} = {v!r}", program, flags=re.M)
        assert found == 1, f"the program has no line {name} = …"
    return program


def blocks(document: Path, language: str) -> list[str]:
    """The code blocks of a Markdown file in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", document.read_text(encoding="utf-8"), flags=re.M | re.S)


def commands(document: Path) -> list[str]:
    """The lines of the shell blocks of a Markdown file, without their comments."""
    lines = "".join(blocks(document, "sh")).splitlines()
    return [command for line in lines if (command := line.partition(" #")[0].strip())]


def table(document: Path, *columns: str) -> list[list[str]]:
    """The rows of the first table in a Markdown file whose first columns have these names."""
    lines = document.read_text(encoding="utf-8").splitlines()
    head = "| " + " | ".join(columns) + " |"
    start = next(at for at, line in enumerate(lines) if line.startswith(head)) + 2
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows
