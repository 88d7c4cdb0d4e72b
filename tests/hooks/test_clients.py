"""Connections and the clients made of them."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import CreateModelOperator, DeployEndpointOperator, EndpointInServiceSensor
from airflow_sm_hosting.exceptions import ConnectionNotFoundError
from airflow_sm_hosting.hooks import (
    ApplicationAutoScalingHook,
    CloudWatchHook,
    EcrRepositoryHook,
    ModelDataHook,
    SageMakerHostingHook,
    SageMakerRuntimeHook,
    clients,
)
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.service_model.loader import service_loader
from airflow_sm_hosting.service_model.shapes import service_model
from tests.operators.conftest import IMAGE, operations, outcome, task_id
from tests.operators.task_log import task_log
from tests.service_model.test_loader import SERVICES

HOOKS = [
    (SageMakerHostingHook, "sagemaker"),
    (SageMakerRuntimeHook, "sagemaker-runtime"),
    (CloudWatchHook, "cloudwatch"),
    (ApplicationAutoScalingHook, "application-autoscaling"),
    (ModelDataHook, "s3"),
    (EcrRepositoryHook, "ecr"),
]
every_hook = pytest.mark.parametrize("hook", [hook for hook, _ in HOOKS], ids=lambda hook: hook.__name__)


@every_hook
def test_a_named_connection_that_does_not_exist_is_an_error(aws: LocalAws, hook: Any) -> None:
    with pytest.raises(ConnectionNotFoundError, match="'nowhere' does not exist"):
        _ = hook(aws_conn_id="nowhere").conn


@pytest.mark.parametrize("conn_id", [None, "aws_default"])
@every_hook
def test_the_ambient_credentials(
    monkeypatch: pytest.MonkeyPatch, hook: Any, conn_id: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_AWS_DEFAULT", raising=False)
    monkeypatch.setattr(clients, "_SESSIONS", {})
    made = hook(aws_conn_id=conn_id)
    credentials = made.get_session()._session.get_credentials()
    assert credentials.access_key == "no-real-key"
    assert made.conn.meta.region_name == "us-east-1"
    shown = capsys.readouterr()
    if conn_id:
        assert "No Airflow connection" in shown.out + shown.err
        assert "own AWS credentials" in shown.out + shown.err


def test_where_credentials_come_from_is_told_once_and_of_connections_at_debug(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for shared in ("_SESSIONS", "_CLIENTS"):
        monkeypatch.setattr(clients, shared, {})
    with task_log() as log, caplog.at_level(logging.DEBUG, "airflow_sm_hosting.connection"):
        for hook, _ in HOOKS:
            _ = hook().conn
    assert log.lines == []
    assert "credentials retrieved from login and password" in caplog.text

    monkeypatch.delenv("AIRFLOW_CONN_AWS_DEFAULT")
    with task_log() as log:
        for hook, _ in HOOKS:
            _ = hook().conn
    told = [line for line in log.lines if "No Airflow connection 'aws_default'" in line]
    assert len(told) == 1
    assert len(set(log.lines)) == len(log.lines)


@pytest.mark.parametrize(("hook", "service"), HOOKS, ids=lambda value: getattr(value, "__name__", ""))
def test_the_four_parameters_reach_every_client(aws: LocalAws, hook: Any, service: str) -> None:
    made = hook(
        aws_conn_id="aws_default",
        region_name="eu-west-1",
        verify=False,
        config={"retries": {"max_attempts": 7, "mode": "standard"}, "read_timeout": 11},
    )
    client = made.conn
    assert client.meta.service_model.service_name == service
    assert client.meta.region_name == "eu-west-1"
    assert client.meta.endpoint_url == aws.endpoint_url
    assert client._endpoint.http_session._verify is False
    assert client.meta.config.retries["total_max_attempts"] in (7, 8)
    assert client.meta.config.read_timeout == 11


@every_hook
def test_the_connection_says_what_the_parameters_do_not(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch, hook: Any
) -> None:
    connection = aws.connection()
    connection["extra"] |= {
        "region_name": "eu-central-1",
        "verify": False,
        "config_kwargs": {"read_timeout": 13},
    }
    monkeypatch.setenv("AIRFLOW_CONN_MINE", json.dumps(connection))
    client = hook(aws_conn_id="mine").conn
    assert client.meta.region_name == "eu-central-1"
    assert client._endpoint.http_session._verify is False
    assert client.meta.config.read_timeout == 13


@every_hook
def test_one_client_for_a_process_connection_and_region(aws: LocalAws, hook: Any) -> None:
    first = hook().conn
    assert hook().conn is first
    assert hook(region_name="eu-west-1").conn is not first
    assert hook(region_name="eu-west-1").conn is hook(region_name="eu-west-1").conn
    assert hook(config={"read_timeout": 5}).conn is not first
    assert hook(verify=False).conn is not first


def test_changed_credentials_make_a_new_client(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    first = SageMakerHostingHook().conn
    connection = aws.connection()
    connection["password"] = "rotated"
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    second = SageMakerHostingHook().conn
    assert second is not first
    assert second._request_signer._credentials.secret_key == "rotated"  # type: ignore[attr-defined]
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(aws.connection()))
    assert SageMakerHostingHook().conn is first


def test_no_credential_is_kept_readable(aws: LocalAws) -> None:
    from airflow_sm_hosting.hooks import clients

    _ = SageMakerHostingHook().conn
    assert aws.secret_key not in repr((clients._CLIENTS, clients._SESSIONS))


@pytest.mark.parametrize("kind", ["model", "deploy", "sensor"])
def test_operators_pass_their_parameters_on(aws: LocalAws, dag: DAG, kind: str) -> None:
    options: dict[str, Any] = {"task_id": task_id(kind), "aws_conn_id": "{{ 'no' }}where"}
    task: Any = {
        "model": lambda: CreateModelOperator(model_name="m", containers=[{"Image": IMAGE}], **options),
        "deploy": lambda: DeployEndpointOperator(endpoint_name="e", endpoint_config_name="c", **options),
        "sensor": lambda: EndpointInServiceSensor(endpoint_name="e", **options),
    }[kind]()
    assert type(outcome(task).error) is ConnectionNotFoundError
    assert operations(aws) == []


def test_the_ecr_and_s3_hooks_of_a_task_are_in_its_region(aws: LocalAws, dag: DAG) -> None:
    """The peer's SageMakerHook makes an S3Hook that has lost Region, verify and configuration (its defect 11)."""
    task = CreateModelOperator(
        task_id="model",
        model_name="m",
        containers=[{"Image": IMAGE}],
        region_name="{{ 'eu-west-1' }}",
        verify="{{ 'False' }}",
        botocore_config={"read_timeout": 7},
    )
    task.render_template_fields({})
    for hook in (task.ecr_hook(), task.model_data_hook, task.sagemaker_hook, task.cloudwatch_hook):
        client = hook.conn
        assert (client.meta.region_name, client.meta.config.read_timeout) == ("eu-west-1", 7)  # type: ignore[attr-defined]
        assert client._endpoint.http_session._verify is False
    assert task.ecr_hook("ap-south-1").conn.meta.region_name == "ap-south-1"


def test_the_models_of_all_hooks_are_compared_with_botocore_s() -> None:
    assert {service for _, service in HOOKS} <= set(SERVICES)


def test_what_checks_requests_and_what_sends_them_load_a_model_once(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    files = service_loader(None).file_loader
    monkeypatch.setattr(
        files,
        "load_file",
        lambda path, load=files.load_file: loaded.append(path) or load(path),  # type: ignore[func-returns-value]
    )
    service_loader(None)._cache.clear()  # type: ignore[attr-defined]
    service_model.cache_clear()

    client = SageMakerHostingHook(region_name="eu-west-3").conn  # no other test has one
    service_model("sagemaker")

    assert isinstance(client.meta.service_model, botocore.model.ServiceModel)
    assert [Path(path).name for path in loaded if "/sagemaker/" in path].count("service-2") == 1
