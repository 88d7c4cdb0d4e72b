"""Inference components to plan with: what AWS would describe of them, made of plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from airflow_sm_hosting.deployment.component import (
    WantedComponent,
    as_compared,
    comparable,
    described_component,
    specification_name,
)
from airflow_sm_hosting.deployment.observation import Fact, FactKind, Observation
from airflow_sm_hosting.deployment.planning import Plan, plan
from airflow_sm_hosting.deployment.progress import Progress
from airflow_sm_hosting.deployment.status import Kind
from airflow_sm_hosting.deployment.wanted import Wanted
from airflow_sm_hosting.spec.tags import OURS
from tests.deployment.worlds import NOW, nothing_known

FRONT = "arn:aws:sagemaker:us-east-1:123456789012"
NEEDS = {"MinMemoryRequiredInMb": 1024}
#: No plan needs more facts than these.
MOST_FACTS = 12


def requested(model: str = "new", **members: Any) -> dict[str, Any]:
    return {"ModelName": model, "ComputeResourceRequirements": NEEDS, **members}


def adapter(base: str = "base") -> dict[str, Any]:
    return {"BaseInferenceComponentName": base, "Container": {"ArtifactUrl": "s3://b/adapter.tar.gz"}}


def name_of(*specifications: Mapping[str, Any]) -> str:
    return specification_name(comparable(specifications))


def answer(
    specification: Mapping[str, Any] | None = None,
    status: str = "InService",
    name: str = "churn",
    copies: tuple[int, int] | None = (1, 1),
    **members: Any,
) -> dict[str, Any]:
    """Return DescribeInferenceComponent's answer.

    :param copies: Desired and current copies; None for an adapter.
    """
    found: dict[str, Any] = {
        "InferenceComponentName": name,
        "InferenceComponentArn": f"{FRONT}:inference-component/{name}",
        "EndpointName": "host",
        "VariantName": "main",
        "InferenceComponentStatus": status,
        "CreationTime": NOW - timedelta(days=1),
        "LastModifiedTime": NOW - timedelta(minutes=30),
        "Specification": requested("old") if specification is None else specification,
        **members,
    }
    if copies is not None:
        found["RuntimeConfig"] = {"DesiredCopyCount": copies[0], "CurrentCopyCount": copies[1]}
    return found


def host(status: str = "InService", **members: Any) -> dict[str, Any]:
    """Return DescribeEndpoint's answer for the endpoint of components."""
    return {
        "EndpointName": "host",
        "EndpointArn": f"{FRONT}:endpoint/host",
        "EndpointStatus": status,
        "EndpointConfigName": "host",
        "ProductionVariants": [{"VariantName": "main", "DesiredInstanceCount": 1}],
        **members,
    }


@dataclass
class Cloud:
    """What there is.

    :param components: DescribeInferenceComponent's answers.
    :param tags: The tags of every component.
    :param host: The endpoint; None for none.
    :param scaled: Whether the copies of every component are a scalable target.
    :param alarms: The alarms, by name.
    :param waking: The names of the alarms that wake every component from zero.
    """

    components: list[dict[str, Any]] = field(default_factory=list)
    tags: Mapping[str, str] = field(default_factory=lambda: dict(OURS))
    host: dict[str, Any] | None = field(default_factory=host)
    scaled: bool = False
    alarms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    compared: tuple[Mapping[str, Any], ...] = ()
    waking: tuple[str, ...] = ()

    def fetch(self, fact: Fact, observed: Observation | None = None) -> Any:
        """Return a fact, as the observer does."""
        match fact.kind:
            case FactKind.COMPONENT:
                found = [one for one in self.components if (one["InferenceComponentName"],) == fact.of]
                described = described_component(found[0]) if found else None
                return as_compared(described, self.compared)
            case FactKind.COMPONENTS:
                return [
                    {"EndpointName": one["InferenceComponentName"]}
                    for one in self.components
                    if (one["EndpointName"],) == fact.of
                ]
            case FactKind.ENDPOINT:
                return self.host
            case FactKind.TAGS:
                return dict(self.tags)
            case FactKind.SCALING:
                resource = f"inference-component/{fact.of[0]}"
                place = {
                    "ServiceNamespace": "sagemaker",
                    "ResourceId": resource,
                    "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
                }
                return {**place, "MinCapacity": 1} if self.scaled else None
            case FactKind.WAKING_ALARMS:
                return list(self.waking)
            case FactKind.ALARMS:
                return {name: self.alarms[name] for name in fact.of if name in self.alarms}
        raise AssertionError(fact)


def wanted_component(*specifications: Mapping[str, Any], **given: Any) -> WantedComponent:
    return WantedComponent(
        **{
            "endpoint_name": "host",
            "variant_name": "main",
            "specifications": specifications or (requested(),),
            **given,
        }
    )


def wanted(component: WantedComponent | None = None, **given: Any) -> Wanted:
    component = component or wanted_component()
    return Wanted(
        **{
            "endpoint_name": "churn",
            "endpoint_config_name": component.name,
            "task": "task",
            "component": component,
            **given,
        }
    )


def planned(
    cloud: Cloud, wanted: Wanted, progress: Progress, observed: Observation | None = None
) -> tuple[Plan, Observation]:
    """Plan, and fetch what the plan needs."""
    assert wanted.component
    cloud.compared = wanted.component.comparable
    observed = observed or nothing_known(kind=Kind.COMPONENT)
    for _ in range(MOST_FACTS):
        found = plan(observed, wanted, progress)
        if isinstance(found, Plan):
            return found, observed
        assert found not in observed.facts
        observed = observed.learned(found, cloud.fetch(found))
    raise AssertionError("the plan asks for facts for ever")
