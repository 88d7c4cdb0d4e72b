"""Worlds to plan in: what AWS would describe of an endpoint, made of plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_sm_hosting.deployment.observation import Fact, FactKind, Observation
from airflow_sm_hosting.deployment.planning import Plan, plan
from airflow_sm_hosting.deployment.progress import Progress
from airflow_sm_hosting.deployment.smoke_test import AnswerFailure
from airflow_sm_hosting.deployment.status import is_transitional, on_its_way_to
from airflow_sm_hosting.deployment.steps import (
    AddTags,
    CheckAnswer,
    ConfirmDetaching,
    CreateEndpoint,
    DeleteAlarms,
    DeleteTags,
    DeregisterScalableTarget,
    ObserveAgain,
    PutCompositeAlarm,
    PutMetricAlarm,
    PutScalingPolicy,
    PutScheduledAction,
    RegisterScalableTarget,
    Step,
    UpdateEndpoint,
)
from airflow_sm_hosting.deployment.wanted import Wanted
from airflow_sm_hosting.spec.fleet_alarm import alarm_prefix
from airflow_sm_hosting.spec.tags import OURS

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
#: Runs that were due one after the other.
EARLY, MIDDLE, LATE = (
    (NOW + timedelta(hours=hours)).isoformat(timespec="milliseconds") for hours in (-3, -2, -1)
)
ARN = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/churn"
CONFIGS = ("a", "b", "c")
#: No plan needs more facts than these.
MOST_FACTS = 12


def config_arn(name: str) -> str:
    return f"arn:aws:sagemaker:us-east-1:123456789012:endpoint-config/{name}"


class RefusedError(Exception):
    """AWS refuses a call because the endpoint is being changed, or exists already."""


@dataclass
class World:
    """What there is.

    :param endpoint: DescribeEndpoint's answer, or None.
    :param tags: The endpoint's tags.
    :param configs: The instance type of each config's variant.
    :param scaling: The scaling of the endpoint's variant, as a snapshot has it; None for no scalable target.
    :param config_tags: The tags of every config.
    :param alarms: The alarms, by name.
    :param wrong_answers: What is wrong with the answer of the endpoint, by the config that serves.
    :param asked: The facts that were fetched.
    :param now: The time.
    :param transition: How long the endpoint takes to change.
    :param accepted: The runs' tasks and configs of the deployments that were accepted, in order.
    :param models: The described models, by name; the variant of every config has ``model``.
    :param config: More members of every config.
    :param variant: More members of the variant of every config.
    """

    endpoint: dict[str, Any] | None = None
    tags: Mapping[str, str] = field(default_factory=lambda: dict(OURS))
    configs: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(CONFIGS, "ml.m5.large"))
    scaling: Mapping[str, Any] | None = None
    config_tags: Mapping[str, str] = field(default_factory=dict)
    alarms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    wrong_answers: Mapping[str, str] = field(default_factory=dict)
    asked: list[Fact] = field(default_factory=list)
    now: datetime = NOW
    transition: timedelta = timedelta(minutes=5)
    accepted: list[tuple[str, str]] = field(default_factory=list)
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"model": {"ModelName": "model"}})
    config: Mapping[str, Any] = field(default_factory=dict)
    variant: Mapping[str, Any] = field(default_factory=dict)

    def pass_by(self, **time: float) -> None:
        """Let time pass, and what goes on end when it is due."""
        self.now += timedelta(**time)
        if (
            self.endpoint
            and is_transitional(self.endpoint)
            and self.now >= self.endpoint["LastModifiedTime"] + self.transition
        ):
            self.endpoint = endpoint(
                "InService", str(on_its_way_to(self.endpoint)), LastModifiedTime=self.now
            )

    def apply(self, step: Step, task: str) -> Any:
        """Do what a step says, as AWS does.

        :param task: Whose step it is.
        :raises RefusedError: When AWS refuses it for now.
        """
        match step:
            case CreateEndpoint():
                if self.endpoint is not None:
                    raise RefusedError
                self._deploy("Creating", step.request["EndpointConfigName"], task)
                self.tags = {tag["Key"]: tag["Value"] for tag in step.request["Tags"]}
            case UpdateEndpoint():
                if is_transitional(self.endpoint):
                    raise RefusedError
                self._deploy("Updating", step.request["EndpointConfigName"], task)
                return {"taken_at": int(self.now.timestamp())}
            case AddTags():
                self.tags = {**self.tags, **step.tags}
            case DeleteTags():
                self.tags = {
                    key: value for key, value in self.tags.items() if key not in step.request["TagKeys"]
                }
            case CheckAnswer():
                wrong = self.wrong_answers.get((self.endpoint or {})["EndpointConfigName"])
                return AnswerFailure(wrong) if wrong else None
            case DeregisterScalableTarget():
                self.scaling = None
            case RegisterScalableTarget():
                self.scaling = {"target": step.request, "policies": [], "actions": [], "arns": {}}
            case PutScalingPolicy():
                return self._put_policy(step)
            case PutScheduledAction():
                self.scaling = {
                    **(self.scaling or {}),
                    "actions": [*(self.scaling or {})["actions"], step.request],
                }
            case PutMetricAlarm() | PutCompositeAlarm():
                self.alarms = {**self.alarms, step.request["AlarmName"]: step.request}
            case DeleteAlarms():
                gone = step.request["AlarmNames"]
                self.alarms = {name: alarm for name, alarm in self.alarms.items() if name not in gone}
            case ObserveAgain() | ConfirmDetaching():
                pass
            case _:
                raise AssertionError(step)
        return None

    def _deploy(self, status: str, config: str, task: str) -> None:
        live = self.endpoint["EndpointConfigName"] if self.endpoint else config
        self.accepted.append((task, config))
        self.endpoint = endpoint(status, live, config, LastModifiedTime=self.now)

    def _put_policy(self, step: PutScalingPolicy) -> dict[str, str]:
        """Put a policy: one that was deleted before gets a new ARN."""
        name = step.request["PolicyName"]
        before, arn = self.scaling or {}, f"arn:new:{name}"
        self.scaling = {
            **before,
            "policies": [*before["policies"], step.request],
            "arns": {**before["arns"], arn: name},
        }
        return {"PolicyARN": arn}

    def fetch(self, fact: Fact, observed: Observation | None = None) -> Any:
        """Return a fact, as the observer does."""
        self.asked.append(fact)
        match fact.kind:
            case FactKind.ENDPOINT:
                return self.endpoint
            case FactKind.TAGS:
                return dict(self.tags if fact.of == (ARN,) else self.config_tags)
            case FactKind.ENDPOINT_CONFIG:
                [name] = fact.of
                if name not in self.configs:
                    return None
                variant = {
                    "VariantName": "main",
                    "ModelName": "model",
                    "InstanceType": self.configs[name],
                    "InitialInstanceCount": 1,
                    **self.variant,
                }
                return {
                    "EndpointConfigName": name,
                    "EndpointConfigArn": config_arn(name),
                    "ProductionVariants": [variant],
                    **self.config,
                }
            case FactKind.INVOKED_MODEL:
                return self.models.get(fact.of[0])
            case FactKind.SCALABLE_TARGETS:
                return {"main": self.scaling["target"]} if self.scaling else {}
            case FactKind.SCALING:
                return self.scaling
            case FactKind.ALARMS:
                return {name: self.alarms[name] for name in fact.of if name in self.alarms}
            case FactKind.ROLLOUT_ALARMS:
                return sorted(name for name in self.alarms if name.startswith(alarm_prefix(*fact.of)))
            case FactKind.ALARMS_WITH_ACTION:
                [arn] = fact.of
                return [alarm for alarm in self.alarms.values() if arn in alarm.get("AlarmActions", [])]
        raise AssertionError(fact)


SCALING: dict[str, Any] = {
    "target": {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/churn/variant/main",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "MinCapacity": 1,
        "MaxCapacity": 4,
    },
    "policies": [],
    "actions": [],
    "arns": {},
}


def endpoint(status: str, live: str = "a", pending: str | None = None, **members: Any) -> dict[str, Any]:
    """Return DescribeEndpoint's answer."""
    answer: dict[str, Any] = {
        "EndpointName": "churn",
        "EndpointArn": ARN,
        "EndpointStatus": status,
        "EndpointConfigName": live,
        "LastModifiedTime": NOW - timedelta(minutes=30),
        "ProductionVariants": [{"VariantName": "main", "DesiredInstanceCount": 1, "DesiredWeight": 1.0}],
        **members,
    }
    if pending:
        answer["PendingDeploymentSummary"] = {"EndpointConfigName": pending}
    return answer


def nothing_known(**given: Any) -> Observation:
    return Observation(**{"endpoint_name": "churn", "now": NOW, "copy": "0123abcd", **given})


def wanted(**given: Any) -> Wanted:
    return Wanted(**{"endpoint_name": "churn", "endpoint_config_name": "b", "task": "task", **given})


def progress(**given: Any) -> Progress:
    now = NOW.timestamp()
    return Progress(**{"started_at": now, "deadline": now + 3600, **given})


def planned(
    world: World, wanted: Wanted, progress: Progress, observed: Observation | None = None
) -> tuple[Plan, Observation]:
    """Plan, and fetch what the plan needs; hold that no fact is asked for twice."""
    observed = observed or nothing_known(now=world.now)
    for _ in range(MOST_FACTS):
        found = plan(observed, wanted, progress)
        if isinstance(found, Plan):
            return found, observed
        assert isinstance(found, Fact)
        assert found not in observed.facts
        observed = observed.learned(found, world.fetch(found))
    raise AssertionError("the plan asks for facts for ever")


def tags_set(found: Plan) -> dict[str, str]:
    return {
        key: value for step in found.steps if isinstance(step, AddTags) for key, value in step.tags.items()
    }
