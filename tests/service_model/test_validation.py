"""Requests held against botocore's own model: what the service would refuse."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.model import Shape
from botocore.validate import ParamValidator
from hypothesis import given, settings, strategies as st

from airflow_sm_hosting.service_model.coercion import typed
from airflow_sm_hosting.service_model.shapes import input_shape
from airflow_sm_hosting.service_model.validation import violations
from tests.botocore_versions import requires_botocore_1_44

MODEL = input_shape("sagemaker", "CreateModel")
CONFIG = input_shape("sagemaker", "CreateEndpointConfig")
UPDATE = input_shape("sagemaker", "UpdateEndpoint")
ALARM = input_shape("cloudwatch", "PutMetricAlarm")
POLICY = input_shape("application-autoscaling", "PutScalingPolicy")
SCHEDULE = input_shape("application-autoscaling", "PutScheduledAction")
INVOCATION = input_shape("sagemaker-runtime", "InvokeEndpoint")
PACKAGE = input_shape("sagemaker", "CreateModelPackage")
#: InvokeEndpoint, Body.
LARGEST_BODY = 6_291_456

OPERATIONS = [
    ("sagemaker", "CreateModel"),
    ("sagemaker", "CreateEndpointConfig"),
    ("sagemaker", "CreateEndpoint"),
    ("sagemaker", "UpdateEndpoint"),
    ("sagemaker", "UpdateEndpointWeightsAndCapacities"),
    ("application-autoscaling", "RegisterScalableTarget"),
    ("application-autoscaling", "PutScalingPolicy"),
    ("application-autoscaling", "PutScheduledAction"),
    ("cloudwatch", "PutMetricAlarm"),
]


def kinds(shape: Any, value: Any) -> list[tuple[str, str]]:
    return [(violation.path, violation.kind) for violation in violations(shape, value)]


@pytest.mark.parametrize(
    ("shape", "request_", "expected"),
    [
        (MODEL, {}, [("ModelName", "required")]),
        (MODEL, {"ModelName": None}, [("ModelName", "required")]),
        (MODEL, {"ModelName": ""}, [("ModelName", "pattern")]),
        (MODEL, {"ModelName": "a_b"}, [("ModelName", "pattern")]),
        (MODEL, {"ModelName": "a\n"}, [("ModelName", "pattern")]),
        (MODEL, {"ModelName": "a" * 64}, [("ModelName", "length")]),
        (MODEL, {"ModelName": 5}, [("ModelName", "type")]),
        (MODEL, {"ModelName": "m", "Containers": "c"}, [("Containers", "type")]),
        (MODEL, {"ModelName": "m", "Containers": [{}] * 16}, [("Containers", "length")]),
        (MODEL, {"ModelName": "m", "PrimaryContainer": []}, [("PrimaryContainer", "type")]),
        (MODEL, {"ModelName": "m", "PrimaryContainer": {"Image": "a b"}}, [("PrimaryContainer.Image", "pattern")]),
        (MODEL, {"ModelName": "m", "PrimaryContainer": {"Image": "i" * 256}}, [("PrimaryContainer.Image", "length")]),
        (MODEL, {"ModelName": "m", "PrimaryContainer": {"Mode": "Multi"}}, [("PrimaryContainer.Mode", "enum")]),
        (MODEL, {"ModelName": "m", "PrimaryContainer": {"Environment": {"1": "a"}}}, [("PrimaryContainer.Environment.1 (key)", "pattern")]),
        (MODEL, {"ModelName": "m", "PrimaryContainer": {"Environment": {"A": "a" * 1025}}}, [("PrimaryContainer.Environment.A", "length")]),
        (MODEL, {"ModelName": "m", "PrimaryContainer": {"Environment": {"A": 1}}}, [("PrimaryContainer.Environment.A", "type")]),
        (MODEL, {"ModelName": "m", "PrimaryContainer": {"Environment": dict.fromkeys(map("K{}".format, range(101)), "")}}, [("PrimaryContainer.Environment", "length")]),
        (MODEL, {"ModelName": "m", "EnableNetworkIsolation": "False"}, [("EnableNetworkIsolation", "type")]),
        (MODEL, {"ModelName": "m", "EnableNetworkIsolation": 0}, [("EnableNetworkIsolation", "type")]),
        (MODEL, {"ModelName": "m", "ExecutionRoleArn": "sagemaker-execution-role"}, [("ExecutionRoleArn", "pattern")]),
        (MODEL, {"ModelName": "m", "VpcConfig": {"Subnets": ["s"]}}, [("VpcConfig.SecurityGroupIds", "required")]),
        (MODEL, {"ModelName": "m", "VpcConfig": {"Subnets": ["s"] * 17, "SecurityGroupIds": []}}, [("VpcConfig.Subnets", "length"), ("VpcConfig.SecurityGroupIds", "length")]),
        (CONFIG, {"EndpointConfigName": "c", "ProductionVariants": []}, [("ProductionVariants", "length")]),
        (CONFIG, {"EndpointConfigName": "c", "ProductionVariants": [{"VariantName": "v", "InitialInstanceCount": 0}]}, [("ProductionVariants[0].InitialInstanceCount", "range")]),
        (CONFIG, {"EndpointConfigName": "c", "ProductionVariants": [{"VariantName": "v", "InitialInstanceCount": True}]}, [("ProductionVariants[0].InitialInstanceCount", "type")]),
        (CONFIG, {"EndpointConfigName": "c", "ProductionVariants": [{"VariantName": "v", "InitialVariantWeight": -1}]}, [("ProductionVariants[0].InitialVariantWeight", "range")]),
        (CONFIG, {"EndpointConfigName": "c", "ProductionVariants": [{"VariantName": "v", "VolumeSizeInGB": 513}]}, [("ProductionVariants[0].VolumeSizeInGB", "range")]),
        (CONFIG, {"EndpointConfigName": "c", "ProductionVariants": [{"VariantName": "v", "ContainerStartupHealthCheckTimeoutInSeconds": 59}]}, [("ProductionVariants[0].ContainerStartupHealthCheckTimeoutInSeconds", "range")]),
        (CONFIG, {"EndpointConfigName": "c", "ProductionVariants": [{"VariantName": "v", "ServerlessConfig": {"MemorySizeInMB": 1023, "MaxConcurrency": 201}}]}, [("ProductionVariants[0].ServerlessConfig.MemorySizeInMB", "range"), ("ProductionVariants[0].ServerlessConfig.MaxConcurrency", "range")]),
        (UPDATE, {"EndpointName": "e", "EndpointConfigName": "c", "DeploymentConfig": {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"Type": "CANARY", "WaitIntervalInSeconds": 3601}}}}, [("DeploymentConfig.BlueGreenUpdatePolicy.TrafficRoutingConfiguration.WaitIntervalInSeconds", "range")]),
        (UPDATE, {"EndpointName": "e", "EndpointConfigName": "c", "DeploymentConfig": {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}] * 11}}}, [("DeploymentConfig.AutoRollbackConfiguration.Alarms", "length")]),
    ],
    ids=range(31),
)  # fmt: skip
def test_every_broken_rule_is_named_with_its_place(
    shape: Any, request_: Any, expected: list[tuple[str, str]]
) -> None:
    assert kinds(shape, request_) == expected


def test_the_words_are_the_services() -> None:
    (violation,) = violations(MODEL, {"ModelName": "a" * 64})
    assert violation.constraint == "Member must have length less than or equal to 63"
    (violation,) = violations(MODEL, {"ModelName": "a_b"})
    assert violation.constraint == (
        r"Member must satisfy regular expression pattern: [a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?"
    )


def test_an_unknown_member_is_named() -> None:
    assert kinds(MODEL, {"ModelName": "x", "ModelNam": "x"}) == [("ModelNam", "unknown")]


def test_what_is_right_breaks_nothing() -> None:
    request = {
        "ModelName": "m" * 63,
        "PrimaryContainer": {"Image": "i", "Environment": {"A": "ü" * 1024}},
        "VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ("sg-1",)},
        "Tags": [{"Key": "sm-hosting:managed-by", "Value": "größe 5 µ"}],
    }
    assert kinds(MODEL, request) == []


@pytest.mark.parametrize(("size", "expected"), [(LARGEST_BODY, []), (LARGEST_BODY + 1, [("Body", "length")])])
def test_a_body_that_is_too_large_is_named(size: int, expected: list[tuple[str, str]]) -> None:
    assert kinds(INVOCATION, {"EndpointName": "e", "Body": bytes(size)}) == expected


def test_a_pattern_that_is_no_regular_expression_of_python_is_not_checked() -> None:
    """The model says ``([…]*)${1,128}``: the service may take what it does not say."""
    key = PACKAGE.members["CustomerMetadataProperties"].key  # type: ignore[attr-defined]
    with pytest.raises(re.error):
        re.compile(key.metadata["pattern"].replace(r"\p{L}\p{Z}\p{N}", ""))
    assert kinds(PACKAGE, {"CustomerMetadataProperties": {"a!": "1"}}) == []
    assert kinds(PACKAGE, {"CustomerMetadataProperties": {"a" * 129: "1"}}) == [
        (f"CustomerMetadataProperties.{'a' * 129} (key)", "length")
    ]


def test_a_control_character_in_a_policys_name_is_refused() -> None:
    request = {
        "PolicyName": "rate\nlimit",
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/churn/variant/main",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    assert kinds(POLICY, request) == [("PolicyName", "pattern")]


def test_every_pattern_of_the_operations_that_are_used_is_really_checked() -> None:
    from airflow_sm_hosting.service_model.validation import _compiled

    seen: dict[str, str] = {}

    def walk(shape: Any) -> None:
        if shape.name in seen:
            return
        seen[shape.name] = shape.metadata.get("pattern") or ""
        children = {
            "structure": lambda: shape.members.values(),
            "list": lambda: [shape.member],
            "map": lambda: [shape.key, shape.value],
        }
        for child in children.get(shape.type_name, list)():
            walk(child)

    for service, operation in OPERATIONS:
        walk(input_shape(service, operation))
    unchecked = {
        name: pattern
        for name, pattern in seen.items()
        if pattern not in ("", ".*") and _compiled(pattern).pattern == ".*"
    }
    assert not unchecked


# Against botocore's own validator

leaves = st.none() | st.booleans() | st.integers(-5, 5000) | st.floats(allow_nan=False) | st.text(max_size=3) | st.sampled_from(["2", "True", "False", "ml.m5.large", "", "None", b"x"])  # fmt: skip


def mostly(shape: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Return requests that are mostly of a shape, with values of wrong types, missing and unknown members here and there."""
    wrong: st.SearchStrategy[Any] = leaves | st.just([]) | st.just({}) | st.just([None])
    if depth > 4:
        return wrong
    match shape.type_name:
        case "structure" if getattr(shape, "is_tagged_union", False):
            # Exactly one member; what else is refused has a test of its own.
            return st.one_of(
                *(
                    st.fixed_dictionaries(
                        {name: mostly(member, depth + 1).filter(lambda value: value is not None)}
                    )
                    for name, member in shape.members.items()
                )
            )
        case "structure":
            members = {
                name: st.deferred(lambda member=member: mostly(member, depth + 1))
                for name, member in shape.members.items()
            }
            required = {name: members.pop(name) for name in shape.required_members}
            chosen = sorted(members)[:: max(1, len(members) // 6)]
            right = st.fixed_dictionaries(required, optional={name: members[name] for name in chosen})
            broken = st.fixed_dictionaries({}, optional={**required, "Unknown": wrong})
            return st.one_of(right, right, right, broken, wrong)
        case "list":
            return st.lists(st.deferred(lambda: mostly(shape.member, depth + 1)), max_size=2) | wrong
        case "map":
            return st.dictionaries(st.sampled_from(["A", "1"]), wrong, max_size=2) | wrong
        case _:
            return leaves


@pytest.mark.hypothesis
@pytest.mark.parametrize(("service", "operation"), OPERATIONS, ids=[name for _, name in OPERATIONS])
def test_what_botocore_refuses_is_refused_before_it(service: str, operation: str) -> None:
    shape = input_shape(service, operation)

    @settings(derandomize=True)
    @given(mostly(shape))
    def holds(request: Any) -> None:
        ready = typed(shape, request)
        if botocore_refuses(ready, shape):
            assert list(violations(shape, ready)), (request, ready)

    holds()


def botocore_refuses(request: Any, shape: Shape) -> bool:
    """Tell whether botocore's own validator refuses a request, or breaks at it."""
    try:
        return bool(ParamValidator().validate(request, shape).has_errors())
    except RuntimeError:  # a time beyond the years that a datetime has
        return True


def test_a_time_that_is_none_is_refused() -> None:
    request = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/churn/variant/main",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "ScheduledActionName": "night",
    }
    assert not kinds(SCHEDULE, {**request, "StartTime": datetime(2026, 1, 1, tzinfo=UTC)})
    assert not kinds(SCHEDULE, {**request, "StartTime": "2026-01-01T00:00:00Z"})
    assert kinds(SCHEDULE, {**request, "StartTime": 6.8e16}) == [("StartTime", "type")]
    wrong = {**request, "StartTime": "soon"}
    assert ParamValidator().validate(wrong, SCHEDULE).has_errors()
    assert kinds(SCHEDULE, wrong) == [("StartTime", "type")]


@requires_botocore_1_44
@pytest.mark.parametrize(
    "criteria", [{}, {"PromQLCriteria": {"Query": "up"}, "Other": {}}], ids=["none", "two"]
)
def test_a_union_has_exactly_one_member(criteria: dict[str, Any]) -> None:
    shape = ALARM.members["EvaluationCriteria"]
    assert shape.is_tagged_union  # type: ignore[attr-defined]
    assert ParamValidator().validate(criteria, shape).has_errors()
    assert list(violations(shape, criteria))


def test_an_alarm_of_another_type_is_refused() -> None:
    request = {
        "AlarmName": "a",
        "EvaluationPeriods": "1",
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": "5",
    }
    assert typed(ALARM, request)["Threshold"] == 5.0
    assert kinds(ALARM, request) == [("EvaluationPeriods", "type"), ("Threshold", "type")]
