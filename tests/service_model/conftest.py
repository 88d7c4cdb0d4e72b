from __future__ import annotations

from tests.operators.conftest import aws

__all__ = ["aws"]
