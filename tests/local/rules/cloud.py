"""What the rules are held against: the local AWS, or plain moto, in the same words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from airflow_sm_hosting.local import LocalAws

ROLE = "arn:aws:iam::123456789012:role/sagemaker"
# Of another account: nobody looks into it.
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312"
SCALED = "sagemaker:variant:DesiredInstanceCount"
_STARTED_SECONDS = 60


def percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def blue_green(kind: str, wait: int = 0, *, termination: int | None = None, **more: Any) -> dict[str, Any]:
    limit = more.pop("MaximumExecutionTimeoutInSeconds", None)
    policy: dict[str, Any] = {
        "TrafficRoutingConfiguration": {"Type": kind, "WaitIntervalInSeconds": wait, **more}
    }
    if termination is not None:
        policy["TerminationWaitInSeconds"] = termination
    if limit is not None:
        policy["MaximumExecutionTimeoutInSeconds"] = limit
    return {"BlueGreenUpdatePolicy": policy}


def canary(size: int = 50, wait: int = 60, **more: Any) -> dict[str, Any]:
    return blue_green("CANARY", wait, CanarySize=percent(size), **more)


def linear(size: int = 50, wait: int = 60, **more: Any) -> dict[str, Any]:
    return blue_green("LINEAR", wait, LinearStepSize=percent(size), **more)


def rolling(size: int = 50, wait: int = 60, **more: Any) -> dict[str, Any]:
    return {"RollingUpdatePolicy": {"MaximumBatchSize": percent(size), "WaitIntervalInSeconds": wait, **more}}


def watching(deployment: dict[str, Any], *alarms: str) -> dict[str, Any]:
    return {**deployment, "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]}}


@contextmanager
def refused(*words: str, code: str = "ValidationException") -> Iterator[None]:
    """Hold that what is in the block is refused with a code, in a message that has all these words."""
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert error["Code"] == code
    for word in words:
        assert word.lower() in error["Message"].lower(), error["Message"]


class Cloud:
    """One of the two, and short words for what the rules do again and again.

    :param name: ``ours`` or ``moto``.
    :param client: Returns a client of a service that checks nothing by itself and tries once.
    :param advance: Lets so many seconds pass.
    :param reset: Makes it empty.
    :param aws: The local AWS; None for moto.
    :param now: Returns the time.
    :param tick: Lets so much time pass that timestamps differ.
    """

    def __init__(
        self,
        name: str,
        client: Callable[[str], Any],
        advance: Callable[[float], Any],
        reset: Callable[[], Any],
        aws: LocalAws | None,
        now: Callable[[], datetime],
        tick: Callable[[], Any],
    ) -> None:
        self.name = name
        self.client = client
        self.advance = advance
        self.reset = reset
        self.now = now
        self.tick = tick
        self._aws = aws
        self._numbers = iter(range(1, 10_000))

    @property
    def sagemaker(self) -> Any:
        return self.client("sagemaker")

    @property
    def runtime(self) -> Any:
        return self.client("sagemaker-runtime")

    @property
    def scaling(self) -> Any:
        return self.client("application-autoscaling")

    @property
    def cloudwatch(self) -> Any:
        return self.client("cloudwatch")

    @property
    def aws(self) -> LocalAws:
        """The local AWS, for what AWS does by itself and nobody can ask it for."""
        assert self._aws, "moto cannot be told to"
        return self._aws

    def new_name(self, prefix: str) -> str:
        return f"{prefix}-{next(self._numbers)}"

    # Models, configs, endpoints

    def model(self, name: str | None = None, **more: Any) -> str:
        name = name or self.new_name("model")
        container = more.pop("container", {"Image": IMAGE})
        if "Containers" not in more:
            more["PrimaryContainer"] = container
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, **more)
        return name

    def variant(self, name: str = "main", count: int = 1, **more: Any) -> dict[str, Any]:
        if "ModelName" not in more:
            more["ModelName"] = self.model()
        return {
            "VariantName": name,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": count,
            **more,
        }

    def serverless(self, name: str = "main", *, variant: Any = None, **config: Any) -> dict[str, Any]:
        return {
            "VariantName": name,
            "ModelName": self.model(),
            "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5, **config},
            **(variant or {}),
        }

    def config(self, *variants: dict[str, Any], **more: Any) -> str:
        name = more.pop("EndpointConfigName", None) or self.new_name("config")
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=list(variants) or [self.variant()], **more
        )
        return name

    def component_config(self, **more: Any) -> str:
        """Return an endpoint config for inference components."""
        variant = {"VariantName": "main", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        return self.config(variant, ExecutionRoleArn=ROLE, **more)

    def begin_endpoint(self, config: str | None = None, **more: Any) -> str:
        name = more.pop("EndpointName", None) or self.new_name("endpoint")
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config or self.config(), **more)
        return name

    def endpoint(self, config: str | None = None, **more: Any) -> str:
        """Return the name of an endpoint in service."""
        name = self.begin_endpoint(config, **more)
        self.advance(5)
        assert self.status(name) == "InService"
        return name

    def failed_endpoint(self) -> str:
        with self.aws.fault("crash", endpoint="*", when="start"):
            name = self.begin_endpoint()
            self.advance(5)
        assert self.status(name) == "Failed"
        return name

    def update(self, endpoint: str, config: str, deployment: Any = None, **more: Any) -> None:
        if deployment:
            more["DeploymentConfig"] = deployment
        self.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config, **more)
        self.advance(0)

    def want(self, endpoint: str, variant: str = "main", **change: Any) -> None:
        self.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=endpoint, DesiredWeightsAndCapacities=[{"VariantName": variant, **change}]
        )

    def describe(self, endpoint: str) -> dict[str, Any]:
        found: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=endpoint)
        return found

    def described_config(self, config: str) -> dict[str, Any]:
        found: dict[str, Any] = self.sagemaker.describe_endpoint_config(EndpointConfigName=config)
        return found

    def described_model(self, model: str) -> dict[str, Any]:
        found: dict[str, Any] = self.sagemaker.describe_model(ModelName=model)
        return found

    def status(self, endpoint: str) -> str:
        return str(self.describe(endpoint)["EndpointStatus"])

    def live(self, endpoint: str, variant: str = "main") -> dict[str, Any]:
        """Return the description of a variant."""
        (found,) = [v for v in self.describe(endpoint)["ProductionVariants"] if v["VariantName"] == variant]
        return found

    def upload(self, key: str = "model.tar.gz", body: bytes = b"x") -> str:
        bucket = self.new_name("bucket")
        self.client("s3").create_bucket(Bucket=bucket)
        self.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
        return f"s3://{bucket}/{key}"

    # Scaling

    def resource(self, endpoint: str, variant: str = "main") -> dict[str, str]:
        return {
            "ServiceNamespace": "sagemaker",
            "ResourceId": f"endpoint/{endpoint}/variant/{variant}",
            "ScalableDimension": SCALED,
        }

    def scaled(self, endpoint: str, variant: str = "main", **more: Any) -> dict[str, str]:
        """Register a variant, and return how it is named."""
        target = self.resource(endpoint, variant)
        self.scaling.register_scalable_target(**target, **{"MinCapacity": 1, "MaxCapacity": 4, **more})
        return target

    def tracked(self, target: dict[str, str], **more: Any) -> dict[str, Any]:
        """Put a target-tracking policy, and return the answer."""
        configuration = {
            "TargetValue": 10.0,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            },
            **more,
        }
        answer: dict[str, Any] = self.scaling.put_scaling_policy(
            **target,
            PolicyName="track",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=configuration,
        )
        return answer

    # Alarms

    def alarm(self, name: str = "alarm", **more: Any) -> str:
        """Put an alarm on the sum of a metric of ours, above 1 for a minute."""
        request = {
            "Namespace": "Ours",
            "MetricName": "Errors",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 1.0,
            "ComparisonOperator": "GreaterThanThreshold",
            **more,
        }
        self.cloudwatch.put_metric_alarm(
            AlarmName=name, **{member: value for member, value in request.items() if value is not None}
        )
        return name

    def described_alarm(self, name: str = "alarm") -> dict[str, Any]:
        (found,) = self.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return dict(found)

    def set_alarm(self, state: str, name: str = "alarm") -> None:
        self.cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a test")

    def put(self, *values: float) -> None:
        data = [{"MetricName": "Errors", "Value": value} for value in values]
        self.cloudwatch.put_metric_data(Namespace="Ours", MetricData=data)


def our_cloud(aws: LocalAws) -> Cloud:
    return Cloud(
        "ours",
        _clients(aws.endpoint_url, aws.access_key),
        aws.advance,
        aws.reset,
        aws,
        aws.now,
        lambda: aws.advance(60),
    )


@contextmanager
def moto_cloud() -> Iterator[Cloud]:
    """Run plain moto in a process of its own: what this package does to moto's classes is not done there."""
    code = (
        "import json, sys; from moto.server import ThreadedMotoServer; server = ThreadedMotoServer('127.0.0.1', 0, verbose=False)\n"
        "server.start(); print(json.dumps(server.get_host_and_port()), flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
    )
    assert process.stdout
    try:
        host, port = json.loads(process.stdout.readline())
        url = f"http://{host}:{port}"
        yield Cloud(
            "moto",
            _clients(url, "testing"),
            # It does nothing by itself, however long one waits.
            lambda _: None,
            lambda: _post(f"{url}/moto-api/reset"),
            None,
            lambda: datetime.now(UTC),
            # Some of its timestamps are of whole seconds.
            lambda: time.sleep(1.1),
        )
    finally:
        process.kill()
        process.communicate()


def _post(url: str) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    opener.open(urllib.request.Request(url, method="POST"), timeout=_STARTED_SECONDS).close()


def _clients(url: str, access_key: str) -> Callable[[str], Any]:
    session = boto3.Session(aws_access_key_id=access_key, aws_secret_access_key="x", region_name="us-east-1")
    # What a client would find is for the service to find.
    once = Config(parameter_validation=False, retries={"total_max_attempts": 1}, proxies={})

    @cache
    def client(service: Any) -> Any:
        return session.client(service, endpoint_url=url, config=once)

    return client
