"""Requests in the AWS shape are checked like those of spec objects, whoever wrote them: literals, and values that are rendered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_hosting import (
    AlarmRule,
    ContainerDefinition,
    ContainerImage,
    EndpointMetric,
    InstanceProductionVariant,
    InvocationsScaling,
    MetricMath,
    ModelData,
    TargetTrackingScaling,
)
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec import checks
from airflow_sm_hosting.spec.alarm import (
    check_alarm,
    check_description,
    check_named,
    default_alarm_name,
    threshold_value,
)
from airflow_sm_hosting.spec.alarm_rule import check_rule, rule_text
from airflow_sm_hosting.spec.arn import ENDPOINT, MODEL, check_resource, principal_of, resource_name
from airflow_sm_hosting.spec.container import (
    check_container_members,
    check_image,
    check_model_data,
    check_url,
)
from airflow_sm_hosting.spec.endpoint_config import (
    check_endpoint_config,
    models_of_variants,
    with_model_names,
)
from airflow_sm_hosting.spec.metric import check_metric, check_period, with_period
from airflow_sm_hosting.spec.model import check_model, not_for_serverless
from airflow_sm_hosting.spec.rollout import auto_rollback, completed
from airflow_sm_hosting.spec.scaling import action_request, policy_request
from airflow_sm_hosting.spec.scaling_rules import (
    check_actions,
    check_capacities,
    check_metric_dimension,
    check_policies,
    check_step_adjustments,
    check_suspended_state,
    initial_capacity,
    tracked_metric,
)
from airflow_sm_hosting.spec.schedule import check_schedule
from airflow_sm_hosting.spec.secret import hide_environments
from airflow_sm_hosting.spec.variant import check_variant

MODEL_ARN = "arn:aws:sagemaker:eu-west-1:123456789012:model/churn"
LATER = "{{ params.x }}"
VARIANT = {"VariantName": "main", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
SERVERLESS = {"MemorySizeInMB": 1024, "MaxConcurrency": 5}
TRACKING = {
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {
        "TargetValue": 1,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
    },
}
ACTION = {
    "ScheduledActionName": "night",
    "Schedule": "rate(1 day)",
    "ScalableTargetAction": {"MinCapacity": 1, "MaxCapacity": 2},
}
MATH = MetricMath(expression="a", metrics={"a": EndpointMetric.invocations()})
CUSTOM = {"MetricName": "M", "Namespace": "N", "Statistic": "Sum"}


def variant(**members: Any) -> None:
    check_variant("variants[0]", {**VARIANT, **members})


def pools(value: Any) -> None:
    check_variant("variants[0]", {"VariantName": "main", "InstancePools": value})


def source(**place: Any) -> None:
    given = {"S3Uri": "s3://models/churn/", "S3DataType": "S3Prefix", "CompressionType": "None", **place}
    container(ModelDataSource={"S3DataSource": given})


def container(**members: Any) -> None:
    check_container_members("containers[0]", {"Image": "churn:1", **members})


def policies(*given: Any) -> None:
    check_policies("policies", given)


def tracking(**configuration: Any) -> None:
    policies(
        {
            **TRACKING,
            "TargetTrackingScalingPolicyConfiguration": {
                **TRACKING["TargetTrackingScalingPolicyConfiguration"],
                **configuration,
            },
        }
    )


def custom(metric: Any) -> None:
    policies(
        {
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": 1,
                "CustomizedMetricSpecification": metric,
            },
        }
    )


def actions(*given: Any) -> None:
    check_actions("actions", given)


def tags(value: Any) -> None:
    checks.check_tags("tags", value)


def endpoint_alarm(**options: Any) -> None:
    check_alarm(
        "alarm",
        **{
            "metric": EndpointMetric.invocations(),
            "threshold": 1,
            "evaluation_periods": 1,
            "comparison_operator": "GreaterThanThreshold",
            "datapoints_to_alarm": None,
            "treat_missing_data": "breaching",
            **options,
        },
    )


def tag(key: Any, value: Any = "x") -> None:
    tags({key: value})


GOOD: list[Callable[[], Any]] = [
    lambda: variant(),
    lambda: variant(InitialInstanceCount="3", InitialVariantWeight="0.5", ModelName=MODEL_ARN),
    lambda: variant(InitialVariantWeight=LATER, InstanceType=LATER, ModelName=None),
    lambda: variant(ServerlessConfig={**SERVERLESS, "ProvisionedConcurrency": "5"}),
    lambda: variant(ServerlessConfig={**SERVERLESS, "MaxConcurrency": LATER, "ProvisionedConcurrency": 200}),
    lambda: variant(ServerlessConfig=LATER),
    lambda: pools(LATER),
    lambda: pools([{"InstanceType": "ml.m5.large", "Priority": 1, "ModelNameOverride": MODEL_ARN}, LATER]),
    lambda: InstanceProductionVariant(
        model_name="m",
        variant_name="v",
        instance_type=None,
        InstancePools=[{"InstanceType": "ml.m5.large", "Priority": "1"}],
    ),
    lambda: container(
        Mode="SingleModel",
        ContainerHostname="a",
        ImageConfig={"RepositoryAccessMode": LATER},
        ModelDataSource=LATER,
    ),
    lambda: container(AdditionalModelDataSources=LATER),
    lambda: container(AdditionalModelDataSources=[LATER, {"S3DataSource": None}]),
    lambda: source(),
    lambda: source(S3Uri=LATER),
    lambda: source(S3Uri=None),
    lambda: source(S3DataType=LATER),
    lambda: source(S3DataType="S3Object", S3Uri="s3://models/a.tar.gz", CompressionType="Gzip"),
    lambda: check_model_data("data", {"S3DataSource": {}}),
    lambda: check_model_data("data", ModelData.from_bucket("models", "a.tar.gz")),
    lambda: check_url("data", "https://models.s3.amazonaws.com/a.tar.gz"),
    lambda: ContainerDefinition(image=None, ModelPackageName="p"),
    lambda: policies(TRACKING, LATER, {"PolicyType": LATER, "PolicyName": LATER}),
    lambda: tracking(DisableScaleIn=True, ScaleInCooldown=60),
    lambda: custom(EndpointMetric.invocations()),
    lambda: custom(CUSTOM),
    lambda: custom({**CUSTOM, "Statistic": LATER}),
    lambda: custom({"Metrics": [{"Id": "m1"}]}),
    lambda: actions(ACTION, LATER),
    lambda: actions({**ACTION, "ScalableTargetAction": LATER, "Timezone": "Europe/Berlin"}),
    lambda: check_suspended_state("state", None),
    lambda: check_suspended_state("state", {"DynamicScalingInSuspended": True}),
    lambda: check_capacities("low", None, "high", LATER),
    lambda: check_step_adjustments("steps", LATER, "ChangeInCapacity"),
    lambda: tags(None),
    lambda: tags(LATER),
    lambda: tags({"ключ 1": "значение", "n": 5, "late": LATER}),
    lambda: checks.check_role("role", "team/churn"),
    lambda: checks.check_role("role", "arn:aws:iam::123456789012:role/churn"),
    lambda: checks.check_role("role", LATER),
    lambda: checks.check_kms_key("key", "alias/churn"),
    lambda: checks.check_kms_key("key", None),
    lambda: checks.check_ids("subnets", ["subnet-1", LATER], 16),
    lambda: checks.check_ids("subnets", LATER, 16),
    lambda: checks.check_structure("config", {}),
    lambda: check_resource("endpoint", LATER, ENDPOINT),
    lambda: check_endpoint_config(production_variants=[{**VARIANT, "InitialVariantWeight": LATER}]),
    lambda: check_endpoint_config(production_variants=[VARIANT, LATER]),
    lambda: check_image("image", LATER),
    lambda: check_model(containers=[{"Image": "a:1"}, LATER], subnets=LATER, security_group_ids=["sg"]),
    lambda: check_model(containers=None),
    lambda: policies(InvocationsScaling(max_requests_per_second=1)),
    lambda: check_schedule("schedule", LATER),
    lambda: check_description("description", None),
    lambda: check_description("description", "of many\nlines"),
    lambda: check_named("alarm", EndpointMetric.invocations(), None),
    lambda: check_named("alarm", MATH, "named"),
    lambda: check_rule("rule", LATER),
    lambda: check_rule("rule", AlarmRule.alarm(LATER)),
    lambda: EndpointMetric(LATER, LATER, unit=LATER),
    lambda: MetricMath(expression=LATER, metrics={"a": EndpointMetric.invocations()}),
    lambda: check_period("period", LATER),
    lambda: endpoint_alarm(metric=LATER),
    lambda: EndpointMetric("N", "M", dimensions=LATER),
    lambda: endpoint_alarm(metric=EndpointMetric.invocations(period=LATER)),
    lambda: completed({"BlueGreenUpdatePolicy": {"TerminationWaitInSeconds": 60}}),
    lambda: threshold_value(EndpointMetric("N", LATER), timedelta(seconds=1)),
]


@pytest.mark.parametrize("check", GOOD, ids=map(str, range(len(GOOD))))
def test_what_aws_takes_is_taken(check: Callable[[], Any]) -> None:
    check()


BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: variant(AcceleratorType="ml.eia2.medium"), "Elastic Inference"),
    (lambda: variant(VariantName="no_name"), r"variants\[0\].VariantName"),
    (lambda: variant(ModelName="no_name"), r"variants\[0\].ModelName"),
    (lambda: variant(InstanceType="m5"), r"variants\[0\].InstanceType"),
    (lambda: variant(InitialInstanceCount="0"), r"variants\[0\].InitialInstanceCount"),
    (lambda: variant(InitialVariantWeight="-1"), r"variants\[0\].InitialVariantWeight"),
    (lambda: variant(ServerlessConfig=5), r"ServerlessConfig is a int"),
    (lambda: variant(ServerlessConfig={**SERVERLESS, "MemorySizeInMB": 1000}), "MemorySizeInMB"),
    (lambda: variant(ServerlessConfig={**SERVERLESS, "MaxConcurrency": 201}), "MaxConcurrency"),
    (lambda: variant(ServerlessConfig={**SERVERLESS, "ProvisionedConcurrency": 6}), "at most MaxConcurrency"),
    (lambda: pools(5), "is a int; allowed: a list of 1 to 5"),
    (lambda: pools([{}] * 6), "list of 6; allowed: a list of 1 to 5"),
    (lambda: pools([5]), r"InstancePools\[0\] is a int"),
    (lambda: pools([{"InstanceType": "m5"}]), r"InstancePools\[0\].InstanceType"),
    (
        lambda: pools([{"InstanceType": "ml.m5.large", "ModelNameOverride": "no_name"}]),
        r"InstancePools\[0\].ModelNameOverride",
    ),
    (
        lambda: InstanceProductionVariant(model_name="m", variant_name="v", InstancePools=[]),
        "None with InstancePools",
    ),
    (lambda: container(Mode="Multi"), "Mode is 'Multi'"),
    (lambda: container(ContainerHostname="no_name"), "ContainerHostname"),
    (lambda: container(ModelDataUrl="s3://b/k", ModelDataSource={}), "both ModelDataUrl and ModelDataSource"),
    (lambda: container(Mode="MultiModel", ModelDataSource={}), "with MultiModel"),
    (lambda: container(ImageConfig=5), "ImageConfig is a int"),
    (lambda: container(AdditionalModelDataSources=5), "is a int; allowed: a list of"),
    (lambda: container(AdditionalModelDataSources=[{}] * 100), "of 100; allowed: a list of"),
    (lambda: container(AdditionalModelDataSources=[5]), r"AdditionalModelDataSources\[0\] is a int"),
    (lambda: source(S3Uri="s3://models/churn"), "a prefix that ends with '/'"),
    (lambda: source(S3Uri="models/churn/"), "S3Uri is 'models/churn/'"),
    (lambda: source(CompressionType="Gzip"), "only 'None'"),
    (
        lambda: ContainerDefinition(image="a:1", model_data={"S3DataSource": {}}, ModelDataSource={}),
        "has model_data and ModelDataSource",
    ),
    (lambda: ContainerDefinition(image="a:1", Image="b:1"), "Image is given in AWS's spelling"),
    (lambda: ContainerDefinition(image="a:1", mode="Multi"), "mode is 'Multi'"),
    (lambda: check_model_data("data", {"Image": "a"}), "data is "),
    (lambda: check_url("data", "https://b/k?X-Amz-Signature=secret"), r"data is 'https://b/k\?\*\*\*'"),
    (lambda: check_model(containers=[{}]), r"containers\[0\] has no Image"),
    (
        lambda: check_model(containers=[{"Image": ContainerImage.from_asset("app")}]),
        "Give it the output of a BuildImageOperator",
    ),
    (lambda: policies(5), r"policies\[0\] is a int"),
    (lambda: policies(*[TRACKING] * 51), "policies has 51 entries"),
    (lambda: policies(TRACKING, TRACKING), "two target-tracking policies"),
    (lambda: policies(EndpointMetric.invocations()), "is a EndpointMetric; allowed: a policy"),
    (lambda: policies(ACTION), "scheduled action"),
    (lambda: policies({**TRACKING, "PolicyName": ""}), "PolicyName is ''"),
    (lambda: policies({"PolicyType": "PredictiveScaling"}), "only for Amazon ECS"),
    (lambda: policies({"PolicyType": "Tracking"}), "PolicyType is 'Tracking'"),
    (lambda: policies({"PolicyType": "StepScaling"}), "without StepScalingPolicyConfiguration"),
    (lambda: policies({**TRACKING, "StepScalingPolicyConfiguration": {}}), "with StepScalingPolicyConfiguration"),
    (
        lambda: policies({**TRACKING, "TargetTrackingScalingPolicyConfiguration": 5}),
        "TargetTrackingScalingPolicyConfiguration is a int",
    ),
    (lambda: policies({**TRACKING, "ResourceId": "endpoint/a/variant/b"}), "the task sets it"),
    (lambda: policies({**TRACKING, "policy_name": "a"}), "Did you mean 'PolicyName'"),
    (lambda: policies({**TRACKING, "PolicyNam": "a"}), "Did you mean 'PolicyName'"),
    (lambda: tracking(DisableScaleIn="yes"), "DisableScaleIn"),
    (lambda: custom(5), "is a int; allowed: an EndpointMetric"),
    (lambda: custom({"MetricName": "M"}), "has no Namespace, Statistic"),
    (lambda: custom({**CUSTOM, "Metrics": []}), "has Metrics and MetricName, Namespace, Statistic"),
    (lambda: custom({**CUSTOM, "Statistic": "p99"}), "Statistic is 'p99'"),
    (lambda: actions(5), "is a int; allowed: a scheduled action"),
    (lambda: actions(TRACKING), "policy"),
    (lambda: actions(*[ACTION] * 201), "actions has 201 entries"),
    (lambda: actions(ACTION, ACTION), "night"),
    (lambda: actions({**ACTION, "ScalableTargetAction": 5}), "ScalableTargetAction is 5"),
    (lambda: actions({**ACTION, "ScalableTargetAction": None}), "at least one of the two"),
    (
        lambda: actions({**ACTION, "ScalableTargetAction": {"MinCapacity": 3, "MaxCapacity": 2}}),
        "at most the maximum capacity, 2",
    ),
    (lambda: actions({**ACTION, "Timezone": "Berlin"}), "Timezone is 'Berlin'"),
    (lambda: check_suspended_state("state", {}), "state is"),
    (lambda: check_suspended_state("state", {"ScheduledScalingSuspended": "yes"}), "True or False"),
    (lambda: check_step_adjustments("steps", "x", "ChangeInCapacity"), "steps is a str"),
    (lambda: tag(""), "a key of tags"),
    (lambda: tag("k" * 129), "a key of tags"),
    (lambda: tag("a?"), "a key of tags"),
    (lambda: tag("AWS:a"), "do not begin with"),
    (lambda: tag("a", None), r"tags\['a'\] is a NoneType"),
    (lambda: tag("a", "v" * 257), r"tags\['a'\]"),
    (lambda: tag("a", "?"), r"tags\['a'\]"),
    (lambda: tags({f"k{number}": "v" for number in range(51)}), "has 51 tags"),
    (lambda: tags([{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]), "'a'"),
    (lambda: checks.check_role("role", "no role"), "role is 'no role'"),
    (lambda: checks.check_role("role", "arn:aws:iam::1:user/churn"), "role is "),
    (lambda: checks.check_kms_key("key", "no key"), "key is 'no key'"),
    (lambda: checks.check_ids("subnets", "subnet-1", 16), "subnets is a str"),
    (lambda: checks.check_ids("subnets", [], 16), "subnets has 0 entries"),
    (lambda: checks.check_ids("subnets", ["a b"], 16), r"subnets\[0\]"),
    (lambda: checks.check_ids("subnets", ["a", "a"], 16), "'a'"),
    (lambda: checks.check_structure("config", 5), "config is a int"),
    (lambda: check_resource("endpoint", MODEL_ARN, ENDPOINT), "endpoint/<name>"),
    (lambda: completed(5), "rollout is 5"),
    (lambda: check_named("alarm", MATH, None), "alarm: alarm_name is missing"),
    (lambda: check_description("description", "x" * 1025), "description is "),
    (lambda: check_model(containers=[5]), r"containers\[0\] is a int"),
    (
        lambda: check_endpoint_config(
            production_variants=[VARIANT], shadow_production_variants=[{"VariantName": "s", "ServerlessConfig": SERVERLESS}]
        ),
        "shadow_production_variants has a serverless variant",
    ),
    (
        lambda: check_endpoint_config(
            production_variants=[{"VariantName": "v", "ModelName": "m", "ServerlessConfig": SERVERLESS, "InstanceType": "ml.m5.large"}]
        ),
        "ServerlessConfig and InstanceType",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("check", "message"), BAD, ids=[message for _, message in BAD])
def test_what_aws_refuses_is_refused(check: Callable[[], Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        check()


def test_a_model_that_is_named_by_its_arn_is_sent_by_its_name() -> None:
    assert resource_name("model", MODEL_ARN, MODEL) == "churn"
    assert resource_name("model", "churn", MODEL) == "churn"
    given = [
        {"VariantName": "a", "ModelName": MODEL_ARN},
        {"VariantName": "b", "InstancePools": [{"ModelNameOverride": MODEL_ARN}, {"InstanceType": "x"}]},
    ]
    assert with_model_names("variants", given) == [
        {"VariantName": "a", "ModelName": "churn"},
        {"VariantName": "b", "InstancePools": [{"ModelNameOverride": "churn"}, {"InstanceType": "x"}]},
    ]
    assert models_of_variants("variants", given) == {
        "variants[0].ModelName": MODEL_ARN,
        "variants[1].ModelName": None,
        "variants[1].InstancePools[0].ModelNameOverride": MODEL_ARN,
        "variants[1].InstancePools[1].ModelNameOverride": None,
    }


@pytest.mark.parametrize(
    ("containers", "options", "words"),
    [
        (LATER, {}, []),
        ([{"ModelDataUrl": "s3://b/k.tar.gz"}, LATER], {}, []),
        ([{}, {}], {}, ["more than one container"]),
        ([{}], {"subnets": ["a"]}, ["subnets (a VPC)"]),
        ([{}], {"enable_network_isolation": True}, ["network isolation"]),
        ([{"Mode": "MultiModel", "ModelDataUrl": "s3://b/k/"}], {}, ["Mode 'MultiModel'"]),
        ([{"ImageConfig": {"RepositoryAccessMode": "Vpc"}}], {}, ["ImageConfig (a private registry)"]),
        ([{"ModelDataUrl": "s3://b/k/"}], {}, ["uncompressed model data"]),
        ([{"ModelDataSource": {}}], {}, ["uncompressed model data"]),
    ],
    ids=str,
)
def test_what_serverless_endpoints_exclude_is_told_in_words(
    containers: Any, options: dict[str, Any], words: list[str]
) -> None:
    assert not_for_serverless(containers, options) == words


def test_an_environment_that_is_not_written_out_is_hidden_or_left_to_be_rendered() -> None:
    later = {"Image": "a:1", "Environment": LATER}
    assert hide_environments(later) == later
    assert "secret" not in repr(hide_environments({"Environment": "secret"}, rendered=True))


def test_all_weights_of_0_are_a_warning() -> None:
    with pytest.warns(UserWarning, match="every InitialVariantWeight is 0"):
        check_endpoint_config(production_variants=[{**VARIANT, "InitialVariantWeight": "0"}])


@pytest.mark.parametrize(
    ("variant", "capacity"),
    [({"ServerlessConfig": {"ProvisionedConcurrency": 3}}, 3), ({"ServerlessConfig": SERVERLESS}, 0), (VARIANT, 1), ({}, 1)],
)  # fmt: skip
def test_a_variant_begins_with_the_capacity_that_it_is_given_or_the_least(
    variant: Any, capacity: int
) -> None:
    assert initial_capacity(variant) == capacity


def test_predefined_metrics_are_of_the_dimension_that_is_scaled() -> None:
    dimension = "sagemaker:variant:DesiredInstanceCount"
    check_metric_dimension("policies", [TRACKING, {}], dimension)
    with pytest.raises(
        InvalidSpecError, match="which belongs to sagemaker:variant:DesiredInstanceCount; allowed for"
    ):
        check_metric_dimension("policies", [TRACKING], "sagemaker:variant:DesiredProvisionedConcurrency")


def test_a_rule_that_is_text_is_sent_as_it_is() -> None:
    assert rule_text('ALARM("a")') == 'ALARM("a")'


@pytest.mark.parametrize("dimensions", [None, {"EndpointName": "other", "VariantName": "b"}])
def test_a_policy_follows_the_metric_of_its_variant_or_of_the_dimensions_given(dimensions: Any) -> None:
    metric = EndpointMetric("N", "M", dimensions=dimensions)
    policy = TargetTrackingScaling(target_value=1, customized_metric=metric)
    made = policy_request(policy, endpoint_name="churn", variant_name="main")
    found = made["TargetTrackingScalingPolicyConfiguration"]["CustomizedMetricSpecification"]["Dimensions"]
    wanted = dimensions or {"EndpointName": "churn", "VariantName": "main"}
    assert {one["Name"]: one["Value"] for one in found} == wanted
    name = "n" * 300
    assert (
        policy_request({**TRACKING, "PolicyName": name}, endpoint_name="churn", variant_name="main")[
            "PolicyName"
        ]
        == name
    )


def test_a_policy_without_a_name_has_that_of_its_metric() -> None:
    made = policy_request(dict(TRACKING), endpoint_name="churn", variant_name="main")
    assert made["PolicyName"] == "churn-main-SageMakerVariantInvocationsPerInstance"


def test_without_alarms_nothing_rolls_back_and_with_those_of_upstream_they_do() -> None:
    assert auto_rollback("rollout", None) == {}
    assert auto_rollback("rollout", LATER) == {"AutoRollbackConfiguration": {"Alarms": LATER}}


def test_an_alarm_has_its_metrics_name_or_an_expressions_label() -> None:
    assert default_alarm_name({"MetricName": "Invocations"}, "churn", "main") == "churn-main-Invocations"
    assert default_alarm_name({"Label": "error rate"}, "churn", "main") == "churn-main-error rate"


@pytest.mark.parametrize("policy", [{}, {"TargetTrackingScalingPolicyConfiguration": LATER}])
def test_a_policy_that_tracks_nothing_that_is_known_has_no_metric(policy: dict[str, Any]) -> None:
    assert tracked_metric(policy) is None


def test_times_of_a_scheduled_action_are_sent_as_aws_keeps_them() -> None:
    made = action_request({**ACTION, "StartTime": "2026-11-23T04:00:00+00:00"})
    assert made["StartTime"].isoformat() == "2026-11-23T04:00:00+00:00"
    assert "EndTime" not in made


@pytest.mark.parametrize("metric", [LATER, EndpointMetric.invocations()])
def test_a_period_may_be_set_from_outside(metric: Any) -> None:
    inner = EndpointMetric.invocations()
    assert with_period(inner, 10)["Period"] == 10
    math = MetricMath(expression="a", metrics={"a": inner})
    assert with_period(math, 10)["Metrics"]["a"]["Period"] == 10
    check_metric(metric)


@pytest.mark.parametrize(
    ("arn", "principal"),
    [
        ("arn:aws:sts::123456789012:assumed-role/Airflow/i-0123", ("role", "Airflow")),
        ("arn:aws-cn:iam::123456789012:user/team/ci", ("user", "ci")),
        ("arn:aws:iam::123456789012:role/path/R", ("role", "R")),
        ("arn:aws:sts::123456789012:federated-user/me", ("federated-user", "me")),
        ("arn:aws:iam::123456789012:root", ("root", "user")),
    ],
)
def test_the_principal_of_a_caller(arn: str, principal: tuple[str, str]) -> None:
    assert principal_of(arn) == principal
