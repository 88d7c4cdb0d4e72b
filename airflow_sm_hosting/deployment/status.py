"""The statuses of an endpoint, as DescribeEndpoint documents them; an inference component has some of them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

#: DescribeEndpoint's answer, or None for an endpoint that does not exist. An inference component is described in the same members
#: (``deployment/component.py``): its specification has the place of the endpoint config.
Described = Mapping[str, Any]


class Kind(StrEnum):
    """The kinds of resources that are deployed."""

    ENDPOINT = "endpoint"
    COMPONENT = "inference component"

    @property
    def noun(self) -> str:
        """The kind at the beginning of a sentence."""
        return self.value.capitalize()

    @property
    def content(self) -> str:
        """What such a resource serves, in the word of AWS."""
        return "config" if self is Kind.ENDPOINT else "specification"


IN_SERVICE = "InService"
FAILED = "Failed"
CREATING = "Creating"
DELETING = "Deleting"
UPDATE_ROLLBACK_FAILED = "UpdateRollbackFailed"
OUT_OF_SERVICE = "OutOfService"

#: Final statuses of an endpoint that does not serve the requested config.
BROKEN = frozenset({FAILED, OUT_OF_SERVICE, UPDATE_ROLLBACK_FAILED})

SETTLED = BROKEN | {IN_SERVICE}


def is_transitional(described: Described | None) -> bool:
    """Return whether the endpoint is in transition, or still has a pending deployment.

    A status that this version does not know counts as in transition, as nothing else is safe.
    """
    return described is not None and (
        described["EndpointStatus"] not in SETTLED or pending_config(described) is not None
    )


def pending_config(described: Described) -> str | None:
    """Return the endpoint config of the deployment in progress.

    ``PendingDeploymentSummary`` exists only while an endpoint is created or updated (DescribeEndpoint).
    """
    pending = (described.get("PendingDeploymentSummary") or {}).get("EndpointConfigName")
    if pending is None and described["EndpointStatus"] == CREATING:
        return described.get("EndpointConfigName")
    return pending


def same_name(left: str | None, right: str | None) -> bool:
    """Return whether two names, of endpoints, configs or models, are those of one resource.

    "The name is case-insensitive in CreateEndpoint" (API_CreateEndpoint, EndpointName). That this holds for configs and models is assumed from
    their ARNs, which are in lower case.
    """
    return left == right or (left is not None and right is not None and left.lower() == right.lower())


def is_serverless(variants: list[Mapping[str, Any]]) -> bool:
    """Return whether the variants of an endpoint or of a config are serverless."""
    return any(
        variant.get("ServerlessConfig")
        or variant.get("CurrentServerlessConfig")
        or variant.get("DesiredServerlessConfig")
        for variant in variants
    )


def on_its_way_to(described: Described | None) -> str | None:
    """Return the config of the deployment in progress, else the serving config."""
    return (pending_config(described) or described.get("EndpointConfigName")) if described else None


def instance_counts(described: Described) -> dict[str, int]:
    """Return the desired instance counts of an endpoint's variants."""
    return {
        variant["VariantName"]: variant["DesiredInstanceCount"]
        for variant in described.get("ProductionVariants") or []
        if variant.get("DesiredInstanceCount") is not None
    }


def status_line(described: Described | None) -> str:
    """Return a status line for a person who watches the endpoint."""
    if described is None:
        return "does not exist"
    content = Kind(described.get("Kind", Kind.ENDPOINT)).content
    parts = [described["EndpointStatus"], f"on {content} {described.get('EndpointConfigName')}"]
    pending = pending_config(described)
    if pending and pending != described.get("EndpointConfigName"):
        parts.append(f"deploying {pending}")
    summary = described.get("PendingDeploymentSummary") or described
    for variant in summary.get("ProductionVariants") or []:
        stages = [stage["Status"] for stage in variant.get("VariantStatus") or []]
        if stages:
            parts.append(f"variant {variant['VariantName']} {'/'.join(stages)}")
    return ", ".join(parts)
