"""The specifications that an inference component served before, in its tags: SageMaker stores only the one that serves.

A specification with an environment is not stored, as its values may be secrets.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from airflow_sm_hosting.deployment.component import specification_name

#: Prefix of the keys; the digest in the name, and the number of the part follow.
SPECIFICATION_TAG = "sm-hosting:specification"
#: Maximum length of a tag's value (AddTags).
_ROOM = 256
#: A resource has at most 50 tags (AddTags), and some five specifications are stored.
_MOST_PARTS = 4

_PART = re.compile(rf"{SPECIFICATION_TAG}:(?P<digest>\w+):(?P<number>[1-9]\d*)of(?P<count>[1-9]\d*)")


def has_environment(specifications: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether a container has an environment."""
    return any((one.get("Container") or {}).get("Environment") for one in specifications)


def specifications_as_tags(specifications: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return specifications as tags; none where they have an environment or are too large.

    :param specifications: In comparable form.
    """
    if not specifications or has_environment(specifications):
        return {}
    text = json.dumps([dict(one) for one in specifications], sort_keys=True, separators=(",", ":"))
    packed = base64.b64encode(zlib.compress(text.encode(), 9)).decode()
    parts = [packed[start : start + _ROOM] for start in range(0, len(packed), _ROOM)]
    if len(parts) > _MOST_PARTS:
        return {}
    digest = _digest(specification_name(specifications))
    return {
        f"{SPECIFICATION_TAG}:{digest}:{index}of{len(parts)}": part for index, part in enumerate(parts, 1)
    }


def stored_specifications(tags: Mapping[str, str], name: str) -> tuple[dict[str, Any], ...] | None:
    """Return the specifications of a name, in comparable form; None if they are not stored.

    :param tags: The component's tags.
    :param name: As :func:`~airflow_sm_hosting.deployment.component.specification_name` makes it.
    """
    parts: dict[int, str] = {}
    count = 0
    for key, value in tags.items():
        part = _PART.fullmatch(key)
        if part and part["digest"] == _digest(name):
            parts[int(part["number"])], count = value, int(part["count"])
    if not count or set(parts) != set(range(1, count + 1)):
        return None
    text = "".join(parts[number] for number in sorted(parts))
    return tuple(json.loads(zlib.decompress(base64.b64decode(text))))


def specifications_to_forget(tags: Iterable[str], names: Collection[str]) -> list[str]:
    """Return the keys of the tags with specifications of other names.

    :param tags: The keys of the component's tags.
    :param names: The names that may be needed.
    """
    kept = {_digest(name) for name in names}
    return sorted(key for key in tags if (part := _PART.fullmatch(key)) and part["digest"] not in kept)


def request_members(specifications: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the members of a request for stored specifications: one, or a list for several instance types."""
    if len(specifications) == 1:
        return {"Specification": dict(specifications[0])}
    return {"Specifications": [dict(one) for one in specifications]}


def _digest(name: str) -> str:
    return name.rpartition("@")[2]
