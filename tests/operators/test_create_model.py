"""CreateModelOperator: names made of content, held against what the local AWS was really asked for."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, literal
from botocore.exceptions import ClientError

from airflow_sm_hosting import ContainerDefinition, ContainerImage, CreateModelOperator, ModelData
from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError, NotFoundError
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import CONTENT_DIGEST, OURS
from tests.local.conftest import Deployer
from tests.operators.conftest import (
    IMAGE,
    ROLE,
    answering,
    event_hook,
    operations,
    outcome,
    refusal,
    run_task,
    sagemaker_client,
    sent,
    tags_of,
    task_id,
)

SECRET = "s3cr3t-in-the-environment"


#: A trust policy with SageMaker, without which CreateModel refuses a role.
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


def create(**options: Any) -> CreateModelOperator:
    return CreateModelOperator(
        **{
            "task_id": task_id("model"),
            "model_name": "churn",
            "containers": [ContainerDefinition(image=IMAGE, environment={"WORKERS": "2"})],
            "execution_role": ROLE,
            **options,
        }
    )


def container(**options: Any) -> list[ContainerDefinition]:
    return [ContainerDefinition(**{"image": IMAGE, **options})]


def models(aws: LocalAws) -> list[str]:
    return [model["ModelName"] for model in aws.client("sagemaker").list_models()["Models"]]


def arn_of(name: str) -> str:
    return f"arn:aws:sagemaker:us-east-1:123456789012:model/{name}"


@pytest.fixture
def bucket(aws: LocalAws) -> str:
    aws.client("s3").create_bucket(Bucket="models")
    aws.client("s3").put_object(Bucket="models", Key="model.tar.gz", Body=b"one")
    return "models"


def test_the_same_request_is_the_same_model(aws: LocalAws, dag: DAG) -> None:
    first = run_task(create())
    assert re.fullmatch(r"churn-[0-9a-f]{10}", first.value)
    assert first.details == {"model_arn": arn_of(first.value), "created": True, "images": [IMAGE]}
    assert operations(aws) == ["DescribeModel", "CreateModel"]
    tags = tags_of(aws, arn_of(first.value))
    assert OURS.items() <= tags.items()
    assert tags[CONTENT_DIGEST].startswith(first.value.removeprefix("churn-"))

    aws.clear_requests()
    second = run_task(create())
    assert (second.value, second.details["created"]) == (first.value, False)
    assert operations(aws, mutating=True) == []
    assert operations(aws) == ["DescribeModel"]


@pytest.mark.parametrize(
    "change",
    [
        {"containers": container(environment={"WORKERS": "3"})},
        {"containers": container()},
        {"containers": container(image=IMAGE[:-1] + "b", environment={"WORKERS": "2"})},
        {"execution_role": ROLE + "-2"},
        {"enable_network_isolation": True},
        {"subnets": ["subnet-1"], "security_group_ids": ["sg-1"]},
    ],
)
def test_another_request_is_another_model_and_the_old_one_stays(
    aws: LocalAws, dag: DAG, change: dict[str, Any]
) -> None:
    aws.client("iam").create_role(RoleName="sagemaker-2", AssumeRolePolicyDocument=TRUST)
    first = run_task(create()).value
    second = run_task(create(**change)).value
    assert second != first
    assert sorted(models(aws)) == sorted([first, second])


def test_how_a_value_is_written_is_no_content(aws: LocalAws, dag: DAG) -> None:
    first = run_task(create(enable_network_isolation=True))
    second = run_task(
        create(
            enable_network_isolation="{{ 1 == 1 }}",
            containers=[{"Environment": {"WORKERS": "{{ 1 + 1 }}"}, "Image": "{{ '" + IMAGE + "' }}"}],
        )
    )
    assert second.value == first.value


@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize(
    "data",
    [
        "s3://models/model.tar.gz",
        "https://models.s3.us-east-1.amazonaws.com/model.tar.gz",
        ModelData.from_bucket("models", "model.tar.gz"),
        ModelData.from_prefix("models", "model"),
    ],
    ids=["s3", "https", "bucket", "prefix"],
)
def test_an_artifact_that_is_overwritten_in_place_is_a_new_model(
    aws: LocalAws, dag: DAG, data: Any, versioned: bool
) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="models")
    if versioned:
        s3.put_bucket_versioning(Bucket="models", VersioningConfiguration={"Status": "Enabled"})
    keys = ("model.tar.gz", "model/weights")
    for key in keys:
        s3.put_object(Bucket="models", Key=key, Body=b"one")
    containers = container(model_data=data)
    first = run_task(create(containers=containers)).value
    assert run_task(create(containers=containers)).value == first

    for key in keys:
        s3.put_object(Bucket="models", Key=key, Body=b"two")
    second = run_task(create(containers=containers)).value
    assert second != first
    assert first in models(aws)


def test_an_artifact_in_the_aws_shape_that_is_overwritten_in_place_is_a_new_model(
    aws: LocalAws, dag: DAG, bucket: str
) -> None:
    """A plain dict is accepted wherever a spec object is (design, 3), and its reference is as mutable (design, 4)."""
    place = {"S3Uri": f"s3://{bucket}/model.tar.gz", "S3DataType": "S3Object", "CompressionType": "Gzip"}
    containers = [{"Image": IMAGE, "ModelDataSource": {"S3DataSource": place}}]
    first = run_task(create(containers=containers)).value
    aws.client("s3").put_object(Bucket=bucket, Key="model.tar.gz", Body=b"two")
    assert run_task(create(containers=containers)).value != first


def test_a_moved_image_tag_is_a_new_model_and_the_digest_is_sent(aws: LocalAws, dag: DAG) -> None:
    deployer = Deployer(aws)
    aws.client("ecr").create_repository(repositoryName="churn")
    uri = deployer.push_image({"a": b"1"}, repository="churn", tag="latest")

    names = {run_task(create(containers=container(image=image))).value for image in _ways_to_say(uri)}
    assert len(names) == 1
    [first] = names
    sent_image = aws.client("sagemaker").describe_model(ModelName=first)["PrimaryContainer"]["Image"]
    assert re.fullmatch(re.escape(uri.removesuffix(":latest")) + r"@sha256:[0-9a-f]{64}", sent_image)

    deployer.push_image({"a": b"2"}, repository="churn", tag="latest")
    aws.clear_requests()
    second = run_task(create(containers=container(image=uri)))
    assert second.value != first
    assert second.details["images"] != [sent_image]
    assert first in models(aws)


def _ways_to_say(uri: str) -> list[Any]:
    return [
        uri,
        uri.removesuffix(":latest"),
        ContainerImage.from_ecr_repository("churn"),
        ContainerImage.from_ecr_repository("churn", "{{ 'latest' }}"),
    ]


@pytest.mark.parametrize("role", ["hosting", "team/hosting", "/team/hosting"])
def test_a_role_is_resolved_before_the_model_is_named(aws: LocalAws, dag: DAG, role: str) -> None:
    made = aws.client("iam").create_role(
        RoleName="hosting",
        Path="/team/",
        AssumeRolePolicyDocument=TRUST,
    )["Role"]
    by_name = run_task(create(execution_role=role)).value
    assert (
        aws.client("sagemaker").describe_model(ModelName=by_name)["ExecutionRoleArn"]
        == made["Arn"]
        == "arn:aws:iam::123456789012:role/team/hosting"
    )
    assert run_task(create(execution_role=made["Arn"])).value == by_name


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"containers": container(model_data="s3://models/gone.tar.gz")},
            "no model data at s3://models/gone",
        ),
        ({"containers": container(model_data="s3://nowhere/model.tar.gz")}, "no model data at s3://nowhere"),
        ({"containers": container(model_data="s3://models/gone/")}, "no model data below s3://models/gone/"),
        ({"containers": container(image=ContainerImage.from_ecr_repository("gone"))}, "no repository 'gone'"),
    ],
)
def test_what_is_referred_to_and_does_not_exist_is_named(
    aws: LocalAws, dag: DAG, bucket: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(NotFoundError, match=re.escape(words)):
        run_task(create(**options))
    assert "CreateModel" not in operations(aws)


# An exact name.


def test_an_exact_name_is_reused_for_the_same_content(aws: LocalAws, dag: DAG) -> None:
    assert run_task(create(unique_name=False)).value == "churn"
    aws.clear_requests()
    again = run_task(create(unique_name=False))
    assert (again.value, again.details["created"]) == ("churn", False)
    assert operations(aws, mutating=True) == []


def test_an_exact_name_with_other_content_is_a_conflict_that_shows_the_difference(
    aws: LocalAws, dag: DAG
) -> None:
    run_task(create(unique_name=False, containers=container(environment={"PASSWORD": SECRET, "KEPT": "1"})))
    aws.clear_requests()
    end = outcome(
        create(
            unique_name=False,
            execution_role=ROLE + "-2",
            containers=container(environment={"PASSWORD": f"new-{SECRET}", "KEPT": "1"}),
        )
    )
    assert type(end.error) is ConflictError
    assert "ExecutionRoleArn is 'arn:aws:iam::123456789012:role/sagemaker', requested" in str(end.error)
    assert "PrimaryContainer.Environment.PASSWORD differs" in str(end.error)
    assert "KEPT" not in str(end.error)
    assert SECRET not in str(end.error)
    assert operations(aws, mutating=True) == []


def test_a_conflict_of_kinds_shows_no_environment_value(aws: LocalAws, dag: DAG) -> None:
    """One container where a pipeline is, and the other way round."""
    one = container(environment={"PASSWORD": SECRET})
    two = [*one, *container(environment={"PASSWORD": SECRET})]
    for name, first, second in (("a", one, two), ("b", two, one)):
        run_task(create(model_name=name, unique_name=False, containers=first))
        end = outcome(create(model_name=name, unique_name=False, containers=second))
        assert type(end.error) is ConflictError
        assert SECRET not in str(end.error)


@pytest.mark.parametrize(
    "more",
    [
        {"EnableNetworkIsolation": True},
        {"VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}},
        {"PrimaryContainer": {"Image": IMAGE, "Environment": {"DEBUG": "1"}}},
        {"PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": "s3://models/model.tar.gz"}},
    ],
    ids=["isolation", "vpc", "environment", "model data"],
)
def test_a_model_by_hand_that_has_more_than_was_asked_for_is_a_conflict(
    aws: LocalAws, dag: DAG, bucket: str, more: dict[str, Any]
) -> None:
    """Other content under the exact name is an error (design, 4), whichever of the two has more."""
    request = {"PrimaryContainer": {"Image": IMAGE}, "ExecutionRoleArn": ROLE, **more}
    aws.client("sagemaker").create_model(ModelName="churn", **request)
    assert type(outcome(create(unique_name=False, containers=container())).error) is ConflictError


def test_a_conflict_names_what_was_there_and_is_not_wanted(aws: LocalAws, dag: DAG) -> None:
    run_task(create(unique_name=False, enable_network_isolation=True))
    error = outcome(create(unique_name=False)).error
    assert type(error) is ConflictError
    assert "EnableNetworkIsolation" in str(error)


def test_an_exact_name_with_an_overwritten_artifact_is_a_conflict(
    aws: LocalAws, dag: DAG, bucket: str
) -> None:
    containers = container(model_data=f"s3://{bucket}/model.tar.gz")
    run_task(create(unique_name=False, containers=containers))
    aws.client("s3").put_object(Bucket=bucket, Key="model.tar.gz", Body=b"two")
    with pytest.raises(ConflictError, match="its image tag or model data has changed"):
        run_task(create(unique_name=False, containers=containers))


def test_a_content_name_that_something_else_took_is_a_conflict(aws: LocalAws, dag: DAG) -> None:
    """The name alone is believed only as far as what AWS describes agrees with it."""
    name = run_task(create()).value
    sagemaker = aws.client("sagemaker")
    sagemaker.delete_model(ModelName=name)
    sagemaker.create_model(ModelName=name, PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE)
    aws.clear_requests()
    assert type(outcome(create()).error) is ConflictError
    assert operations(aws) == ["DescribeModel", "ListTags"]


# Tags.


def test_tags_are_reconciled_and_others_left_alone(aws: LocalAws, dag: DAG) -> None:
    name = run_task(create(tags={"team": "a", "stage": "test"})).value
    aws.client("sagemaker").add_tags(ResourceArn=arn_of(name), Tags=[{"Key": "theirs", "Value": "1"}])
    aws.clear_requests()

    again = run_task(create(tags=[{"Key": "team", "Value": "b"}, {"Key": "stage", "Value": "test"}]))

    assert again.value == name
    assert operations(aws, mutating=True) == ["AddTags"]
    assert {"team": "b", "stage": "test", "theirs": "1", **OURS}.items() <= tags_of(aws, arn_of(name)).items()


# Two at once, and faults of AWS.


@pytest.mark.parametrize("unique", [True, False])
def test_two_creators_at_once_make_one_model(aws: LocalAws, dag: DAG, unique: bool) -> None:
    """The other one creates it between our look and our call; nothing but a hook can be as quick."""
    client = sagemaker_client()
    others: list[str] = []

    def other(params: dict[str, Any], **_: Any) -> None:
        if not others:
            others.append(params["ModelName"])
            aws.client("sagemaker").create_model(**params)

    with event_hook(client, "provide-client-params.*.CreateModel", other):
        ran = run_task(create(unique_name=unique))
    assert [ran.value] == others == models(aws)
    assert ran.details["created"] is False


def test_another_fault_of_aws_is_not_swallowed(aws: LocalAws, dag: DAG) -> None:
    with (
        answering(sagemaker_client(), "CreateModel", refusal("ResourceLimitExceeded", "too many")),
        pytest.raises(ClientError, match="too many"),
    ):
        run_task(create())


# What is rendered.


def test_rendered_strings_are_typed_back(aws: LocalAws, dag: DAG) -> None:
    key = "x/" + "a" * 64 + ".tar.gz"
    aws.client("s3").create_bucket(Bucket="models")
    aws.client("s3").put_object(Bucket="models", Key=key, Body=b"x")
    containers = container(
        environment={"WORKERS": 2, "RATE": 0.5, "OFFLINE": True},
        MultiModelConfig={"ModelCacheSetting": "{{ 'Disabled' }}"},
        model_data=f"s3://models/{{{{ '{key}' }}}}",
    )
    with sent(sagemaker_client(), "CreateModel") as calls:
        run_task(create(enable_network_isolation="{{ 'False' }}", containers=containers))
    [call] = calls
    assert call["EnableNetworkIsolation"] is False
    assert call["PrimaryContainer"]["Environment"] == {"WORKERS": "2", "RATE": "0.5", "OFFLINE": "True"}
    assert call["PrimaryContainer"]["MultiModelConfig"] == {"ModelCacheSetting": "Disabled"}


@pytest.mark.parametrize(
    "bad",
    [
        {"model_name": "{{ 'a_b' }}"},
        {"model_name": "{{ none }}"},
        {"enable_network_isolation": "{{ 'maybe' }}"},
        {"inference_execution_mode": "{{ 'Parallel' }}"},
        {"subnets": "{{ 'subnet-1' }}"},
        {"subnets": ["{{ 'sub net' }}"], "security_group_ids": ["sg-1"]},
        {"tags": "{{ 'team' }}"},
        {"containers": container(environment={"{{ '1A' }}": "x"})},
        {"containers": container(image="{{ '' }}")},
        {"containers": literal([{"Image": IMAGE, "Imgae": "x"}])},
        {"execution_role": "{{ 'arn:aws:iam::12:role/x' }}"},
        {
            "containers": container(
                image=ContainerImage.from_ecr_repository("churn", digest="{{ 'sha256:abc' }}")
            )
        },
        {"containers": container(image=ContainerImage.from_ecr_repository("churn", "{{ 'a/b' }}"))},
        {
            "containers": container(
                image=ContainerImage.from_ecr_repository("churn", registry_id="{{ '12345' }}")
            )
        },
        {
            "containers": container(
                image=ContainerImage.from_ecr_repository("churn", region_name="{{ 'Ireland' }}")
            )
        },
        {"containers": container(image=ContainerImage.from_dlc("{{ 'PyTorch' }}", "2.6.0"))},
        {"containers": container(model_data=ModelData.from_bucket("{{ 'no bucket' }}", "m.tar.gz"))},
        {"containers": container(model_data=ModelData.from_bucket("{{ none }}", "m.tar.gz"))},
        {"containers": container(model_data=ModelData.from_bucket("models", "{{ '/m.tar.gz' }}"))},
        {"containers": container(model_data=ModelData.from_prefix("{{ 'no bucket' }}", "llm/"))},
        {"containers": container(model_data="s3://{{ 'no bucket' }}/m.tar.gz")},
    ],
    ids=lambda bad: "+".join(bad),
)
def test_what_can_never_work_is_an_error_before_the_first_call(
    aws: LocalAws, dag: DAG, bucket: str, bad: dict[str, Any]
) -> None:
    with_data = container(model_data=f"s3://{bucket}/model.tar.gz")
    aws.clear_requests()
    end = outcome(create(**{"containers": with_data, **bad}))
    assert isinstance(end.error, InvalidSpecError), end.error
    assert operations(aws) == []


def test_parts_of_a_reference_that_rendered_to_nothing_have_their_defaults(
    aws: LocalAws, dag: DAG, bucket: str
) -> None:
    data = ModelData.from_prefix(bucket, "{{ none }}")
    name = run_task(create(containers=container(model_data=data))).value
    described = aws.client("sagemaker").describe_model(ModelName=name)
    source = described["PrimaryContainer"]["ModelDataSource"]["S3DataSource"]
    assert source["S3Uri"] == f"s3://{bucket}/"


def test_a_name_that_is_cut_is_a_warning_where_it_is_written_and_when_it_is_rendered(
    aws: LocalAws, dag: DAG
) -> None:
    cut = rf"model_name has 57 characters, .*'{'c' * 52}-<10 hex digits"
    with pytest.warns(UserWarning, match=f"^CreateModelOperator: {cut}"):
        create(model_name="c" * 52 + "-prod")
    with pytest.warns(UserWarning, match=f"^{cut}"):
        name = run_task(create(model_name="{{ 'c' * 52 }}-test")).value
    assert re.fullmatch("c{52}-[0-9a-f]{10}", name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        create(model_name="c" * 57, unique_name=False)


def test_a_pipeline_is_made_of_containers(aws: LocalAws, dag: DAG) -> None:
    pair = [
        ContainerDefinition(image=IMAGE, container_hostname=name, environment={"STEP": name})
        for name in ("first", "second")
    ]
    name = run_task(create(containers=pair, inference_execution_mode="Direct")).value
    made = aws.client("sagemaker").describe_model(ModelName=name)
    assert [c["ContainerHostname"] for c in made["Containers"]] == ["first", "second"]
    assert made["InferenceExecutionConfig"] == {"Mode": "Direct"}
    assert "PrimaryContainer" not in made


def test_what_the_caller_passed_is_not_changed(aws: LocalAws, dag: DAG, tmp_path: Path) -> None:
    environment, tags = {"WORKERS": "2"}, {"team": "a"}
    given = {"Image": IMAGE, "Environment": environment}
    containers = [given]
    run_task(create(containers=containers, tags=tags))
    assert containers == [given]
    assert given == {"Image": IMAGE, "Environment": {"WORKERS": "2"}}
    assert (environment, tags) == ({"WORKERS": "2"}, {"team": "a"})


# Secrets.


def test_no_environment_value_is_shown(
    aws: LocalAws, dag: DAG, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    task = create(containers=container(environment={"PASSWORD": SECRET, "USER": "{{ '" + SECRET + "' }}"}))
    with caplog.at_level("INFO"):
        ran = run_task(task)
    again = run_task(task)
    shown = capsys.readouterr()
    assert SECRET not in caplog.text + shown.out + shown.err
    assert SECRET not in repr((ran, again))
    assert SECRET not in repr({name: getattr(task, name) for name in task.template_fields})
    made = aws.client("sagemaker").describe_model(ModelName=ran.value)
    assert made["PrimaryContainer"]["Environment"] == {"PASSWORD": SECRET, "USER": SECRET}


@pytest.mark.parametrize(
    "environment",
    [{"PASSWORD": SECRET * 60}, {"1A": SECRET}, {"PASSWORD": [SECRET]}],
    ids=["long", "key", "list"],
)
def test_no_environment_value_is_in_an_error_of_the_dag_file(dag: DAG, environment: dict[str, Any]) -> None:
    for make in (
        lambda: ContainerDefinition(image=IMAGE, environment=environment),
        lambda: create(containers=[{"Image": IMAGE, "Environment": environment}]),
    ):
        with pytest.raises(InvalidSpecError) as caught:
            make()
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize("environment", ["{{ secret * 60 }}", {"A": "{{ secret * 60 }}"}])
def test_no_environment_value_is_in_an_error_of_the_task(aws: LocalAws, dag: DAG, environment: Any) -> None:
    end = outcome(create(containers=[{"Image": IMAGE, "Environment": environment}]), secret=SECRET)
    assert isinstance(end.error, InvalidSpecError)
    assert SECRET not in str(end.error)
    assert operations(aws) == []
