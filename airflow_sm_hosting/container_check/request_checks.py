"""Check requests as they are written in a DAG file; apart from what they become, as every DAG file pays for this import."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.checks import invalid, is_rendered_later, nearest

#: The members of a request in a list of requests.
REQUEST_MEMBERS = ("body", "content_type", "accept", "expect", "name")


def check_requests(where: str, entries: Iterable[Any]) -> None:
    """Check a list of requests: dicts, or paths of files.

    :param where: The field.
    :param entries: The list.
    :raises InvalidSpecError: When one can never work.
    """
    for index, entry in enumerate(entries):
        if not is_rendered_later(entry) and not (isinstance(entry, str) and entry):
            check_sample_request(f"{where}[{index}]", entry)


def check_sample_request(where: str, entry: Any) -> None:
    """Check a request.

    :param where: What the message begins with.
    :param entry: The request.
    :raises InvalidSpecError: When it can never work.
    """
    if not isinstance(entry, dict):
        raise invalid(where, entry, "a dict with a body, or the path of a file")
    for name in entry:
        if name not in REQUEST_MEMBERS:
            near = nearest(str(name), REQUEST_MEMBERS, 1)
            raise InvalidSpecError(
                f"{where} has {name!r}; allowed: {', '.join(REQUEST_MEMBERS)}."
                + (f" Did you mean {near[0]!r}?" if near else "")
            )
    if entry.get("body") is None or isinstance(entry["body"], bytes):
        raise invalid(
            f"{where}: body", entry.get("body"), "a string, or a value that can be serialised as JSON"
        )
    for name in ("content_type", "accept", "name"):
        text = entry.get(name)
        if text is not None and not is_rendered_later(text) and not (isinstance(text, str) and text):
            raise invalid(f"{where}: {name}", text, "a string")
