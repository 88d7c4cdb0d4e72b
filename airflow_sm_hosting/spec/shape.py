"""A structure of AWS that has a spec object, described once: the parameter of each member, and the rule of its value.

From one description follow the dict that the spec object makes, its checks, and the same checks of a plain dict in the AWS shape.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any, TypeAlias

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.checks import (
    Problems,
    check_boolean,
    check_integer,
    check_one_of,
    check_structure,
    check_text,
    invalid,
    is_rendered_later,
)
from airflow_sm_hosting.spec.members import check_member_names, check_members
from airflow_sm_hosting.spec.rendered import whole_number

#: A check of one value; it raises an error that begins with its first argument.
Rule: TypeAlias = Callable[[str, Any], object]
#: What a path is called in a message: the parameter, or the member.
Spell: TypeAlias = Callable[[str], str]
#: The value of a path, None if there is none.
Get: TypeAlias = Callable[[str], Any]
#: A check of several members together.
Together: TypeAlias = Callable[[str, Spell, Get], object]

#: botocore, DestinationS3Uri; SageMaker's pattern allows https, too.
S3_URI_PATTERN = r"(https|s3)://([^/])/?(.*)"


class Whole:
    """The rule of a whole number.

    :param low: The least that is allowed.
    :param high: The greatest that is allowed (default: none).
    """

    def __init__(self, low: int, high: int | None = None) -> None:
        self._low = low
        self._high = high

    def __call__(self, where: str, value: Any) -> None:
        """Check a number."""
        check_integer(where, value, self._low, self._high)


class WholeOf:
    """The rule of a whole number that is one of a few, e.g. seconds; a timedelta counts as its seconds."""

    def __init__(self, allowed: Collection[int]) -> None:
        self._allowed = allowed

    def __call__(self, where: str, value: Any) -> None:
        """Check a number."""
        number = value
        if isinstance(value, timedelta) and not value % timedelta(seconds=1):
            number = int(value.total_seconds())
        if not is_rendered_later(value) and (type(number) is not int or number not in self._allowed):
            raise invalid(where, value, ", ".join(map(str, self._allowed)))


def choice(*allowed: str) -> Rule:
    """Return the rule of a value of a closed set."""
    return lambda where, value: check_one_of(where, value, allowed)


def text(pattern: str, most: int, words: str) -> Rule:
    """Return the rule of a string with a pattern and a maximum length."""
    return lambda where, value: check_text(where, value, pattern=pattern, max_length=most, allowed=words)


def s3_uri(most: int = 512) -> Rule:
    """Return the rule of the URI of a place in S3 (botocore, DestinationS3Uri)."""
    return text(S3_URI_PATTERN, most, f"an 's3://' URI of {most} characters at most")


def some(of: Rule, most: int, least: int = 1) -> Rule:
    """Return the rule of a list, each of whose entries has a rule."""

    def check(where: str, value: Any) -> None:
        if is_rendered_later(value):
            return
        if not isinstance(value, list | tuple) or not least <= len(value) <= most:
            found = f" of {len(value)}" if isinstance(value, list | tuple) else ""
            raise InvalidSpecError(
                f"{where} is a {type(value).__name__}{found}; allowed: a list of {least} to {most} entries."
            )
        for index, one in enumerate(value):
            of(f"{where}[{index}]", one)

    return check


class Shape:
    """A structure of AWS.

    :param structure: Its name in botocore's model.
    :param members: By parameter of the spec object: the path of the member, with dots, and its rule.
    :param required: The paths without which a plain dict is refused.
    :param together: A check of several members.
    """

    def __init__(
        self,
        structure: str,
        members: Mapping[str, tuple[str, Rule]],
        *,
        required: Collection[str] = (),
        together: Together | None = None,
    ) -> None:
        self.structure = structure
        self.members = members
        self._required = required
        self._together = together

    @property
    def parameters(self) -> dict[str, str]:
        """The members of the structure itself that have parameters, with these."""
        found: dict[str, list[str]] = {}
        for parameter, (path, _) in self.members.items():
            found.setdefault(path.partition(".")[0], []).append(parameter)
        return {member: ", ".join(names) for member, names in found.items()}

    def made(self, owner: str, values: Mapping[str, Any], further: Mapping[str, Any]) -> dict[str, Any]:
        """Return the dict that a spec object is.

        :param owner: The class of the spec object, for messages.
        :param values: The arguments by parameter; None is absent.
        :param further: Further members, in AWS's spelling.
        :raises InvalidSpecError: When a literal value can never work.
        """
        problems = Problems()
        if further:
            with problems:
                check_member_names(owner, further, self.parameters)
                check_members(owner, further, self.structure, self.parameters)
        made: dict[str, Any] = {}
        by_path: dict[str, str] = {}
        for parameter, (path, rule) in self.members.items():
            by_path[path] = f"{owner}: {parameter}"
            value = values.get(parameter)
            if value is not None or path in self._required:
                with problems:
                    rule(f"{owner}: {parameter}", value)
            if value is not None:
                _put(made, path, int(value.total_seconds()) if isinstance(value, timedelta) else value)
        problems.tell()
        if self._together is not None:
            self._together(owner, lambda path: by_path[path], lambda path: _value(made, path))
        return {**made, **further}

    def check(self, where: str, given: Any) -> None:
        """Check a structure in the AWS shape as far as it is literal; strings with numbers or booleans count as those.

        :raises InvalidSpecError: When AWS would refuse it.
        """
        check_structure(where, given)
        if not isinstance(given, dict):
            return
        problems = Problems()
        for path, rule in self.members.values():
            with problems:
                value = _value(given, path, where)
                if value is not None:
                    rule(f"{where}.{path}", _typed(rule, value))
                elif path in self._required and not _is_later(given, path):
                    raise InvalidSpecError(f"{where} has no {path}; allowed: with {path}.")
        problems.tell()
        in_part = any(_is_later(given, path) for path, _ in self.members.values())
        if self._together is not None and not in_part:
            kinds = dict(self.members.values())
            self._together(
                where,
                lambda path: f"{where}.{path}",
                lambda path: _typed(kinds[path], _value(given, path)),
            )


def _put(made: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        made = made.setdefault(parent, {})
    made[last] = value


def _value(given: Mapping[str, Any], path: str, where: str | None = None) -> Any:
    """Return the value at a path, None if there is none; with ``where``, what is no structure on the way is an error."""
    value: Any = given
    done = where or ""
    for member in path.split("."):
        if not isinstance(value, Mapping):
            if where is not None:
                check_structure(done, value)
            return None
        value = value.get(member)
        done = f"{done}.{member}"
    return value


def _is_later(given: Mapping[str, Any], path: str) -> bool:
    """Return whether a part of the way to a path is known only when the task runs."""
    value: Any = given
    for member in path.split("."):
        if not isinstance(value, Mapping):
            return is_rendered_later(value)
        value = value.get(member)
    return False


def _typed(rule: Rule, value: Any) -> Any:
    """Return what a rendered string stands for by its rule."""
    if isinstance(rule, Whole | WholeOf):
        return whole_number(value)
    if rule is check_boolean and isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    return value
