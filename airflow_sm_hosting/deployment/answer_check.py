"""Compare an answer with the expected one, and show the difference."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

#: Maximum number of lines of a difference, and of characters of one.
DIFFERENCE_LINES, LINE_CHARACTERS = 24, 160
#: How many lines before the first different one are shown, and how many after it are compared: the comparison is quadratic.
LINES_BEFORE, LINES_COMPARED = 2, 200
#: How many are compared if too many differ: so both the expected lines and those of the answer are shown.
LINES_SHOWN = 9
#: Maximum length of an expected value in a message.
MAX_TOLD_CHARACTERS = 500


@dataclass(frozen=True)
class Wrong:
    """What is wrong with an answer.

    :param expected: What was expected.
    :param difference: The lines in which the answer differs, not shortened: secrets in it are not masked yet.
    :param found: What the answer has in place of it, if that is not its text: a latency, or the words of a check.
    :param is_foreign: Whether code of others wrote ``found``: it may have secrets of the answer.
    """

    expected: str
    difference: tuple[str, ...] = ()
    found: str | None = None
    is_foreign: bool = False


@dataclass(frozen=True)
class Checks:
    """The checks that need more than the standard library.

    :param schema: Returns what does not fit a JSON schema: takes the value and the schema. None: it fits.
    :param function: Calls the function of this dotted name with the answer, and returns what is wrong; None: nothing.
    """

    schema: Callable[[Any, Any], str | None]
    function: Callable[[str], str | None]


def wrong_with(
    text: str, milliseconds: float | None, expected: Mapping[str, Any], checks: Checks
) -> Wrong | None:
    """Return the first thing that is wrong with an answer; None when it is as expected.

    :param text: The answer.
    :param milliseconds: How long it took; None for an asynchronous answer.
    :param expected: The members of an expectation.
    :param checks: The checks that need more than the standard library.
    """
    return next(_all_wrong(text, milliseconds, expected, checks), None)


def _all_wrong(
    text: str, milliseconds: float | None, expected: Mapping[str, Any], checks: Checks
) -> Iterator[Wrong]:
    for part in expected.get("Contains", ()):
        if part not in text:
            yield Wrong(f"a response that contains {part!r}"[:MAX_TOLD_CHARACTERS])
    for member, words in (("Equals", "the JSON"), ("Subset", "JSON with")):
        if member in expected:
            yield from _not_equal(text, expected, member, words)
    if "Schema" in expected:
        parsed = _parsed(text)
        problem = "it is not JSON" if parsed is None else checks.schema(parsed[0], expected["Schema"])
        if problem is not None:
            yield Wrong(f"JSON that fits the schema, but {problem}")
    if "Check" in expected and (problem := checks.function(expected["Check"])) is not None:
        yield Wrong(f"an answer that {expected['Check']} finds right", found=problem, is_foreign=True)
    limit = expected.get("MaxLatencyMs")
    if limit is not None and milliseconds is not None and milliseconds > limit:
        yield Wrong(f"an answer within {limit:g} ms", found=f"after {milliseconds:.0f} ms")


def _not_equal(text: str, expected: Mapping[str, Any], member: str, words: str) -> Iterator[Wrong]:
    # Tuples are lists, and keys strings, as in what is parsed.
    wanted = json.loads(json.dumps(expected[member]))
    told = f"{words} {json.dumps(wanted)}"[:MAX_TOLD_CHARACTERS]
    parsed = _parsed(text)
    match = _Match(
        subset=member == "Subset",
        absolute=expected.get("Tolerance", 0.0),
        relative=expected.get("RelativeTolerance", 0.0),
    )
    before = _lines(wanted)
    after = [] if parsed is None else _aligned_lines(match, parsed[0], wanted)
    if before != after:
        yield Wrong(told, tuple(difference(before, after)) if after else ())


def is_same_answer(one: str, other: str, *, absolute: float, relative: float) -> bool:
    """Return whether two answers are equal: as JSON within a tolerance, or as texts.

    :param one: An answer.
    :param other: Another one.
    :param absolute: How far numbers may be from each other.
    :param relative: The same, as a part of the larger one.
    """
    left, right = _parsed(one), _parsed(other)
    if left is None or right is None:
        return one.strip() == other.strip()
    match = _Match(subset=False, absolute=absolute, relative=relative)
    return (_aligned_lines(match, right[0], left[0]) or [other]) == (
        _aligned_lines(match, left[0], left[0]) or [one]
    )


def _parsed(text: str) -> tuple[Any] | None:
    """Return the value of a JSON text in a tuple; None for other texts."""
    try:
        return (json.loads(text),)
    except (ValueError, RecursionError):
        return None


def _aligned_lines(match: _Match, came: Any, wanted: Any) -> list[str]:
    """Return the lines of an answer in which all that counts as equal to the wanted value is that; none if it is nested too deep."""
    try:
        return _lines(match.aligned(came, wanted))
    except RecursionError:
        return []


def _lines(value: Any) -> list[str]:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).split("\n")


@dataclass(frozen=True)
class _Match:
    """What counts as equal.

    :param subset: Whether objects may have more members than expected.
    :param absolute: How far numbers may be from each other.
    :param relative: The same, as a part of the larger one.
    """

    subset: bool
    absolute: float
    relative: float

    def aligned(self, came: Any, wanted: Any) -> Any:
        """Return a value in which everything that counts as equal to the wanted one is the wanted one."""
        if isinstance(came, dict) and isinstance(wanted, dict):
            return {
                key: self.aligned(item, wanted[key]) if key in wanted else item
                for key, item in came.items()
                if key in wanted or not self.subset
            }
        if isinstance(came, list) and isinstance(wanted, list):
            pairs = zip(came, wanted, strict=False)
            return [self.aligned(*pair) for pair in pairs] + came[len(wanted) :]
        if _is_number(came) and _is_number(wanted) and self._is_close(came, wanted):
            return wanted
        return came

    def _is_close(self, came: float, wanted: float) -> bool:
        if came == wanted:
            return True
        try:
            return (self.absolute > 0 or self.relative > 0) and math.isclose(
                came, wanted, rel_tol=self.relative, abs_tol=self.absolute
            )
        except OverflowError:  # a whole number beyond the floats
            return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def difference(expected: list[str], answered: list[str]) -> list[str]:
    """Return the lines of the first differences between two texts, as ``diff -u`` writes them.

    :param expected: The lines of the expected text.
    :param answered: Those of the answer.
    """
    pairs = zip(expected, answered, strict=False)
    same = next(
        (index for index, (one, other) in enumerate(pairs) if one != other),
        min(len(expected), len(answered)),
    )
    found = _difference(expected, answered, same, LINES_COMPARED)
    return found if len(found) <= DIFFERENCE_LINES else _difference(expected, answered, same, LINES_SHOWN)


def _difference(expected: list[str], answered: list[str], same: int, most: int) -> list[str]:
    """Return the difference of some lines.

    :param same: How many lines are equal at the beginning.
    :param most: How many lines after them are compared.
    """
    part = slice(max(0, same - LINES_BEFORE), same + most)
    lines = unified_diff(expected[part], answered[part], "expected", "answered", n=LINES_BEFORE, lineterm="")
    # The places are those in the parts, and would mislead.
    found = [line for line in lines if not line.startswith("@@")]
    return [*found, "…"] if max(len(expected), len(answered)) > same + most else found


def shortened(lines: list[str]) -> list[str]:
    """Return a difference whose lines are short enough for a message.

    :param lines: Its lines, with secrets masked.
    """
    return [line if len(line) <= LINE_CHARACTERS else f"{line[:LINE_CHARACTERS]}…" for line in lines]
