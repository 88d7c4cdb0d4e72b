"""The steps of plans: plain data with the request of a call and the effect of the call on an observation.

Each operation that changes an AWS resource has one class here, and one adapter that makes the call (``deployer/adapters.py``). The deployer
applies the steps of a plan; a simulation shows them to a person. Both fold the effect of each step into the observation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from airflow_sm_hosting.deployment.component import COPIES, comparable, specification_name
from airflow_sm_hosting.deployment.observation import Fact, FactKind, Observation
from airflow_sm_hosting.deployment.scaling_snapshot import policy_members, variant_of
from airflow_sm_hosting.deployment.status import (
    CREATING,
    DELETING,
    IN_SERVICE,
    Kind,
    pending_config,
    same_name,
)
from airflow_sm_hosting.deployment.wait import Outcome, WaitCondition, WaitFor, WaitResult


@dataclass(frozen=True)
class Step:
    """One step of a plan."""

    def effect(self, observed: Observation, answer: Any = None) -> Observation:
        """Return the observation after the step.

        :param observed: The observation before the step.
        :param answer: AWS's answer; None in a simulation.
        """
        return observed


@dataclass(frozen=True)
class Call(Step):
    """One call that changes a resource.

    :param request: The operation's request.
    :param what: The resource that it writes or deletes, for the log.
    :param why: The differences, or the reason.
    """

    service: ClassVar[str]
    operation: ClassVar[str]

    request: Mapping[str, Any]
    what: str = ""
    why: str = ""


# SageMaker.


@dataclass(frozen=True)
class CreateEndpoint(Call):
    """Create the endpoint (``sagemaker:CreateEndpoint``)."""

    service = "sagemaker"
    operation = "CreateEndpoint"

    def effect(self, observed: Observation, answer: Any = None) -> Observation:
        """The endpoint is being created, with its tags."""
        arn = (answer or {}).get("EndpointArn") or _arn_beside(observed, self.request["EndpointConfigName"])
        described = {
            "EndpointName": self.request["EndpointName"],
            "EndpointArn": arn,
            "EndpointConfigName": self.request["EndpointConfigName"],
            "EndpointStatus": CREATING,
        }
        tags = {tag["Key"]: tag["Value"] for tag in self.request.get("Tags") or ()}
        known = observed.learned(observed.endpoint_fact, described).learned(Fact(FactKind.TAGS, (arn,)), tags)
        taken_at = (answer or {}).get("taken_at")
        return replace(known, own_change="created", modified_before=None, changed_at=taken_at)


@dataclass(frozen=True)
class UpdateEndpoint(Call):
    """Update the endpoint to another config (``sagemaker:UpdateEndpoint``).

    :param modified_before: The endpoint's ``LastModifiedTime`` before the update, in ISO format.
    :param scaled: The variants that are scalable targets, or were before a deployment removed their scaling.
    :param detached: The variants whose scaling was removed for this update.
    :param copies: The tags that hold the removed scaling.
    """

    service = "sagemaker"
    operation = "UpdateEndpoint"

    modified_before: str | None = None
    scaled: frozenset[str] = frozenset()
    detached: frozenset[str] = frozenset()
    copies: Mapping[str, str] = field(default_factory=dict)

    def effect(self, observed: Observation, answer: Any = None) -> Observation:
        """The endpoint is being updated to the config."""
        pending: dict[str, Any] = {"EndpointConfigName": self.request["EndpointConfigName"]}
        if observed.simulated:
            pending["ProductionVariants"] = self._variants(observed)

        def updating(described: Mapping[str, Any]) -> dict[str, Any]:
            return {**described, "EndpointStatus": "Updating", "PendingDeploymentSummary": pending}

        return replace(
            observed.changed(observed.endpoint_fact, updating),
            own_change="updated",
            modified_before=self.modified_before,
            changed_at=(answer or {}).get("taken_at"),
            copies=self.copies,
        )

    def _variants(self, observed: Observation) -> list[dict[str, Any]]:
        """Return the variants after the update: counts and weights are those of the config, or retained (UpdateEndpoint)."""
        keeps = self.request.get("RetainAllVariantProperties")
        excluded = {
            one["VariantPropertyType"] for one in self.request.get("ExcludeRetainedVariantProperties") or ()
        }
        before = {
            one["VariantName"]: one for one in (observed.endpoint or {}).get("ProductionVariants") or []
        }
        made = []
        for variant in observed.variants_of(self.request["EndpointConfigName"]):
            one = _as_described(variant)
            for member in ("DesiredInstanceCount", "DesiredWeight"):
                kept = before.get(variant["VariantName"], {}).get(member)
                if keeps and member not in excluded and kept is not None and member in one:
                    one[member] = kept
            made.append(one)
        return made


@dataclass(frozen=True)
class DeleteEndpoint(Call):
    """Delete the endpoint (``sagemaker:DeleteEndpoint``)."""

    service = "sagemaker"
    operation = "DeleteEndpoint"

    def effect(self, observed: Observation, answer: Any = None) -> Observation:
        """The endpoint is being deleted."""
        if observed.simulated:
            # DeleteEndpoint deletes its scalable targets too.
            for variant, target in observed.scalable_targets.items():
                observed = observed.learned(policy_arns_fact(observed, variant, target), {})
                observed = observed.learned(observed.scaling_fact(variant), None)
            observed = observed.learned(observed.targets_fact, {})
        deleting = observed.changed(
            observed.endpoint_fact, lambda described: {**described, "EndpointStatus": DELETING}
        )
        return replace(deleting, own_change="deleted")


@dataclass(frozen=True)
class UpdateEndpointWeightsAndCapacities(Call):
    """Set weights and instance counts of variants (``sagemaker:UpdateEndpointWeightsAndCapacities``)."""

    service = "sagemaker"
    operation = "UpdateEndpointWeightsAndCapacities"

    def effect(self, observed: Observation, answer: Any = None) -> Observation:
        """The variants have the weights and counts."""
        changes = {one["VariantName"]: one for one in self.request["DesiredWeightsAndCapacities"]}

        def changed(described: Mapping[str, Any]) -> dict[str, Any]:
            variants = described.get("ProductionVariants") or []
            return {
                **described,
                "ProductionVariants": [{**one, **changes.get(one["VariantName"], {})} for one in variants],
            }

        return observed.changed(observed.endpoint_fact, changed)


@dataclass(frozen=True)
class CreateInferenceComponent(Call):
    """Create an inference component (``sagemaker:CreateInferenceComponent``)."""

    service = "sagemaker"
    operation = "CreateInferenceComponent"

    def effect(self, observed: Observation, answer: Any = None) -> Observation:
        """The component is being created, with its tags."""
        name = self.request["InferenceComponentName"]
        arn = (answer or {}).get("InferenceComponentArn") or f"arn:new:inference-component/{name}"
        specifications = comparable(_specifications(self.request))
        copies = (self.request.get("RuntimeConfig") or {}).get("CopyCount")
        described = {
            "Kind": str(Kind.COMPONENT),
            "EndpointName": name,
            "EndpointArn": arn,
            "EndpointConfigName": specification_name(specifications),
            "EndpointStatus": CREATING,
            "ProductionVariants": [] if copies is None else [_copies(copies)],
            "HostName": self.request["EndpointName"],
            "HostVariant": self.request.get("VariantName"),
            "Specifications": list(specifications),
        }
        tags = {tag["Key"]: tag["Value"] for tag in self.request.get("Tags") or ()}
        known = observed.learned(observed.endpoint_fact, described).learned(Fact(FactKind.TAGS, (arn,)), tags)
        taken_at = (answer or {}).get("taken_at")
        return replace(known, own_change="created", modified_before=None, changed_at=taken_at)


@dataclass(frozen=True)
class UpdateInferenceComponent(Call):
    """Update an inference component to other specifications (``sagemaker:UpdateInferenceComponent``).

    :param modified_before: Its ``LastModifiedTime`` before the update, in ISO format.
    """

    service = "sagemaker"
    operation = "UpdateInferenceComponent"

    modified_before: str | None = None

    def effect(self, observed: Observation, answer: Any = None) -> Observation:
        """The component is being updated to the specifications."""
        pending = {"EndpointConfigName": specification_name(comparable(_specifications(self.request)))}

        def updating(described: Mapping[str, Any]) -> dict[str, Any]:
            return {**described, "EndpointStatus": "Updating", "PendingDeploymentSummary": pending}

        return replace(
            observed.changed(observed.endpoint_fact, updating),
            own_change="updated",
            modified_before=self.modified_before,
            changed_at=(answer or {}).get("taken_at"),
        )


@dataclass(frozen=True)
class UpdateInferenceComponentRuntimeConfig(Call):
    """Set the number of copies (``sagemaker:UpdateInferenceComponentRuntimeConfig``)."""

    service = "sagemaker"
    operation = "UpdateInferenceComponentRuntimeConfig"

    def effect(self, observed: Observation, answer: Any = None) -> Observation:
        """The component has the copies."""
        copies = [_copies(self.request["DesiredRuntimeConfig"]["CopyCount"])]
        return observed.changed(
            observed.endpoint_fact, lambda described: {**described, "ProductionVariants": copies}
        )


@dataclass(frozen=True)
class DeleteInferenceComponent(Call):
    """Delete an inference component (``sagemaker:DeleteInferenceComponent``)."""

    service = "sagemaker"
    operation = "DeleteInferenceComponent"

    def effect(self, observed: Observation, answer: Any = None) -> Observation:
        """The component is being deleted."""
        if observed.kind is not Kind.COMPONENT:
            return observed
        deleting = observed.changed(
            observed.endpoint_fact, lambda described: {**described, "EndpointStatus": DELETING}
        )
        return replace(deleting, own_change="deleted")


@dataclass(frozen=True)
class AddTags(Call):
    """Set tags of a SageMaker resource (``sagemaker:AddTags``)."""

    service = "sagemaker"
    operation = "AddTags"

    @property
    def tags(self) -> dict[str, str]:
        """The tags by key."""
        return {tag["Key"]: tag["Value"] for tag in self.request["Tags"]}

    def effect(self, observed: Observation, answer: Any = None) -> Observation:
        """The resource has the tags."""
        fact = Fact(FactKind.TAGS, (self.request["ResourceArn"],))
        return observed.changed(fact, lambda tags: {**tags, **self.tags})


@dataclass(frozen=True)
class DeleteTags(Call):
    """Delete tags of a SageMaker resource (``sagemaker:DeleteTags``)."""

    service = "sagemaker"
    operation = "DeleteTags"

    def effect(self, observed: Observation, answer: Any = None) -> Observation:
        """The resource no longer has the tags."""
        fact, gone = Fact(FactKind.TAGS, (self.request["ResourceArn"],)), set(self.request["TagKeys"])
        return observed.changed(
            fact, lambda tags: {key: value for key, value in tags.items() if key not in gone}
        )


@dataclass(frozen=True)
class DeleteEndpointConfig(Call):
    """Delete an endpoint config (``sagemaker:DeleteEndpointConfig``)."""

    service = "sagemaker"
    operation = "DeleteEndpointConfig"


@dataclass(frozen=True)
class DeleteModel(Call):
    """Delete a model (``sagemaker:DeleteModel``)."""

    service = "sagemaker"
    operation = "DeleteModel"


# Application Auto Scaling.


@dataclass(frozen=True)
class ScalingCall(Call):
    """A call to Application Auto Scaling; when it restores a snapshot, ``request`` contains the snapshot's plain values."""

    service = "application-autoscaling"

    def _scaling_changed(self, observed: Observation, change: Callable[[Any], Any]) -> Observation:
        """Return the observation with the changed scaling of the call's variant, if the variant belongs to the observed endpoint."""
        endpoint_name, variant = variant_of(self.request.get("ResourceId", ""))
        if not observed.simulated or not same_name(endpoint_name, observed.endpoint_name):
            return observed
        return observed.changed(observed.scaling_fact(variant), change)


@dataclass(frozen=True)
class RegisterScalableTarget(ScalingCall):
    """Make a variant a scalable target, or change one (``application-autoscaling:RegisterScalableTarget``).

    :param may_exist: Whether an earlier try may have registered it with the same tags. AWS refuses tags for a registered target; they are
        then set with TagResource.
    """

    operation = "RegisterScalableTarget"

    may_exist: bool = False

    def effect(self, observed: Observation, answer: Any = None) -> Observation:
        """The variant is a scalable target."""
        _, variant = variant_of(self.request.get("ResourceId", ""))

        def registered(scaling: Any) -> dict[str, Any]:
            before = scaling or {"policies": [], "actions": [], "arns": {}}
            return {**before, "target": {**before.get("target", {}), **self.request}}

        known = self._scaling_changed(observed, registered)
        known = replace(known, restored={**known.restored, variant: known.restored.get(variant, {})})
        return (
            known.changed(known.targets_fact, lambda found: {**found, variant: self.request})
            if known.simulated
            else known
        )


@dataclass(frozen=True)
class DeregisterScalableTarget(ScalingCall):
    """Remove the scaling of a variant, with its policies and scheduled actions (``DeregisterScalableTarget``)."""

    operation = "DeregisterScalableTarget"

    def effect(self, observed: Observation, answer: Any = None) -> Observation:
        """The variant is not a scalable target."""
        _, variant = variant_of(self.request.get("ResourceId", ""))
        known = self._scaling_changed(observed, lambda _: None)
        if not known.simulated:
            return known
        without = known.changed(
            known.targets_fact, lambda found: {name: one for name, one in found.items() if name != variant}
        )
        return without.learned(policy_arns_fact(without, variant, self.request), {})


@dataclass(frozen=True)
class PutScalingPolicy(ScalingCall):
    """Put a scaling policy (``application-autoscaling:PutScalingPolicy``)."""

    operation = "PutScalingPolicy"

    def effect(self, observed: Observation, answer: Any = None) -> Observation:
        """The policy exists; the answer contains its ARN, which is new if the policy was deleted before."""
        _, variant = variant_of(self.request.get("ResourceId", ""))
        name = self.request["PolicyName"]
        if answer is None:
            arn = observed.policy_arns(variant, self.request["ScalableDimension"]).get(name, f"new:{name}")
        else:
            arn = answer["PolicyARN"]
        put = policy_members(self.request)
        known = self._scaling_changed(
            observed,
            lambda scaling: {
                **scaling,
                "policies": [*(one for one in scaling["policies"] if one["PolicyName"] != name), put],
                "arns": {**scaling["arns"], arn: name},
            },
        )
        return replace(
            known, restored={**known.restored, variant: {**known.restored.get(variant, {}), name: arn}}
        )


@dataclass(frozen=True)
class DeleteScalingPolicy(ScalingCall):
    """Delete a scaling policy (``application-autoscaling:DeleteScalingPolicy``)."""

    operation = "DeleteScalingPolicy"


@dataclass(frozen=True)
class PutScheduledAction(ScalingCall):
    """Put a scheduled action (``application-autoscaling:PutScheduledAction``)."""

    operation = "PutScheduledAction"

    def effect(self, observed: Observation, answer: Any = None) -> Observation:
        """The scheduled action exists."""
        name = self.request["ScheduledActionName"]
        return self._scaling_changed(
            observed,
            lambda scaling: {
                **scaling,
                "actions": [
                    *(one for one in scaling["actions"] if one["ScheduledActionName"] != name),
                    dict(self.request),
                ],
            },
        )


@dataclass(frozen=True)
class DeleteScheduledAction(ScalingCall):
    """Delete a scheduled action (``application-autoscaling:DeleteScheduledAction``)."""

    operation = "DeleteScheduledAction"


@dataclass(frozen=True)
class TagScalableTarget(ScalingCall):
    """Set tags of a scalable target (``application-autoscaling:TagResource``)."""

    operation = "TagResource"


@dataclass(frozen=True)
class UntagScalableTarget(ScalingCall):
    """Delete tags of a scalable target (``application-autoscaling:UntagResource``)."""

    operation = "UntagResource"


# CloudWatch.


@dataclass(frozen=True)
class AlarmCall(Call):
    """A call to CloudWatch.

    :param described: Whether the request is a changed DescribeAlarms answer: it contains members that no request has.
    """

    service = "cloudwatch"

    described: bool = False


@dataclass(frozen=True)
class PutMetricAlarm(AlarmCall):
    """Put an alarm on a metric (``cloudwatch:PutMetricAlarm``).

    :param rollout_of: The config whose deployment it is for; None for other alarms.
    """

    operation = "PutMetricAlarm"

    rollout_of: str | None = None

    def effect(self, observed: Observation, answer: Any = None) -> Observation:
        """The alarm is there, with its new actions."""
        if self.rollout_of is None:
            return _repointed(observed, self.request["AlarmName"])
        fact = Fact(FactKind.ROLLOUT_ALARMS, (observed.endpoint_name, self.rollout_of))
        return observed.changed(fact, lambda names: sorted({*names, self.request["AlarmName"]}))


@dataclass(frozen=True)
class PutCompositeAlarm(AlarmCall):
    """Put an alarm on the states of others (``cloudwatch:PutCompositeAlarm``)."""

    operation = "PutCompositeAlarm"

    def effect(self, observed: Observation, answer: Any = None) -> Observation:
        """The alarm is there, with its new actions."""
        return _repointed(observed, self.request["AlarmName"])


@dataclass(frozen=True)
class DeleteAlarms(AlarmCall):
    """Delete alarms (``cloudwatch:DeleteAlarms``)."""

    operation = "DeleteAlarms"

    def effect(self, observed: Observation, answer: Any = None) -> Observation:
        """The alarms are gone."""
        gone = set(self.request["AlarmNames"])
        for fact in observed.facts:
            if fact.kind in (FactKind.ROLLOUT_ALARMS, FactKind.ENDPOINT_ALARMS, FactKind.WAKING_ALARMS):
                observed = observed.changed(fact, lambda names: [one for one in names if one not in gone])
        return observed


@dataclass(frozen=True)
class TagAlarm(AlarmCall):
    """Set tags of an alarm (``cloudwatch:TagResource``)."""

    operation = "TagResource"


# ECR and S3.


@dataclass(frozen=True)
class BatchDeleteImage(Call):
    """Delete image tags of a repository (``ecr:BatchDeleteImage``)."""

    service = "ecr"
    operation = "BatchDeleteImage"


@dataclass(frozen=True)
class DeleteObject(Call):
    """Delete an object (``s3:DeleteObject``)."""

    service = "s3"
    operation = "DeleteObject"


@dataclass(frozen=True)
class AbortMultipartUpload(Call):
    """Abort an upload in parts (``s3:AbortMultipartUpload``)."""

    service = "s3"
    operation = "AbortMultipartUpload"


# Steps that change nothing.


@dataclass(frozen=True)
class ObserveAgain(Step):
    """Forget facts that others may have changed: they are fetched again when they are needed.

    :param kinds: The kinds of facts; all kinds if empty.
    """

    kinds: tuple[FactKind, ...] = ()

    def effect(self, observed: Observation, answer: Any = None) -> Observation:
        """In a simulation nobody else changes anything."""
        return observed if observed.simulated else observed.forgotten(*self.kinds)


@dataclass(frozen=True)
class ConfirmDetaching(Step):
    """Check that no other run removes the scaling, and that the saved copy is complete.

    :param endpoint_arn: The endpoint.
    :param task: The task whose claim must be on the endpoint.
    :param copies: The keys of this run's copy of the scaling, which must be visible.
    :param known: The keys of other runs' copies that this copy includes; no other copies may exist.
    """

    endpoint_arn: str
    task: str
    copies: tuple[str, ...]
    known: tuple[str, ...]


@dataclass(frozen=True)
class CheckAnswer(Step):
    """Invoke the endpoint and check its answer: the smoke test (``sagemaker:InvokeEndpoint``).

    :param endpoint_name: The endpoint, spelled as AWS describes it.
    """

    endpoint_name: str


@dataclass(frozen=True)
class Wait(Step):
    """Wait, in this process or in the triggerer.

    :param condition: The condition that ends the wait.
    """

    condition: WaitCondition

    def effect(self, observed: Observation, answer: Any = None) -> Observation:
        """The wait has succeeded."""

        def ended(described: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
            if described is None or self.condition.until is WaitFor.GONE:
                return None
            pending = described.get("PendingDeploymentSummary") or {}
            config = pending_config(described) or described["EndpointConfigName"]
            variants = pending.get("ProductionVariants") or described.get("ProductionVariants") or []
            if not variants and observed.kind is Kind.ENDPOINT:
                variants = [_as_described(variant) for variant in observed.variants_of(config)]
            rest = {name: value for name, value in described.items() if name != "PendingDeploymentSummary"}
            return {
                **rest,
                "EndpointStatus": IN_SERVICE,
                "EndpointConfigName": config,
                "ProductionVariants": variants,
            }

        return replace(observed.changed(observed.endpoint_fact, ended), own_change=None)

    def simulated_result(self, observed: Observation) -> WaitResult:
        """Return the result of a successful wait.

        :param observed: The observation after the wait.
        """
        described = observed.endpoint or {}
        members = {
            member: str(described[member])
            for member in ("EndpointArn", "EndpointConfigName")
            if member in described
        }
        return WaitResult(str(Outcome.DEPLOYED), "simulated", members)


def _specifications(request: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(request["Specifications"]) if "Specifications" in request else [request["Specification"]]


def _copies(count: int) -> dict[str, Any]:
    return {"VariantName": COPIES, "DesiredInstanceCount": count, "CurrentInstanceCount": count}


def policy_arns_fact(observed: Observation, variant: str, target: Mapping[str, Any]) -> Fact:
    """Return the fact for the ARNs of a scalable target's policies."""
    return Fact(FactKind.POLICY_ARNS, (observed.endpoint_name, variant, str(target["ScalableDimension"])))


def _arn_beside(observed: Observation, config: str) -> str:
    """Return the future ARN of an endpoint, in the account and Region of its config."""
    found = observed.config(config) if observed.simulated else None
    prefix = str((found or {}).get("EndpointConfigArn", "")).rpartition(":endpoint-config/")[0]
    return f"{prefix}:endpoint/{observed.endpoint_name}"


def _as_described(variant: Mapping[str, Any]) -> dict[str, Any]:
    """Return a variant of a config as DescribeEndpoint describes it when it serves."""
    found = {"VariantName": variant["VariantName"], "DesiredWeight": variant.get("InitialVariantWeight", 1.0)}
    if variant.get("InitialInstanceCount") is not None:
        found["DesiredInstanceCount"] = variant["InitialInstanceCount"]
    if variant.get("ServerlessConfig"):
        found["CurrentServerlessConfig"] = variant["ServerlessConfig"]
    return found


def _repointed(observed: Observation, name: str) -> Observation:
    """Return the observation in which an alarm no longer contains a policy's old ARN."""
    for fact in observed.facts:
        if fact.kind is FactKind.ALARMS_WITH_ACTION:
            observed = observed.changed(
                fact, lambda alarms: [alarm for alarm in alarms if alarm["AlarmName"] != name]
            )
    return observed


def tags_in_words(keys: Iterable[str]) -> str:
    """Return which tags a call writes, for the log: the first keys, and how many more.

    :param keys: The keys of the tags.
    """
    names = sorted(keys)
    more = f" and {len(names) - _TAGS_IN_LOG} more" if len(names) > _TAGS_IN_LOG else ""
    return f"tags {', '.join(names[:_TAGS_IN_LOG])}{more}"


#: So many keys of tags stand in a line of the log.
_TAGS_IN_LOG = 3

#: Every class of a call that changes a resource.
CALLS: tuple[type[Call], ...] = (
    CreateEndpoint,
    UpdateEndpoint,
    DeleteEndpoint,
    UpdateEndpointWeightsAndCapacities,
    CreateInferenceComponent,
    UpdateInferenceComponent,
    UpdateInferenceComponentRuntimeConfig,
    DeleteInferenceComponent,
    AddTags,
    DeleteTags,
    DeleteEndpointConfig,
    DeleteModel,
    RegisterScalableTarget,
    DeregisterScalableTarget,
    PutScalingPolicy,
    DeleteScalingPolicy,
    PutScheduledAction,
    DeleteScheduledAction,
    TagScalableTarget,
    UntagScalableTarget,
    PutMetricAlarm,
    PutCompositeAlarm,
    DeleteAlarms,
    TagAlarm,
    BatchDeleteImage,
    DeleteObject,
    AbortMultipartUpload,
)
