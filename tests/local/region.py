"""SageMaker hosting as an object, for tests of its rules: no server, no containers, virtual time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_hosting.local.clock import VirtualClock
from airflow_sm_hosting.local.cloudwatch.service import CloudWatch
from airflow_sm_hosting.local.ecr.registry import Registry
from airflow_sm_hosting.local.engines.none import NoEngine
from airflow_sm_hosting.local.server.region import Region as LocalRegion
from airflow_sm_hosting.local.wire.errors import AwsError
from tests.local.conftest import FOREIGN_IMAGE, ROLE

START = datetime(2026, 1, 1, tzinfo=UTC)
REGION = "us-east-1"


class Region:
    """SageMaker hosting without containers, in this process, in virtual time."""

    def __init__(self, folder: Path, transition_seconds: float = 0, **more: Any) -> None:
        self.clock = VirtualClock(START)
        self.alarms: dict[str, str] = {}
        self.cloudwatch = CloudWatch(self.clock)
        self.hosting = LocalRegion(
            *(REGION, NoEngine(), Registry(folder, REGION), folder, transition_seconds, self.clock),
            cloudwatch=self.cloudwatch.region(REGION),
            alarm_state=self.alarms.get,
            **more,
        )
        self.ask(
            "CreateModel", ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": FOREIGN_IMAGE}
        )

    def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        return self.hosting.sagemaker.answer(operation, request)

    def config(self, name: str, *variants: dict[str, Any], **more: Any) -> None:
        self.ask(
            "CreateEndpointConfig",
            EndpointConfigName=name,
            ProductionVariants=list(variants) or [self.variant()],
            **more,
        )

    def variant(self, name: str = "main", count: int = 4, **more: Any) -> dict[str, Any]:
        return {
            "VariantName": name,
            "ModelName": "m",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": count,
            **more,
        }

    def serving(self, *variants: dict[str, Any]) -> None:
        """Have the endpoint ``e`` serve the config ``old``, with a config ``new`` like it."""
        self.config("old", *variants)
        self.config("new", *variants)
        self.ask("CreateEndpoint", EndpointName="e", EndpointConfigName="old")
        self.clock.advance(60)
        assert self.status == "InService"

    def update(self, deployment: dict[str, Any] | None = None, config: str = "new", **more: Any) -> None:
        if deployment:
            more["DeploymentConfig"] = deployment
        self.ask("UpdateEndpoint", EndpointName="e", EndpointConfigName=config, **more)
        self.clock.advance(0)

    def refusal(self, operation: str, **request: Any) -> str:
        with pytest.raises(AwsError) as caught:
            self.ask(operation, **request)
        assert caught.value.code == "ValidationException"
        return caught.value.message

    @property
    def described(self) -> dict[str, Any]:
        return self.ask("DescribeEndpoint", EndpointName="e")

    @property
    def status(self) -> str:
        return str(self.described["EndpointStatus"])

    @property
    def counts(self) -> tuple[int, int]:
        """Instances of the old and of the new fleet that take traffic."""
        found = self.described
        pending = found.get("PendingDeploymentSummary", {"ProductionVariants": [{"CurrentInstanceCount": 0}]})
        (old,), (new,) = found["ProductionVariants"], pending["ProductionVariants"]
        return old["CurrentInstanceCount"], new["CurrentInstanceCount"]

    @property
    def stage(self) -> dict[str, Any]:
        (variant,) = self.described["PendingDeploymentSummary"]["ProductionVariants"]
        (stage,) = variant["VariantStatus"]
        return stage

    @property
    def share(self) -> float:
        """The share of the traffic that goes to the config ``new``."""
        endpoint = self.hosting.endpoints.find("e")
        assert endpoint
        split = endpoint.serving.traffic()
        assert sum(share for *_, share in split) == pytest.approx(1)
        return round(sum(share for fleet, _, share in split if fleet.config_name == "new"), 6)

    def timeline(self, until: float, step: float = 1) -> list[tuple[float, str, float]]:
        """Return what status and share there were, and from when on."""
        seen: list[tuple[float, str, float]] = []
        at = 0.0
        while at <= until:
            now = (self.status, self.share)
            if not seen or seen[-1][1:] != now:
                seen.append((at, *now))
            self.clock.advance(step)
            at += step
        return seen
