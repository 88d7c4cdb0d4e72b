"""Requests held against botocore's own model: what rendering made of types, and what the service would refuse."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.validate import ParamValidator
from hypothesis import given, settings, strategies as st

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.hooks.requests import prepared
from airflow_sm_hosting.hooks.service_model import input_shape, scalar, service_model, typed, violations

MODEL = input_shape("sagemaker", "CreateModel")
CONFIG = input_shape("sagemaker", "CreateEndpointConfig")
UPDATE = input_shape("sagemaker", "UpdateEndpoint")
ALARM = input_shape("cloudwatch", "PutMetricAlarm")
POLICY = input_shape("application-autoscaling", "PutScalingPolicy")
SCHEDULE = input_shape("application-autoscaling", "PutScheduledAction")

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


def test_a_model_is_loaded_once() -> None:
    assert service_model("sagemaker") is service_model("sagemaker")


# typed()


@pytest.mark.parametrize(
    ("type_name", "text", "value"),
    [
        ("integer", "2", 2), ("integer", " 2 ", 2), ("integer", "-2", -2), ("integer", "+2", 2), ("integer", "2.0", 2), ("long", "0", 0),
        ("integer", "2.5", "2.5"), ("integer", "two", "two"), ("integer", "", ""), ("integer", "None", "None"), ("integer", "True", "True"),
        ("float", "2", 2.0), ("float", ".5", 0.5), ("double", "1e3", 1000.0), ("float", "-0.25", -0.25),
        ("float", "nan", "nan"), ("double", "inf", "inf"), ("float", "1,5", "1,5"),
        ("boolean", "True", True), ("boolean", "False", False), ("boolean", "false", False), ("boolean", " TRUE ", True),
        ("boolean", "0", "0"), ("boolean", "yes", "yes"), ("boolean", "", ""), ("boolean", "None", "None"),
        ("string", "True", "True"), ("string", "2", "2"),
        ("integer", 2, 2), ("boolean", False, False), ("float", 1.5, 1.5),
    ],
    ids=repr,
)  # fmt: skip
def test_a_string_becomes_what_the_type_says_or_stays_what_it_is(
    type_name: str, text: Any, value: Any
) -> None:
    got = scalar(type_name, text)
    assert got == value
    assert type(got) is type(value)


def test_rendered_strings_are_turned_back_wherever_they_stand() -> None:
    request = {
        "EndpointConfigName": "c",
        "ProductionVariants": [
            {
                "VariantName": "v",
                "InitialInstanceCount": "2",
                "InitialVariantWeight": "0",
                "EnableSSMAccess": "False",
            },
            {"VariantName": "w", "ServerlessConfig": {"MaxConcurrency": "5", "MemorySizeInMB": "2048"}},
        ],
        "DataCaptureConfig": {"EnableCapture": "False", "InitialSamplingPercentage": "25"},
        "KmsKeyId": None,
    }
    before = copy.deepcopy(request)
    ready = typed(CONFIG, request)
    assert request == before
    first, second = ready["ProductionVariants"]
    assert first == {
        "VariantName": "v",
        "InitialInstanceCount": 2,
        "InitialVariantWeight": 0.0,
        "EnableSSMAccess": False,
    }
    assert first["EnableSSMAccess"] is False
    assert second["ServerlessConfig"] == {"MaxConcurrency": 5, "MemorySizeInMB": 2048}
    assert ready["DataCaptureConfig"] == {"EnableCapture": False, "InitialSamplingPercentage": 25}
    assert "KmsKeyId" not in ready


def test_environment_values_become_strings() -> None:
    ready = typed(MODEL, {"PrimaryContainer": {"Environment": {"WORKERS": 2, "DEBUG": False, "RATE": 0.5}}})
    assert ready["PrimaryContainer"]["Environment"] == {"WORKERS": "2", "DEBUG": "False", "RATE": "0.5"}


def test_unknown_members_are_kept_to_be_named() -> None:
    assert typed(MODEL, {"ModelNam": "x"}) == {"ModelNam": "x"}
    assert kinds(MODEL, {"ModelName": "x", "ModelNam": "x"}) == [("ModelNam", "unknown")]


# violations()


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


def test_what_is_right_breaks_nothing() -> None:
    request = {
        "ModelName": "m" * 63,
        "PrimaryContainer": {"Image": "i", "Environment": {"A": "ü" * 1024}},
        "VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ("sg-1",)},
        "Tags": [{"Key": "sm-hosting:managed-by", "Value": "größe 5 µ"}],
    }
    assert kinds(MODEL, request) == []


def test_a_control_character_in_a_policys_name_is_refused() -> None:
    request = {
        "PolicyName": "rate\nlimit",
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/churn/variant/main",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    assert kinds(POLICY, request) == [("PolicyName", "pattern")]


def test_every_pattern_of_the_operations_that_are_used_is_really_checked() -> None:
    from airflow_sm_hosting.hooks.service_model import _compiled

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
    wrong = leaves | st.just([]) | st.just({}) | st.just([None])
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


@pytest.mark.parametrize(("service", "operation"), OPERATIONS, ids=[name for _, name in OPERATIONS])
def test_what_botocore_refuses_is_refused_before_it(service: str, operation: str) -> None:
    shape = input_shape(service, operation)

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(mostly(shape))
    def holds(request: Any) -> None:
        ready = typed(shape, request)
        if ParamValidator().validate(ready, shape).has_errors():
            assert list(violations(shape, ready)), (request, ready)

    holds()


def test_a_time_that_is_none_is_refused() -> None:
    request = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/churn/variant/main",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "ScheduledActionName": "night",
    }
    assert not kinds(SCHEDULE, {**request, "StartTime": datetime(2026, 1, 1, tzinfo=UTC)})
    assert not kinds(SCHEDULE, {**request, "StartTime": "2026-01-01T00:00:00Z"})
    wrong = {**request, "StartTime": "soon"}
    assert ParamValidator().validate(wrong, SCHEDULE).has_errors()
    assert kinds(SCHEDULE, wrong) == [("StartTime", "type")]


@pytest.mark.parametrize(
    "criteria", [{}, {"PromQLCriteria": {"Query": "up"}, "Other": {}}], ids=["none", "two"]
)
def test_a_union_has_exactly_one_member(criteria: dict[str, Any]) -> None:
    shape = ALARM.members["EvaluationCriteria"]
    assert shape.is_tagged_union
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


# prepared()


def test_an_unknown_well_formed_member_of_an_enum_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    request = {
        "EndpointConfigName": "c",
        "ProductionVariants": [
            {"VariantName": "v", "InstanceType": "ml.m55.large", "InitialInstanceCount": "1"}
        ],
    }
    with caplog.at_level("WARNING"):
        ready = prepared("sagemaker", "CreateEndpointConfig", request)
    assert ready["ProductionVariants"][0]["InstanceType"] == "ml.m55.large"
    assert "ml.m5.large" in caplog.text
    assert "does not know" in caplog.text


def test_a_malformed_member_of_an_enum_is_an_error() -> None:
    request = {
        "EndpointConfigName": "c",
        "ProductionVariants": [{"VariantName": "v", "InstanceType": "ml m5 large"}],
    }
    with pytest.raises(InvalidSpecError, match=r"ProductionVariants\[0\].InstanceType is 'ml m5 large'"):
        prepared("sagemaker", "CreateEndpointConfig", request)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InvalidSpecError, match=r"CreateModel would be refused \(3 problems\): ") as caught:
        prepared(
            "sagemaker",
            "CreateModel",
            {"ModelName": "a_b", "EnableNetworkIsolation": "no", "PrimaryContainer": {"Image": ""}},
        )
    for path in ("ModelName is 'a_b'", "EnableNetworkIsolation is 'no'", "PrimaryContainer.Image is ''"):
        assert path in str(caught.value)


def test_preparing_changes_nothing_that_was_given() -> None:
    request = {"ModelName": "m", "EnableNetworkIsolation": "True", "VpcConfig": None}
    before = copy.deepcopy(request)
    ready = prepared("sagemaker", "CreateModel", request)
    assert request == before
    assert ready == {"ModelName": "m", "EnableNetworkIsolation": True}
