"""Checks of the members of dicts in the AWS shape, while the DAG file is parsed: a misspelt one is an error.

The names are those of botocore's model, in :mod:`airflow_sm_hosting.spec.member_names`. In ``execute`` the installed botocore decides, as
it may know members that this version does not.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.checks import is_rendered_later
from airflow_sm_hosting.spec.reference import kind_of

#: A name that differs from a known member in this many letters or fewer is a misspelling of it.
MOST_EDITS = 2


def check_member_names(
    where: str,
    members: Mapping[str, Any],
    parameters: Mapping[str, str],
    *,
    either: Mapping[str, str] | None = None,
) -> None:
    """Check further members of an AWS shape that has parameters of ours.

    :param where: The owner of the members.
    :param members: The members. A snake_case name is a misspelt parameter.
    :param parameters: The members that have a parameter, with its name.
    :param either: Members that have a parameter, and are accepted in AWS's spelling, too (default: none).
    """
    for name in members:
        if name in parameters:
            raise InvalidSpecError(
                f"{where}: {name} is given in AWS's spelling; allowed: {parameters[name]}=…."
            )
        if not name[:1].isupper():
            near = nearest_name(name, [*parameters.values(), *(either or {}).values()])
            raise InvalidSpecError(
                f"{where} has no parameter {name!r}; give members of the AWS shape in AWS's spelling."
                + (f" Did you mean {near!r}?" if near else "")
            )


def check_given_once(
    where: str, members: Mapping[str, Any], named: Mapping[str, Any], parameters: Mapping[str, str]
) -> None:
    """Check that no member is given by its parameter and in AWS's spelling.

    :param where: The owner of the members.
    :param members: The members in AWS's spelling.
    :param named: Those given by parameter.
    :param parameters: The parameters by member.
    """
    for member in named:
        if member in members:
            raise InvalidSpecError(
                f"{where} has {parameters[member]} and {member}; allowed: {parameters[member]}=…."
            )


def check_members(
    where: str, value: Mapping[str, Any], structure: str, parameters: Mapping[str, str] | None = None
) -> None:
    """Check the names of members that are written in the DAG file, and those of the plain dicts in them.

    A name near to a known member is an error, any other unknown name a warning: AWS adds members.

    :param where: What the dict is.
    :param value: The dict.
    :param structure: Its structure in botocore's model, e.g. ``ProductionVariant``.
    :param parameters: The members that have a parameter of ours, with its name, for the message.
    :raises InvalidSpecError: When a name is misspelt; the message has the nearest one.
    """
    known = _members(structure)
    for name, item in value.items():
        if name in known:
            if inner := known[name]:
                _check_inner(f"{where}.{name}", item, inner)
        elif not is_rendered_later(name):
            near = nearest_name(str(name), known)
            if near is None:
                _warn_of_unknown(where, name, structure)
                continue
            parameter = (parameters or {}).get(near)
            raise InvalidSpecError(
                f"{where}.{name} is not a member of {structure}. Did you mean "
                + (f"{parameter}=… ({near})?" if parameter else f"{near!r}?")
            )


def check_plain(where: str, value: Any, structure: str) -> None:
    """Check the names of members if a value is a plain dict; a spec object checked its own, and other values are checked elsewhere."""
    if type(value) is dict and kind_of(value) is None:
        check_members(where, value, structure)


def nearest_name(name: str, known: Collection[str]) -> str | None:
    """Return the known name that a name is a misspelling of: in other case, in snake_case, or with few letters different."""
    plain = name.replace("_", "").lower()
    distances = {one: edit_distance(plain, one.replace("_", "").lower(), MOST_EDITS) for one in known}
    nearest = min(distances, key=distances.__getitem__, default=None)
    return None if nearest is None or distances[nearest] > MOST_EDITS else nearest


def edit_distance(left: str, right: str, most: int) -> int:
    """Return how many letters must be inserted, deleted or replaced to make one word of the other; ``most + 1`` for more than most."""
    if abs(len(left) - len(right)) > most:
        return most + 1
    row = list(range(len(right) + 1))
    for number, letter in enumerate(left, 1):
        diagonal, row[0] = row[0], number
        for place, other in enumerate(right, 1):
            diagonal, row[place] = (
                row[place],
                min(diagonal + (letter != other), row[place] + 1, row[place - 1] + 1),
            )
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)


@cache
def _members(structure: str) -> dict[str, str]:
    """Return the members of a structure, each with its own structure, or nothing."""
    from airflow_sm_hosting.spec.member_names import MEMBERS  # only for dicts in the AWS shape

    return {name: inner for name, _, inner in (part.partition(":") for part in MEMBERS[structure].split())}


def _check_inner(where: str, item: Any, structure: str) -> None:
    if isinstance(item, list | tuple):
        for index, one in enumerate(item):
            check_plain(f"{where}[{index}]", one, structure)
    else:
        check_plain(where, item, structure)


def _warn_of_unknown(where: str, name: Any, structure: str) -> None:
    from airflow_sm_hosting.spec.member_names import BOTOCORE

    warnings.warn(
        f"{where}.{name} is not a member of {structure} in botocore {BOTOCORE}, whose names this version knows. "
        "The task sends it if the worker's botocore knows it, and fails otherwise.",
        stacklevel=5,
    )
