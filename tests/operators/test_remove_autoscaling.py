"""RemoveAutoscalingOperator: takes away what is ours with all that belongs to it, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import RemoveAutoscalingOperator
from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError
from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import answering, autoscaling_client, operations, refusal, run_task, task_id
from tests.operators.test_configure_autoscaling import (
    PLACE,
    RESOURCE,
    actions,
    calls,
    configure,
    endpoint,  # noqa: F401
    everything,
    policies,
    put_by_hand,
    serverless,
    two_variants,
    written,
)


def remove(**options: Any) -> RemoveAutoscalingOperator:
    return RemoveAutoscalingOperator(
        **{
            "task_id": task_id("removing"),
            "endpoint_name": "churn",
            "variant_name": "main",
            **options,
        }
    )


def targets() -> list[str]:
    found = autoscaling_client().describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    return [target["ResourceId"] for target in found]


@pytest.mark.usefixtures("endpoint")
def test_the_target_goes_with_its_policies_and_actions_and_a_rerun_changes_nothing(
    aws: LocalAws, dag: DAG
) -> None:
    names = run_task(configure(**everything())).details["policies"]
    ran = run_task(remove())
    assert ran.value == RESOURCE
    assert ran.details == {
        "removed": ["scalable target", *(f"policy {name}" for name in names), "scheduled action morning"]
    }
    assert (targets(), policies(aws), actions(aws)) == ([], {}, {})
    with calls() as asked:
        again = run_task(remove())
    assert (again.value, again.details) == (RESOURCE, {"removed": []})
    assert asked == ["DescribeScalableTargets", "DescribeEndpoint"]  # its name may be in another case


@pytest.mark.usefixtures("endpoint")
def test_what_is_not_ours_is_removed_only_when_adopted(aws: LocalAws, dag: DAG) -> None:
    autoscaling_client().register_scalable_target(**PLACE, MinCapacity=1, MaxCapacity=2)
    with (
        calls() as asked,
        pytest.raises(ConflictError, match=f"{RESOURCE} does not have this package's tags"),
    ):
        run_task(remove())
    assert written(asked) == []
    run_task(remove(adopt="{{ true }}"))
    assert targets() == []


@pytest.mark.usefixtures("endpoint")
def test_what_others_put_on_our_target_is_named_and_goes_only_when_adopted(aws: LocalAws, dag: DAG) -> None:
    run_task(configure(**everything()))
    put_by_hand(aws)
    named = r"would be deleted with it: policy by-hand, scheduled action by-hand\."
    with calls() as asked, pytest.raises(ConflictError, match=named):
        run_task(remove())
    assert written(asked) == []
    assert "policy by-hand" in run_task(remove(adopt=True)).details["removed"]
    assert targets() == []


@pytest.mark.usefixtures("endpoint")
def test_one_variant_is_removed_and_the_other_stays(aws: LocalAws, dag: DAG) -> None:
    two_variants(aws)
    for name in ("main", "other"):
        run_task(configure(endpoint_name="pair", variant_name=name))
    run_task(remove(endpoint_name="pair"))
    assert targets() == ["endpoint/pair/variant/other"]


@pytest.mark.usefixtures("endpoint")
def test_a_serverless_variant_is_removed_whatever_of_it_is_scaled(aws: LocalAws, dag: DAG) -> None:
    serverless(aws, ProvisionedConcurrency=2)
    run_task(configure(endpoint_name="free"))
    assert run_task(remove(endpoint_name="free")).details["removed"] == ["scalable target"]
    assert targets() == []


@pytest.mark.usefixtures("endpoint")
def test_a_target_that_goes_meanwhile_is_no_error(aws: LocalAws, dag: DAG) -> None:
    run_task(configure())
    with answering(autoscaling_client(), "DeregisterScalableTarget", refusal("ObjectNotFoundException")):
        run_task(remove())


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"endpoint_name": "{{ 'a_b' }}"}, "endpoint_name is 'a_b'"),
        ({"variant_name": "{{ None }}"}, "variant_name is None"),
        ({"scalable_dimension": "{{ 'count' }}"}, "scalable_dimension is 'count'"),
        ({"adopt": "{{ 'perhaps' }}"}, "adopt is 'perhaps'"),
    ],
    ids=["endpoint", "variant", "dimension", "adopt"],
)
def test_what_can_never_work_is_an_error_before_the_first_call(
    aws: LocalAws, dag: DAG, bad: dict[str, Any], message: str
) -> None:
    task = remove(**bad)
    with pytest.raises(InvalidSpecError, match=message):
        run_task(task)
    assert operations(aws) == []


@pytest.mark.parametrize(
    "bad",
    [
        {"endpoint_name": "a_b"},
        {"variant_name": ""},
        {"scalable_dimension": "count"},
        {"adopt": "yes"},
        {"adopt": None},
    ],
    ids=str,
)
def test_literals_that_can_never_work_break_the_dag_file(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpecError, match=f"RemoveAutoscalingOperator: {next(iter(bad))} is "):
        remove(**bad)
