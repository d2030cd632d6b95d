"""The table of brokers and cases: how a case came out, and how the table stands in a document and is read back."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from interop.served import Difference
from tools import tables

MARKERS = ("<!-- brokers -->", "<!-- /brokers -->")

_DATE_ROW = "run on"
_NOT_RUN = "not run"
_FIVE = "v5_"  # how the names of MQTT 5's cases begin


class Outcome(str, Enum):
    """What is said of a case on a broker."""

    WORKS = "works"
    CANNOT = "cannot"
    LIMIT = "cannot (operator's limit)"
    KNOWN = "known difference"
    FAILED = "FAILED"
    STALE = "works, remove the entry"

    @property
    def wrong(self) -> bool:
        """Somebody has to do something: the command's exit code is 1."""
        return self in (Outcome.FAILED, Outcome.STALE)


_EXPLAINED = (Outcome.CANNOT, Outcome.LIMIT, Outcome.KNOWN)


@dataclass(frozen=True)
class Cell:
    """An outcome, why it is not `works`, and where that is written."""

    outcome: Outcome
    why: str = ""
    link: str = ""


def judged(difference: Difference | None, errors: Sequence[str]) -> Cell:
    """What is to be said of a case that was run: `errors` of its faces, `difference` that the broker is known for."""
    if difference is None:
        return Cell(Outcome.FAILED, errors[0]) if errors else Cell(Outcome.WORKS)
    if not errors:
        return Cell(Outcome.STALE, f"listed as: {difference.text}", difference.link)
    outcome = Outcome.CANNOT if difference.cannot else Outcome.KNOWN
    return Cell(outcome, difference.text, difference.link)


@dataclass
class Column:
    """A broker in the table. `texts` and `notes` are what stands there; cells() makes them."""

    name: str
    version: str = ""
    date: str = ""
    texts: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, name: str, version: str, date: str, cells: Mapping[str, Cell]) -> "Column":
        """A column of what was just run. Cases that share a reason share a note; what works needs none."""
        reasons: dict[tuple[str, str], list[str]] = {}
        for case, cell in cells.items():
            if cell.why and cell.outcome in _EXPLAINED:
                reasons.setdefault((cell.why, cell.link), []).append(case)
        notes = [
            f"- {name}, {_named(cases, list(cells))}: {why}{f' ([link]({link}))' if link else ''}"
            for (why, link), cases in reasons.items()
        ]
        return cls(name, version, date, {case: cell.outcome.value for case, cell in cells.items()}, notes)

    def left(self, date: str, why: str) -> "Column":
        """This column after a run for which the broker could not be had."""
        notes = [note for note in self.notes if not note.startswith(f"- {self.name}: ")]
        of = f"its column is of {self.date}" if self.texts else "it has no column yet"
        return Column(
            self.name,
            self.version,
            self.date,
            self.texts,
            [*notes, f"- {self.name}: not there on {date} ({why}); {of}"],
        )


def _named(some: Sequence[str], cases: Sequence[str]) -> str:
    """Some of the cases by name; all of MQTT 5 together."""
    five = [case for case in cases if case.startswith(_FIVE)]
    together = len(five) > 1 and set(five) <= set(some)
    names = [case for case in some if not (together and case in five)] + [f"{_FIVE}*"] * together
    return ", ".join(f"`{name}`" for name in names)


def merged(old: Iterable[Column], new: Iterable[Column], order: Sequence[str]) -> list[Column]:
    """New columns in the place of the old ones, in the order of the registry; those that are in none come last."""
    columns = {column.name: column for column in [*old, *new]}
    rank = {name: at for at, name in enumerate(order)}
    return sorted(columns.values(), key=lambda column: rank.get(column.name, len(rank)))


def markdown(columns: Sequence[Column], cases: Sequence[str]) -> str:
    """The table and its notes, as parsed() reads them."""
    shown = [column for column in columns if column.texts]
    head = ["case", *(f"{column.name} {column.version}".strip() for column in shown)]
    rows = [[f"`{case}`", *(_cell(column.texts.get(case, _NOT_RUN)) for column in shown)] for case in cases]
    last = [_DATE_ROW, *(column.date for column in shown)]
    notes = [note for column in columns for note in column.notes]
    return "\n".join([tables.markdown(head, [*rows, last]), *(["", *notes] if notes else [])])


def _cell(text: str) -> str:
    return f"**{text}**" if text in (Outcome.FAILED.value, Outcome.STALE.value) else text


def parsed(text: str) -> list[Column]:
    """The columns of a document that has the table between its markers."""
    lines = tables.between(text, MARKERS).splitlines()
    rows = [_cells(line) for line in lines if line.startswith("|")]
    columns = []
    for at, head in enumerate(rows[0][1:], 1) if rows else ():
        name, _, version = head.partition(" ")
        texts = {row[0].strip("`"): row[at].strip("*") for row in rows[2:]}
        date = texts.pop(_DATE_ROW, "")
        columns.append(Column(name, version, date, {case: said for case, said in texts.items() if said != _NOT_RUN}))
    known = {column.name: column for column in columns}
    for name, note in _notes(lines):
        column = known.setdefault(name, Column(name))
        column.notes.append(note)
    return list(known.values())


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _notes(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        if found := re.match(r"- ([^,:\s]+)[,:] ", line):
            yield found[1], line
