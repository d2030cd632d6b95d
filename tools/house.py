"""The house rules that no linter knows: sizes of files and functions, and nothing of one machine in tracked files."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 30  # of code in the body: no docstring, comments, blank lines
_FUNCTION_FOLDERS = ("lib", "boards", "firmware", "tools")

# Told by what is allowed, so that nothing forbidden has to be named here.
_SYSTEM_FOLDERS = "bin|dev|etc|lib|opt/homebrew|proc|run|sbin|sys|usr|var"  # the same on every machine
_HOSTS = (
    r"keepachangelog\.com|semver\.org|(?:docs\.)?micropython\.org|github\.com"
    r"|(?:[\w-]+\.)+(?:test|example|invalid)|127\.0\.0\.1|192\.168\.[\d.]+"
)
_FORBIDDEN = {
    "a path of one machine": re.compile(rf"(?<![\w.}})>\]$*+~/-])/(?!(?:{_SYSTEM_FOLDERS})/)[a-z][\w.-]+/\w", re.I),
    "a host that no document of this project needs": re.compile(
        rf"\b(?:https?|ftp)://(?:[^/\s@]*@)?(?!(?:{_HOSTS})(?!\.?[\w-]))[\w-]+\.[\w.-]+"
    ),
}


def violations(root: Path) -> list[str]:
    """What breaks the rules below `root`, as `path:line: what` lines."""
    found = []
    for path in tracked(root):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture, a key
        name = path.relative_to(root)
        found += [f"{name}:{line}: {what}" for line, what in _in_text(text)]
        if path.suffix == ".py":
            found += [f"{name}:{line}: {what}" for line, what in _in_python(text, name.parts[0])]
    return found


def tracked(root: Path) -> list[Path]:
    """The files that git tracks or would track; in a folder without git, all of them."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    run = subprocess.run(command, capture_output=True, text=True)
    names = run.stdout.split("\0") if run.returncode == 0 else [str(path) for path in root.rglob("*")]
    return sorted({path for name in names if name and (path := root / name).is_file() and not path.is_symlink()})


def _in_text(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        for what, pattern in _FORBIDDEN.items():
            if found := pattern.search(line):
                yield number, f"{what}: {found.group()}"


def _in_python(text: str, folder: str) -> Iterator[tuple[int, str]]:
    if (lines := text.count("\n")) > MAX_FILE_LINES:
        yield lines, f"{lines} lines; at most {MAX_FILE_LINES}"
    if folder not in _FUNCTION_FOLDERS:
        return
    source = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and (lines := _length(node, source)) > MAX_FUNCTION_LINES
        ):
            yield node.lineno, f"{node.name}() has {lines} lines; at most {MAX_FUNCTION_LINES}"


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef, source: list[str]) -> int:
    """Lines of code in the body."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if not body:
        return 0
    lines = (line.strip() for line in source[body[0].lineno - 1 : function.end_lineno])
    return sum(1 for line in lines if line and not line.startswith("#"))
