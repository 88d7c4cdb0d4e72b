"""Checks of literal values.

Every check ignores values that Airflow fills in later (Jinja, XComArgs): those are checked after rendering, see
:mod:`airflow_sm_hosting.spec.rendered`. A check never alters a value.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Collection, Iterable
from datetime import timedelta
from functools import cache
from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.patterns import (
    ENVIRONMENT_KEY_PATTERN,
    INSTANCE_FAMILIES,
    INSTANCE_TYPE_PATTERN,
    KMS_KEY_PATTERN,
    MAX_NAME_LENGTH,
    MAX_TAGS,
    MODEL_NAME_PATTERN,
    NAME_IN_WORDS,
    NAME_PATTERN,
    RESERVED_TAG_PREFIXES,
    ROLE_ARN_PATTERN,
    ROLE_NAME_PATTERN,
    VPC_ID_PATTERN,
)

_TAG_CHARACTERS = "letters, digits, spaces and _ . : / = + - @"


def is_rendered_later(value: Any) -> bool:
    """Return whether Airflow fills in the value at run time: a Jinja string, an XComArg, a DAG param or the like."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value or "{#" in value
    return hasattr(value, "iter_references") and hasattr(value, "resolve")


def invalid(where: str, value: Any, allowed: str, *, hint: str = "") -> InvalidSpecError:
    """Return the error that names the field, the wrong value and the allowed values."""
    return InvalidSpecError(f"{where} is {shown(value)}; allowed: {allowed}." + (f" {hint}" if hint else ""))


def shown(value: Any) -> str:
    """Return a value for a message: a string in quotation marks, a duration with its unit, a dict by its kind."""
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g} s"
    if isinstance(value, dict):
        kind = value.get("SmHostingReference")
        members = f"a dict with {', '.join(map(str, value))}" if value else "an empty dict"
        return f"a reference ({kind})" if kind else members
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, list | tuple | set | frozenset):
        return f"[{', '.join(map(shown, value))}]"
    if value is None or isinstance(value, str | int | float | complex):
        return repr(value)
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return f"a {type(value).__name__}"


class Problems:
    """Collects the problems of one object, so that all of them are told at once.

    Each ``with problems:`` is a check by itself; :meth:`tell` raises what was found::

        with problems:
            check_name("Thing: name", name)
        with problems:
            check_integer("Thing: number", number, 1)
        problems.tell()
    """

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: list[InvalidSpecError] = []

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, InvalidSpecError):
            return False
        self._found.append(error)
        return True

    def tell(self) -> None:
        """Raise the problems, if there are any.

        :raises InvalidSpecError: With one problem a line; a single one is raised as it is.
        """
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            lines = dict.fromkeys(line for error in self._found for line in str(error).split("\n"))
            raise InvalidSpecError("\n".join(lines))


def nearest(word: str, known: Collection[str], most: int) -> list[str]:
    """Return the known words that a word may be a misspelling of."""
    from difflib import get_close_matches  # a millisecond at every DAG parse, for errors only

    return get_close_matches(word, known, n=most)


_compiled = cache(re.compile)


def check_text(where: str, value: Any, *, pattern: str, allowed: str, max_length: int | None = None) -> None:
    """Check a string against a pattern of the service's model."""
    # A valid value needs no search for Jinja: this is called at every parse of every DAG file.
    fits = isinstance(value, str) and (max_length is None or len(value) <= max_length)
    if not (fits and _compiled(pattern).fullmatch(value)) and not is_rendered_later(value):
        long = isinstance(value, str) and len(value) > 80
        raise invalid(where, f"{value[:77]}… ({len(value)} characters)" if long else value, allowed)


def _is_plain_name(value: Any) -> bool:
    """Return whether a value is certainly a name, without the patterns: compiling them is most of the cost of the first check."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_NAME_LENGTH
        and value.isascii()
        and value.replace("-", "").isalnum()
        and value[0] != "-" != value[-1]
    )


def check_name(where: str, value: Any) -> None:
    """Check the name of an endpoint, endpoint config, variant or container host (63 characters)."""
    if _is_plain_name(value):
        return
    hint = " (no underscores: dag, task and run ids contain them)"
    check_text(where, value, pattern=NAME_PATTERN, allowed=NAME_IN_WORDS + hint, max_length=MAX_NAME_LENGTH)


def check_model_name(where: str, value: Any) -> None:
    """Check the name of a model, by itself or the last part of its ARN."""
    if _is_plain_name(value):
        return
    check_text(where, value, pattern=MODEL_NAME_PATTERN, allowed=NAME_IN_WORDS, max_length=MAX_NAME_LENGTH)


def check_integer(where: str, value: Any, low: int, high: int | None = None) -> None:
    """Check a whole number; both ends are allowed."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if whole and value >= low and (high is None or value <= high):
        return
    if not is_rendered_later(value):
        raise invalid(
            where,
            value,
            f"a whole number from {low} to {high}" if high is not None else f"a whole number, {low} or more",
        )


def check_number(
    where: str, value: Any, *, low: float | None = None, above: float | None = None, high: float | None = None
) -> None:
    """Check a finite number: ``low`` and ``high`` are allowed, ``above`` is not."""
    if is_rendered_later(value):
        return
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if (
        not number
        or (low is not None and value < low)
        or (above is not None and value <= above)
        or (high is not None and value > high)
    ):
        limits = [
            *([f"{low:g} or more"] if low is not None else []),
            *([f"more than {above:g}"] if above is not None else []),
            *([f"{high:g} at most"] if high is not None else []),
        ]
        raise invalid(where, value, ", ".join(["a number", *limits]))


def check_boolean(where: str, value: Any) -> None:
    """Check a boolean; the string ``"False"`` is none."""
    if not is_rendered_later(value) and not isinstance(value, bool):
        raise invalid(where, value, "True or False")


def check_one_of(where: str, value: Any, allowed: Collection[Any]) -> None:
    """Check membership in a closed set of values, to which AWS adds none; 1024.0 is not 1024, and 1 is not True."""
    kinds = (bool, float)
    if not is_rendered_later(value) and not any(
        value == one and all(isinstance(value, kind) == isinstance(one, kind) for kind in kinds)
        for one in allowed
    ):
        near = nearest(str(value), [str(a) for a in allowed], 1)
        raise invalid(
            where,
            value,
            ", ".join(repr(a) for a in allowed),
            hint=f"Did you mean {near[0]!r}?" if near else "",
        )


def check_instance_type(where: str, value: Any) -> None:
    """Check the form of an instance type; a well-formed one of an unknown family is a warning, as AWS adds families."""
    if is_rendered_later(value):
        return
    check_instance_type_form(where, value)
    family = value.split(".")[1]
    if family not in INSTANCE_FAMILIES:
        near = ", ".join(f"ml.{name}" for name in nearest(family, INSTANCE_FAMILIES, 3))
        warnings.warn(
            f"{where} is {value!r}, of a family that this version does not know"
            + (f" (nearest: {near})" if near else "")
            + "; it is sent unchanged.",
            stacklevel=4,
        )


def check_instance_type_form(where: str, value: Any) -> None:
    """Check that an instance type is written as one."""
    check_text(
        where,
        value,
        pattern=INSTANCE_TYPE_PATTERN,
        allowed="an instance type such as 'ml.m5.large' (ml.<family>.<size>)",
    )


def check_seconds(where: str, value: Any, low: int, high: int) -> None:
    """Check a duration in whole seconds: a number, or a timedelta."""
    number = value
    if isinstance(value, timedelta) and not value % timedelta(seconds=1):
        number = int(value.total_seconds())
    whole = isinstance(number, int) and not isinstance(number, bool)
    if not (whole and low <= number <= high) and not is_rendered_later(value):
        raise invalid(where, value, f"whole seconds from {low} to {high}, or a timedelta")


def check_environment(where: str, environment: Any) -> None:
    """Check a container's environment; values never appear in a message.

    Limits: 100 entries, keys and values of 1024 characters (botocore, EnvironmentMap), 32 KB over all containers of a model
    (CreateModel documentation; checked where all containers are known).
    """
    if environment is None or is_rendered_later(environment):
        return
    if not isinstance(environment, dict):
        raise InvalidSpecError(
            f"{where} is a {type(environment).__name__}; allowed: a dict of strings to strings."
        )
    if len(environment) > 100:
        raise InvalidSpecError(f"{where} has {len(environment)} entries; allowed: 100 at most.")
    for key, value in environment.items():
        if not is_rendered_later(key) and not (
            isinstance(key, str) and len(key) <= 1024 and re.fullmatch(ENVIRONMENT_KEY_PATTERN, key)
        ):
            raise invalid(
                f"a key of {where}",
                key,
                "letters, digits and underscores, not beginning with a digit, 1024 at most",
            )
        if isinstance(value, str):
            if not is_rendered_later(value) and len(value) > 1024:
                raise InvalidSpecError(
                    f"{where}[{key!r}] has {len(value)} characters; allowed: 1024 at most."
                )
        elif isinstance(value, dict | list | set | tuple | bytes) or value is None:
            raise InvalidSpecError(f"{where}[{key!r}] is a {type(value).__name__}; allowed: a string.")


def check_unique(where: str, names: Iterable[Any]) -> None:
    """Check that literal names are unique."""
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str) or is_rendered_later(name):
            continue
        if name in seen:
            raise InvalidSpecError(f"{where} has {name!r} twice; allowed: each name once.")
        seen.add(name)


def check_tags(where: str, value: Any, *, most: int = MAX_TAGS) -> None:
    """Check tags as far as they are literal; see :func:`check_tag_pairs`."""
    if value is None or is_rendered_later(value):
        return
    pairs = tag_pairs(where, value)
    literal = [pair for pair in pairs if not any(is_rendered_later(part) for part in pair)]
    check_tag_pairs(where, literal, most=most, count=len(pairs))


def tag_pairs(where: str, value: Any) -> list[tuple[Any, Any]]:
    """Return the keys and values of tags, which are a dict, or AWS's list of Key and Value."""
    allowed = "a dict of strings to strings, or a list of {'Key': …, 'Value': …}"
    if isinstance(value, list | tuple):
        if not all(isinstance(tag, dict) and set(tag) == {"Key", "Value"} for tag in value):
            raise invalid(where, value, allowed)
        return [(tag["Key"], tag["Value"]) for tag in value]
    if not isinstance(value, dict):
        raise InvalidSpecError(f"{where} is a {type(value).__name__}; allowed: {allowed}.")
    return list(value.items())


def check_tag_pairs(
    where: str, pairs: list[tuple[Any, Any]], *, most: int = MAX_TAGS, count: int | None = None
) -> None:
    """Check the keys and values of tags (botocore, Tag; "Tagging AWS resources", naming limits).

    :param where: The field.
    :param pairs: Keys and values.
    :param most: How many tags there may be.
    :param count: How many there are (default: as many as pairs).
    """
    check_unique(f"{where}: keys", [key for key, _ in pairs])
    count = len(pairs) if count is None else count
    if count > most:
        raise InvalidSpecError(f"{where} has {count} tags; allowed: {most} at most.")
    for key, item in pairs:
        if not isinstance(key, str) or not 1 <= len(key) <= 128 or not _is_tag_text(key):
            raise invalid(f"a key of {where}", key, f"a string of 1 to 128 {_TAG_CHARACTERS}")
        if key.lower().startswith(RESERVED_TAG_PREFIXES):
            reserved = " and ".join(f"'{prefix}'" for prefix in RESERVED_TAG_PREFIXES)
            raise invalid(f"a key of {where}", key, f"keys that do not begin with {reserved}")
        if not isinstance(item, str | int | float):
            raise InvalidSpecError(f"{where}[{key!r}] is a {type(item).__name__}; allowed: a string.")
        if len(str(item)) > 256 or not _is_tag_text(str(item)):
            raise invalid(f"{where}[{key!r}]", str(item)[:80], f"a string of 256 {_TAG_CHARACTERS} at most")


def _is_tag_text(text: str) -> bool:
    """Return whether a text contains only letters, separators, numbers and a few signs; Python's ``re`` has no such classes."""
    from unicodedata import category

    return all(one in "_.:/=+-@" or category(one)[0] in "LZN" for one in text)


def check_role(where: str, value: Any) -> None:
    """Check an IAM role, by name (with or without its path) or by ARN."""
    if value is None or is_rendered_later(value):
        return
    by_arn = isinstance(value, str) and value.startswith("arn:")
    check_text(
        where,
        value,
        pattern=ROLE_ARN_PATTERN if by_arn else ROLE_NAME_PATTERN,
        max_length=2048 if by_arn else 576,
        allowed="a role name of 1 to 64 letters, digits and _ + = , . @ -, or an ARN "
        "'arn:<partition>:iam::<account>:role/<name>'",
    )


def check_kms_key(where: str, value: Any) -> None:
    """Check a KMS key: its id, its alias, or the ARN of either."""
    if value is None or is_rendered_later(value):
        return
    check_text(
        where,
        value,
        pattern=KMS_KEY_PATTERN,
        max_length=2048,
        allowed="a key ID, 'alias/<name>', or the ARN of either",
    )


def check_ids(where: str, value: Any, most: int) -> None:
    """Check a list of 1 to ``most`` ids of subnets or security groups."""
    if value is None or is_rendered_later(value):
        return
    if not isinstance(value, list | tuple):
        raise InvalidSpecError(f"{where} is a {type(value).__name__}; allowed: a list of 1 to {most} IDs.")
    if not 1 <= len(value) <= most:
        raise InvalidSpecError(f"{where} has {len(value)} entries; allowed: 1 to {most}.")
    for index, one in enumerate(value):
        check_text(
            f"{where}[{index}]",
            one,
            pattern=VPC_ID_PATTERN,
            allowed="an ID of 1 to 32 letters, digits and hyphens",
        )
    check_unique(where, value)


def check_structure(where: str, value: Any) -> None:
    """Check that a structure of the AWS shape is a dict."""
    if value is not None and not is_rendered_later(value) and not isinstance(value, dict):
        raise InvalidSpecError(f"{where} is a {type(value).__name__}; allowed: a dict in the AWS shape.")
