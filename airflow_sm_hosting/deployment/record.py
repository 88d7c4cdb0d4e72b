"""The record of a deployment: what a task keeps about it in Airflow, as small, plain JSON without secrets.

The asset events of successful tasks and the XComs of all tasks hold such records. The page "Endpoints" in Airflow shows them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from airflow_sm_hosting.deployment.endpoint_tags import EndpointTags
from airflow_sm_hosting.deployment.history import rollback_target
from airflow_sm_hosting.deployment.observation import Fact, FactKind
from airflow_sm_hosting.deployment.status import Described, Kind
from airflow_sm_hosting.exceptions import DeploymentRolledBackError, DeploymentTimeoutError
from airflow_sm_hosting.spec.masking import without_signatures

#: The version of the format. Readers ignore unknown members.
VERSION = 1

#: Maximum number of characters of a failure's text, and of variants and alarms.
LONGEST_TEXT, MOST_VARIANTS, MOST_ALARMS = 2000, 20, 20

#: Actions that change nothing.
UNCHANGED = frozenset({"unchanged", "overtaken", "wait", None})


class DeploymentOutcome(StrEnum):
    """How a deployment ended."""

    SUCCEEDED = "succeeded"
    #: There was nothing to do.
    UNCHANGED = "unchanged"
    #: A newer run has deployed.
    SKIPPED = "skipped"
    ROLLED_BACK = "rolled_back"
    TIMED_OUT = "timed_out"
    FAILED = "failed"


def outcome_of(error: BaseException | None, action: str | None) -> DeploymentOutcome:
    """Return how a deployment ended.

    :param error: What the task raised; None if it succeeded.
    :param action: The action taken.
    """
    if error is None:
        return DeploymentOutcome.UNCHANGED if action in UNCHANGED else DeploymentOutcome.SUCCEEDED
    if isinstance(error, DeploymentRolledBackError):
        return DeploymentOutcome.ROLLED_BACK
    if isinstance(error, DeploymentTimeoutError):
        return DeploymentOutcome.TIMED_OUT
    if type(error).__name__ == "AirflowSkipException":  # this part of the package does not import Airflow
        return DeploymentOutcome.SKIPPED
    return DeploymentOutcome.FAILED


def observed_members(
    described: Described | None, facts: Mapping[Fact, Any], alarms: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the members of a record that an observation shows, as far as it is known.

    :param described: The last description of the endpoint or inference component.
    :param facts: What AWS has answered.
    :param alarms: The names of the alarms that can roll the deployment back.
    """
    found: dict[str, Any] = {"contents": _contents(facts, described), "scaling": _scaling(facts)}
    states = {
        name: alarm.get("StateValue")
        for fact, answer in facts.items()
        if fact.kind is FactKind.ALARMS
        for name, alarm in (answer or {}).items()
    }
    found["alarms"] = [_known(name=name, state=states.get(name)) for name in alarms[:MOST_ALARMS]]
    if described:
        serving, arn = described.get("EndpointConfigName"), described.get("EndpointArn")
        found |= _known(
            status=described.get("EndpointStatus"),
            serving=serving,
            arn=arn,
            region=arn_region(arn),
            endpoint_name=described.get("HostName"),
        )
        found["described_variants"] = [
            _variant(variant) for variant in (described.get("ProductionVariants") or [])[:MOST_VARIANTS]
        ]
    return found


def tag_members(tags: Mapping[str, str] | None) -> dict[str, Any]:
    """Return the members that the tags of the endpoint or inference component tell: which configs served before.

    :param tags: The tags; None if they are not known.
    """
    if tags is None:
        return {}
    known = EndpointTags.read(tags)
    return {"history": known.history[:MOST_VARIANTS], "unverified": known.unverified[:MOST_VARIANTS]}


def merged(known: Mapping[str, Any], newer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a record with newer ones; contents of configs and scaling add up.

    :param known: The members known before.
    :param newer: The newer ones.
    """
    result = {**known, **newer}
    for member in ("contents", "scaling"):
        if member in known and member in newer:
            result[member] = _added_up(known[member], newer[member])
    return result


def _added_up(known: Mapping[str, Any], newer: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        name for name in known if isinstance(known[name], Mapping) and isinstance(newer.get(name), Mapping)
    }
    return {**known, **newer, **{name: _added_up(known[name], newer[name]) for name in both}}


def deployment_record(
    members: Mapping[str, Any], *, outcome: DeploymentOutcome, failure: str | None = None
) -> dict[str, Any]:
    """Return the record of an ended deployment.

    :param members: What is known of it: the members of :func:`observed_members`, and those of the task.
    :param outcome: How it ended.
    :param failure: The text of the error.
    """
    serving = members.get("serving")
    content = (members.get("contents") or {}).get(serving) or {}
    scaling = members.get("scaling") or {}
    variants = [
        {**content.get(one["name"], {}), **one, **scaling.get(one["name"], {})}
        for one in members.get("described_variants") or ()
    ]
    previous = members.get("previous_endpoint_config_name")
    history, unverified = members.get("history") or (), members.get("unverified") or ()
    rollback_to = rollback_target(history, serving=serving, unverified=unverified)
    if rollback_to is None and previous != serving and previous not in unverified:
        rollback_to = previous
    return _known(
        version=VERSION,
        kind=members.get("kind") or str(Kind.ENDPOINT),
        name=members.get("name"),
        endpoint_name=members.get("endpoint_name"),
        region=members.get("region"),
        action=members.get("action"),
        outcome=str(outcome),
        status=members.get("status"),
        endpoint_config_name=serving,
        requested_endpoint_config_name=members.get("target"),
        previous_endpoint_config_name=previous,
        rollback_to=rollback_to,
        variants=variants or None,
        alarms=members.get("alarms") or None,
        started_at=members.get("started_at"),
        seconds=members.get("seconds"),
        approved_by=members.get("approved_by"),
        triggered_by=members.get("triggered_by"),
        run_type=members.get("run_type"),
        dag_id=members.get("dag_id"),
        run_id=members.get("run_id"),
        task_id=members.get("task_id"),
        map_index=members.get("map_index"),
        try_number=members.get("try_number"),
        failure=capped(failure) if failure else None,
    )


def capped(text: str) -> str:
    """Return a text without signatures of URLs, and not longer than a record allows."""
    text = without_signatures(text)
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 2]} …"


def arn_region(arn: str | None) -> str | None:
    """Return the Region in an ARN."""
    parts = (arn or "").split(":")
    return parts[3] if len(parts) > 5 and parts[3] else None


def _contents(facts: Mapping[Fact, Any], described: Described | None) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what the known configs serve, by config and variant."""
    models = {fact.of[0]: answer for fact, answer in facts.items() if fact.kind is FactKind.MODEL and answer}
    known = {
        fact.of[0]: {
            variant["VariantName"]: _content(variant, models.get(variant.get("ModelName")))
            for variant in (answer.get("ProductionVariants") or [])[:MOST_VARIANTS]
        }
        for fact, answer in facts.items()
        if fact.kind is FactKind.ENDPOINT_CONFIG and answer
    }
    # While a deployment is in progress, AWS describes the types of the new instances.
    pending = (described or {}).get("PendingDeploymentSummary") or {}
    coming = {
        one["VariantName"]: _known(instance_type=one.get("InstanceType"))
        for one in (pending.get("ProductionVariants") or [])[:MOST_VARIANTS]
    }
    return _added_up(
        {pending["EndpointConfigName"]: coming} if pending.get("EndpointConfigName") else {}, known
    )


def _content(variant: Mapping[str, Any], model: Mapping[str, Any] | None) -> dict[str, Any]:
    containers = [*((model or {}).get("Containers") or ()), (model or {}).get("PrimaryContainer") or {}]
    container: Mapping[str, Any] = next((one for one in containers if one), {})
    serverless = variant.get("ServerlessConfig")
    return _known(
        model=variant.get("ModelName"),
        instance_type="serverless" if serverless else variant.get("InstanceType"),
        image=container.get("Image"),
        artifact=without_signatures(container["ModelDataUrl"]) if container.get("ModelDataUrl") else None,
    )


def _scaling(facts: Mapping[Fact, Any]) -> dict[str, dict[str, int]]:
    """Return the scaling ranges of the variants that are scalable targets."""
    return {
        variant: _known(min_capacity=target.get("MinCapacity"), max_capacity=target.get("MaxCapacity"))
        for fact, answer in facts.items()
        if fact.kind is FactKind.SCALABLE_TARGETS
        for variant, target in (answer or {}).items()
    }


def _variant(described: Mapping[str, Any]) -> dict[str, Any]:
    images = [
        one.get("ResolvedImage") or one.get("SpecifiedImage") for one in described.get("DeployedImages") or ()
    ]
    serverless = described.get("CurrentServerlessConfig")
    return _known(
        name=described["VariantName"],
        weight=described.get("CurrentWeight"),
        desired_weight=described.get("DesiredWeight"),
        current=described.get("CurrentInstanceCount"),
        desired=described.get("DesiredInstanceCount"),
        instance_type="serverless" if serverless else described.get("InstanceType"),
        image=next((image for image in images if image), None),
    )


def _known(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
