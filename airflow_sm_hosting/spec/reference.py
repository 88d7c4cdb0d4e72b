"""Marked dicts: what stands in a request for something that is known only when the task runs.

A reference (an image by tag, a folder to build, a metric) is a dict with the key :data:`MARK`, so that Airflow renders,
serialises and shows it like the rest of the request. Operators replace it in ``execute``, after rendering.
"""

from __future__ import annotations

from typing import Any

#: The key that marks a dict as a reference of ours; its value says of which kind.
MARK = "SmHostingReference"


class Reference(dict[str, Any]):
    """A dict that stands for a value to be completed at run time."""

    def __init__(self, kind: str, **members: Any) -> None:
        super().__init__({MARK: kind, **present(**members)})


def kind_of(value: Any) -> str | None:
    """Return the kind of a reference, also of one that rendering has made a plain dict; None for anything else."""
    return value.get(MARK) if isinstance(value, dict) else None


def present(**members: Any) -> dict[str, Any]:
    """Return the members that were given: what is None is absent from the AWS request."""
    return {name: value for name, value in members.items() if value is not None}
