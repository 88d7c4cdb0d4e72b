"""A container's environment is shown nowhere in a whole run: what works, what fails, what is planned, and what is run again."""

from __future__ import annotations

import io
import json
import logging
import traceback
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from botocore.exceptions import ClientError

from airflow_sm_hosting import (
    CleanUpHostingOperator,
    ConfigureAutoscalingOperator,
    ContainerDefinition,
    CreateEndpointConfigOperator,
    CreateLatencyAlarmOperator,
    CreateModelOperator,
    DeleteEndpointOperator,
    DeployEndpointOperator,
    EndpointInServiceSensor,
    InstanceProductionVariant,
    InvocationsScaling,
    InvokeEndpointOperator,
    PlanDeploymentOperator,
    RollbackEndpointOperator,
    SmokeTest,
)
from airflow_sm_hosting.exceptions import (
    ConflictError,
    DeploymentFailedError,
    DeploymentRolledBackError,
    InvalidSpecError,
)
from airflow_sm_hosting.hooks.sagemaker import SageMakerRuntimeHook
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.triggers.endpoint import EndpointTrigger
from tests.local.conftest import Deployer
from tests.operators.conftest import (
    IMAGE,
    ROLE,
    Outcome,
    answering,
    make_config,
    make_endpoint,
    outcome,
    refusal,
    sagemaker_client,
    task_id,
)

LITERAL, JINJA, PARAM, BROKEN = (f"s3cr3t-{kind}-value" for kind in ("literal", "jinja", "param", "broken"))
SECRETS = (LITERAL, JINJA, PARAM, BROKEN)
#: Whose logs are not this package's: at DEBUG botocore writes every request down (docs/secrets.md).
FOREIGN = ("botocore", "boto3", "s3transfer", "urllib3", "docker", "asyncio", "werkzeug")


class Witness:
    """Keeps all that tasks show."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.seen: dict[str, list[str]] = {}

    def keep(self, where: str, what: Any) -> None:
        self.seen.setdefault(where, []).append(what if isinstance(what, str) else repr(what))

    def run(self, operator: type, **options: Any) -> Outcome:
        task = operator(task_id=task_id(operator.__name__), **options)
        end = outcome(task, params={"secret": PARAM})
        self.keep("XCom", json.dumps([end.ran.value, end.ran.xcoms], default=str))
        self.keep("rendered field", [getattr(task, name) for name in task.template_fields])
        if end.error:
            self.keep_error(end.error)
        return end

    def keep_error(self, error: BaseException) -> None:
        self.keep("exception", "".join(traceback.format_exception(error)))
        self.keep("exception", vars(error))

    def leaks(self) -> dict[str, list[str]]:
        return {
            where: [text for text in texts if any(secret in text for secret in SECRETS)]
            for where, texts in self.seen.items()
            if any(secret in text for text in texts for secret in SECRETS)
        }


@pytest.fixture
def witness(
    process_aws: LocalAws, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Witness:
    witness = Witness(process_aws)
    serialize = EndpointTrigger.serialize

    def kept(trigger: EndpointTrigger) -> Any:
        witness.keep("trigger", serialize(trigger))
        return serialize(trigger)

    monkeypatch.setattr(EndpointTrigger, "serialize", kept)
    caplog.set_level(logging.DEBUG)
    return witness


def model(witness: Witness, image: str, **options: Any) -> Outcome:
    environment = {
        "PASSWORD": LITERAL,
        "RENDERED": "{{ '" + JINJA + "' }}",
        "PARAM": "{{ params.secret }}",
        **options.pop("environment", {}),
    }
    return witness.run(
        CreateModelOperator,
        containers=[ContainerDefinition(image=image, environment=environment)],
        execution_role=ROLE,
        **{"model_name": "churn", **options},
    )


def config(witness: Witness, model_name: str) -> str:
    variant = InstanceProductionVariant(
        model_name=model_name, variant_name="main", container_startup_health_check_timeout=60
    )
    end = witness.run(
        CreateEndpointConfigOperator, endpoint_config_name="churn", production_variants=[variant]
    )
    return str(end.value)


ENDPOINT = {"endpoint_name": "churn"}
QUICK = {"poll_interval": 0.1, "timeout": 60}


@pytest.mark.slow
def test_no_value_of_an_environment_is_shown_in_a_whole_run(
    witness: Witness, dag: DAG, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    image = Deployer(witness.aws).push_image()

    # What works, and again.
    first = config(witness, model(witness, image).value)
    for _ in range(2):
        for deferrable in (False, True):
            end = witness.run(
                DeployEndpointOperator, **ENDPOINT, endpoint_config_name=first, deferrable=deferrable, **QUICK
            )
            assert end.error is None
        assert model(witness, image).ran.details["created"] is False
    witness.run(
        ConfigureAutoscalingOperator,
        **ENDPOINT,
        variant_name="main",
        max_capacity=2,
        policies=[InvocationsScaling(max_requests_per_second=10)],
    )
    witness.run(
        CreateLatencyAlarmOperator, **ENDPOINT, variant_name="main", threshold=100_000, evaluation_periods=1
    )
    witness.run(InvokeEndpointOperator, **ENDPOINT, body="1", push_response=True)
    witness.run(EndpointInServiceSensor, **ENDPOINT)

    # What is planned: another model, with another environment.
    other = config(witness, model(witness, image, environment={"PASSWORD": BROKEN}).value)
    planned = witness.run(PlanDeploymentOperator, **ENDPOINT, endpoint_config_name=other)
    assert "main: model PrimaryContainer.Environment" in planned.value

    # What is refused.
    assert model(witness, image, model_name="exact", unique_name=False).error is None
    assert isinstance(
        model(witness, image, model_name="exact", unique_name=False, environment={"PASSWORD": BROKEN}).error,
        ConflictError,
    )
    for literal, rendered in (
        ({"LONG": BROKEN * 100}, {"LONG": "{{ '" + BROKEN + "' * 100 }}"}),
        ({"1": BROKEN}, {"1": "{{ '" + BROKEN + "' }}"}),
        ({"A": [BROKEN]}, {"A": "{{ params.secret }}" * 100}),
    ):
        with pytest.raises(InvalidSpecError) as refused:  # while the DAG file is parsed
            model(witness, image, environment=literal)
        witness.keep_error(refused.value)
        try:
            end = model(witness, image, environment=rendered)
        except InvalidSpecError as error:
            witness.keep_error(error)
        else:
            assert isinstance(end.error, InvalidSpecError)

    # What fails: the container writes its environment down, and crashes.
    crashing = config(witness, model(witness, image, environment={"CRASH": "1", "PASSWORD": BROKEN}).value)
    for deferrable in (False, True):
        end = witness.run(
            DeployEndpointOperator,
            **ENDPOINT,
            endpoint_config_name=crashing,
            deferrable=deferrable,
            **QUICK,
        )
        assert type(end.error) is DeploymentRolledBackError
        assert "the password is ***" in str(end.error)
    end = witness.run(DeployEndpointOperator, endpoint_name="second", endpoint_config_name=crashing, **QUICK)
    assert type(end.error) is DeploymentFailedError
    assert "the password is ***" in str(end.error)

    # What goes back, and goes.
    assert witness.run(DeployEndpointOperator, **ENDPOINT, endpoint_config_name=other, **QUICK).error is None
    assert witness.run(RollbackEndpointOperator, **ENDPOINT, **QUICK).error is None
    witness.run(CleanUpHostingOperator, older_than=0, keep=0, dry_run=False)
    witness.run(DeleteEndpointOperator, **ENDPOINT, delete_endpoint_config=True, delete_models=True)

    shown = capfd.readouterr()
    witness.keep("output", shown.out + shown.err)
    for record in caplog.records:
        if not record.name.startswith(FOREIGN):
            witness.keep("log", caplog.handler.format(record) + repr(record.args))
    witness.keep("request log", witness.aws.requests())
    # All of it was looked at.
    assert set(witness.seen) == {
        "XCom",
        "rendered field",
        "exception",
        "trigger",
        "output",
        "log",
        "request log",
    }
    assert any("Created model" in text for text in (*witness.seen["log"], *witness.seen["output"]))
    assert any("CreateModel" in text for text in witness.seen["request log"])
    assert witness.leaks() == {}
    # What docs/secrets.md says of botocore.
    foreign = [record.getMessage() for record in caplog.records if record.name.startswith(FOREIGN)]
    assert any(LITERAL in text for text in foreign)


def test_the_witness_sees_a_leak(witness: Witness) -> None:
    witness.keep("log", f"Created model churn with {JINJA}")
    assert list(witness.leaks()) == ["log"]


# Errors of AWS and of containers

PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANSECRET1\nAoIBAQDSECRET2\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    "echo",
    [
        "Value '{{KEY={value}}}' at 'primaryContainer.environment' failed to satisfy constraint",
        "1 validation error detected: {json}",
        "Could not access model data at https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4&X-Amz-Signature=SECRET1",
    ],
    ids=["a value", "JSON", "a presigned URL"],
)
def test_what_aws_repeats_of_a_request_is_masked(aws: LocalAws, dag: DAG, echo: str) -> None:
    message = echo.format(value=PEM, json=json.dumps(PEM)) if "{" in echo else echo
    task = CreateModelOperator(
        task_id=task_id(),
        model_name="m",
        execution_role=ROLE,
        containers=[ContainerDefinition(image=IMAGE, environment={"KEY": PEM})],
    )
    with answering(sagemaker_client(), "CreateModel", refusal("ValidationException", message)):
        end = outcome(task)
    assert isinstance(end.error, ClientError)
    told = "".join(traceback.format_exception(end.error)) + repr(vars(end.error))
    assert "***" in told
    assert "SECRET" not in told


@pytest.mark.parametrize("task", ["invocation", "smoke test"])
@pytest.mark.parametrize(
    "answer",
    [PEM, json.dumps({"error": PEM}), f"Traceback:\n  {PEM.splitlines()[1]}\n"],
    ids=["raw", "JSON", "a line"],
)
def test_what_a_container_answers_is_masked(aws: LocalAws, dag: DAG, task: str, answer: str) -> None:
    client = aws.client("sagemaker")
    container = {"Image": IMAGE, "Environment": {"KEY": PEM}}
    client.create_model(ModelName="m", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    make_endpoint(aws, make_config(aws, "c", "m"), "churn")
    ill = refusal("ModelError", f"Received server error (500) from primary with message: {answer}", 424)
    right = (
        SimpleNamespace(status_code=200, headers={}, content=b""),
        {
            "Body": io.BytesIO(answer.encode()),
            "ContentType": "text/plain",
            "ResponseMetadata": {"HTTPStatusCode": 200},
        },
    )
    for given in (ill, right):
        with answering(SageMakerRuntimeHook().conn, "InvokeEndpoint", given):
            told = str(outcome(asking(task)).error)
        assert "***" in told
        assert "SECRET" not in told
    denied = refusal("AccessDeniedException", "no sagemaker:DescribeModel")
    with (
        answering(SageMakerRuntimeHook().conn, "InvokeEndpoint", ill),
        answering(sagemaker_client(), "DescribeModel", denied, denied),
    ):
        told = str(outcome(asking(task)).error)
    assert "not shown" in told
    assert "no sagemaker:DescribeModel" in told
    assert "SECRET" not in told


def asking(task: str) -> Any:
    if task == "invocation":
        return InvokeEndpointOperator(task_id=task_id(), endpoint_name="churn", body={}, expect="right")
    return DeployEndpointOperator(
        task_id=task_id(),
        endpoint_name="churn",
        endpoint_config_name="c",
        adopt=True,
        smoke_test=SmokeTest(body={}, expect="right"),
    )


def test_the_causes_of_an_error_are_masked_after_a_deferral_too(dag: DAG) -> None:
    class Failing(EndpointInServiceSensor):
        def execute_complete(self, context: Any, event: Any) -> None:
            raise ValueError("no") from OSError(f"url: /k?X-Amz-Signature={5 * 'SECRET1'}")

    with pytest.raises(ValueError, match="no") as raised:
        Failing(task_id=task_id(), endpoint_name="churn").execute_complete({}, {})
    told = "".join(traceback.format_exception(raised.value))
    assert "/k?***" in told
    assert 2 * "SECRET1" not in told
