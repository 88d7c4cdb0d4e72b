"""InvokeEndpointOperator against containers that really run (the process engine)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import InvokeEndpointOperator
from airflow_sm_hosting.exceptions import InvalidSpecError, InvocationError, NotFoundError
from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import Deployer
from tests.local_servers import local_server
from tests.operators.conftest import (
    answering,
    operations,
    outcome,
    refusal,
    run_task,
    sagemaker_client,
    task_id,
)


@pytest.fixture(scope="module")
def serving() -> LocalAws:
    """A local AWS with an endpoint of two variants, which tell their version."""
    aws = local_server("process")
    aws.reset()
    deployer = Deployer(aws)
    image = deployer.push_image()
    variants = [
        deployer.variant(
            deployer.model(Image=image, Environment={"VERSION": name}), name, InitialVariantWeight=weight
        )
        for name, weight in (("main", 1), ("other", 0))
    ]
    aws.client("sagemaker").create_endpoint(
        EndpointName="churn", EndpointConfigName=deployer.config(*variants)
    )
    deployer.settled("churn")
    return aws


@pytest.fixture(autouse=True)
def aws(serving: LocalAws, monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(serving.connection()))
    serving.clear_requests()
    return serving


def invoke(**options: Any) -> InvokeEndpointOperator:
    return InvokeEndpointOperator(
        **{"task_id": task_id("invoke"), "endpoint_name": "churn", "body": "1,2", **options}
    )


def test_an_endpoint_answers(aws: LocalAws, dag: DAG) -> None:
    ran = run_task(invoke(content_type="text/csv"))
    assert ran.value == "churn"
    assert set(ran.details) == {"variant", "content_type", "bytes", "milliseconds"}
    assert (ran.details["variant"], ran.details["content_type"]) == ("main", "application/json")


def test_the_answer_is_pushed_only_if_asked_for_and_capped(aws: LocalAws, dag: DAG) -> None:
    details = run_task(invoke(body="x" * 100_000, push_response=True)).details
    assert len(details["response"]) == 16_384
    assert details["bytes"] > 100_000


@pytest.mark.parametrize("body", ['{"rows": [1, 2]}', b'{"rows": [1, 2]}', {"rows": [1, "{{ 2 }}"]}])
def test_what_is_sent(aws: LocalAws, dag: DAG, body: Any) -> None:
    details = run_task(
        invoke(body=body, accept="application/x", target_variant="other", push_response=True)
    ).details
    answer = json.loads(details["response"])
    assert json.loads(answer["body"])["rows"] in ([1, 2], [1, "2"])
    assert (answer["content_type"], answer["accept"]) == ("application/json", "application/x")
    assert (answer["version"], details["variant"]) == ("other", "other")


def test_an_expected_answer(aws: LocalAws, dag: DAG) -> None:
    assert run_task(invoke(expect='"version": "main"')).value == "churn"
    with pytest.raises(InvocationError, match="expected: a response that contains 'version 2'"):
        run_task(invoke(expect="version 2"))
    with pytest.raises(InvocationError, match=r"expected: the JSON \{\"version\": \"main\"\}"):
        run_task(invoke(expect={"version": "main"}))
    full = json.loads(run_task(invoke(push_response=True)).details["response"])
    assert run_task(invoke(expect=full)).value == "churn"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"endpoint_name": "gone"}, "Endpoint gone did not answer: ValidationError"),
        ({"body": "fail"}, "did not answer: ModelError: .*the model is ill"),
    ],
)
def test_an_endpoint_that_does_not_answer_is_an_error(
    aws: LocalAws, dag: DAG, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvocationError, match=words):
        run_task(invoke(**options))


@pytest.mark.parametrize(
    "bad",
    [
        {"body": "x" * 6_291_457},
        {"endpoint_name": "{{ none }}"},
        {"endpoint_name": "{{ 'a_b' }}"},
        {"target_variant": "{{ 'a_b' }}"},
        {"push_response": "maybe"},
    ],
    ids=["body", "no name", "name", "variant", "push"],
)
def test_what_can_never_work_is_an_error_before_the_first_call(
    aws: LocalAws, dag: DAG, bad: dict[str, Any]
) -> None:
    try:
        task = invoke(**bad)
    except InvalidSpecError:
        return  # the DAG file breaks
    end = outcome(task)
    assert isinstance(end.error, InvalidSpecError), end.error
    assert operations(aws) == []


def test_a_variant_that_is_not_there_is_told_with_those_that_are(aws: LocalAws, dag: DAG) -> None:
    with pytest.raises(NotFoundError, match="churn has no production variant 'gone'; it has: main, other"):
        run_task(invoke(target_variant="gone"))


def test_without_the_right_to_describe_awss_own_words_must_do(aws: LocalAws, dag: DAG) -> None:
    denied = refusal("AccessDeniedException", "no DescribeEndpoint")
    with (
        answering(sagemaker_client(), "DescribeEndpoint", denied),
        pytest.raises(InvocationError, match="Endpoint churn did not answer: "),
    ):
        run_task(invoke(target_variant="gone"))


@pytest.mark.parametrize("name", ["Churn", "CHURN", "{{ 'chuRn' }}"])
def test_a_name_in_another_case_is_invoked_as_it_is_described(aws: LocalAws, dag: DAG, name: str) -> None:
    """InvokeEndpoint alone compares the name exactly (API_CreateEndpoint, EndpointName)."""
    assert run_task(invoke(endpoint_name=name)).value == "churn"
    assert operations(aws) == ["InvokeEndpoint", "DescribeEndpoint", "InvokeEndpoint"]


def test_an_endpoint_that_does_not_exist_is_invoked_once(aws: LocalAws, dag: DAG) -> None:
    assert isinstance(outcome(invoke(endpoint_name="nowhere")).error, InvocationError)
    assert operations(aws) == ["InvokeEndpoint", "DescribeEndpoint"]
