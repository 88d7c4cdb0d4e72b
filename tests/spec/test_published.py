"""Metrics that a kind of endpoint never publishes are told, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting import (
    AsyncInference,
    EndpointMetric,
    InstanceProductionVariant,
    InvocationsScaling,
    MetricMath,
    ServerlessProductionVariant,
    StepScaling,
    TargetTrackingScaling,
)
from airflow_sm_hosting.spec.metric import ASYNCHRONOUS, INSTANCE, PUBLISHED, SERVERLESS
from airflow_sm_hosting.spec.published import (
    COMPONENT,
    OF_COMPONENTS,
    OF_MANY_MODELS,
    ONE_MODEL,
    is_published,
    kinds_of_config,
    not_published,
    not_published_by_policies,
)

LATER = "{{ params.x }}"
ASYNC = AsyncInference(s3_output_path="s3://b/out")
CALM = ServerlessProductionVariant(
    model_name="m", variant_name="calm", max_concurrency=5, memory_size_in_mb=1024
)


def instance(name: str = "main") -> dict[str, Any]:
    return InstanceProductionVariant(model_name="m", variant_name=name)


@pytest.mark.parametrize(
    ("variants", "asynchronous", "kinds"),
    [
        ([instance()], None, {"main": INSTANCE}),
        ([instance(), instance("b")], None, {"main": INSTANCE, "b": INSTANCE}),
        ([CALM], None, {"calm": SERVERLESS}),
        ([instance()], ASYNC, {"main": ASYNCHRONOUS}),
        ([instance()], LATER, {}),
        ([instance(LATER), {"ModelName": "m"}, LATER], None, {}),
        (LATER, None, {}),
        (None, None, {}),
    ],
    ids=range(8),
)
def test_the_kinds_of_a_config(variants: Any, asynchronous: Any, kinds: dict[str, str]) -> None:
    assert kinds_of_config(variants, asynchronous) == kinds


@pytest.mark.parametrize(("namespace", "name"), PUBLISHED, ids=[name for _, name in PUBLISHED])
def test_the_kinds_of_the_table_are_followed(namespace: str, name: str) -> None:
    for kind in (INSTANCE, SERVERLESS, ASYNCHRONOUS):
        assert is_published(namespace, name, kind) == (kind in PUBLISHED[namespace, name][1])
    wanted = INSTANCE in PUBLISHED[namespace, name][1] and name not in OF_MANY_MODELS
    assert is_published(namespace, name, ONE_MODEL) == wanted
    assert is_published(namespace, name, COMPONENT) == (
        namespace == "AWS/SageMaker" and name in OF_COMPONENTS
    )


def test_a_metric_that_is_not_known_may_be_new() -> None:
    for kind in (INSTANCE, SERVERLESS, ASYNCHRONOUS, COMPONENT, ONE_MODEL):
        assert is_published("AWS/SageMaker", "Velocity", kind)
        assert is_published("Mine", "Invocations", kind)
    assert not is_published("AWS/SageMaker", "NoCapacityInvocationFailures", INSTANCE)
    assert is_published("AWS/SageMaker", "NoCapacityInvocationFailures", COMPONENT)


def test_metrics_and_what_is_in_expressions() -> None:
    invocations = EndpointMetric.invocations()
    (told,) = not_published(invocations, ASYNCHRONOUS)
    assert told.startswith("SageMaker does not publish Invocations for an asynchronous endpoint; allowed: ")
    assert "ApproximateBacklogSize" in told
    assert list(not_published(invocations, SERVERLESS)) == []
    assert list(not_published(invocations, None)) == []
    math = MetricMath(expression="a / b", metrics={"a": invocations, "b": EndpointMetric.model_latency()})
    assert len(list(not_published(math, ASYNCHRONOUS))) == 1
    (of_one,) = not_published(EndpointMetric.custom("AWS/SageMaker", "ModelCacheHit"), ONE_MODEL)
    assert "a single-model real-time endpoint" in of_one
    for other in (LATER, None, {"MetricName": "Invocations"}):
        assert list(not_published(other, ASYNCHRONOUS)) == []
    assert list(not_published(EndpointMetric.invocations(account_id="1" * 12), ASYNCHRONOUS)) == []
    assert list(not_published(EndpointMetric.custom("AWS/SageMaker", LATER), ASYNCHRONOUS)) == []


def test_the_dimensions_of_a_component_say_what_it_is() -> None:
    of_component = {"InferenceComponentName": "llm"}
    per_instance = EndpointMetric.custom("AWS/SageMaker", "InvocationsPerInstance", dimensions=of_component)
    (told,) = not_published(per_instance, None)
    assert "for an inference component; allowed: Invocations, InvocationsPerCopy" in told
    assert list(not_published(EndpointMetric.invocations(dimensions=of_component), ASYNCHRONOUS)) == []


def tracking(**options: Any) -> dict[str, Any]:
    return TargetTrackingScaling(target_value=1, **options)


def plain(name: Any, *dimensions: str, namespace: Any = "AWS/SageMaker") -> dict[str, Any]:
    given = [{"Name": one, "Value": "x"} for one in dimensions]
    metric = {"MetricName": name, "Namespace": namespace, "Statistic": "Average", "Dimensions": given}
    return tracking(customized_metric=metric)


@pytest.mark.parametrize(
    ("policy", "kind", "told"),
    [
        (InvocationsScaling(max_requests_per_second=5), ASYNCHRONOUS, "watches InvocationsPerInstance: SageMaker does not publish"),
        (InvocationsScaling(max_requests_per_second=5), INSTANCE, None),
        (InvocationsScaling(max_requests_per_second=5), COMPONENT, None),
        (InvocationsScaling(max_requests_per_second=5), None, None),
        (tracking(predefined_metric="SageMakerVariantInvocationsPerInstance"), ASYNCHRONOUS, "watches InvocationsPerInstance"),
        (tracking(predefined_metric="SageMakerVariantProvisionedConcurrencyUtilization"), INSTANCE, "ServerlessProvisionedConcurrencyUtilization"),
        (tracking(predefined_metric=LATER), ASYNCHRONOUS, None),
        (tracking(customized_metric=EndpointMetric.cpu_utilization()), SERVERLESS, "CPUUtilization for a serverless endpoint"),
        (tracking(customized_metric=EndpointMetric.cpu_utilization()), COMPONENT, "CPUUtilization for an inference component"),
        (plain("InvocationsPerInstance", "EndpointName", "VariantName"), ASYNCHRONOUS, "InvocationsPerInstance for an asynchronous"),
        (plain("ApproximateBacklogSizePerInstance", "EndpointName"), ASYNCHRONOUS, None),
        (plain("InvocationsPerInstance", "InferenceComponentName"), COMPONENT, "for an inference component"),
        (plain("ApproximateBacklogSize", "EndpointName"), COMPONENT, None),
        (plain("Velocity", "EndpointName"), ASYNCHRONOUS, None),
        (plain(LATER, "EndpointName"), ASYNCHRONOUS, None),
        (LATER, ASYNCHRONOUS, None),
        (StepScaling(step_adjustments=[{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}]), ASYNCHRONOUS, None),
    ],
    ids=range(17),
)  # fmt: skip
def test_policies(policy: Any, kind: str | None, told: str | None) -> None:
    found = list(not_published_by_policies([policy], kind))
    assert len(found) == (told is not None)
    assert told is None or told in found[0]


def test_policies_that_are_rendered_later() -> None:
    assert list(not_published_by_policies(LATER, ASYNCHRONOUS)) == []
    assert list(not_published_by_policies(None, ASYNCHRONOUS)) == []


def test_plain_metrics_that_are_not_known() -> None:
    expressions: dict[str, Any] = {
        "TargetTrackingScalingPolicyConfiguration": {"CustomizedMetricSpecification": {"Metrics": []}}
    }
    others = {
        "TargetTrackingScalingPolicyConfiguration": {
            "CustomizedMetricSpecification": {
                "Namespace": "AWS/SageMaker",
                "MetricName": "Invocations",
                "Dimensions": LATER,
            }
        }
    }
    assert list(not_published_by_policies([expressions], ASYNCHRONOUS)) == []
    assert len(list(not_published_by_policies([others], ASYNCHRONOUS))) == 1
