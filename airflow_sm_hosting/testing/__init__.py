"""For people who test their own DAGs: fixtures that pytest finds by itself, and assertions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_sm_hosting.testing.dag_integrity import (
        HEAVY as HEAVY,
        DagRule as DagRule,
        assert_dag_integrity as assert_dag_integrity,
    )

__all__ = ["HEAVY", "DagRule", "assert_dag_integrity"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from airflow_sm_hosting.testing import dag_integrity

        return getattr(dag_integrity, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
