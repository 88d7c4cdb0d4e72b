"""Marked dicts: placeholders in a request for values that are known only when the task runs.

A reference (an image by tag, a folder to build, a metric) is a dict with the key :data:`MARK`, so that Airflow renders,
serialises and shows it like the rest of the request. Operators replace it in ``execute``, after rendering.
"""

from __future__ import annotations

from typing import Any

#: The key that marks a dict as a reference of ours; its value is the kind.
MARK = "SmHostingReference"


class Reference(dict[str, Any]):
    """A dict that stands for a value to be completed at run time."""

    def __init__(self, kind: str, **members: Any) -> None:
        super().__init__({MARK: kind, **present(**members)})


def kind_of(value: Any) -> str | None:
    """Return the kind of a reference, also if rendering has turned it into a plain dict; None for other values."""
    return value.get(MARK) if isinstance(value, dict) else None


def present(**members: Any) -> dict[str, Any]:
    """Return the given members: a member that is None is absent from the AWS request."""
    return {name: value for name, value in members.items() if value is not None}
