"""The expected answer of an endpoint: what it must contain, equal or fit, and how soon it must come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.checks import Problems, check_number, check_text, invalid, is_rendered_later
from airflow_sm_hosting.spec.reference import Reference, kind_of
from airflow_sm_hosting.spec.rendered import as_number, is_absent
from airflow_sm_hosting.spec.templated import RenderedLater, TemplatedFloat, TemplatedStr

#: A value that is sent as JSON; a string may be Jinja.
Json: TypeAlias = dict[str, Any] | list[Any] | tuple[Any, ...] | str | int | float | bool

#: The dotted name of a Python function.
DOTTED_NAME = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+"

_NUMBERS = {
    "Tolerance": "tolerance",
    "RelativeTolerance": "relative_tolerance",
    "MaxLatencyMs": "max_latency_ms",
}
#: The members that say something about an answer by themselves.
_TELLING = ("Contains", "Equals", "Subset", "Schema", "Check", "MaxLatencyMs")


class Expectation(Reference):
    """The expected answer of an endpoint. All that is given must hold.

    :param contains: A string, or several, that the answer must contain. (templated)
    :param equals: A value that the answer must equal as JSON. (templated)
    :param subset: A value that the answer must have as JSON: of objects, members that are not given here may be there, too; a list must
        have as many entries. (templated)
    :param schema: A JSON schema that the answer must fit; its ``$schema`` names the draft (default: the newest known). (templated)
    :param tolerance: How far a number may be from that of ``equals``, ``subset`` or a row's expectation, 0 or more (default: 0).
        (templated)
    :param relative_tolerance: The same, as a part of the larger of both numbers; one of both tolerances must hold (default: 0).
        (templated)
    :param check: Dotted name of a Python function, e.g. ``"my_company.checks.is_churn"``. It is imported by the worker, and called with
        an :class:`~airflow_sm_hosting.deployer.invocation.Answer`. It returns None or True for a right answer, False or a string that says
        what is wrong for any other; an ``AssertionError`` is a wrong answer, too. (templated)
    :param max_latency_ms: Milliseconds within which the whole answer must have come, with the way through the network and botocore's
        retries; not of asynchronous requests. (templated)
    :raises InvalidSpecError: When a literal value can never work, or nothing is given.
    """

    def __init__(
        self,
        *,
        contains: TemplatedStr | Sequence[TemplatedStr] | None = None,
        equals: Json | RenderedLater | None = None,
        subset: Json | RenderedLater | None = None,
        schema: Mapping[str, Any] | bool | RenderedLater | None = None,
        tolerance: TemplatedFloat | None = None,
        relative_tolerance: TemplatedFloat | None = None,
        check: TemplatedStr | None = None,
        max_latency_ms: TemplatedFloat | None = None,
    ) -> None:
        super().__init__(
            "Expectation",
            Contains=contains,
            Equals=equals,
            Subset=subset,
            Schema=schema,
            Tolerance=tolerance,
            RelativeTolerance=relative_tolerance,
            Check=check,
            MaxLatencyMs=max_latency_ms,
        )
        _check("Expectation: ", self)


def _check(prefix: str, members: Mapping[str, Any]) -> None:
    """Check an expectation as far as it is literal."""
    problems = Problems()
    for member, parameter in _NUMBERS.items():
        if member in members:
            with problems:
                number, where = members[member], f"{prefix}{parameter}"
                if member == "MaxLatencyMs":
                    check_number(where, number, above=0)
                else:
                    check_number(where, number, low=0)
    with problems:
        _check_texts(f"{prefix}contains", members.get("Contains"))
    with problems:
        if "Check" in members:
            words = "the dotted name of a Python function, e.g. 'my_company.checks.is_churn'"
            check_text(f"{prefix}check", members["Check"], pattern=DOTTED_NAME, allowed=words)
    with problems:
        schema = members.get("Schema")
        if schema is not None and not isinstance(schema, dict | bool) and not is_rendered_later(schema):
            raise invalid(f"{prefix}schema", schema, "a JSON schema, as a dict")
    with problems:
        if "Equals" in members and "Subset" in members:
            raise InvalidSpecError(f"{prefix}equals and subset are both given; allowed: one of them.")
    with problems:
        if not any(member in members for member in (*_TELLING, "Tolerance", "RelativeTolerance")):
            raise InvalidSpecError(
                f"{prefix}nothing is expected; allowed: contains, equals, subset, schema, check or max_latency_ms."
            )
    problems.tell()


def _check_texts(where: str, value: Any) -> None:
    if value is None or is_rendered_later(value):
        return
    entries = list(value) if isinstance(value, list | tuple) else [value]
    # Each answer contains the empty string: Jinja made it of nothing.
    if not entries or not all((isinstance(one, str) and one) or is_rendered_later(one) for one in entries):
        raise invalid(where, value, "a string, or a list of strings, none of them empty")


def expectation(where: str, value: Any) -> dict[str, Any]:
    """Return the members of a rendered expectation: a string must be contained, any other value is equal as JSON; None expects nothing.

    :param where: The field, for messages.
    :param value: An :class:`Expectation`, or what else ``expect`` takes.
    :raises InvalidSpecError: For a value that can never work.
    """
    if value is None:
        return {}
    if kind_of(value) != "Expectation":
        return {"Contains": [value]} if isinstance(value, str) else {"Equals": value}
    # A tolerance or a limit that Jinja made of nothing was not given.
    members = {
        name: item
        for name, item in value.items()
        if item is not None and not (name in (*_NUMBERS, "Check") and is_absent(item))
    }
    for member, parameter in _NUMBERS.items():
        if member in members:
            members[member] = as_number(f"{where}: {parameter}", members[member])
    _check(f"{where}: ", members)
    if isinstance(members.get("Contains"), str):
        members["Contains"] = [members["Contains"]]
    return members


def check_expectation(where: str, value: Any) -> None:
    """Check what a literal ``expect`` says for one request: a tolerance alone expects nothing.

    :raises InvalidSpecError: When nothing is expected.
    """
    if kind_of(value) == "Expectation" and not any(member in value for member in _TELLING):
        raise InvalidSpecError(
            f"{where} has a tolerance, and nothing that it is for; allowed: with equals or subset, or for the rows of a requests_file."
        )
