"""Worlds to plan in: what AWS would describe of an endpoint, made of plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_sm_hosting.deployment.observation import Fact, FactKind, Observation
from airflow_sm_hosting.deployment.progress import Progress
from airflow_sm_hosting.deployment.status import is_transitional, on_its_way_to
from airflow_sm_hosting.deployment.steps import (
    AddTags,
    CreateEndpoint,
    DeleteTags,
    LookAgain,
    Step,
    UpdateEndpoint,
)
from airflow_sm_hosting.deployment.wanted import Wanted
from airflow_sm_hosting.spec.tags import OURS

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
#: Runs that were due one after the other.
EARLY, MIDDLE, LATE = (
    (NOW + timedelta(hours=hours)).isoformat(timespec="milliseconds") for hours in (-3, -2, -1)
)
ARN = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/churn"
CONFIGS = ("a", "b", "c")


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
    :param asked: The facts that were fetched.
    :param now: The time.
    :param transition: How long the endpoint takes to change.
    :param accepted: The runs' tasks and configs of the deployments that were accepted, in order.
    """

    endpoint: dict[str, Any] | None = None
    tags: Mapping[str, str] = field(default_factory=lambda: dict(OURS))
    configs: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(CONFIGS, "ml.m5.large"))
    scaling: Mapping[str, Any] | None = None
    config_tags: Mapping[str, str] = field(default_factory=dict)
    asked: list[Fact] = field(default_factory=list)
    now: datetime = NOW
    transition: timedelta = timedelta(minutes=5)
    accepted: list[tuple[str, str]] = field(default_factory=list)

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
            case LookAgain():
                pass
            case _:
                raise AssertionError(step)
        return None

    def _deploy(self, status: str, config: str, task: str) -> None:
        live = self.endpoint["EndpointConfigName"] if self.endpoint else config
        self.accepted.append((task, config))
        self.endpoint = endpoint(status, live, config, LastModifiedTime=self.now)

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
                }
                return {
                    "EndpointConfigName": name,
                    "EndpointConfigArn": config_arn(name),
                    "ProductionVariants": [variant],
                }
            case FactKind.SCALABLE_TARGETS:
                return {"main": self.scaling["target"]} if self.scaling else {}
            case FactKind.SCALING:
                return self.scaling
            case FactKind.POLICY_ARNS | FactKind.ALARMS:
                return {}
            case FactKind.ROLLOUT_ALARMS | FactKind.ALARMS_WITH_ACTION:
                return []
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
