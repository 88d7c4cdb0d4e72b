"""CreateEndpointConfigOperator: names made of content, and values typed back, against the local AWS."""

from __future__ import annotations

import re
from typing import Any

import pytest
from airflow.sdk import DAG, literal
from botocore.exceptions import ClientError

from airflow_sm_hosting import (
    CreateEndpointConfigOperator,
    InstanceProductionVariant,
    ServerlessProductionVariant,
)
from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import OURS
from tests.operators.conftest import (
    event_hook,
    make_model,
    operations,
    outcome,
    run_task,
    sagemaker_client,
    sent,
    tags_of,
    task_id,
)


def variant(**options: Any) -> InstanceProductionVariant:
    return InstanceProductionVariant(
        **{"model_name": "model", "variant_name": "main", "instance_type": "ml.m5.large", **options}
    )


def create(*variants: Any, **options: Any) -> CreateEndpointConfigOperator:
    return CreateEndpointConfigOperator(
        **{
            "task_id": task_id("config"),
            "endpoint_config_name": "churn",
            "production_variants": list(variants) or [variant()],
            **options,
        }
    )


@pytest.fixture(autouse=True)
def model(aws: LocalAws) -> str:
    name = make_model(aws)
    aws.clear_requests()
    return name


def configs(aws: LocalAws) -> list[str]:
    found = aws.client("sagemaker").list_endpoint_configs()["EndpointConfigs"]
    return [config["EndpointConfigName"] for config in found]


def arn_of(name: str) -> str:
    return f"arn:aws:sagemaker:us-east-1:123456789012:endpoint-config/{name}"


def test_the_same_request_is_the_same_config(aws: LocalAws, dag: DAG) -> None:
    first = run_task(create())
    assert re.fullmatch(r"churn-[0-9a-f]{10}", first.value)
    assert first.details == {"endpoint_config_arn": arn_of(first.value), "created": True}
    assert operations(aws) == ["DescribeEndpointConfig", "CreateEndpointConfig"]
    assert OURS.items() <= tags_of(aws, arn_of(first.value)).items()
    aws.clear_requests()

    second = run_task(create())
    assert (second.value, second.details["created"]) == (first.value, False)
    assert operations(aws) == ["DescribeEndpointConfig"]


@pytest.mark.filterwarnings("ignore:.*is cut to 52")
def test_a_shortened_name_keeps_the_digest(aws: LocalAws, dag: DAG) -> None:
    name = run_task(create(endpoint_config_name="a" * 51 + "-" + "b" * 11)).value
    assert re.fullmatch(r"a{51}-[0-9a-f]{10}", name)
    assert run_task(create(endpoint_config_name="a" * 51 + "-" + "b" * 11)).value == name


@pytest.mark.parametrize(
    "change",
    [
        {"production_variants": [variant(initial_instance_count=2)]},
        {"production_variants": [variant(initial_variant_weight=2)]},
        {"production_variants": [variant(instance_type="ml.m5.xlarge")]},
        {"production_variants": [variant(variant_name="other")]},
        {"kms_key_id": "arn:aws:kms:us-east-1:123456789012:key/1"},
        {
            "data_capture_config": {
                "InitialSamplingPercentage": 10,
                "DestinationS3Uri": "s3://capture",
                "CaptureOptions": [{"CaptureMode": "Input"}],
            }
        },
    ],
)
def test_another_request_is_another_config_and_the_old_one_stays(
    aws: LocalAws, dag: DAG, change: dict[str, Any]
) -> None:
    first = run_task(create()).value
    second = run_task(create(**change)).value
    assert sorted(configs(aws)) == sorted([first, second])
    assert len({first, second}) == 2


def test_tags_are_no_content(aws: LocalAws, dag: DAG) -> None:
    name = run_task(create(tags={"run": "1"})).value
    aws.client("sagemaker").add_tags(ResourceArn=arn_of(name), Tags=[{"Key": "theirs", "Value": "1"}])
    assert run_task(create(tags={"run": "2"})).value == name
    assert {"run": "2", "theirs": "1", **OURS}.items() <= tags_of(aws, arn_of(name)).items()


def test_rendered_strings_are_typed_back(aws: LocalAws, dag: DAG) -> None:
    rendered = create(
        variant(
            initial_instance_count="{{ 2 }}",
            initial_variant_weight="{{ 0.5 }}",
            container_startup_health_check_timeout="{{ 60 * 2 }}",
        ),
        data_capture_config={
            "EnableCapture": "{{ false }}",
            "InitialSamplingPercentage": "{{ 10 }}",
            "DestinationS3Uri": "s3://capture/{{ 'x' }}",
            "CaptureOptions": [{"CaptureMode": "Input"}],
        },
    )
    with sent(sagemaker_client(), "CreateEndpointConfig") as calls:
        name = run_task(rendered).value
    [call] = calls
    [made] = call["ProductionVariants"]
    assert made["InitialInstanceCount"] == 2
    assert made["InitialVariantWeight"] == 0.5
    assert made["ContainerStartupHealthCheckTimeoutInSeconds"] == 120
    assert call["DataCaptureConfig"]["EnableCapture"] is False
    assert call["DataCaptureConfig"]["InitialSamplingPercentage"] == 10
    literal = create(
        variant(
            initial_instance_count=2, initial_variant_weight=0.5, container_startup_health_check_timeout=120
        ),
        data_capture_config={
            "EnableCapture": False,
            "InitialSamplingPercentage": 10,
            "DestinationS3Uri": "s3://capture/x",
            "CaptureOptions": [{"CaptureMode": "Input"}],
        },
    )
    assert run_task(literal).value == name


def test_a_serverless_variant_is_typed_back(aws: LocalAws, dag: DAG) -> None:
    rendered = ServerlessProductionVariant(
        model_name="model",
        variant_name="main",
        max_concurrency="{{ 5 }}",
        memory_size_in_mb="{{ 2048 }}",
        provisioned_concurrency="{{ 1 }}",
    )
    name = run_task(create(rendered)).value
    [made] = aws.client("sagemaker").describe_endpoint_config(EndpointConfigName=name)["ProductionVariants"]
    assert made["ServerlessConfig"] == {
        "MaxConcurrency": 5,
        "MemorySizeInMB": 2048,
        "ProvisionedConcurrency": 1,
    }


@pytest.mark.parametrize(
    "bad",
    [
        {"production_variants": [variant(initial_instance_count="{{ 'two' }}")]},
        {"production_variants": [variant(initial_instance_count="{{ 0 }}")]},
        {"production_variants": [variant(initial_variant_weight="{{ 'half' }}")]},
        {"production_variants": [variant(container_startup_health_check_timeout="{{ 10 }}")]},
        {"production_variants": [variant(variant_name="{{ 'a_b' }}")]},
        {"production_variants": [variant(instance_type="{{ 'm5.large' }}")]},
        {"production_variants": [variant(), variant(variant_name="{{ 'main' }}")]},
        {"production_variants": "{{ [] }}"},
        {
            "production_variants": literal(
                [{"VariantName": "main", "ModelName": "model", "InstanceTyp": "ml.m5.large"}]
            )
        },
        {"endpoint_config_name": "{{ 'a_b' }}"},
        {"tags": "{{ 'team' }}"},
        {"extra_members": literal({"Metrics": {}})},
        {
            "data_capture_config": {
                "DestinationS3Uri": "s3://bucket/captured",
                "InitialSamplingPercentage": 5,
                "CaptureOptions": [{"CaptureMode": "Input"}],
                "EnableCapture": "{{ 'maybe' }}",
            }
        },
    ],
)
def test_what_can_never_work_is_an_error_before_the_first_call(
    aws: LocalAws, dag: DAG, bad: dict[str, Any]
) -> None:
    end = outcome(create(**bad))
    assert isinstance(end.error, InvalidSpecError), end.error
    assert operations(aws) == []


@pytest.mark.filterwarnings("ignore:.*ml.m99.24xlarge")
@pytest.mark.parametrize("instance_type", ["ml.m99.24xlarge", "{{ 'ml.m99.24xlarge' }}"])
def test_an_unknown_instance_type_is_sent(aws: LocalAws, dag: DAG, instance_type: str) -> None:
    """AWS adds types all the time: whether a well-formed one exists is for AWS to say."""
    with sent(sagemaker_client(), "CreateEndpointConfig") as calls, pytest.raises(ClientError):
        run_task(create(variant(instance_type=instance_type)))
    assert calls[0]["ProductionVariants"][0]["InstanceType"] == "ml.m99.24xlarge"


def test_an_exact_name(aws: LocalAws, dag: DAG) -> None:
    assert run_task(create(unique_name=False)).value == "churn"
    assert run_task(create(unique_name=False)).value == "churn"
    aws.clear_requests()
    end = outcome(create(variant(initial_instance_count=3), unique_name=False))
    assert type(end.error) is ConflictError
    assert "ProductionVariants[0].InitialInstanceCount is 1, requested 3" in str(end.error)
    assert operations(aws, mutating=True) == []


def test_a_config_by_hand_that_has_more_than_was_asked_for_is_a_conflict(aws: LocalAws, dag: DAG) -> None:
    aws.client("sagemaker").create_endpoint_config(
        EndpointConfigName="churn",
        ProductionVariants=[dict(variant())],
        KmsKeyId="arn:aws:kms:us-east-1:123456789012:key/1",
    )
    assert type(outcome(create(unique_name=False)).error) is ConflictError


def test_two_creators_at_once_make_one_config(aws: LocalAws, dag: DAG) -> None:
    others: list[str] = []

    def other(params: dict[str, Any], **_: Any) -> None:
        if not others:
            others.append(params["EndpointConfigName"])
            aws.client("sagemaker").create_endpoint_config(**params)

    with event_hook(sagemaker_client(), "provide-client-params.*.CreateEndpointConfig", other):
        ran = run_task(create())
    assert [ran.value] == others == configs(aws)


def test_shadow_variants_and_extra_members_arrive(aws: LocalAws, dag: DAG) -> None:
    name = run_task(
        create(
            shadow_production_variants=[variant(variant_name="shadow")],
            extra_members={"MetricsConfig": {"EnableEnhancedMetrics": "{{ true }}"}},
        )
    ).value
    made = aws.client("sagemaker").describe_endpoint_config(EndpointConfigName=name)
    assert [v["VariantName"] for v in made["ShadowProductionVariants"]] == ["shadow"]
    assert made["MetricsConfig"]["EnableEnhancedMetrics"] is True


def test_an_instance_type_newer_than_botocore_is_sent_with_a_warning_that_names_the_nearest(
    aws: LocalAws, dag: DAG, caplog: pytest.LogCaptureFixture
) -> None:
    """A family that our list knows, of a size that botocore's enum does not have."""
    with sent(sagemaker_client(), "CreateEndpointConfig") as calls:
        outcome(create(variant(instance_type="ml.m5.25xlarge")))
    [call] = calls
    assert call["ProductionVariants"][0]["InstanceType"] == "ml.m5.25xlarge"
    assert "'ml.m5.25xlarge', which the installed botocore does not know (nearest: ml.m5" in caplog.text
