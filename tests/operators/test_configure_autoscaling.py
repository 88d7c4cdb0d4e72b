"""ConfigureAutoscalingOperator: writes what differs and nothing else, deletes what is ours, and leaves alone what is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import (
    ConfigureAutoscalingOperator,
    EndpointMetric,
    InvocationsScaling,
    ScheduledScaling,
    StepScaling,
    TargetTrackingScaling,
)
from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError, NotFoundError
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.scaling_rules import INSTANCE_COUNT, PROVISIONED_CONCURRENCY
from airflow_sm_hosting.spec.tags import OURS, SCALING_POLICIES, SCHEDULED_ACTIONS, digests_in
from tests.operators.conftest import (
    answering,
    autoscaling_client,
    event_hook,
    make_config,
    make_endpoint,
    make_model,
    operations,
    refusal,
    run_task,
    sagemaker_client,
    task_id,
)

RESOURCE = "endpoint/churn/variant/main"
PLACE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": RESOURCE,
    "ScalableDimension": INSTANCE_COUNT,
}


def configure(**options: Any) -> ConfigureAutoscalingOperator:
    return ConfigureAutoscalingOperator(
        **{
            "task_id": task_id("scaling"),
            "endpoint_name": "churn",
            "variant_name": "main",
            "max_capacity": 4,
            **options,
        }
    )


@pytest.fixture
def endpoint(aws: LocalAws) -> str:
    make_model(aws)
    make_config(aws, "c1", InitialInstanceCount=2)
    name = make_endpoint(aws, "c1")
    aws.clear_requests()
    return name


def scaling(aws: LocalAws) -> Any:
    return autoscaling_client()


def target(aws: LocalAws) -> dict[str, Any]:
    [found] = scaling(aws).describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    return dict(found)


def tags(aws: LocalAws) -> dict[str, str]:
    found: dict[str, str] = scaling(aws).list_tags_for_resource(ResourceARN=target(aws)["ScalableTargetARN"])[
        "Tags"
    ]
    return found


def policies(aws: LocalAws) -> dict[str, dict[str, Any]]:
    found = scaling(aws).describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    return {policy["PolicyName"]: policy for policy in found}


def actions(aws: LocalAws) -> dict[str, dict[str, Any]]:
    found = scaling(aws).describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"]
    return {action["ScheduledActionName"]: action for action in found}


READS = ("Describe", "List")


@contextmanager
def calls() -> Iterator[list[str]]:
    """Collect the operations that are asked for, in their order."""
    collected: list[str] = []

    def collect(model: Any, **_: Any) -> None:
        collected.append(model.name)

    event = "provide-client-params"
    with event_hook(sagemaker_client(), event, collect), event_hook(autoscaling_client(), event, collect):
        yield collected


def written(asked: list[str]) -> list[str]:
    return [operation for operation in asked if not operation.startswith(READS)]


def put_by_hand(aws: LocalAws, name: str = "by-hand", metric: str = "Queue") -> None:
    scaling(aws).put_scaling_policy(
        **PLACE,
        PolicyName=name,
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 5,
            "CustomizedMetricSpecification": {
                "MetricName": metric,
                "Namespace": "Own",
                "Statistic": "Average",
            },
        },
    )
    scaling(aws).put_scheduled_action(
        **PLACE, ScheduledActionName=name, Schedule="rate(1 day)", ScalableTargetAction={"MaxCapacity": 9}
    )


def everything() -> dict[str, Any]:
    return {
        "policies": [
            InvocationsScaling(max_requests_per_second=10, scale_in_cooldown=0),
            TargetTrackingScaling(
                target_value=70,
                customized_metric={
                    "MetricName": "CPUUtilization",
                    "Namespace": "/aws/sagemaker/Endpoints",
                    "Statistic": "Average",
                    "Dimensions": [
                        {"Name": "VariantName", "Value": "main"},
                        {"Name": "EndpointName", "Value": "churn"},
                    ],
                },
                disable_scale_in=False,
            ),
            StepScaling(step_adjustments=[{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}]),
        ],
        "scheduled_actions": [
            ScheduledScaling(
                scheduled_action_name="morning",
                schedule="cron(0 8 * * ? *)",
                min_capacity=2,
                timezone="Europe/Berlin",
                start_time=datetime(2030, 1, 1, tzinfo=UTC),
            )
        ],
    }


@pytest.mark.usefixtures("endpoint")
def test_target_policies_and_actions_are_made_and_a_rerun_changes_nothing(aws: LocalAws, dag: DAG) -> None:
    with calls() as asked:
        ran = run_task(configure(**everything()))
    assert ran.value == RESOURCE
    assert asked == [
        "DescribeEndpoint",
        "DescribeEndpointConfig",
        "DescribeScalableTargets",
        "RegisterScalableTarget",
        *["PutScalingPolicy"] * 3,
        "PutScheduledAction",
    ]
    names = ["churn-main-invocations", "churn-main-CPUUtilization", "churn-main-step"]
    assert list(ran.details["policy_arns"]) == names
    assert ran.details == {
        "policy_arns": ran.details["policy_arns"],
        "scalable_dimension": INSTANCE_COUNT,
        "min_capacity": 2,
        "max_capacity": 4,
        "policies": names,
        "scheduled_actions": ["morning"],
        "removed": [],
        "not_ours": [],
        "written": ["scalable target", *(f"policy {name}" for name in names), "scheduled action morning"],
    }
    assert (target(aws)["MinCapacity"], target(aws)["MaxCapacity"]) == (2, 4)
    made = policies(aws)["churn-main-invocations"]["TargetTrackingScalingPolicyConfiguration"]
    assert (made["TargetValue"], made["ScaleInCooldown"]) == (300, 0)

    with calls() as asked:
        again = run_task(configure(**everything()))
    assert again.value == RESOURCE
    assert again.details == {**ran.details, "written": []}
    assert asked == [
        "DescribeEndpoint",
        "DescribeEndpointConfig",
        "DescribeScalableTargets",
        "DescribeScalingPolicies",
        "DescribeScheduledActions",
    ]
    with calls() as asked:
        run_task(configure(**everything(), min_capacity=2))
    assert len(asked) == 4


@pytest.mark.usefixtures("endpoint")
def test_only_what_differs_is_written(aws: LocalAws, dag: DAG) -> None:
    run_task(configure(**everything()))
    changed = everything()
    changed["policies"][0] = InvocationsScaling(max_requests_per_second=20, scale_in_cooldown=0)
    with calls() as asked:
        ran = run_task(configure(**changed))
    assert ran.details["written"] == ["policy churn-main-invocations"]
    assert written(asked) == ["PutScalingPolicy"]
    assert (
        policies(aws)["churn-main-invocations"]["TargetTrackingScalingPolicyConfiguration"]["TargetValue"]
        == 600
    )


@pytest.mark.usefixtures("endpoint")
def test_rendered_strings_are_typed_back(aws: LocalAws, dag: DAG) -> None:
    run_task(
        configure(
            max_capacity="{{ 6 }}",
            min_capacity="{{ 0 + 1 }}",
            policies=[
                InvocationsScaling(
                    max_requests_per_second="{{ 10 }}",
                    safety_factor="{{ 0.5 }}",
                    scale_out_cooldown="{{ 60 }}",
                    disable_scale_in="{{ false }}",
                )
            ],
        )
    )
    assert (target(aws)["MinCapacity"], target(aws)["MaxCapacity"]) == (1, 6)
    made = policies(aws)["churn-main-invocations"]["TargetTrackingScalingPolicyConfiguration"]
    assert (made["TargetValue"], made["ScaleOutCooldown"]) == (300, 60)
    assert made.get("DisableScaleIn") in (None, False)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"max_capacity": "{{ 'many' }}"}, "max_capacity is 'many'"),
        ({"max_capacity": "{{ 2.5 }}"}, "max_capacity is '2.5'"),
        ({"min_capacity": "{{ 5 }}"}, "min_capacity is 5; allowed: at most the maximum capacity, 4"),
        ({"min_capacity": "{{ -1 }}"}, "min_capacity is -1"),
        ({"endpoint_name": "{{ 'a_b' }}"}, "endpoint_name is 'a_b'"),
        ({"variant_name": "{{ None }}"}, "variant_name is None"),
        ({"adopt": "{{ 'perhaps' }}"}, "adopt is 'perhaps'"),
        ({"scalable_dimension": "{{ 'count' }}"}, "scalable_dimension is 'count'"),
        ({"suspended_state": "{{ 'x' }}"}, "suspended_state is 'x'"),
        ({"suspended_state": {"ScheduledScalingSuspended": "{{ 'x' }}"}}, "ScheduledScalingSuspended"),
        ({"policies": "{{ 'x' }}"}, "policies is a str"),
        ({"policies": ["{{ 'x' }}"]}, r"policies\[0\] is a str"),
        ({"policies": [InvocationsScaling(max_requests_per_second="{{ 'fast' }}")]}, "max_requests_per_second"),
        ({"policies": [InvocationsScaling(max_requests_per_second="{{ 0 }}")]}, "more than 0"),
        ({"policies": [InvocationsScaling(max_requests_per_second="{{ 'nan' }}")]}, "max_requests_per_second"),
        ({"policies": [InvocationsScaling(max_requests_per_second=1, safety_factor="{{ 2 }}")]}, "safety_factor"),
        (
            {
                "policies": [
                    InvocationsScaling(max_requests_per_second=1),
                    TargetTrackingScaling(
                        target_value=1, predefined_metric="{{ 'SageMakerVariantInvocationsPerInstance' }}"
                    ),
                ]
            },
            "two target-tracking policies on SageMakerVariantInvocationsPerInstance",
        ),
        (
            {"policies": [TargetTrackingScaling(target_value="{{ 'x' }}", predefined_metric="SageMakerVariantInvocationsPerInstance")]},
            "TargetValue",
        ),
        (
            {
                "policies": [
                    StepScaling(
                        step_adjustments=[
                            {"MetricIntervalLowerBound": "{{ 0 }}", "MetricIntervalUpperBound": "{{ 10 }}", "ScalingAdjustment": 1},
                            {"MetricIntervalLowerBound": "{{ 11 }}", "ScalingAdjustment": 2},
                        ]
                    )
                ]
            },
            "leave a gap between 10.0 and 11.0",
        ),
        (
            {"scheduled_actions": [ScheduledScaling(scheduled_action_name="a", schedule="{{ 'cron(0 8 * * * *)' }}", min_capacity=2)]},
            r"scheduled_actions\[0\].Schedule is .*exactly one of day of month and day of week",
        ),
        (
            {"scheduled_actions": [ScheduledScaling(scheduled_action_name="a", schedule="rate(1 day)", min_capacity=2, timezone="{{ 'Mars' }}")]},
            "Timezone is 'Mars'",
        ),
        (
            {"scheduled_actions": [ScheduledScaling(scheduled_action_name="a", schedule="rate(1 day)", min_capacity=2, start_time="{{ 'soon' }}")]},
            "StartTime is 'soon'",
        ),
        (
            {"scheduled_actions": [ScheduledScaling(scheduled_action_name="{{ 'a' }}", schedule="rate(1 day)", min_capacity=2)] * 2},
            "scheduled_actions has 'a' twice",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_what_can_never_work_is_an_error_before_the_first_call(
    aws: LocalAws, dag: DAG, bad: dict[str, Any], message: str
) -> None:
    task = configure(**bad)
    with pytest.raises(InvalidSpecError, match=message):
        run_task(task)
    assert operations(aws) == []


@pytest.mark.usefixtures("endpoint")
def test_a_maximum_below_the_initial_count_is_an_error(aws: LocalAws, dag: DAG) -> None:
    with pytest.raises(
        InvalidSpecError,
        match="max_capacity is 1; allowed: at least the initial_instance_count of variant main, 2",
    ):
        run_task(configure(max_capacity=1))
    assert operations(aws, mutating=True) == []


@pytest.mark.usefixtures("endpoint")
@pytest.mark.parametrize("options", [{"endpoint_name": "gone"}, {"variant_name": "gone"}])
def test_what_does_not_exist_is_named(aws: LocalAws, dag: DAG, options: dict[str, Any]) -> None:
    with pytest.raises(NotFoundError, match="gone"):
        run_task(configure(**options))
    assert operations(aws, mutating=True) == []


# Whose things are


@pytest.mark.usefixtures("endpoint")
def test_what_is_no_longer_asked_for_is_deleted_and_what_others_put_is_left_alone(
    aws: LocalAws, dag: DAG
) -> None:
    run_task(configure(**everything()))
    put_by_hand(aws)
    ran = run_task(configure(policies=everything()["policies"][:1]))
    assert set(policies(aws)) == {"churn-main-invocations", "by-hand"}
    assert set(actions(aws)) == {"by-hand"}
    assert ran.details["removed"] == [
        "policy churn-main-CPUUtilization",
        "policy churn-main-step",
        "scheduled action morning",
    ]
    assert ran.details["not_ours"] == ["policy by-hand", "scheduled action by-hand"]
    with calls() as asked:
        run_task(configure(policies=everything()["policies"][:1]))
    assert written(asked) == []
    assert len(asked) == 6  # and the tags, as there is what was not asked for


@pytest.mark.usefixtures("endpoint")
def test_a_target_that_others_made_is_changed_only_when_adopted(aws: LocalAws, dag: DAG) -> None:
    scaling(aws).register_scalable_target(**PLACE, MinCapacity=2, MaxCapacity=4)
    # It is as asked for, and nothing is to be written.
    run_task(configure())
    with (
        calls() as asked,
        pytest.raises(ConflictError, match=rf"{RESOURCE} exists without this package's tags.*adopt"),
    ):
        run_task(configure(max_capacity=6))
    assert written(asked) == []
    run_task(configure(max_capacity=6, adopt="{{ true }}"))
    assert target(aws)["MaxCapacity"] == 6
    run_task(configure(max_capacity=7))  # ours from then on
    assert target(aws)["MaxCapacity"] == 7


@pytest.mark.usefixtures("endpoint")
@pytest.mark.slow
def test_killed_after_any_call_it_is_finished_by_the_next_run(aws: LocalAws, dag: DAG) -> None:
    before = {name: parts[:2] for name, parts in everything().items()}
    after = {
        "max_capacity": 6,
        "policies": [InvocationsScaling(max_requests_per_second=5, policy_name="renamed")],
    }
    stop = 1
    run_task(configure(**before))
    put_by_hand(aws)
    while killed_after(stop, after):
        run_task(configure(**after))
        assert set(policies(aws)) == {"renamed", "by-hand"}
        assert set(actions(aws)) == {"by-hand"}
        assert target(aws)["MaxCapacity"] == 6
        assert policies(aws)["by-hand"]["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 5
        assert run_task(configure(**after)).details["written"] == []
        run_task(configure(**before))
        stop += 1
    # Tags, target, the policy that makes way, the new one, the other policy and the action, tags set and taken off.
    assert stop == 9


@pytest.mark.usefixtures("endpoint")
def test_the_first_run_killed_after_any_call_is_finished_by_the_next(aws: LocalAws, dag: DAG) -> None:
    options = {name: parts[:1] for name, parts in everything().items()}
    stop = 1
    while killed_after(stop, options):
        run_task(configure(**options))
        assert (set(policies(aws)), set(actions(aws))) == ({"churn-main-invocations"}, {"morning"})
        run_task(configure())
        assert (policies(aws), actions(aws)) == ({}, {})
        scaling(aws).deregister_scalable_target(**PLACE)
        stop += 1
    assert stop == 4


class Kill(BaseException):
    """What a worker that is killed does not come back from."""


def killed_after(stop: int, options: dict[str, Any]) -> bool:
    """Run the task until it has made so many calls that change something; tell whether it made so many."""
    made: list[str] = []

    def count(model: Any, **_: Any) -> None:
        if not model.name.startswith(READS):
            made.append(model.name)
            if len(made) == stop:
                raise Kill

    events = autoscaling_client().meta.events
    events.register_last("after-call", count)
    try:
        run_task(configure(**options))
    except Kill:
        return True
    finally:
        events.unregister("after-call", count)
    return False


@pytest.mark.usefixtures("endpoint")
def test_marks_are_in_the_targets_tags(aws: LocalAws, dag: DAG) -> None:
    run_task(configure(**everything()))
    found = tags(aws)
    assert OURS.items() <= found.items()
    assert len(digests_in(SCALING_POLICIES, found)) == 3
    assert len(digests_in(SCHEDULED_ACTIONS, found)) == 1


@pytest.mark.usefixtures("endpoint")
def test_the_arns_of_the_policies_are_in_the_details(aws: LocalAws, dag: DAG) -> None:
    """An alarm that wakes an endpoint from zero has the ARN of a step policy as its action (async-inference-autoscale)."""
    given = everything()["policies"]
    first = run_task(configure(policies=given)).details["policy_arns"]
    found = scaling(aws).describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert first == {policy["PolicyName"]: policy["PolicyARN"] for policy in found}
    assert len(first) == 3
    assert run_task(configure(policies=given)).details["policy_arns"] == first  # nothing was written
    step = next(policy for policy in given if policy.get("PolicyType") == "StepScaling")
    other = {
        **step,
        "StepScalingPolicyConfiguration": {**step["StepScalingPolicyConfiguration"], "Cooldown": 7},
    }
    changed = run_task(configure(policies=[other])).details["policy_arns"]
    assert changed == {"churn-main-step": first["churn-main-step"]}


@pytest.mark.usefixtures("endpoint")
def test_the_users_tags_are_on_the_target(aws: LocalAws, dag: DAG) -> None:
    run_task(configure(tags={"team": "{{ 'churn' }}"}))
    assert tags(aws)["team"] == "churn"
    with calls() as asked:
        run_task(configure(tags=[{"Key": "team", "Value": "churn"}]))
    assert written(asked) == []
    run_task(configure(tags={"cost": "5"}))
    assert {"team": "churn", "cost": "5"}.items() <= tags(aws).items()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("team", "tags is a str"),
        ({"aws:team": "x"}, "keys that do not begin with"),
        ({f"k{number}": "v" for number in range(49)}, "has 49 tags; allowed: 48 at most"),
    ],
    ids=["text", "reserved", "49"],
)
def test_tags_that_cannot_be_are_refused_where_they_are_written(dag: DAG, bad: Any, message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        configure(tags=bad)


@pytest.mark.usefixtures("endpoint")
def test_the_same_task_twice_and_another_task_on_the_same_variant(aws: LocalAws, dag: DAG) -> None:
    one = configure(**everything())
    run_task(one)
    assert run_task(one).details["written"] == []
    assert run_task(configure(**everything())).details["written"] == []


# Variants


def two_variants(aws: LocalAws) -> None:
    aws.client("sagemaker").create_endpoint_config(
        EndpointConfigName="two",
        ProductionVariants=[
            {"VariantName": name, "ModelName": "model", "InstanceType": kind, "InitialInstanceCount": 1}
            for name, kind in (("main", "ml.trn1.2xlarge"), ("other", "ml.m5.large"))
        ],
    )
    make_endpoint(aws, "two", "pair")


@pytest.mark.usefixtures("endpoint")
def test_two_variants_of_one_endpoint_are_scaled_each_by_itself(aws: LocalAws, dag: DAG) -> None:
    two_variants(aws)
    tasks = [
        configure(
            endpoint_name="pair",
            variant_name=name,
            policies=[InvocationsScaling(max_requests_per_second=rate)],
        )
        for name, rate in (("main", 1), ("other", 2))
    ]
    errors: list[BaseException] = []

    def run(task: Any) -> None:
        try:
            run_task(task)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert set(policies(aws)) == {"pair-main-invocations", "pair-other-invocations"}
    run_task(configure(endpoint_name="pair", variant_name="main", policies=[]))
    assert set(policies(aws)) == {"pair-other-invocations"}


@pytest.mark.usefixtures("endpoint")
def test_a_burstable_type_is_refused_before_anything_is_written(aws: LocalAws, dag: DAG) -> None:
    make_config(aws, "small", InstanceType="ml.t2.medium")
    make_endpoint(aws, "small", "small")
    with calls() as asked, pytest.raises(InvalidSpecError, match=r"burstable instance_type 'ml.t2.medium'"):
        run_task(configure(endpoint_name="small"))
    assert written(asked) == []


@pytest.mark.usefixtures("endpoint")
def test_a_least_capacity_above_the_initial_count_is_an_error(aws: LocalAws, dag: DAG) -> None:
    with (
        calls() as asked,
        pytest.raises(InvalidSpecError, match="at most the initial_instance_count of variant main, 2"),
    ):
        run_task(configure(min_capacity=3))
    assert written(asked) == []


@pytest.mark.usefixtures("endpoint")
def test_no_instance_at_all_is_for_asynchronous_endpoints(aws: LocalAws, dag: DAG) -> None:
    for options in (
        {"min_capacity": 0},
        {
            "scheduled_actions": [
                ScheduledScaling(scheduled_action_name="night", schedule="rate(1 day)", min_capacity=0)
            ]
        },
    ):
        with (
            calls() as asked,
            pytest.raises(InvalidSpecError, match=r"min_capacity is 0; allowed: 1 or more .*real-time"),
        ):
            run_task(configure(**options))
        assert written(asked) == []
    aws.client("sagemaker").create_endpoint_config(
        EndpointConfigName="async",
        ProductionVariants=[
            {
                "VariantName": "main",
                "ModelName": "model",
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
            }
        ],
        AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": "s3://bucket/out"}},
    )
    make_endpoint(aws, "async", "queue")
    assert run_task(configure(endpoint_name="queue", min_capacity=0)).details["min_capacity"] == 0
    assert target(aws)["MinCapacity"] == 0


def serverless(aws: LocalAws, **options: int) -> None:
    make_config_of(aws, {"MemorySizeInMB": 2048, "MaxConcurrency": 10, **options})
    make_endpoint(aws, "serverless", "free")


def make_config_of(aws: LocalAws, config: dict[str, int]) -> None:
    aws.client("sagemaker").create_endpoint_config(
        EndpointConfigName="serverless",
        ProductionVariants=[{"VariantName": "main", "ModelName": "model", "ServerlessConfig": config}],
    )


UTILIZATION = "SageMakerVariantProvisionedConcurrencyUtilization"


@pytest.mark.usefixtures("endpoint")
def test_provisioned_concurrency_of_a_serverless_variant_is_scaled(aws: LocalAws, dag: DAG) -> None:
    serverless(aws, ProvisionedConcurrency=2)
    options = {
        "endpoint_name": "free",
        "max_capacity": 10,
        "policies": [TargetTrackingScaling(target_value=0.7, predefined_metric=UTILIZATION)],
    }
    ran = run_task(configure(**options))
    assert ran.details["scalable_dimension"] == PROVISIONED_CONCURRENCY
    assert ran.details["min_capacity"] == 2
    assert target(aws)["ScalableDimension"] == PROVISIONED_CONCURRENCY
    assert set(policies(aws)) == {f"free-main-{UTILIZATION}"}
    again = run_task(configure(**options, scalable_dimension=PROVISIONED_CONCURRENCY))
    assert again.details["written"] == []


@pytest.mark.usefixtures("endpoint")
@pytest.mark.parametrize(
    ("provisioned", "options", "message"),
    [
        (None, {}, "has no provisioned concurrency to scale"),
        (2, {"max_capacity": 11}, "max_capacity is 11; allowed: at most the max_concurrency of variant main, 10"),
        (2, {"max_capacity": 1}, "at least the provisioned concurrency of variant main, 2"),
        (2, {"scalable_dimension": INSTANCE_COUNT}, f"allowed: {PROVISIONED_CONCURRENCY} for variant main"),
        (2, {"policies": [InvocationsScaling(max_requests_per_second=1)]}, "which belongs to sagemaker:variant:DesiredInstanceCount"),
    ],
    ids=["none", "above", "below", "dimension", "metric"],
)  # fmt: skip
def test_what_a_serverless_variant_does_not_take_is_refused_before_anything_is_written(
    aws: LocalAws, dag: DAG, provisioned: int | None, options: dict[str, Any], message: str
) -> None:
    serverless(aws, **({"ProvisionedConcurrency": provisioned} if provisioned else {}))
    with calls() as asked, pytest.raises(InvalidSpecError, match=message):
        run_task(configure(endpoint_name="free", **options))
    assert written(asked) == []


@pytest.mark.usefixtures("endpoint")
def test_a_metric_of_serverless_variants_is_refused_on_instances(aws: LocalAws, dag: DAG) -> None:
    with calls() as asked, pytest.raises(InvalidSpecError, match=f"a policy on {UTILIZATION}"):
        run_task(configure(policies=[TargetTrackingScaling(target_value=0.5, predefined_metric=UTILIZATION)]))
    assert written(asked) == []


@pytest.mark.usefixtures("endpoint")
def test_an_endpoint_metric_is_completed_with_the_variants_dimensions(aws: LocalAws, dag: DAG) -> None:
    policy = TargetTrackingScaling(target_value=70, customized_metric=EndpointMetric.cpu_utilization())
    run_task(configure(policies=[policy]))
    made = policies(aws)["churn-main-CPUUtilization"]["TargetTrackingScalingPolicyConfiguration"]
    assert made["CustomizedMetricSpecification"] == {
        "MetricName": "CPUUtilization",
        "Namespace": "/aws/sagemaker/Endpoints",
        "Statistic": "Average",
        "Dimensions": [
            {"Name": "EndpointName", "Value": "churn"},
            {"Name": "VariantName", "Value": "main"},
        ],
    }
    assert run_task(configure(policies=[policy])).details["written"] == []


@pytest.mark.usefixtures("endpoint")
def test_what_is_suspended_is_as_asked(aws: LocalAws, dag: DAG) -> None:
    run_task(configure(suspended_state={"DynamicScalingInSuspended": "{{ true }}"}))
    assert target(aws)["SuspendedState"] == {
        "DynamicScalingInSuspended": True,
        "DynamicScalingOutSuspended": False,
        "ScheduledScalingSuspended": False,
    }
    assert run_task(configure()).details["written"] == []
    assert target(aws)["SuspendedState"]["DynamicScalingInSuspended"] is True
    run_task(configure(suspended_state={"DynamicScalingInSuspended": False}))
    assert target(aws)["SuspendedState"]["DynamicScalingInSuspended"] is False


@pytest.mark.usefixtures("endpoint")
def test_what_a_scheduled_action_has_set_is_left(aws: LocalAws, dag: DAG) -> None:
    options = {
        "min_capacity": 1,
        "scheduled_actions": [
            ScheduledScaling(scheduled_action_name="morning", schedule="cron(0 8 * * ? *)", min_capacity=3)
        ],
    }
    run_task(configure(**options))
    scaling(aws).register_scalable_target(**PLACE, MinCapacity=3)  # what the action does
    assert run_task(configure(**options)).details["written"] == []
    run_task(configure(**{**options, "min_capacity": 2}))
    assert target(aws)["MinCapacity"] == 2


@pytest.mark.usefixtures("endpoint")
def test_a_time_without_a_zone_is_utc(aws: LocalAws, dag: DAG) -> None:
    options = {
        "scheduled_actions": [
            ScheduledScaling(
                scheduled_action_name="a",
                schedule="rate(1 day)",
                max_capacity=3,
                start_time=datetime(2030, 1, 1, 0, 0, 0, 999),
                end_time="{{ '2031-01-01T00:00:00' }}",
            )
        ]
    }
    run_task(configure(**options))
    assert actions(aws)["a"]["StartTime"] == datetime(2030, 1, 1, tzinfo=UTC)
    assert actions(aws)["a"]["EndTime"] == datetime(2031, 1, 1, tzinfo=UTC)
    assert run_task(configure(**options)).details["written"] == []


@pytest.mark.usefixtures("endpoint")
def test_what_goes_meanwhile_need_not_be_deleted(aws: LocalAws, dag: DAG) -> None:
    run_task(configure(**everything()))
    gone = refusal("ObjectNotFoundException")
    with answering(autoscaling_client(), "DeleteScheduledAction", gone):
        ran = run_task(configure(policies=everything()["policies"]))
    assert ran.details["removed"] == ["scheduled action morning"]
    # Found again, as it was not gone.
    run_task(configure(policies=everything()["policies"]))


def test_a_time_zone_can_be_taken_off(aws: LocalAws, dag: DAG, endpoint: str) -> None:
    """PutScheduledAction keeps a zone that is not given, so UTC is said."""
    action = {"scheduled_action_name": "night", "schedule": "cron(0 22 * * ? *)", "min_capacity": 1}
    run_task(configure(scheduled_actions=[ScheduledScaling(**action, timezone="Europe/Berlin")]))
    run_task(configure(scheduled_actions=[ScheduledScaling(**action)]))

    assert actions(aws)["night"].get("Timezone", "UTC") == "UTC"
    aws.clear_requests()
    run_task(configure(scheduled_actions=[ScheduledScaling(**action)]))
    assert operations(aws, mutating=True) == []
