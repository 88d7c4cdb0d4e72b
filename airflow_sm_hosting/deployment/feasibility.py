"""Check whether SageMaker can roll out a config in the requested way.

Developer guide, "deployment-guardrails-exclusions", "-blue-green-canary" and "-rolling".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_sm_hosting.deployment.status import is_serverless


def rollout_problem(
    deployment_config: Mapping[str, Any] | None,
    *,
    serving: Iterable[Mapping[str, Any]],
    wanted: Iterable[Mapping[str, Any]],
    counts: Mapping[str, int],
    strict: bool = True,
) -> str | None:
    """Return why SageMaker refuses a rollout, or silently replaces it by another; None when the rollout is possible.

    :param deployment_config: A completed ``DeploymentConfig``, or None.
    :param serving: The variants of the serving config.
    :param wanted: The variants of the new config.
    :param counts: Instance counts of the new fleet's variants.
    :param strict: Whether assumed rules count.
    """
    rolling = (deployment_config or {}).get("RollingUpdatePolicy")
    routing = ((deployment_config or {}).get("BlueGreenUpdatePolicy") or {}).get(
        "TrafficRoutingConfiguration"
    ) or {}
    kind = (
        "a rolling update"
        if rolling
        else {"CANARY": "a canary", "LINEAR": "a linear rollout"}.get(routing.get("Type", ""))
    )
    if kind is None:
        return None
    before, after = list(serving), list(wanted)
    old, new = [{variant["VariantName"] for variant in variants} for variants in (before, after)]
    if old != new:
        return (
            f"{kind} needs the same variants in both configs; the endpoint has {_names(old)}, the new config "
            f"has {_names(new)}: use AllAtOnce"
        )
    if rolling and (is_serverless(before) or is_serverless(after)):
        return f"{kind} is not supported for serverless variants: use AllAtOnce"
    if rolling and len(after) > 1:
        return (
            f"{kind} is only for endpoints with one variant, and this endpoint has {len(after)}: use Canary or "
            "AllAtOnce"
        )
    inferentia = [
        variant["VariantName"]
        for variant in (*before, *after)
        if str(variant.get("InstanceType", "")).startswith("ml.inf1.")
    ]
    if inferentia:
        return (
            f"{kind} is not supported for Inf1 instances (variant {inferentia[0]}): SageMaker would silently "
            "shift all traffic at once, without a bake time; use AllAtOnce"
        )
    size = (
        routing.get("CanarySize")
        or routing.get("LinearStepSize")
        or (rolling or {}).get("MaximumBatchSize")
        or {}
    )
    return _too_large(kind, size, counts, new, strict)


def _too_large(
    kind: str, size: Mapping[str, Any], counts: Mapping[str, int], variants: Iterable[str], strict: bool
) -> str | None:
    """Return why a step is more than half of a variant's instances; None when it is not.

    A step is at most 50 %. Assumed: a single instance has no half, so SageMaker refuses any step of it.
    """
    for variant in sorted(variants):
        count = counts.get(variant)
        if count is None:
            continue
        if count == 1 and strict:
            return (
                f"{kind} needs at least two instances, and variant {variant} has one: use AllAtOnce, or request "
                "two instances (this package assumes the rule; strict=False leaves it to AWS)"
            )
        step = int(size.get("Value") or 0)
        if count > 1 and size.get("Type") == "INSTANCE_COUNT" and step * 2 > count:
            return (
                f"{kind} moves at most half of the capacity per step, and {step} is more than half of the {count} "
                f"instances of {variant}"
            )
    return None


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
