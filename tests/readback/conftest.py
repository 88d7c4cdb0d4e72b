from __future__ import annotations

from tests.operators.conftest import aws, dag

__all__ = ["aws", "dag"]
