"""The metrics of invocations and containers, and what alarms and scaling make of real traffic, in virtual time.

https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
"""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime
from typing import Any

import docker
import pytest
from botocore.exceptions import ClientError

from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.local.clock import VirtualClock
from airflow_sm_hosting.local.cloudwatch.metrics import STATISTICS, MetricStore, metric_of
from airflow_sm_hosting.local.engines.base_image import ensure_debian_python_base
from airflow_sm_hosting.local.engines.engine import RunningContainer, Usage
from airflow_sm_hosting.local.sagemaker.endpoints.endpoint_metrics import EndpointMetrics, serverless_values
from tests.local.conftest import Deployer
from tests.local.engines.images import build_and_push

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
WHERE = {"EndpointName": "e", "VariantName": "v"}


class Container(RunningContainer):
    url = None
    resolved_image = ""

    def __init__(self, *usages: Any) -> None:
        self.usages = list(usages)

    def exit_code(self) -> Any:
        return None

    def kill(self) -> None:
        pass

    def stop(self, grace: float = 0.0) -> None:
        pass

    def usage(self) -> Any:
        return self.usages.pop(0)


class Serving:
    def __init__(self, running: Any) -> None:
        self.running = running


class Variant:
    def __init__(self, *containers: Any, instance_count: int = 2, **config: Any) -> None:
        self.name, self.config_name, self.instance_count = "v", "c", instance_count
        self.config = config
        self.containers = [Serving(container) for container in containers]


class Published:
    def __init__(self) -> None:
        self.clock = VirtualClock(START)
        self.metrics = MetricStore()
        self.endpoints = EndpointMetrics(self.metrics, self.clock)

    def names(self) -> Any:
        return {metric.name for metric, _ in self.metrics.known()}

    def told(self, name: str, namespace: str = "AWS/SageMaker", minute: int = 0, where: Any = None) -> Any:
        metric = metric_of(namespace, name, where or WHERE)
        (found,) = self.metrics.statistics(metric, STATISTICS, START.timestamp() + 60 * minute, 60, 1)
        return found


@pytest.fixture
def published() -> Any:
    return Published()


def test_an_invocation_of_an_instance(published: Any) -> None:
    for status in (200, 200, 400, 503, 0):
        with published.endpoints.invocation("e", Variant(), time.perf_counter() - 0.5) as invocation:
            invocation.status = status
    assert published.told("Invocations")["Sum"] == 5
    # "1/numberOfInstances is sent as the value on each request"
    assert published.told("InvocationsPerInstance")["Sum"] == 2.5
    assert published.told("Invocation4XXErrors")["Average"] == pytest.approx(0.2)
    assert published.told("Invocation5XXErrors")["Sum"] == 2
    assert published.told("InvocationModelErrors")["Sum"] == 3
    assert published.told("OverheadLatency")["Minimum"] == pytest.approx(500_000, rel=0.5)
    assert 0 < published.told("ModelLatency")["Maximum"] < 500_000
    # Also of one fleet alone: deployment-guardrails-configuration.html
    fleet = published.told("Invocations", where={**WHERE, "EndpointConfigName": "c"})
    assert fleet["Sum"] == 5
    assert {unit for streams in published.metrics._streams.values() for unit in streams} == {
        "None",
        "Microseconds",
    }


def test_what_the_model_was_not_asked_is_not_published(published: Any) -> None:
    with published.endpoints.invocation("e", Variant(), 0.0):
        pass
    assert published.names() == set()


def test_concurrent_requests_are_of_high_resolution(published: Any) -> None:
    with (
        published.endpoints.invocation("e", Variant(), 0.0) as first,
        published.endpoints.invocation("e", Variant(), 0.0) as second,
        published.endpoints.invocation("e", Variant(), 0.0) as third,
    ):
        first.status = second.status = third.status = 200
    published.clock.advance(1)
    with published.endpoints.invocation("e", Variant(), 0.0) as last:
        last.status = 200
    metric = metric_of("AWS/SageMaker", "ConcurrentRequestsPerModel", WHERE)
    found = published.metrics.statistics(metric, ["Maximum"], START.timestamp(), 1, 2)
    assert [one["Maximum"] for one in found] == [1.5, 0.5]


def test_a_serverless_variant_publishes_its_own_metrics_only(published: Any) -> None:
    config = {"ServerlessConfig": {"MaxConcurrency": 10, "ProvisionedConcurrency": 2}}
    variant = Variant(instance_count=None, **config)
    with (
        published.endpoints.invocation("e", variant, 0.0) as first,
        published.endpoints.invocation("e", variant, 0.0) as second,
        published.endpoints.invocation("e", variant, 0.0) as third,
    ):
        first.status = second.status = third.status = 200
    assert "InvocationsPerInstance" not in published.names()
    assert "ConcurrentRequestsPerModel" not in published.names()
    assert published.told("ServerlessProvisionedConcurrencyUtilization")["Maximum"] == 1
    assert published.told("ServerlessProvisionedConcurrencyInvocations")["Sum"] == 2
    assert published.told("ServerlessProvisionedConcurrencySpilloverInvocations")["Sum"] == 1
    assert published.told("ServerlessConcurrentExecutionsUtilization")["Maximum"] == pytest.approx(0.3)
    assert [name for name, _, _ in serverless_values({"MaxConcurrency": 10}, 1)] == [
        "ServerlessConcurrentExecutionsUtilization"
    ]


def test_what_containers_use_is_published_of_the_minute_that_ended(published: Any) -> None:
    variant = Variant(Container(Usage(50, 10, 70)), Container(Usage(100, 5, None)))
    published.clock.advance(60)
    published.endpoints.publish_usage([("e", variant)])
    namespace = "/aws/sagemaker/Endpoints"
    assert published.told("CPUUtilization", namespace)["Average"] == 150
    assert published.told("MemoryUtilization", namespace)["Average"] == 15
    assert published.told("DiskUtilization", namespace)["Average"] == 70
    # A moment later they are not measured again, which would have been an error here.
    published.clock.advance(60)
    published.endpoints.publish_usage([("e", variant)])
    assert published.told("CPUUtilization", namespace, minute=1)["Average"] == 150


@pytest.mark.parametrize(
    ("needs", "cpu"),
    [
        ({"NumberOfCpuCoresRequired": 2.0}, 37.5),
        # "The value ranges between 0%-100%."
        ({"NumberOfCpuCoresRequired": 0.25}, 100),
        # Of all that there is.
        ({}, 75 / (os.cpu_count() or 1)),
    ],
)
def test_what_copies_use_is_published_of_what_they_asked_for(
    published: Any, needs: dict[str, Any], cpu: Any
) -> None:
    needs = {"MinMemoryRequiredInMb": 512, **needs}
    variant = Variant(Container(Usage(75, 10, 70, memory_mb=128)), ComputeResourceRequirements=needs)
    published.clock.advance(60)
    published.endpoints.publish_component_usage([("c", variant)])
    where, namespace = {"InferenceComponentName": "c"}, "/aws/sagemaker/InferenceComponents"
    assert published.told("CPUUtilizationNormalized", namespace, where=where)["Average"] == cpu
    assert published.told("MemoryUtilizationNormalized", namespace, where=where)["Average"] == 25
    assert published.names() == {"CPUUtilizationNormalized", "MemoryUtilizationNormalized"}


def test_a_container_that_cannot_be_measured_publishes_nothing(published: Any) -> None:
    published.endpoints.publish_usage([("e", Variant(Container(None))), ("e", Variant())])
    assert published.names() == set()


def test_a_scaled_variant_without_traffic_publishes_zeros(published: Any) -> None:
    with published.endpoints.invocation("e", Variant(), 0.0) as invocation:
        invocation.status = 200
    published.clock.advance(60)
    published.endpoints.publish_idle("e", "v")
    assert published.told("InvocationsPerInstance")["Sum"] == 0.5
    published.clock.advance(60)
    published.endpoints.publish_idle("e", "v")
    assert published.told("InvocationsPerInstance", minute=1) == dict.fromkeys(STATISTICS, 0.0) | {
        "SampleCount": 1.0
    }


def test_a_metric_of_high_resolution_has_a_zero_for_each_ten_seconds_without_traffic(published: Any) -> None:
    with published.endpoints.invocation("e", Variant(), 0.0) as invocation:
        invocation.status = 200
    for _ in range(2):
        published.clock.advance(60)
        published.endpoints.publish_idle("e", "v")
    metric = metric_of("AWS/SageMaker", "ConcurrentRequestsPerModel", WHERE)
    found = published.metrics.statistics(metric, ["SampleCount", "Maximum"], START.timestamp(), 10, 12)
    assert [one["SampleCount"] for one in found] == [1.0] * 12
    assert [one["Maximum"] > 0 for one in found] == [True] + [False] * 11


def test_many_invocations_at_once_are_all_counted(published: Any) -> None:
    def invoke() -> None:
        for _ in range(200):
            with published.endpoints.invocation("e", Variant(), 0.0) as invocation:
                invocation.status = 200

    threads = [threading.Thread(target=invoke) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert published.told("Invocations")["Sum"] == 1600
    assert published.endpoints._in_flight == {}


# Real traffic


@pytest.fixture(scope="module")
def deployer(virtual_process_deployer: Deployer) -> Any:
    return virtual_process_deployer


@pytest.fixture(scope="module")
def image(deployer: Deployer) -> Any:
    return deployer.push_image()


def test_two_variants_scale_independently_under_real_traffic(deployer: Deployer, image: str) -> None:
    aws = deployer.aws
    scaling = aws.client("application-autoscaling")
    model = deployer.model(Image=image)
    endpoint = deployer.endpoint(
        deployer.config(deployer.variant(model, "busy"), deployer.variant(model, "calm"))
    )
    for variant in ("busy", "calm"):
        where = {
            "ServiceNamespace": "sagemaker",
            "ResourceId": f"endpoint/{endpoint}/variant/{variant}",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        }
        scaling.register_scalable_target(**where, MinCapacity=1, MaxCapacity=4)
        scaling.put_scaling_policy(
            **where,
            PolicyName="invocations",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": 2.0,
                "PredefinedMetricSpecification": {
                    "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
                },
                "ScaleInCooldown": 60,
            },
        )

    def minutes(number: int, **invocations: Any) -> None:
        for _ in range(number):
            for variant, times in invocations.items():
                for _ in range(times):
                    deployer.invoke(endpoint, TargetVariant=variant)
            aws.advance(60)

    def counts() -> Any:
        variants = deployer.describe(endpoint)["ProductionVariants"]
        return {one["VariantName"]: one["CurrentInstanceCount"] for one in variants}

    minutes(3, busy=6, calm=1)
    aws.advance(60)
    assert counts() == {"busy": 3, "calm": 1}
    minutes(3, calm=8)
    aws.advance(60)
    assert counts() == {"busy": 3, "calm": 4}
    aws.advance(40 * 60)
    assert counts() == {"busy": 1, "calm": 1}
    causes = scaling.describe_scaling_activities(ServiceNamespace="sagemaker")["ScalingActivities"]
    assert {one["StatusCode"] for one in causes} == {"Successful"}
    assert {one["Cause"].rpartition(" ")[2] for one in causes} == {"invocations"}
    assert [one["Cause"].split("-Alarm")[1][:4] for one in causes] in (
        ["Low-", "Low-", "High", "High"],
        ["Low-", "Low-", "Low-", "High", "High"],
    )
    deployer.sagemaker.delete_endpoint(EndpointName=endpoint)


def test_the_latency_alarm_of_the_guide_under_real_traffic(deployer: Deployer, image: str) -> None:
    """ModelLatency Average >= 100000 over 3 x 300 s: to ALARM when a slow model serves, and back."""
    aws = deployer.aws
    cloudwatch = aws.client("cloudwatch")
    fast, slow = (
        deployer.config(deployer.variant(deployer.model(Image=image, Environment={"SECONDS": seconds})))
        for seconds in ("0", "0.15")
    )
    endpoint = deployer.endpoint(fast)
    where = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "main"}]
    cloudwatch.put_metric_alarm(
        AlarmName="latency",
        Namespace="AWS/SageMaker",
        MetricName="ModelLatency",
        Dimensions=where,
        Statistic="Average",
        Period=300,
        EvaluationPeriods=3,
        Threshold=100_000.0,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )

    def state_after(*config: Any) -> Any:
        if config:
            deployer.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config[0])
            aws.advance(0)
            assert deployer.describe(endpoint)["EndpointStatus"] == "InService"
        for _ in range(3):
            deployer.invoke(endpoint)
            aws.advance(300)
        (found,) = cloudwatch.describe_alarms(AlarmNames=["latency"])["MetricAlarms"]
        return found["StateValue"]

    assert state_after() == "OK"
    assert state_after(slow) == "ALARM"
    assert state_after(fast) == "OK"
    # What the alarm saw is what is told.
    span = {"StartTime": aws.now().timestamp() - 2700, "EndTime": aws.now(), "Period": 900}
    points = cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="ModelLatency",
        Dimensions=where,
        Statistics=["Average"],
        ExtendedStatistics=["p50"],
        **span,
    )["Datapoints"]
    assert [point["Average"] >= 100_000 for point in points] == [False, True, False]
    assert {point["Unit"] for point in points} == {"Microseconds"}
    assert points[1]["ExtendedStatistics"]["p50"] >= 150_000
    usage = cloudwatch.get_metric_statistics(
        Namespace="/aws/sagemaker/Endpoints",
        MetricName="MemoryUtilization",
        Dimensions=where,
        Statistics=["Average"],
        **span,
    )["Datapoints"]
    assert all(0 < point["Average"] < 100 for point in usage)
    assert usage
    with pytest.raises(ClientError):
        deployer.invoke(endpoint, b"fail")
    (failed,) = cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=where,
        Statistics=["Sum", "Average"],
        StartTime=aws.now(),
        EndTime=aws.now().timestamp() + 60,
        Period=60,
    )["Datapoints"]
    assert (failed["Sum"], failed["Average"]) == (1.0, 1.0)
    deployer.sagemaker.delete_endpoint(EndpointName=endpoint)


@pytest.mark.engine
def test_what_a_container_of_docker_uses_is_published(docker_client: docker.DockerClient) -> None:
    with LocalAws(engine="docker", transition_seconds=0, clock="virtual") as aws:
        deployer = Deployer(aws)
        image = build_and_push(docker_client, deployer, ensure_debian_python_base(docker_client))
        endpoint = deployer.endpoint(deployer.config(deployer.variant(deployer.model(Image=image))))
        start = aws.now()
        aws.advance(120)
        where = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "main"}]
        for name in ("CPUUtilization", "MemoryUtilization", "DiskUtilization"):
            points = aws.client("cloudwatch").get_metric_statistics(
                Namespace="/aws/sagemaker/Endpoints",
                MetricName=name,
                Dimensions=where,
                Statistics=["Average"],
                StartTime=start,
                EndTime=aws.now(),
                Period=60,
            )["Datapoints"]
            assert [point["Unit"] for point in points] == ["Percent"] * 2, name
            assert all(0 <= point["Average"] < 800 for point in points)
