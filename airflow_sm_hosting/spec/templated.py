"""The types of templated parameters: a value, or a placeholder that Airflow resolves when the task runs.

A string may be Jinja, so it stands beside every other type; whether it makes a value of the right type is checked after rendering.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Protocol, TypeAlias


class RenderedLater(Protocol):
    """A placeholder that Airflow resolves at run time: the output of a task (``XComArg``), or a parameter of the DAG (``DagParam``)."""

    def iter_references(self) -> Iterable[Any]:
        """Yield the upstream tasks and the keys (Airflow calls this)."""

    def resolve(self, context: Any) -> Any:
        """Return the value (Airflow calls this)."""


#: A string.
TemplatedStr: TypeAlias = str | RenderedLater
#: A whole number.
TemplatedInt: TypeAlias = int | str | RenderedLater
#: A number.
TemplatedFloat: TypeAlias = float | str | RenderedLater
#: A boolean.
TemplatedBool: TypeAlias = bool | str | RenderedLater
#: A duration: whole seconds, or a timedelta.
TemplatedSeconds: TypeAlias = int | timedelta | str | RenderedLater
#: A structure in the AWS shape, or a spec object.
TemplatedDict: TypeAlias = Mapping[str, Any] | RenderedLater
