"""Judge the state of a wait from its condition and AWS's description.

Neither ``InService`` nor an absent ``FailureReason`` means success: an update that SageMaker rolled back ends ``InService`` on the
old config, with a reason or without one (hashicorp/terraform-provider-aws 39099, 46663, 48997).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, assert_never

from airflow_sm_hosting.deployment.status import (
    BROKEN,
    DELETING,
    IN_SERVICE,
    Described,
    Kind,
    instance_counts,
    is_transitional,
    same_name,
    status_line,
)
from airflow_sm_hosting.deployment.wait import Outcome, WaitCondition, WaitFor


@dataclass(frozen=True)
class Verdict:
    """The outcome, and a sentence about it."""

    outcome: Outcome
    message: str


def judge(condition: WaitCondition, described: Described | None) -> Verdict:
    """Judge the state of a wait.

    :param condition: The condition of the wait.
    :param described: DescribeEndpoint's answer; None for an endpoint that does not exist.
    """
    match condition.until:
        case WaitFor.DEPLOYED:
            return judge_deployment(condition, described)
        case WaitFor.IN_SERVICE:
            return judge_service(
                described, condition.endpoint_name, condition.endpoint_config_name, condition.kind
            )
        case WaitFor.COUNTED:
            return judge_counts(condition, described)
        case WaitFor.DRIFTED:
            return judge_drift(condition, described)
        case WaitFor.GONE:
            return judge_gone(described, condition.endpoint_name, condition.created_at, condition.kind)
        case WaitFor.SETTLED:
            return judge_settled(described, condition.endpoint_name, condition.kind)
        case _:
            assert_never(condition.until)


def after_look(condition: WaitCondition, described: Described | None) -> WaitCondition:
    """Return the condition, updated if this description shows that the deployment began."""
    begun = has_begun(condition, described)
    return condition if begun == condition.begun else replace(condition, begun=begun)


def has_begun(condition: WaitCondition, described: Described | None) -> bool:
    """Return whether this or an earlier description shows that the deployment began."""
    if condition.begun:
        return True
    if described is None:
        # An updated endpoint existed before the call, so it is gone. A created endpoint is not visible yet.
        return condition.modified_before is not None
    if condition.modified_before is None or is_transitional(described):
        return True
    if moment(described.get("LastModifiedTime")) != condition.modified_before:
        return True
    live = described.get("EndpointConfigName")
    return described["EndpointStatus"] == IN_SERVICE and same_name(live, condition.endpoint_config_name)


def judge_deployment(condition: WaitCondition, described: Described | None) -> Verdict:
    """Judge a started or joined deployment, or a config that already serves."""
    name, config, kind = condition.endpoint_name, condition.endpoint_config_name, condition.kind
    begun = has_begun(condition, described)
    if described is None:
        if begun:
            return Verdict(
                Outcome.FAILED,
                f"{kind.noun} {name} is gone: it was deleted while {config} was being deployed.",
            )
        return Verdict(Outcome.PENDING, "not visible yet")

    status, live = described["EndpointStatus"], described.get("EndpointConfigName")
    reason = described.get("FailureReason")
    reason_sentence = f"Reason: {reason}" if reason else f"SageMaker gives no reason; see the {kind}'s logs."
    if status == DELETING:
        return Verdict(
            Outcome.FAILED, f"{kind.noun} {name} is being deleted while {config} is being deployed."
        )
    if is_transitional(described):
        return Verdict(Outcome.PENDING, status_line(described))
    if status == IN_SERVICE and same_name(live, config):
        wrong = wrong_images(described)
        if wrong:
            return Verdict(
                Outcome.FAILED, f"{kind.noun} {name} is in service on {config}, but {'; '.join(wrong)}."
            )
        if missing := missing_copies(described):
            return Verdict(Outcome.PENDING, f"{status_line(described)}, {missing}")
        return Verdict(Outcome.DEPLOYED, f"{kind.noun} {name} serves {config}.")
    if status == IN_SERVICE and not begun:
        return Verdict(Outcome.PENDING, "the update is not visible yet")
    if status == IN_SERVICE:
        if reason:
            message = f"SageMaker rolled {kind} {name} back: it serves {live}, not {config} as requested. {reason_sentence}"
        else:
            message = (
                f"{kind.noun} {name} went back: it serves {live}, not {config} as requested. SageMaker gives no reason: it has rolled the "
                f"{kind} back silently, or another update has; see the {kind}'s logs and its events in CloudTrail."
            )
        if described.get("Differences"):
            message += f" Its specification differs: {'; '.join(described['Differences'])}."
        return Verdict(Outcome.ROLLED_BACK, message)
    if status in BROKEN and not begun:
        return Verdict(Outcome.PENDING, "the update is not visible yet")
    serving = (
        "It may serve a mix of the old and the new config."
        if status == "UpdateRollbackFailed"
        else "It does not serve."
    )
    return Verdict(
        Outcome.FAILED,
        f"{kind.noun} {name} is {status} on {live}; requested: {config}. {serving} {reason_sentence}",
    )


def missing_copies(described: Described) -> str:
    """Return in words that an inference component has fewer or more copies than desired; empty for others."""
    if described.get("Kind") != Kind.COMPONENT:
        return ""
    for one in described.get("ProductionVariants") or []:
        current, desired = one.get("CurrentInstanceCount"), one.get("DesiredInstanceCount")
        if current != desired:
            return f"{current} of {desired} copies in service"
    return ""


def wrong_images(described: Described) -> list[str]:
    """Return a sentence for every image that was specified by digest and differs from the running one.

    DeployedImage, SpecifiedImage and ResolvedImage. Assumed: an image given by digest resolves to that digest.
    """
    return [
        (
            f"variant {variant['VariantName']} runs {image['ResolvedImage']}, not the requested "
            f"{image['SpecifiedImage']}"
        )
        for variant in described.get("ProductionVariants") or []
        for image in variant.get("DeployedImages") or []
        if "@" in image.get("SpecifiedImage", "")
        and "@" in image.get("ResolvedImage", "")
        and image["SpecifiedImage"].rpartition("@")[2] != image["ResolvedImage"].rpartition("@")[2]
    ]


def judge_service(
    described: Described | None,
    endpoint_name: str,
    endpoint_config_name: str | None,
    kind: Kind = Kind.ENDPOINT,
) -> Verdict:
    """Judge an endpoint that somebody else deploys: it should be in service, on the given config if one is given.

    The wait continues while the endpoint does not exist or serves another config; it ends when the endpoint has failed.
    """
    if described is None:
        return Verdict(Outcome.PENDING, "does not exist yet")
    status, live = described["EndpointStatus"], described.get("EndpointConfigName")
    if status in BROKEN:
        reason = described.get("FailureReason") or "no reason given"
        return Verdict(Outcome.FAILED, f"{kind.noun} {endpoint_name} is {status} on {live}: {reason}")
    wanted = endpoint_config_name is None or same_name(endpoint_config_name, live)
    missing = missing_copies(described)
    if status == IN_SERVICE and wanted and not missing and not is_transitional(described):
        return Verdict(Outcome.DEPLOYED, f"{kind.noun} {endpoint_name} is in service on {live}.")
    return Verdict(
        Outcome.PENDING,
        status_line(described)
        + ("" if wanted else f", waiting for {endpoint_config_name}")
        + (f", {missing}" if missing else ""),
    )


def judge_counts(condition: WaitCondition, described: Described | None) -> Verdict:
    """Judge set instance counts: the endpoint should be in service with these counts, on the wanted config."""
    name, config, kind = condition.endpoint_name, condition.endpoint_config_name, condition.kind
    live = (described or {}).get("EndpointConfigName")
    counted = "instance counts" if kind is Kind.ENDPOINT else "copies"
    replaced = config is not None and not same_name(config, live)
    if described and replaced and described["EndpointStatus"] == IN_SERVICE:
        message = f"{kind.noun} {name} serves {live}, not {config}, whose {counted} were set: another deployment has replaced it."
        return Verdict(Outcome.PENDING if is_transitional(described) else Outcome.ROLLED_BACK, message)
    verdict = judge_service(described, name, config, kind)
    if verdict.outcome is not Outcome.DEPLOYED or described is None:
        return verdict
    if condition.weights:
        return _judge_traffic(condition, described)
    counts = instance_counts(described)
    missing = {name: count for name, count in condition.instance_counts.items() if counts.get(name) != count}
    if not missing or is_transitional(described):
        return verdict
    if kind is Kind.COMPONENT and condition.modified_before not in (
        None,
        moment(described.get("LastModifiedTime")),
    ):
        # The change has ended, with the copies that there were before (there was no room), or with those of another change.
        reason = (
            described.get("FailureReason")
            or "SageMaker gives no reason, and another change may have set them"
        )
        return Verdict(
            Outcome.FAILED, f"{kind.noun} {name} has {counts}, not the requested {missing}: {reason}"
        )
    return Verdict(Outcome.PENDING, f"{status_line(described)}, {counted} not yet {missing}")


def _judge_traffic(condition: WaitCondition, described: Described) -> Verdict:
    """Judge shifted traffic of an endpoint that is in service: weights and counts should be the wanted ones, and in effect.

    A change that SageMaker takes back ends in service with the weights before (DescribeEndpoint, RollingBack).
    """
    name = condition.endpoint_name
    wanted = {"Weight": condition.weights, "InstanceCount": condition.instance_counts}
    if not (refused := unequal_traffic(described, wanted, "Desired")):
        left = unequal_traffic(described, wanted, "Current")
        if not left:
            return Verdict(Outcome.DEPLOYED, f"Endpoint {name} has the traffic that was asked for.")
        return Verdict(Outcome.PENDING, f"{status_line(described)}, not yet in effect: {'; '.join(left)}")
    before, changed = condition.modified_before, described.get("LastModifiedTime")
    if before is None or changed is None or changed <= datetime.fromisoformat(before):
        return Verdict(Outcome.PENDING, "the change of traffic is not visible yet")
    reason = described.get("FailureReason")
    return Verdict(
        Outcome.ROLLED_BACK,
        f"Endpoint {name} is in service without the traffic that was asked for: {'; '.join(refused)}. SageMaker took the change back, or "
        f"another change has replaced it. {f'Reason: {reason}' if reason else 'SageMaker gives no reason.'}",
    )


def judge_drift(condition: WaitCondition, described: Described | None) -> Verdict:
    """Judge an endpoint that should stay as it was deployed: the wait ends when it is otherwise."""
    found = described_drift(
        described, condition.endpoint_config_name, condition.weights, condition.instance_counts
    )
    if not found:
        return Verdict(Outcome.PENDING, status_line(described))
    return Verdict(Outcome.DEPLOYED, f"Endpoint {condition.endpoint_name} has drifted: {'; '.join(found)}.")


def described_drift(
    described: Described | None,
    endpoint_config_name: str | None,
    weights: Mapping[str, float],
    counts: Mapping[str, int],
) -> list[str]:
    """Return a sentence for each difference between an endpoint's description and what was deployed.

    While it is in transition there is none: a deployment in progress may be ours.

    :param described: DescribeEndpoint's answer; None for an endpoint that does not exist.
    :param endpoint_config_name: The config that was deployed; None for any.
    :param weights: The weights of variants, as far as they are compared.
    :param counts: The instance counts of variants, as far as they are compared.
    """
    if described is None:
        return ["it does not exist"]
    if is_transitional(described):
        return []
    status, live = described["EndpointStatus"], described.get("EndpointConfigName")
    found = []
    if status in BROKEN:
        found.append(f"it is {status}: {described.get('FailureReason') or 'no reason given'}")
    if endpoint_config_name is not None and not same_name(endpoint_config_name, live):
        found.append(f"it serves {live}, not {endpoint_config_name}")
    return [
        *found,
        *wrong_images(described),
        *unequal_traffic(described, {"Weight": weights, "InstanceCount": counts}, "Desired"),
    ]


def unequal_traffic(described: Described, wanted: Mapping[str, Mapping[str, float]], state: str) -> list[str]:
    """Return a sentence for each weight and instance count of an endpoint that is not the wanted one.

    :param described: DescribeEndpoint's answer.
    :param wanted: The wanted values by variant, under ``Weight`` and ``InstanceCount``.
    :param state: ``Desired`` or ``Current``.
    """
    variants = {one["VariantName"]: one for one in described.get("ProductionVariants") or []}
    return [
        f"{variant} has {state}{member} {variants.get(variant, {}).get(state + member)}, not {value:g}"
        for member, values in wanted.items()
        for variant, value in values.items()
        if not is_same_share(variants.get(variant, {}).get(state + member), value)
    ]


def is_same_share(found: float | None, wanted: float) -> bool:
    """Return whether a weight or a count is the wanted one; AWS keeps a weight as a float of single precision (botocore, VariantWeight)."""
    return found is not None and math.isclose(found, wanted, rel_tol=1e-6)


def judge_gone(
    described: Described | None,
    endpoint_name: str,
    created_at: str | None = None,
    kind: Kind = Kind.ENDPOINT,
) -> Verdict:
    """Judge a deleted endpoint: right after DeleteEndpoint, a describe call may still answer the state before.

    :param described: DescribeEndpoint's answer; None for an endpoint that does not exist.
    :param endpoint_name: The endpoint.
    :param created_at: When the deleted endpoint was created, in ISO format: one that was created later is another one.
    :param kind: The kind of the resource.
    """
    if described is None:
        return Verdict(Outcome.DEPLOYED, f"{kind.noun} {endpoint_name} is deleted.")
    created = described.get("CreationTime")
    if created and created_at and created > datetime.fromisoformat(created_at):
        return Verdict(
            Outcome.DEPLOYED,
            f"{kind.noun} {endpoint_name} was deleted; another one of its name has been created since.",
        )
    return Verdict(Outcome.PENDING, status_line(described))


def judge_settled(described: Described | None, endpoint_name: str, kind: Kind = Kind.ENDPOINT) -> Verdict:
    """Judge an endpoint with another change in progress: the change should have ended, with any result."""
    if is_transitional(described):
        return Verdict(Outcome.PENDING, status_line(described))
    return Verdict(Outcome.DEPLOYED, f"{kind.noun} {endpoint_name} {status_line(described)}.")


def moment(value: Any) -> str | None:
    """Return a time from AWS in ISO format, UTC."""
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
