"""The checks of literal values, and what counts as literal.

Every check passes what Airflow fills in later (Jinja, XComArgs) untouched: those values are checked after rendering.
A check never alters a value.
"""

from __future__ import annotations

import contextlib
import math
import re
import warnings
from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError

#: Patterns and lengths of botocore's SageMaker model (service-2.json, 2017-07-24).
NAME_PATTERN = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
MODEL_NAME_PATTERN = r"[a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?"
ENVIRONMENT_KEY_PATTERN = r"[a-zA-Z_][a-zA-Z0-9_]*"
ROLE_ARN_PATTERN = r"arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"

#: A role's name (IAM, CreateRole), with or without its path.
ROLE_NAME_PATTERN = r"/?([!-.0-~]+/)*[\w+=,.@-]{1,64}"

#: CreateEndpointConfig, KmsKeyId: key id, key ARN, alias name or alias ARN. Ids of multi-Region keys begin with ``mrk-`` (KMS, key identifiers).
KMS_KEY_PATTERN = (
    r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|mrk-[0-9a-f]{32}|arn:aws[a-z\-]*:kms:[a-z0-9\-]+:\d{12}:key/[a-zA-Z0-9-]+"
    r"|(arn:aws[a-z\-]*:kms:[a-z0-9\-]+:\d{12}:)?alias/[a-zA-Z0-9/_-]{1,250}"
)

#: botocore, SubnetId and SecurityGroupId.
VPC_ID_PATTERN = r"[-0-9a-zA-Z]{1,32}"

MAX_TAGS = 50  # CreateModel, CreateEndpointConfig, CreateEndpoint: Tags
#: Keys that AWS reserves ("Tagging AWS resources", naming limits), and those of this package.
RESERVED_TAG_PREFIXES = ("aws:", "sm-hosting:")
MAX_NAME_LENGTH = 63
NAME_IN_WORDS = "1 to 63 letters, digits and hyphens, beginning and ending with a letter or a digit"

#: Families of hosting instances, to name the nearest ones of a misspelt type (botocore 1.44.5, ProductionVariantInstanceType).
INSTANCE_FAMILIES = (
    "c4 c5 c5d c6g c6gd c6gn c6i c6in c7g c7i c8g dl1 g4dn g5 g6 g6e g7 g7e inf1 inf2 m4 m5 m5d m6g m6gd m6i m7i m8g "
    "p2 p3 p4d p4de p5 p5e p5en p6-b200 p6-b300 p6e-gb200 r5 r5d r6g r6gd r6i r7gd r7i r8g t2 trn1 trn1n trn2"
).split()
INSTANCE_TYPE_PATTERN = r"ml\.[a-z][a-z0-9]*(-[a-z0-9]+)*\.([0-9]*x?large|medium|small|metal)"


def is_rendered_later(value: Any) -> bool:
    """Tell whether Airflow fills the value in at run time: a Jinja string, or an XComArg, a DAG param or the like."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value or "{#" in value
    return hasattr(value, "iter_references") and hasattr(value, "resolve")


def invalid(where: str, value: Any, allowed: str, *, hint: str = "") -> InvalidSpecError:
    """Return the error that names the field, what was found and what is allowed."""
    return InvalidSpecError(f"{where} is {value!r}; allowed: {allowed}." + (f" {hint}" if hint else ""))


def nearest(word: str, known: Collection[str], most: int) -> list[str]:
    """Return the known words that a word may be a misspelling of."""
    from difflib import get_close_matches  # a millisecond at every DAG parse, for errors only

    return get_close_matches(word, known, n=most)


def check_text(where: str, value: Any, *, pattern: str, allowed: str, max_length: int | None = None) -> None:
    """Check a string against a pattern of the service's model."""
    if is_rendered_later(value):
        return
    if (
        not isinstance(value, str)
        or (max_length and len(value) > max_length)
        or not re.fullmatch(pattern, value)
    ):
        found = (
            value
            if not isinstance(value, str) or len(value) <= 80
            else f"{value[:77]}… ({len(value)} characters)"
        )
        raise invalid(where, found, allowed)


def check_name(where: str, value: Any) -> None:
    """Check the name of an endpoint, endpoint config, variant or container host (63 characters)."""
    hint = " (no underscores: dag, task and run ids contain them)"
    check_text(where, value, pattern=NAME_PATTERN, allowed=NAME_IN_WORDS + hint, max_length=MAX_NAME_LENGTH)


def check_model_name(where: str, value: Any) -> None:
    """Check the name of a model, by itself or the last part of its ARN."""
    check_text(where, value, pattern=MODEL_NAME_PATTERN, allowed=NAME_IN_WORDS, max_length=MAX_NAME_LENGTH)


def check_integer(where: str, value: Any, low: int, high: int | None = None) -> None:
    """Check a whole number; both ends are allowed."""
    if is_rendered_later(value):
        return
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
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
    """Check membership in a closed set of values, which AWS does not grow; 1024.0 is not 1024, and 1 is not True."""
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
            + "; it is sent as it is.",
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
    if isinstance(value, timedelta):
        if value % timedelta(seconds=1):
            raise invalid(where, value, f"whole seconds from {low} to {high}")
        value = int(value.total_seconds())
    check_integer(where, value, low, high)


def seconds(value: Any) -> Any:
    """Return a checked duration as AWS takes it: whole seconds; what is rendered later as it is."""
    return int(value.total_seconds()) if isinstance(value, timedelta) else value


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
    """Check that no literal name stands twice."""
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str) or is_rendered_later(name):
            continue
        if name in seen:
            raise InvalidSpecError(f"{where} has {name!r} twice; allowed: each name once.")
        seen.add(name)


def present(**members: Any) -> dict[str, Any]:
    """Return the members that were given: what is None is absent from the AWS request."""
    return {name: value for name, value in members.items() if value is not None}


def as_boolean(where: str, value: Any) -> bool:
    """Return a rendered boolean: ``"False"`` is False."""
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    check_boolean(where, value)
    return bool(value)


def whole_number(value: Any) -> Any:
    """Return the whole number that a string stands for, as Jinja makes strings of numbers; another value as it is."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d+\s*", value) else value


def as_integer(where: str, value: Any, low: int, high: int | None = None) -> int:
    """Return a rendered whole number."""
    value = whole_number(value)
    check_integer(where, value, low, high)
    return int(value)


def as_number(where: str, value: Any, *, low: float | None = None, above: float | None = None) -> float:
    """Return a rendered number."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):  # the check names what is no number
            value = float(value)
    check_number(where, value, low=low, above=above)
    return float(value)


def as_seconds(where: str, value: Any, low: float, high: float | None = None) -> float:
    """Return a rendered duration in seconds: a number, or a timedelta."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    number = as_number(where, value, low=low)
    check_number(where, number, low=low, high=high)
    return number


def as_list(where: str, value: Any) -> list[Any]:
    """Return a rendered list; None is an empty one, and a string is an error: its letters would be taken as entries."""
    if value is None:
        return []
    if isinstance(value, str | dict) or not isinstance(value, Iterable):
        raise InvalidSpecError(f"{where} is a {type(value).__name__}; allowed: a list.")
    return list(value)


def as_string(where: str, value: Any) -> str:
    """Return a rendered string; an upstream task that returned nothing gives None or ``"None"``, which is an error."""
    if not isinstance(value, str) or value.strip() in ("", "None"):
        raise invalid(where, value, "a string (did the task that it comes from return nothing?)")
    return value


def as_tags(where: str, value: Any, *, most: int = MAX_TAGS) -> dict[str, str]:
    """Return rendered tags as a dict; AWS's list of Key and Value is taken too.

    :param where: The field.
    :param value: The tags.
    :param most: How many there may be, e.g. what AWS allows less those that this package adds.
    :raises InvalidSpecError: For what AWS would refuse (botocore, Tag; "Tagging AWS resources", naming limits).
    """
    if value is None:
        return {}
    pairs = _tag_pairs(where, value)
    check_unique(f"{where}: keys", [key for key, _ in pairs])
    if len(pairs) > most:
        raise InvalidSpecError(f"{where} has {len(pairs)} tags; allowed: {most} at most.")
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
    return {key: str(item) for key, item in pairs}


def check_tags(where: str, value: Any, *, most: int = MAX_TAGS) -> None:
    """Check tags as far as they are literal; see :func:`as_tags`."""
    if value is None or is_rendered_later(value):
        return
    pairs = _tag_pairs(where, value)
    if len(pairs) > most:
        raise InvalidSpecError(f"{where} has {len(pairs)} tags; allowed: {most} at most.")
    literal = [pair for pair in pairs if not any(is_rendered_later(part) for part in pair)]
    as_tags(where, [{"Key": key, "Value": item} for key, item in literal])


_TAG_CHARACTERS = "letters, digits, spaces and _ . : / = + - @"


def _tag_pairs(where: str, value: Any) -> list[tuple[Any, Any]]:
    allowed = "a dict of strings to strings, or a list of {'Key': …, 'Value': …}"
    if isinstance(value, list | tuple):
        if not all(isinstance(tag, dict) and set(tag) == {"Key", "Value"} for tag in value):
            raise invalid(where, value, allowed)
        return [(tag["Key"], tag["Value"]) for tag in value]
    if not isinstance(value, dict):
        raise InvalidSpecError(f"{where} is a {type(value).__name__}; allowed: {allowed}.")
    return list(value.items())


def _is_tag_text(text: str) -> bool:
    """Tell whether a text has letters, separators, numbers and a few signs only; Python's ``re`` has no such classes."""
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
        allowed="a role's name of 1 to 64 letters, digits and _ + = , . @ -, or an ARN 'arn:<partition>:iam::<account>:role/<name>'",
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
        allowed="a key's id, 'alias/<name>', or the ARN of either",
    )


def check_ids(where: str, value: Any, most: int) -> None:
    """Check a list of 1 to ``most`` ids of subnets or security groups."""
    if value is None or is_rendered_later(value):
        return
    if not isinstance(value, list | tuple):
        raise InvalidSpecError(f"{where} is a {type(value).__name__}; allowed: a list of 1 to {most} ids.")
    if not 1 <= len(value) <= most:
        raise InvalidSpecError(f"{where} has {len(value)} entries; allowed: 1 to {most}.")
    for index, one in enumerate(value):
        check_text(
            f"{where}[{index}]",
            one,
            pattern=VPC_ID_PATTERN,
            allowed="an id of 1 to 32 letters, digits and hyphens",
        )
    check_unique(where, value)


def check_structure(where: str, value: Any) -> None:
    """Check that a structure of the AWS shape is a dict."""
    if value is not None and not is_rendered_later(value) and not isinstance(value, dict):
        raise InvalidSpecError(f"{where} is a {type(value).__name__}; allowed: a dict in the AWS shape.")
