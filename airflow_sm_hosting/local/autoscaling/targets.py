"""Scalable targets, with their scheduled actions and scaling activities."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_sm_hosting.local.clock import Timer


@dataclass
class Activity:
    """A scaling activity, as DescribeScalingActivities shows it."""

    members: dict[str, Any]
    not_scaled: bool = False


@dataclass
class Cooldown:
    """The last scaling in one direction.

    :param until: The end of its cooldown; None while the scaling is in progress.
    :param before: The capacity before it.
    """

    until: datetime | None
    before: int


@dataclass
class Target:
    """A scalable target."""

    resource_id: str
    dimension: str
    minimum: int
    maximum: int
    arn: str
    created: datetime
    role_arn: str
    suspended: dict[str, bool]
    out: Cooldown | None = None
    into: Cooldown | None = None

    def description(self) -> dict[str, Any]:
        """Return the target as DescribeScalableTargets shows it."""
        return {
            "ServiceNamespace": "sagemaker",
            "ResourceId": self.resource_id,
            "ScalableDimension": self.dimension,
            "MinCapacity": self.minimum,
            "MaxCapacity": self.maximum,
            "RoleARN": self.role_arn,
            "CreationTime": self.created,
            "SuspendedState": dict(self.suspended),
            "ScalableTargetARN": self.arn,
        }


@dataclass
class ScheduledAction:
    """A scheduled action."""

    request: dict[str, Any]
    arn: str
    created: datetime
    timer: Timer | None = None
