"""Every way to ask an endpoint, against containers that really run (the process engine)."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import DeployEndpointOperator, Expectation, InvokeEndpointOperator, SmokeTest
from airflow_sm_hosting.exceptions import (
    AccessError,
    ConflictError,
    InvalidSpecError,
    InvocationError,
    SmokeTestFailedError,
)
from airflow_sm_hosting.hooks.sagemaker import SageMakerRuntimeHook
from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import Deployer
from tests.local_servers import local_server
from tests.operators.conftest import (
    Ran,
    answering,
    operations,
    outcome,
    refusal,
    run_task,
    sagemaker_client,
    sent,
    task_id,
)

PROGRAM = Path(__file__).with_name("asked_container.py")
PASSWORD = "correct-horse-battery"
ROLE = "arn:aws:iam::123456789012:role/sagemaker"


@pytest.fixture(scope="module")
def serving() -> LocalAws:
    """A local AWS with endpoints of each kind."""
    aws = local_server("process")
    aws.reset()
    deployer = Deployer(aws)
    image = deployer.push_image({"opt/program/serve.py": PROGRAM.read_bytes()})
    sagemaker, s3 = aws.client("sagemaker"), aws.client("s3")
    s3.create_bucket(Bucket="answers")
    model = deployer.model(Image=image, Environment={"PASSWORD": PASSWORD, "VERSION": "one"})
    outputs = {"S3OutputPath": "s3://answers/out", "S3FailurePath": "s3://answers/failed"}
    configs = {
        "now": deployer.config(deployer.variant(model)),
        "later": deployer.config(deployer.variant(model), AsyncInferenceConfig={"OutputConfig": outputs}),
        "unheard": deployer.config(
            deployer.variant(model),
            AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": outputs["S3OutputPath"]}},
        ),
    }
    for name, config in configs.items():
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    for name in configs:
        deployer.settled(name)
    return aws


@pytest.fixture(autouse=True)
def aws(serving: LocalAws, monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(serving.connection()))
    serving.clear_requests()
    return serving


def invoke(endpoint: str = "now", **options: Any) -> InvokeEndpointOperator:
    given = {"task_id": task_id("invoke"), "endpoint_name": endpoint, "push_response": True, **options}
    return InvokeEndpointOperator(**{"poll_interval": 0.1, "timeout": 30, **given})


def answer_of(ran: Ran) -> Any:
    return json.loads(ran.details["response"])


both_waits = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])


# Real time


def test_what_a_container_is_asked(dag: DAG) -> None:
    ran = run_task(
        invoke(
            body=[1],
            custom_attributes="trace=1",
            inference_id="42",
            session="abc",
            enable_explanations="`true`",
        )
    )
    assert answer_of(ran)["asked"] == {
        "Custom-Attributes": "trace=1",
        "Inference-Id": "42",
        "Session-Id": "abc",
        "Enable-Explanations": "`true`",
    }
    assert ran.details["milliseconds"] > 0


def test_all_members_are_sent(dag: DAG) -> None:
    members = {
        "target_variant": "main",
        "target_model": "a.tar.gz",
        "target_container_hostname": "first",
        "inference_component_name": "base",
        "prefix_aware_id": "p",
        "accept": "text/plain",
        "content_type": "text/x",
    }
    runtime = SageMakerRuntimeHook().conn
    with sent(runtime, "InvokeEndpoint") as requests:
        outcome(invoke(body="x", **members))
    (request,) = requests
    assert request == {
        "EndpointName": "now",
        "Body": b"x",
        "TargetVariant": "main",
        "TargetModel": "a.tar.gz",
        "TargetContainerHostname": "first",
        "InferenceComponentName": "base",
        "PrefixAwareId": "p",
        "Accept": "text/plain",
        "ContentType": "text/x",
    }


def test_sessions_are_opened_and_closed(dag: DAG) -> None:
    opened = run_task(invoke(body="x", session="NEW_SESSION")).details
    assert opened["session"] == "abc; Expires=2030-01-01T00:00:00Z"
    assert run_task(invoke(body="close", session="abc")).details["closed_session"] == "abc"


# Streams


def test_a_stream_is_joined(dag: DAG) -> None:
    ran = run_task(invoke(body="stream", kind="streamed", expect="aäb\nc"))
    assert ran.details["response"] == "aäb\nc"
    assert 0 < ran.details["first_part_milliseconds"] <= ran.details["milliseconds"]
    assert (ran.details["variant"], ran.details["content_type"]) == ("main", "text/plain")


def test_a_stream_that_breaks_is_an_error(dag: DAG) -> None:
    with pytest.raises(InvocationError, match=r"Endpoint now did not answer: ModelStreamError: .*broke"):
        run_task(invoke(body="break", kind="streamed"))


# Asynchronous endpoints


@both_waits
@pytest.mark.parametrize(
    "options", [{}, {"kind": "asynchronous"}, {"input_prefix": "s3://answers/in"}], ids=str
)
def test_an_asynchronous_endpoint_is_asked_asynchronously(
    aws: LocalAws, dag: DAG, deferrable: bool, options: dict[str, Any]
) -> None:
    ran = run_task(
        invoke(
            "later",
            body={"x": 1},
            deferrable=deferrable,
            expect=Expectation(subset={"body": '{"x": 1}', "version": "one"}),
            **options,
        )
    )
    assert ran.value == "later"
    assert ran.deferrals == int(deferrable)
    assert set(ran.details) == {
        "variant",
        "content_type",
        "bytes",
        "milliseconds",
        "output_location",
        "response",
    }
    assert ran.details["output_location"].startswith("s3://answers/out/")
    found = aws.client("s3").list_objects_v2(Bucket="answers", Prefix="in/").get("Contents", [])
    assert not found, "an uploaded input is deleted"
    asked = [name for name in operations(aws) if "Invoke" in name or name == "DescribeEndpoint"]
    know_it = bool(options)
    assert (
        asked == ["InvokeEndpointAsync"]
        if know_it
        else ["InvokeEndpoint", "DescribeEndpoint", "InvokeEndpointAsync"]
    )


@both_waits
def test_the_failure_of_an_asynchronous_request_is_told_without_secrets(dag: DAG, deferrable: bool) -> None:
    end = outcome(invoke("later", body="fail", deferrable=deferrable))
    assert isinstance(end.error, InvocationError)
    assert "Endpoint later failed to answer: the password is ***" in str(end.error)
    assert end.error.code == "ModelError"


@both_waits
def test_an_asynchronous_answer_that_is_not_expected(dag: DAG, deferrable: bool) -> None:
    end = outcome(
        invoke("later", body="x", deferrable=deferrable, expect=Expectation(subset={"version": "two"}))
    )
    assert isinstance(end.error, InvocationError)
    assert '-  "version": "two"\n+  "version": "one"' in str(end.error)


@both_waits
def test_an_input_that_is_in_s3_already(aws: LocalAws, dag: DAG, deferrable: bool) -> None:
    aws.client("s3").put_object(Bucket="answers", Key="mine.csv", Body=b"1,2")
    ran = run_task(
        invoke(
            "later",
            input_location="s3://answers/mine.csv",
            content_type="text/csv",
            s3_output_path_extension="today/",
            filename="a.out",
            request_ttl_seconds=600,
            invocation_timeout_seconds="{{ 60 }}",
            deferrable=deferrable,
        )
    )
    assert (answer_of(ran)["body"], answer_of(ran)["type"]) == ("1,2", "text/csv")
    assert ran.details["output_location"] == "s3://answers/out/today/a.out"
    assert aws.client("s3").head_object(Bucket="answers", Key="mine.csv"), "an input of the user's stays"


@both_waits
def test_an_answer_that_does_not_come_is_an_error_in_time(dag: DAG, deferrable: bool) -> None:
    """A failure that is written nowhere is never seen."""
    end = outcome(invoke("unheard", body="fail", deferrable=deferrable, timeout=1))
    assert isinstance(end.error, InvocationError)
    assert "Endpoint unheard has not answered within 1 s: there is nothing at s3://answers/out/" in str(
        end.error
    )
    assert "no S3FailurePath" in str(end.error)


@both_waits
def test_rows_of_an_asynchronous_endpoint(dag: DAG, tmp_path: Path, deferrable: bool) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('"a"\n{"body": "b", "expect": "b"}\n{"body": "c", "expect": "not there"}\n')
    end = outcome(invoke("later", requests_file=str(rows), deferrable=deferrable))
    assert isinstance(end.error, InvocationError)
    assert str(end.error).startswith("Row 3 of rows.jsonl: Endpoint later answered ")
    rows.write_text('"a"\n{"body": "b", "expect": "b"}\n')
    ran = run_task(invoke("later", requests_file=str(rows), deferrable=deferrable))
    assert ran.details["requests"] == 2
    assert [json.loads(one)["body"] for one in ran.details["response"]] == ["a", "b"]


def test_a_body_that_is_too_large_is_uploaded_or_refused_before_it_is_asked(aws: LocalAws, dag: DAG) -> None:
    large = "x" * 128_001
    with pytest.raises(
        InvalidSpecError, match="body has 128001 bytes, more than an asynchronous request takes"
    ):
        run_task(invoke("later", body=large, kind="asynchronous"))
    assert operations(aws) == []
    ran = run_task(invoke("later", body=large, input_prefix="s3://answers/in/"))
    assert ran.details["bytes"] > 128_000


def test_a_latency_is_no_expectation_of_an_endpoint_that_turns_out_to_be_asynchronous(dag: DAG) -> None:
    with pytest.raises(InvalidSpecError, match="later is asynchronous, and expect has max_latency_ms"):
        run_task(invoke("later", body="x", expect=Expectation(max_latency_ms=1000)))


@both_waits
def test_an_answer_that_may_not_be_read(dag: DAG, deferrable: bool) -> None:
    from airflow_sm_hosting.hooks import ModelDataHook

    s3 = ModelDataHook().conn
    denied = [refusal("403", "Forbidden", 403)] * 5
    with answering(s3, "HeadObject", *denied):
        end = outcome(invoke("later", body="x", deferrable=deferrable))
    assert isinstance(end.error, InvocationError | AccessError)
    assert "may not read s3://answers/out/" in str(end.error)


@both_waits
@pytest.mark.slow
def test_throttling_ends_no_wait(dag: DAG, deferrable: bool) -> None:
    from airflow_sm_hosting.hooks import ModelDataHook

    with answering(ModelDataHook().conn, "HeadObject", *[refusal("SlowDown", "", 503)] * 3) as left:
        assert run_task(invoke("later", body="x", deferrable=deferrable)).value == "later"
    assert left == []


@pytest.mark.parametrize("kind", ["real-time", "streamed"])
def test_a_kind_that_is_said_is_not_changed(dag: DAG, kind: str) -> None:
    with pytest.raises(InvocationError, match="does not support this inference type"):
        run_task(invoke("later", body="x", kind=kind))
    with pytest.raises(InvocationError, match="does not support this inference type"):
        run_task(invoke("now", body="x", kind="asynchronous"))


# Capacity

NO_CAPACITY = refusal(
    "ValidationError",
    "Inference Component has no capacity to process this request. ApplicationAutoScaling may be in-progress.",
)
LOADING = refusal("ModelNotReadyException", "Loading", 429)


@pytest.mark.parametrize("not_yet", [NO_CAPACITY, LOADING], ids=["zero", "loading"])
def test_an_endpoint_without_capacity_is_an_error_or_awaited(
    dag: DAG, monkeypatch: pytest.MonkeyPatch, not_yet: Any
) -> None:
    from airflow_sm_hosting.deployer import invocation

    monkeypatch.setattr(invocation, "LONGEST_PAUSE", 0.05)
    runtime = SageMakerRuntimeHook().conn
    with answering(runtime, "InvokeEndpoint", not_yet), pytest.raises(InvocationError) as caught:
        run_task(invoke(body="x"))
    assert "Give wait_for_capacity=…" in str(caught.value)
    assert (caught.value.no_capacity, caught.value.refused) == (True, True)
    with answering(runtime, "InvokeEndpoint", not_yet, not_yet) as left:
        assert run_task(invoke(body="x", wait_for_capacity=60)).value == "now"
    assert left == []
    with answering(runtime, "InvokeEndpoint", *[not_yet] * 500), pytest.raises(InvocationError) as caught:
        run_task(invoke(body="x", wait_for_capacity=0.2))
    assert "wait_for_capacity" not in str(caught.value)


# Expectations


def right(answer: Any) -> None:
    assert answer.json()["version"] == "one", "not version one"


def wrong(answer: Any) -> str:
    return f"{answer.variant} says {answer.json()['secret']}"


def broken(answer: Any) -> bool:
    raise KeyError("nothing there")


def false(answer: Any) -> bool:
    return False


NOT_A_FUNCTION = 3
HERE = __name__


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        (Expectation(check=f"{HERE}.right"), None),
        (
            Expectation(check=f"{HERE}.wrong"),
            r"answered 'main says \*\*\*'; expected: an answer that .*wrong finds",
        ),
        (Expectation(check=f"{HERE}.broken"), "KeyError: 'nothing there'"),
        (Expectation(check=f"{HERE}.false"), "false returned False"),
        (Expectation(schema={"type": "object", "required": ["body", "version"]}), None),
        (
            Expectation(schema={"properties": {"version": {"type": "number"}}}),
            r"fits the schema, but \$.version breaks 'type': 'number'",
        ),
        (Expectation(max_latency_ms=60_000), None),
        (Expectation(max_latency_ms=0.001), r"answered after \d+ ms; expected: an answer within 0.001 ms"),
        (Expectation(contains=["one", "version"]), None),
        (Expectation(contains=["one", "{{ 'two' }}"]), "expected: a response that contains 'two'"),
        (Expectation(subset={"secret": "x"}), r'\+  "secret": "\*\*\*"'),
        (Expectation(equals={"body": "x"}, tolerance="{{ 0.1 }}"), r"expected: the JSON \{\"body\": \"x\"\}"),
    ],
    ids=str,
)
def test_expectations(dag: DAG, expect: Any, words: str | None) -> None:
    if words is None:
        assert run_task(invoke(body="x", expect=expect)).value == "now"
        return
    with pytest.raises(InvocationError, match=words) as caught:
        run_task(invoke(body="x", expect=expect))
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        (Expectation(check="no_such_module.f"), "the worker cannot import: ModuleNotFoundError"),
        (Expectation(check=f"{HERE}.gone"), "cannot import: AttributeError"),
        (Expectation(check=f"{HERE}.NOT_A_FUNCTION"), "NOT_A_FUNCTION', a int; allowed: the dotted name"),
        (Expectation(schema={"type": "no type"}), "schema is no JSON schema"),
        (Expectation(max_latency_ms="{{ 'x' }}"), "expect: max_latency_ms is 'x'"),
    ],
    ids=str,
)
def test_an_expectation_that_can_never_work_is_an_error_before_the_first_call(
    aws: LocalAws, dag: DAG, expect: Any, words: str
) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        run_task(invoke(body="x", expect=expect))
    assert operations(aws) == []


# Rows


def test_a_row_may_be_any_json(dag: DAG, tmp_path: Path) -> None:
    rows = tmp_path / "rows.ndjson"
    rows.write_text('null\n{"body": null, "expect": "null"}\n0\n')
    answers = run_task(invoke(requests_file=rows)).details["response"]
    assert [json.loads(one)["body"] for one in answers] == ["null", "null", "0"]


def test_rows_with_a_common_expectation_and_their_own(dag: DAG, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text('a,b,expect\n1,2,"""body"": ""1,2"""\n3,4,\n', encoding="utf-8-sig")
    ran = run_task(invoke(requests_file=rows, expect=Expectation(subset={"type": "text/csv"})))
    assert (ran.details["requests"], len(ran.details["response"])) == (2, 2)
    assert ran.details["slowest_milliseconds"] > 0
    with pytest.raises(InvocationError, match=r"Row 2 of rows.csv: Endpoint now answered .*contains 'zero'"):
        run_task(invoke(requests_file=str(rows), expect="zero"))
    rows.write_text("x\nfail\n")
    with pytest.raises(InvocationError, match=r"Row 2 of rows.csv: Endpoint now did not answer: ModelError"):
        run_task(invoke(requests_file=str(rows)))


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b""])
def test_a_file_that_cannot_be_read_is_an_error_before_the_first_call(
    aws: LocalAws, dag: DAG, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "rows.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidSpecError, match=r"rows.jsonl"):
        run_task(invoke(requests_file=str(path)))
    assert operations(aws) == []


# Deployments


@both_waits
@pytest.mark.parametrize(
    ("name", "test"),
    [
        ("now", SmokeTest(body="stream", kind="streamed", expect="aäb")),
        ("now", SmokeTest(body="x", expect=Expectation(subset={"version": "one"}, max_latency_ms=60_000))),
        ("later", SmokeTest(body="x", expect="one", poll_interval=0.1, timeout="{{ 30 }}")),
        ("later", SmokeTest(body="x", input_prefix="s3://answers/in", poll_interval=timedelta(seconds=0.1))),
    ],
    ids=str,
)
def test_the_smoke_test_of_a_deployment(dag: DAG, deferrable: bool, name: str, test: Any) -> None:
    ran = run_task(deployment(name, test, deferrable=deferrable))
    assert ran.value == name


@pytest.mark.parametrize(
    ("name", "test", "error", "words"),
    [
        (
            "now",
            SmokeTest(body="x", expect=Expectation(equals=1)),
            SmokeTestFailedError,
            "expected: the JSON 1",
        ),
        (
            "later",
            SmokeTest(body="fail", poll_interval=0.1),
            SmokeTestFailedError,
            "the password is \\*\\*\\*",
        ),
        ("later", SmokeTest(body="x", kind="real-time"), ConflictError, "no request of kind 'real-time'"),
        ("now", SmokeTest(body="x", kind="asynchronous"), ConflictError, "the endpoint is not asynchronous"),
        ("now", SmokeTest(body="x", target_model="a"), ConflictError, "is no multi-model one"),
        (
            "now",
            SmokeTest(requests_file="no such file.csv"),
            InvalidSpecError,
            "requests_file is 'no such file.csv', which cannot be read",
        ),
    ],
    ids=str,
)
def test_a_smoke_test_that_fails(dag: DAG, name: str, test: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        run_task(deployment(name, test))


def deployment(name: str, test: Any, **options: Any) -> DeployEndpointOperator:
    """Return a task that deploys what the endpoint serves already, and tests it."""
    config = sagemaker_client().describe_endpoint(EndpointName=name)["EndpointConfigName"]
    return DeployEndpointOperator(
        task_id=task_id("deploy"),
        endpoint_name=name,
        endpoint_config_name=config,
        adopt=True,
        poll_interval=0.1,
        timeout=60,
        smoke_test=test,
        **options,
    )
