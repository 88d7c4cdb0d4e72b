"""What a wait is for, and what ends it: the same for the sync wait and the deferred one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from airflow_sm_hosting.deployment.status import Described, is_transitional, status_line
from airflow_sm_hosting.deployment.verdict import (
    Expected,
    Outcome,
    Verdict,
    has_begun,
    judge,
    judge_gone,
    judge_service,
    judge_settled,
)


class Until(StrEnum):
    """What a wait is for."""

    #: The deployment that was started or joined has ended.
    DEPLOYED = "deployed"
    #: The endpoint is in service, whoever deploys it.
    IN_SERVICE = "in_service"
    #: Whatever goes on at the endpoint has ended.
    SETTLED = "settled"
    #: The endpoint that was deleted is gone.
    GONE = "gone"
    #: The endpoint's variants have certain instance counts.
    COUNTED = "counted"


@dataclass(frozen=True)
class Awaited:
    """A wait, in plain values that travel with a deferred task.

    :param until: What is waited for.
    :param endpoint_name: The endpoint.
    :param endpoint_config_name: The config that is to serve; None for whichever.
    :param modified_before: ``LastModifiedTime`` before the deployment, see :class:`Expected`.
    :param begun: Whether the deployment was seen to begin.
    :param instance_counts: Instance counts by variant, for :attr:`Until.COUNTED`.
    """

    until: Until
    endpoint_name: str
    endpoint_config_name: str | None = None
    modified_before: str | None = None
    begun: bool = False
    instance_counts: Mapping[str, int] = field(default_factory=dict)

    def judge(self, described: Described | None) -> Verdict:
        """Judge what AWS describes now."""
        match self.until:
            case Until.DEPLOYED:
                return judge(described, self._expected())
            case Until.IN_SERVICE:
                return judge_service(described, self.endpoint_name, self.endpoint_config_name)
            case Until.COUNTED:
                return self._judge_counts(described)
            case Until.GONE:
                return judge_gone(described, self.endpoint_name)
            case Until.SETTLED:
                return judge_settled(described, self.endpoint_name)

    def after(self, described: Described | None) -> Awaited:
        """Return the wait with what this look has shown about the deployment's beginning."""
        begun = has_begun(described, self._expected())
        return self if begun == self.begun else replace(self, begun=begun)

    def serialize(self) -> dict[str, Any]:
        """Return the wait as plain JSON."""
        return {**asdict(self), "until": str(self.until), "instance_counts": dict(self.instance_counts)}

    @classmethod
    def deserialize(cls, data: Mapping[str, Any]) -> Awaited:
        """Return the wait that :meth:`serialize` wrote."""
        return cls(**{**data, "until": Until(data["until"])})

    def _expected(self) -> Expected:
        return Expected(
            endpoint_name=self.endpoint_name,
            endpoint_config_name=self.endpoint_config_name or "",
            modified_before=self.modified_before,
            begun=self.begun,
        )

    def _judge_counts(self, described: Described | None) -> Verdict:
        verdict = judge_service(described, self.endpoint_name, self.endpoint_config_name)
        if verdict.outcome is not Outcome.DEPLOYED or described is None:
            return verdict
        counts = instance_counts(described)
        missing = {name: count for name, count in self.instance_counts.items() if counts.get(name) != count}
        if not missing or is_transitional(described):
            return verdict
        return Verdict(Outcome.PENDING, f"{status_line(described)}, instance counts not yet {missing}")


def instance_counts(described: Described) -> dict[str, int]:
    """Return the desired instance counts of an endpoint's variants."""
    return {
        variant["VariantName"]: variant["DesiredInstanceCount"]
        for variant in described.get("ProductionVariants") or []
        if variant.get("DesiredInstanceCount") is not None
    }
