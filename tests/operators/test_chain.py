"""The seven tasks as one chain: how many calls, what is shown, and what changes with another training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import (
    BuildImageOperator,
    ConfigureAutoscalingOperator,
    ContainerDefinition,
    CreateEndpointConfigOperator,
    CreateLatencyAlarmOperator,
    CreateModelOperator,
    DeployEndpointOperator,
    InstanceProductionVariant,
    InvocationsScaling,
    UploadModelDataOperator,
)
from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import IMAGE, ROLE, Ran, operations, run_task, task_id

SECRET = "s3cr3t-in-the-environment"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, content in {
        "app/Dockerfile": 'FROM scratch\nCOPY serve.py /\nENTRYPOINT ["python3", "/serve.py"]\n',
        "app/serve.py": "pass",
        "model/weights": "1",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return tmp_path


def seven_tasks(project: Path, tasks: list[Any] | None = None) -> list[Ran]:
    ran: list[Ran] = []
    dag = DAG("test", schedule=None)  # the file is parsed again

    def run(operator: type, **options: Any) -> Any:
        task = operator(task_id=task_id(operator.__name__), dag=dag, **options)
        if tasks is not None:
            tasks.append(task)
        ran.append(run_task(task))
        return ran[-1].value

    image = run(
        BuildImageOperator, directory=str(project / "app"), repository_name="churn", builder="assembler"
    )
    artifact = run(UploadModelDataOperator, path=str(project / "model"), bucket_name="models")
    model = run(
        CreateModelOperator,
        model_name="churn",
        containers=[
            ContainerDefinition(
                image=image,
                model_data=artifact,
                environment={"PASSWORD": SECRET, "RENDERED": "{{ '" + SECRET + "' }}"},
            )
        ],
        execution_role=ROLE,
    )
    config = run(
        CreateEndpointConfigOperator,
        endpoint_config_name="churn",
        production_variants=[
            InstanceProductionVariant(model_name=model, variant_name="main", instance_type="ml.m5.large")
        ],
    )
    endpoint = run(
        DeployEndpointOperator, endpoint_name="churn", endpoint_config_name=config, poll_interval=0.1
    )
    run(
        ConfigureAutoscalingOperator,
        endpoint_name=endpoint,
        variant_name="main",
        max_capacity=4,
        policies=[InvocationsScaling(max_requests_per_second=10)],
    )
    run(
        CreateLatencyAlarmOperator,
        endpoint_name=endpoint,
        variant_name="main",
        threshold=100_000,
        evaluation_periods=3,
    )
    return ran


def test_an_unchanged_rerun_makes_16_calls_at_most_and_changes_nothing(
    aws: LocalAws, dag: DAG, project: Path
) -> None:
    aws.client("s3").create_bucket(Bucket="models")
    first = seven_tasks(project)
    aws.clear_requests()

    second = seven_tasks(project)

    assert [ran.value for ran in second] == [ran.value for ran in first]
    asked = operations(aws)
    assert operations(aws, mutating=True) == []
    assert len(asked) <= 16, asked


def test_the_first_run_of_model_config_and_endpoint_makes_six_calls_and_the_polls(
    aws: LocalAws, dag: DAG
) -> None:
    model = run_task(
        CreateModelOperator(
            task_id="model",
            model_name="churn",
            containers=[ContainerDefinition(image=IMAGE)],
            execution_role=ROLE,
        )
    ).value
    config = run_task(
        CreateEndpointConfigOperator(
            task_id="config",
            endpoint_config_name="churn",
            production_variants=[InstanceProductionVariant(model_name=model, variant_name="main")],
        )
    ).value
    run_task(
        DeployEndpointOperator(
            task_id="deploy", endpoint_name="churn", endpoint_config_name=config, poll_interval=0.1
        )
    )
    asked = operations(aws)
    assert asked[:6] == [
        "DescribeModel",
        "CreateModel",
        "DescribeEndpointConfig",
        "CreateEndpointConfig",
        "DescribeEndpoint",
        "CreateEndpoint",
    ]
    assert asked[6:]
    assert set(asked[6:]) == {"DescribeEndpoint"}


@pytest.mark.slow
def test_another_training_updates_the_same_endpoint_and_the_old_ones_stay(
    aws: LocalAws, dag: DAG, project: Path
) -> None:
    aws.client("s3").create_bucket(Bucket="models")
    first = [ran.value for ran in seven_tasks(project)]
    (project / "model" / "weights").write_text("2")
    aws.clear_requests()
    second = [ran.value for ran in seven_tasks(project)]

    changed = [old != new for old, new in zip(first, second, strict=True)]
    assert changed == [False, True, True, True, False, False, False]
    client = aws.client("sagemaker")
    assert client.describe_endpoint(EndpointName="churn")["EndpointConfigName"] == second[3]
    assert len(client.list_models()["Models"]) == len(client.list_endpoint_configs()["EndpointConfigs"]) == 2


def test_no_environment_value_is_shown_in_a_whole_run(
    aws: LocalAws,
    dag: DAG,
    project: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    aws.client("s3").create_bucket(Bucket="models")
    tasks: list[Any] = []
    with caplog.at_level("INFO"):
        ran = [*seven_tasks(project, tasks), *seven_tasks(project, tasks)]
    shown = capfd.readouterr()
    rendered = [getattr(task, name) for task in tasks for name in task.template_fields]

    assert "Created model" in caplog.text + shown.out + shown.err  # the logs were caught
    assert SECRET not in caplog.text + shown.out + shown.err
    assert SECRET not in json.dumps([(one.value, one.xcoms) for one in ran])
    assert SECRET not in repr(rendered)


def test_the_credentials_are_not_shown_either(
    aws: LocalAws, dag: DAG, project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    aws.client("s3").create_bucket(Bucket="models")
    ran = seven_tasks(project)
    shown = capfd.readouterr()
    assert aws.secret_key not in shown.out + shown.err + repr(ran)
