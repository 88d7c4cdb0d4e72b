"""The report of a check: one row a check, as a table for people and as plain JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

#: The most lines of a container's log in a row, and characters of a line.
MAX_LINES = 20
MAX_LINE = 500


#: A digest or an ARN that is cut cannot be copied.
_WHOLE_WORDS: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}


class Result(StrEnum):
    """The result of a check."""

    OK = "ok"
    FAILED = "failed"
    WARNING = "warning"
    SKIPPED = "not checked"


@dataclass(frozen=True)
class Row:
    """The result of one check.

    :param check: Its name.
    :param result: Its result.
    :param seen: What was seen.
    :param remedy: How to mend it.
    :param log: The last lines of the container, where they may explain it.
    """

    check: str
    result: Result
    seen: str
    remedy: str = ""
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """The result of all checks.

    :param image: The image.
    :param rows: The rows, in the order in which a person mends them.
    :param seconds: How long it took.
    """

    image: str
    rows: tuple[Row, ...]
    seconds: float

    @property
    def failed(self) -> tuple[Row, ...]:
        """The rows of checks that failed."""
        return tuple(row for row in self.rows if row.result is Result.FAILED)

    @property
    def has_passed(self) -> bool:
        """Whether no check failed."""
        return not self.failed

    def summary(self) -> str:
        """Return the result in one sentence."""
        checked = sum(row.result is not Result.SKIPPED for row in self.rows)
        counts = (
            f"{len(self.failed)} of {checked} checks failed" if self.failed else f"{checked} checks passed"
        )
        warnings = sum(row.result is Result.WARNING for row in self.rows)
        also = f", {warnings} with a warning" if warnings else ""
        return f"{self.image}: {counts}{also} ({self.seconds:.1f} s)."

    def details(self) -> dict[str, Any]:
        """Return the report as plain JSON."""
        return {
            "image": self.image,
            "passed": self.has_passed,
            "seconds": round(self.seconds, 3),
            "checks": [
                {
                    "check": row.check,
                    "result": str(row.result),
                    "seen": row.seen,
                    "remedy": row.remedy,
                    "log": list(row.log),
                }
                for row in self.rows
            ],
        }

    def masked(self, mask: Callable[[str], str]) -> Report:
        """Return the report without secret values.

        :param mask: Masks a text.
        """
        rows = [
            replace(
                row,
                check=mask(row.check),
                seen=mask(row.seen),
                remedy=mask(row.remedy),
                # As one text: a value may have several lines.
                log=tuple(mask("\n".join(row.log)).split("\n")) if row.log else (),
            )
            for row in self.rows
        ]
        return replace(self, rows=tuple(rows))


def table(rows: Sequence[Row], *, width: int = 120) -> str:
    """Return rows as a table: check, result, what was seen, and below it how to mend it and the last lines of the log.

    :param rows: The rows.
    :param width: The most characters of a line; lines of a log are not cut.
    """
    names = max((len(row.check) for row in rows), default=0)
    results = max((len(row.result) for row in rows), default=0)
    margin = names + results + 4
    lines = [f"{'check':<{names}}  {'result':<{results}}  what was seen"]
    for row in rows:
        seen = textwrap.wrap(row.seen, max(width - margin, 40), **_WHOLE_WORDS) or [""]
        result = row.result.upper() if row.result is Result.FAILED else str(row.result)
        lines.append(f"{row.check:<{names}}  {result:<{results}}  {seen[0]}")
        lines += [f"{'':<{margin}}{line}" for line in seen[1:]]
        if row.remedy and row.result is not Result.OK:
            lines += textwrap.wrap(
                f"-> {row.remedy}",
                max(width, margin + 40),
                initial_indent=" " * margin,
                subsequent_indent=" " * (margin + 3),
                **_WHOLE_WORDS,
            )
        lines += [f"{'':<{margin}}| {line}" for line in row.log]
    return "\n".join(line.rstrip() for line in lines)


def last_lines(log: str) -> tuple[str, ...]:
    """Return the last lines of a log, none of them empty or too long."""
    lines = [line.rstrip() for line in log.splitlines() if line.strip()]
    return tuple(line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}…" for line in lines[-MAX_LINES:])
