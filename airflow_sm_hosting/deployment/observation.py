"""An observation of an endpoint and its related resources: one immutable value, filled only as far as a plan needs it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from airflow_sm_hosting.deployment.scaling_snapshot import Snapshot
from airflow_sm_hosting.deployment.status import Described, Kind


class FactKind(StrEnum):
    """The kinds of facts that AWS can describe, each with its subject."""

    #: DescribeEndpoint's answer, or None. Subject: the endpoint's name.
    ENDPOINT = "endpoint"
    #: DescribeInferenceComponent's answer in the members of an endpoint, or None. Subject: the component's name.
    COMPONENT = "inference component"
    #: The rows of an endpoint's inference components. Subject: the endpoint's name.
    COMPONENTS = "inference components"
    #: The tags of a SageMaker resource. Subject: its ARN.
    TAGS = "tags"
    #: DescribeEndpointConfig's answer, or None. Subject: the config's name.
    ENDPOINT_CONFIG = "endpoint config"
    #: DescribeModel's answer, or None. Subject: the model's name.
    MODEL = "model"
    #: The same for a model that a smoke test invokes, but empty if the worker is not allowed to read it. Subject: the model's name.
    INVOKED_MODEL = "invoked model"
    #: The scalable targets among the endpoint's variants, by variant. Subject: the endpoint's name and its variants.
    SCALABLE_TARGETS = "scalable targets"
    #: Policies, scheduled actions and tags of a variant's scalable target, as in a snapshot; None for no target. Subject: both names.
    SCALING = "scaling"
    #: The ARNs of a variant's scaling policies, by name. Subject: the endpoint's name, the variant's name and the scalable dimension.
    POLICY_ARNS = "policy ARNs"
    #: Alarms, by name. Subject: their names.
    ALARMS = "alarms"
    #: The names of the alarms made for a deployment. Subject: the endpoint's name and the config's name.
    ROLLOUT_ALARMS = "rollout alarms"
    #: The alarms with a certain action. Subject: the action's ARN.
    ALARMS_WITH_ACTION = "alarms with an action"
    #: The names of our metric alarms on an endpoint. Subject: the endpoint's name.
    ENDPOINT_ALARMS = "alarms on the endpoint"
    #: The names of our alarms that wake an inference component from zero. Subject: the component's name.
    WAKING_ALARMS = "alarms that wake"
    #: The models that inference components serve; None if the worker is not allowed to read it.
    MODELS_OF_COMPONENTS = "models of inference components"
    #: The models of every config that an endpoint serves or is being updated to, by the config's name.
    NEEDED_CONFIGS = "configs that endpoints use"


@dataclass(frozen=True)
class Fact:
    """One fact to read from AWS.

    :param kind: The kind.
    :param of: The subject.
    """

    kind: FactKind
    of: tuple[str, ...] = ()


class FactNeededError(Exception):
    """A plan lacks a fact. The caller fetches the fact and plans again.

    :param fact: The missing fact.
    """

    def __init__(self, fact: Fact) -> None:
        super().__init__(f"{fact.kind} of {', '.join(fact.of)}")
        self.fact = fact


@dataclass(frozen=True)
class Observation:
    """An observation of an endpoint, or of an inference component.

    :param endpoint_name: Its name.
    :param now: The time.
    :param copy: Identifies this run's copy of the saved scaling among those of other runs: 8 letters or digits.
    :param facts: The answers of AWS, with the changes of the steps since.
    :param own_change: This task's latest change of the endpoint, which AWS may not show yet: ``created``, ``updated``, ``deleted``.
    :param modified_before: ``LastModifiedTime`` before this task's update, in ISO format.
    :param changed_at: When AWS accepted this task's latest creation or update, in seconds since the epoch, by AWS's clock.
    :param copies: The tags that hold the scaling removed by this task.
    :param restored: The ARNs of the restored policies, by variant and name.
    :param simulated: Whether steps are simulated. In a simulation, a fact must be known before a step changes it.
    :param kind: The kind of the resource. An inference component is described in the members of an endpoint.
    """

    endpoint_name: str
    now: datetime
    copy: str
    facts: Mapping[Fact, Any] = field(default_factory=dict)
    own_change: str | None = None
    modified_before: str | None = None
    changed_at: int | None = None
    copies: Mapping[str, str] = field(default_factory=dict)
    restored: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    simulated: bool = False
    kind: Kind = Kind.ENDPOINT

    # Facts.

    @property
    def endpoint(self) -> Described | None:
        """DescribeEndpoint's answer, or None for no such endpoint; an inference component's in the same members."""
        found: Described | None = self.get(self.endpoint_fact)
        return found

    @property
    def endpoint_fact(self) -> Fact:
        """The fact behind :attr:`endpoint`."""
        kind = FactKind.ENDPOINT if self.kind is Kind.ENDPOINT else FactKind.COMPONENT
        return Fact(kind, (self.endpoint_name,))

    @property
    def tags(self) -> Mapping[str, str]:
        """The endpoint's tags; none for an endpoint that does not exist."""
        return self.tags_of(self.endpoint["EndpointArn"]) if self.endpoint else {}

    def tags_of(self, arn: str) -> Mapping[str, str]:
        """Return the tags of a SageMaker resource."""
        found: Mapping[str, str] = self.get(Fact(FactKind.TAGS, (arn,)))
        return found

    def config(self, name: str) -> Described | None:
        """Return DescribeEndpointConfig's answer, or None."""
        found: Described | None = self.get(Fact(FactKind.ENDPOINT_CONFIG, (name,)))
        return found

    def variants_of(self, config: str | None) -> list[Mapping[str, Any]]:
        """Return the variants of a config; none where it does not exist."""
        found = self.config(config) if config else None
        return list((found or {}).get("ProductionVariants") or [])

    def model(self, name: str) -> Described | None:
        """Return DescribeModel's answer, or None."""
        found: Described | None = self.get(Fact(FactKind.MODEL, (name,)))
        return found

    def invoked_model(self, name: str) -> Described:
        """Return DescribeModel's answer for a model that is invoked; empty if there is none, or if it may not be read."""
        found: Described | None = self.get(Fact(FactKind.INVOKED_MODEL, (name,)))
        return found or {}

    @property
    def targets_fact(self) -> Fact:
        """The fact behind :attr:`scalable_targets`."""
        variants = [one["VariantName"] for one in (self.endpoint or {}).get("ProductionVariants") or []]
        return Fact(FactKind.SCALABLE_TARGETS, (self.endpoint_name, *variants))

    @property
    def scalable_targets(self) -> Mapping[str, Mapping[str, Any]]:
        """The scalable targets among the endpoint's variants, by variant.

        An endpoint without variants has none, and AWS is not asked: DescribeScalableTargets without resource ids answers the targets of
        all endpoints (for an empty list of ids, this is assumed).
        """
        found: Mapping[str, Mapping[str, Any]] = (
            self.get(self.targets_fact) if len(self.targets_fact.of) > 1 else {}
        )
        return found

    @property
    def scaled_variants(self) -> set[str]:
        """The variants of the endpoint that are scalable targets."""
        return set(self.scalable_targets)

    def scaling(self, variants: Collection[str]) -> Snapshot:
        """Return the scaling of the variants that are scalable targets."""
        found = {variant: self.get(self.scaling_fact(variant)) for variant in sorted(variants)}
        return {variant: scaling for variant, scaling in found.items() if scaling is not None}

    def scaling_fact(self, variant: str) -> Fact:
        """Return the fact for the scaling of one variant."""
        return Fact(FactKind.SCALING, (self.endpoint_name, variant))

    def policy_arns(self, variant: str, dimension: str) -> Mapping[str, str]:
        """Return the ARNs of a variant's scaling policies, by name."""
        found: Mapping[str, str] = self.get(
            Fact(FactKind.POLICY_ARNS, (self.endpoint_name, variant, dimension))
        )
        return found

    def alarms(self, names: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return alarms by name."""
        found: Mapping[str, Mapping[str, Any]] = self.get(Fact(FactKind.ALARMS, tuple(names)))
        return found

    def rollout_alarms(self, config: str) -> list[str]:
        """Return the names of the alarms made for the deployment of a config."""
        return list(self.get(Fact(FactKind.ROLLOUT_ALARMS, (self.endpoint_name, config))))

    def alarms_with_action(self, arn: str) -> list[Mapping[str, Any]]:
        """Return the alarms that have an action with this ARN."""
        return list(self.get(Fact(FactKind.ALARMS_WITH_ACTION, (arn,))))

    def get(self, fact: Fact) -> Any:
        """Return a fact.

        :raises FactNeededError: When it was not fetched.
        """
        if fact not in self.facts:
            raise FactNeededError(fact)
        return self.facts[fact]

    # Changes.

    def learned(self, fact: Fact, value: Any) -> Observation:
        """Return the observation with a fetched fact."""
        return replace(self, facts={**self.facts, fact: value})

    def changed(self, fact: Fact, change: Callable[[Any], Any]) -> Observation:
        """Return the observation with a changed fact; an unknown fact stays unknown, and is fetched when it is needed.

        :param fact: The fact.
        :param change: Returns the new value for the old one.
        :raises FactNeededError: When the fact is not known and the step is only simulated.
        """
        if fact not in self.facts and not self.simulated:
            return self
        return self.learned(fact, change(self.get(fact)))

    def forgotten(self, *kinds: FactKind) -> Observation:
        """Return the observation without facts that may have changed: they are fetched again when they are needed.

        :param kinds: The kinds of facts; all kinds if none is given.
        """
        kept = {fact: value for fact, value in self.facts.items() if kinds and fact.kind not in kinds}
        return replace(self, facts=kept)
