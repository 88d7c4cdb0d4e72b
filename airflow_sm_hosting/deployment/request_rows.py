"""Requests in the rows of a file: JSON Lines or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError

#: Maximum number of rows: each is an invocation.
MOST_ROWS = 1000
#: The member or column of a row that is its expected answer, and the member that is its body.
EXPECT, BODY = "expect", "body"
_END = "\r\n"


@dataclass(frozen=True)
class Row:
    """A request.

    :param name: Its place, for messages: ``row 3 of requests.jsonl``; empty if there is only one request.
    :param body: The body.
    :param expect: The expected answer of this row alone; None if it has none.
    """

    name: str
    body: Any
    expect: Any = None


def rows(lines: Iterable[str], file_format: str, file_name: str) -> list[Row]:
    """Return the requests of a file.

    JSON Lines: each line is a body, or an object of ``body`` and ``expect``. CSV: each row is a body, a line of CSV; if the first row has
    a column ``expect``, it names the columns, and that column is the expected answer, as JSON or as a text that must be contained.

    :param lines: Its lines.
    :param file_format: ``"JSON Lines"`` or ``"CSV"``.
    :param file_name: Its name, for messages.
    :raises InvalidSpecError: When a row cannot be read, or there are none, or too many.
    """
    found: list[Row] = []
    for row in (_csv_rows if file_format == "CSV" else _json_rows)(lines, file_name):
        if len(found) == MOST_ROWS:
            raise InvalidSpecError(
                f"{file_name} has more than {MOST_ROWS} rows; allowed: {MOST_ROWS} at most."
            )
        found.append(row)
    if not found:
        raise InvalidSpecError(f"{file_name} has no rows; allowed: 1 to {MOST_ROWS}.")
    return found


def _json_rows(lines: Iterable[str], file_name: str) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name = f"row {number} of {file_name}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InvalidSpecError(f"{name} is not JSON ({error}); allowed: a JSON value a line.") from None
        if isinstance(value, dict) and BODY in value and set(value) <= {BODY, EXPECT}:
            yield Row(name, value[BODY], value.get(EXPECT))
        else:
            yield Row(name, value)


def _csv_rows(lines: Iterable[str], file_name: str) -> Iterator[Row]:
    reader = csv.reader(lines, strict=True)
    column: int | None = None
    width = 0
    try:
        for index, fields in enumerate(reader):
            name = f"row {reader.line_num} of {file_name}"
            if not fields:
                continue
            if index == 0 and EXPECT in fields:
                column, width = fields.index(EXPECT), len(fields)
                continue
            if column is None:
                yield Row(name, _csv_line(fields))
                continue
            if len(fields) != width:
                raise InvalidSpecError(
                    f"{name} has {len(fields)} columns; allowed: {width}, as the first row has."
                )
            rest = [field for place, field in enumerate(fields) if place != column]
            yield Row(name, _csv_line(rest), _expected(fields[column]))
    except csv.Error as error:
        raise InvalidSpecError(f"row {reader.line_num} of {file_name} is not CSV: {error}.") from None


def _csv_line(fields: list[str]) -> str:
    line = io.StringIO()
    # A field is put into quotes for the characters of the line's end, among others.
    csv.writer(line, lineterminator=_END).writerow(fields)
    return line.getvalue().removesuffix(_END)


def _expected(text: str) -> Any:
    """Return the expected answer in a field of CSV: JSON if it is, else a text that must be contained."""
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
