from __future__ import annotations

from tests.operators.conftest import aws, dag, process_aws, slow_aws

__all__ = ["aws", "dag", "process_aws", "slow_aws"]
