"""ShiftTrafficOperator against the local AWS, in both kinds of wait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.sdk import DAG

from airflow_sm_hosting import ServerlessProductionVariant, ServerlessUpdate, ShiftTrafficOperator
from airflow_sm_hosting.deployment.wait import Outcome, WaitResult
from airflow_sm_hosting.exceptions import (
    ConflictError,
    DeploymentRolledBackError,
    DeploymentTimeoutError,
    InvalidSpecError,
    NotFoundError,
)
from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import (
    Ran,
    answered_with,
    answering,
    make_endpoint,
    make_model,
    operations,
    outcome,
    refusal,
    run_task,
    sagemaker_client,
    sent,
    settled,
    task_id,
)

both_waits = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])


@pytest.fixture
def endpoint(aws: LocalAws) -> str:
    """An endpoint with a champion and a challenger."""
    return make_ab_endpoint(aws)


def make_ab_endpoint(aws: LocalAws, name: str = "churn", **tags: Any) -> str:
    make_model(aws)
    aws.client("sagemaker").create_endpoint_config(
        EndpointConfigName="ab",
        ProductionVariants=[
            {
                "VariantName": variant,
                "ModelName": "model",
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
                "InitialVariantWeight": weight,
            }
            for variant, weight in (("champion", 1.0), ("challenger", 0.0))
        ],
    )
    make_endpoint(aws, "ab", name, **tags)
    aws.clear_requests()
    return name


def shift(**options: Any) -> ShiftTrafficOperator:
    given = {"task_id": task_id("shift"), "endpoint_name": "churn", "poll_interval": 0.1, "timeout": 60}
    return ShiftTrafficOperator(**{**given, **options})


def traffic(aws: LocalAws) -> dict[str, tuple[float, int]]:
    return {
        one["VariantName"]: (one["CurrentWeight"], one["CurrentInstanceCount"])
        for one in settled(aws)["ProductionVariants"]
    }


def details(found: Mapping[str, Any]) -> dict[str, Any]:
    assert isinstance(found["seconds"], float)
    return {name: value for name, value in found.items() if name != "seconds"}


@both_waits
def test_weights_and_counts_are_set_in_one_call(
    aws: LocalAws, dag: DAG, endpoint: str, deferrable: bool
) -> None:
    ran = run_task(
        shift(
            weights={"champion": 3, "challenger": "{{ 1 }}"},
            instance_counts={"challenger": 2},
            deferrable=deferrable,
        )
    )
    assert ran.value == "churn"
    assert ran.deferrals == int(deferrable)
    assert details(ran.details) == {
        "action": "shift",
        "weights": {"champion": 3.0, "challenger": 1.0},
        "instance_counts": {"challenger": 2},
        "before": {"weights": {"champion": 1.0, "challenger": 0.0}, "instance_counts": {"challenger": 1}},
    }
    assert traffic(aws) == {"champion": (3.0, 1), "challenger": (1.0, 2)}
    assert operations(aws, mutating=True) == ["AddTags", "UpdateEndpointWeightsAndCapacities"]


@both_waits
def test_a_rerun_calls_nothing_and_knows_what_was_before(
    aws: LocalAws, dag: DAG, endpoint: str, deferrable: bool
) -> None:
    task = shift(weights={"challenger": 1}, deferrable=deferrable)
    first = run_task(task).details
    aws.clear_requests()
    again = run_task(task).details
    assert again["action"] == "unchanged"
    assert again["before"] == first["before"] == {"weights": {"challenger": 0.0}, "instance_counts": {}}
    assert operations(aws) == ["DescribeEndpoint", "ListTags"]
    other = run_task(shift(weights={"challenger": 1})).details
    assert other["before"]["weights"] == {"challenger": 1.0}


@both_waits
def test_a_shift_is_undone(aws: LocalAws, dag: DAG, endpoint: str, deferrable: bool) -> None:
    done = run_task(shift(weights={"champion": 0, "challenger": 1}, instance_counts={"challenger": 3}))
    assert traffic(aws) == {"champion": (0.0, 1), "challenger": (1.0, 3)}
    undone = run_task(shift(undo=done.details, deferrable=deferrable))
    assert undone.details["action"] == "shift"
    assert traffic(aws) == {"champion": (1.0, 1), "challenger": (0.0, 1)}
    assert run_task(shift(undo=done.details["before"])).details["action"] == "unchanged"


@both_waits
@pytest.mark.slow
def test_another_change_is_awaited(slow_aws: LocalAws, dag: DAG, deferrable: bool) -> None:
    make_ab_endpoint(slow_aws)
    slow_aws.client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName="churn",
        DesiredWeightsAndCapacities=[{"VariantName": "champion", "DesiredInstanceCount": 2}],
    )
    ran = run_task(shift(weights={"challenger": 1}, deferrable=deferrable))
    assert ran.details["action"] == "shift"
    assert traffic(slow_aws) == {"champion": (1.0, 2), "challenger": (1.0, 1)}


@pytest.mark.slow
def test_a_change_that_begins_between_look_and_call_is_awaited(
    aws: LocalAws, dag: DAG, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_sm_hosting.deployer import traffic as module

    monkeypatch.setattr(module, "LONGEST_PAUSE", 0.05)
    busy = refusal("ValidationException", 'Cannot update in-progress endpoint "arn"')
    with answering(sagemaker_client(), "UpdateEndpointWeightsAndCapacities", busy, busy) as left:
        assert run_task(shift(weights={"challenger": 1})).details["action"] == "shift"
    assert left == []
    with answering(sagemaker_client(), "UpdateEndpointWeightsAndCapacities", *[busy] * 200):
        end = outcome(shift(weights={"challenger": 5}, timeout=1))
    assert isinstance(end.error, DeploymentTimeoutError)
    assert "Its traffic was not shifted" in str(end.error)


@both_waits
def test_a_change_that_is_taken_back_is_an_error(
    aws: LocalAws, dag: DAG, endpoint: str, deferrable: bool
) -> None:
    """DescribeEndpoint, RollingBack: the endpoint goes back to the weights before. The local AWS takes none back."""
    changed: list[int] = []

    def taken_back(described: dict[str, Any]) -> None:
        if described["EndpointStatus"] == "InService" and changed:
            for one in described["ProductionVariants"]:
                weight = {"champion": 1.0, "challenger": 0.0}[one["VariantName"]]
                one |= {"DesiredWeight": weight, "CurrentWeight": weight}
            described["FailureReason"] = "No more instances."

    client = sagemaker_client()
    with (
        answered_with(client, "UpdateEndpointWeightsAndCapacities", lambda answer: changed.append(1)),
        answered_with(client, "DescribeEndpoint", taken_back),
    ):
        end = outcome(shift(weights={"challenger": 1}, deferrable=deferrable))
    assert isinstance(end.error, DeploymentRolledBackError)
    assert "challenger has DesiredWeight 0.0, not 1" in str(end.error)
    assert "Reason: No more instances." in str(end.error)
    assert end.error.details["before"]["weights"] == {"challenger": 0.0}


@both_waits
@pytest.mark.slow
def test_a_budget_that_ends_first(slow_aws: LocalAws, dag: DAG, deferrable: bool) -> None:
    make_ab_endpoint(slow_aws)
    slow_aws.client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName="churn",
        DesiredWeightsAndCapacities=[{"VariantName": "champion", "DesiredWeight": 2}],
    )
    always = answered_with(
        sagemaker_client(), "DescribeEndpoint", lambda described: described.update(EndpointStatus="Updating")
    )
    with always:
        end = outcome(shift(weights={"challenger": 1}, deferrable=deferrable, timeout=1))
    assert isinstance(end.error, DeploymentTimeoutError)
    assert "the time budget ended after" in str(end.error)


def test_the_name_of_the_endpoint_is_sent_as_it_is_described(aws: LocalAws, dag: DAG, endpoint: str) -> None:
    with sent(sagemaker_client(), "UpdateEndpointWeightsAndCapacities") as calls:
        run_task(shift(endpoint_name="CHURN", weights={"challenger": 1}))
    assert calls[0]["EndpointName"] == "churn"


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"endpoint_name": "gone", "weights": {"a": 1}}, NotFoundError, "There is no endpoint 'gone'"),
        ({"weights": {"gone": 1}}, NotFoundError, "no production variant gone; it has: champion, challenger"),
        ({"weights": {"champion": 0}}, InvalidSpecError, "all weights would be 0"),
        ({"undo": "{{ {} }}"}, InvalidSpecError, "undo is"),
        ({"weights": {"champion": "{{ 'x' }}"}}, InvalidSpecError, r"weights\['champion'\] is 'x'"),
        ({"instance_counts": "{{ [] }}"}, InvalidSpecError, "instance_counts is"),
        ({"undo": {"before": {}}}, InvalidSpecError, "undo is a dict with before; allowed: details of"),
        (
            {"undo": {"before": {"weights": {"champion": "many"}}}},
            InvalidSpecError,
            r"undo: weights\['champion'\] is 'many'",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_shifted(
    aws: LocalAws, dag: DAG, endpoint: str, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        run_task(shift(**options))
    assert operations(aws, mutating=True) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "weights or instance_counts, and undo, are not given"),
        ({"weights": {"a": 1}, "undo": {}}, "weights or instance_counts, and undo, are both given"),
        ({"weights": {}}, "weights is an empty dict"),
        ({"weights": {"a": -1}}, r"weights\['a'\] is -1; allowed: a number, 0 or more"),
        ({"weights": {"a_b": 1}}, "weights: variant is 'a_b'"),
        ({"weights": [1]}, r"weights is \[1\]; allowed: a dict of weights by variant"),
        (
            {"instance_counts": {"a": 1.5}},
            r"instance_counts\['a'\] is 1.5; allowed: a whole number, 0 or more",
        ),
        ({"undo": 3}, "undo is a int"),
    ],
    ids=str,
)
def test_a_mistake_breaks_the_dag_file(dag: DAG, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        shift(**options)


def test_an_endpoint_of_others_is_only_touched_if_it_is_adopted(aws: LocalAws, dag: DAG) -> None:
    make_ab_endpoint(aws, tags={})
    with pytest.raises(ConflictError, match="adopt=True shifts its traffic anyway"):
        run_task(shift(weights={"challenger": 1}))
    assert run_task(shift(weights={"challenger": 1}, adopt=True)).details["action"] == "shift"


def test_the_count_of_a_scaled_variant_is_not_set(aws: LocalAws, dag: DAG, endpoint: str) -> None:
    aws.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId="endpoint/churn/variant/champion",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        MinCapacity=1,
        MaxCapacity=4,
    )
    with pytest.raises(ConflictError, match="is scaled by Application Auto Scaling, from 1 to 4"):
        run_task(shift(instance_counts={"champion": 2}))
    assert run_task(shift(weights={"champion": 2}, instance_counts={"challenger": 2})).value == "churn"


def test_a_killed_task_says_that_the_change_continues(
    dag: DAG, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shift(weights={"challenger": 1}).on_kill()
    shown = capsys.readouterr()
    assert "of endpoint churn that has begun continues in AWS" in shown.out + shown.err


# Serverless variants.


@pytest.fixture
def serverless(aws: LocalAws) -> str:
    """An endpoint with a serverless variant."""
    make_model(aws)
    variant = ServerlessProductionVariant(
        model_name="model", variant_name="main", max_concurrency=5, memory_size_in_mb=1024
    )
    variant["ServerlessConfig"]["ProvisionedConcurrency"] = 2
    aws.client("sagemaker").create_endpoint_config(EndpointConfigName="calm", ProductionVariants=[variant])
    make_endpoint(aws, "calm", "churn")
    aws.clear_requests()
    return "churn"


def concurrency(aws: LocalAws) -> dict[str, int]:
    (variant,) = settled(aws)["ProductionVariants"]
    found = variant["CurrentServerlessConfig"]
    return {member: found[member] for member in ("MaxConcurrency", "ProvisionedConcurrency")}


@both_waits
def test_the_concurrency_of_a_serverless_variant_is_set_verified_and_undone(
    aws: LocalAws, dag: DAG, serverless: str, deferrable: bool
) -> None:
    wanted = ServerlessUpdate(max_concurrency=20, provisioned_concurrency=4)
    with sent(sagemaker_client(), "UpdateEndpointWeightsAndCapacities") as calls:
        done = run_task(shift(serverless_updates={"main": wanted}, deferrable=deferrable))
    assert concurrency(aws) == {"MaxConcurrency": 20, "ProvisionedConcurrency": 4}
    (call,) = calls
    assert call["DesiredWeightsAndCapacities"] == [{"VariantName": "main", "ServerlessUpdateConfig": wanted}]
    before = {"MaxConcurrency": 5, "ProvisionedConcurrency": 2}
    assert done.details["serverless_updates"] == {"main": wanted}
    assert done.details["before"]["serverless_updates"] == {"main": before}

    aws.clear_requests()
    assert (
        run_task(shift(serverless_updates={"main": {"MaxConcurrency": "20"}})).details["action"]
        == "unchanged"
    )
    assert not operations(aws, mutating=True)

    run_task(shift(undo=done.details, deferrable=deferrable))
    assert concurrency(aws) == before


def test_a_retry_still_knows_the_concurrency_before(aws: LocalAws, dag: DAG, serverless: str) -> None:
    first = shift(serverless_updates={"main": ServerlessUpdate(max_concurrency=20)})
    done = run_task(first)
    again = run_task(first)
    assert (again.details["action"], again.details["before"]) == ("unchanged", done.details["before"])


@both_waits
def test_a_concurrency_that_is_taken_back_is_an_error_and_is_not_set_again(
    aws: LocalAws, dag: DAG, serverless: str, deferrable: bool
) -> None:
    changed: list[int] = []

    def taken_back(described: dict[str, Any]) -> None:
        if changed:
            (variant,) = described["ProductionVariants"]
            variant["CurrentServerlessConfig"] |= {"MaxConcurrency": 5}
            variant.pop("DesiredServerlessConfig", None)

    client = sagemaker_client()
    with (
        answered_with(client, "UpdateEndpointWeightsAndCapacities", lambda answer: changed.append(1)),
        answered_with(client, "DescribeEndpoint", taken_back),
    ):
        update = ServerlessUpdate(max_concurrency=20)
        end = outcome(shift(serverless_updates={"main": update}, deferrable=deferrable))
    assert isinstance(end.error, DeploymentRolledBackError)
    assert "has not the concurrency that was set" in str(end.error)
    assert operations(aws, mutating=True) == ["AddTags", "UpdateEndpointWeightsAndCapacities"]


def test_an_undo_of_nothing_is_no_success(aws: LocalAws, dag: DAG, endpoint: str) -> None:
    nothing: dict[str, Any] = {"before": {"weights": {}, "instance_counts": {}}}
    with pytest.raises(InvalidSpecError, match="has shifted something"):
        run_task(shift(undo=nothing))
    assert operations(aws) == []


def test_a_deferred_shift_ignores_what_another_version_wrote(aws: LocalAws, dag: DAG, endpoint: str) -> None:
    task = shift(weights={"champion": 0.5}, deferrable=True)
    with pytest.raises(TaskDeferred) as deferral:
        task.execute({"ti": Ran()})
    carried = deferral.value.trigger.carried
    carried["before"]["routing"] = {"champion": "newer"}
    settled(aws)
    result = WaitResult(Outcome.DEPLOYED, "It has its new traffic.")
    ran = Ran()
    task.execute_complete({"ti": ran}, {"sighting": result.serialize(), "carried": carried})
    assert ran.details["before"] == {"weights": {"champion": 1.0}, "instance_counts": {}}


def test_a_variant_on_instances_has_no_concurrency(aws: LocalAws, dag: DAG, endpoint: str) -> None:
    with pytest.raises(ConflictError, match="runs on instances, and has no concurrency to set"):
        run_task(shift(serverless_updates={"champion": ServerlessUpdate(max_concurrency=2)}))


@pytest.mark.parametrize(
    ("updates", "words"),
    [
        ({}, "a dict of ServerlessUpdates"),
        ({"main": 5}, "a dict of ServerlessUpdates"),
        ({"main": {"MaxConcurrenc": 5}}, "Did you mean 'MaxConcurrency'"),
        ({"main": {"MaxConcurrency": 201}}, "from 1 to 200"),
        ({"a_b": ServerlessUpdate(max_concurrency=2)}, "variant"),
    ],
)
def test_an_update_that_aws_refuses_is_told_at_parse(updates: Any, words: str) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        shift(serverless_updates=updates)
