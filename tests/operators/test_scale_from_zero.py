"""Scaling to zero and back as one object: made, changed, moved by deployments, killed anywhere and removed as one."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_sm_hosting import (
    ConfigureAutoscalingOperator,
    CreateEndpointAlarmOperator,
    DeleteEndpointOperator,
    DeleteInferenceComponentOperator,
    EndpointMetric,
    InvocationsScaling,
    RemoveAutoscalingOperator,
    ScaleFromZero,
    StepScaling,
)
from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import WAKES, is_ours
from tests.local.conftest import Deployer
from tests.local.engines.images import build_and_push
from tests.operators.components import make_component, make_host
from tests.operators.conftest import (
    autoscaling_client,
    deploy,
    make_config,
    make_endpoint,
    make_model,
    operations,
    outcome,
    run_task,
    sagemaker_client,
    task_id,
)

pytestmark = pytest.mark.usefixtures("dag")

COMPONENT = "inference-component/churn"
VARIANT = "endpoint/churn/variant/main"
OF_VARIANT = {"endpoint_name": "churn", "variant_name": "main"}
OF_COMPONENT = {"inference_component_name": "churn"}


def configure(of: dict[str, str], **options: Any) -> ConfigureAutoscalingOperator:
    given = {"max_capacity": 5, "from_zero": ScaleFromZero(target_value=5)}
    return ConfigureAutoscalingOperator(**{"task_id": task_id("scaling"), **of, **given, **options})


def remove(of: dict[str, str], **options: Any) -> RemoveAutoscalingOperator:
    return RemoveAutoscalingOperator(**{"task_id": task_id("remove"), **of, **options})


def make_asynchronous(aws: LocalAws, config: str = "c1", **variant: Any) -> str:
    members = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1, **variant}
    aws.client("sagemaker").create_endpoint_config(
        EndpointConfigName=config,
        ProductionVariants=[{"VariantName": "main", "ModelName": "model", **members}],
        AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": "s3://out/answers/"}},
    )
    return config


@pytest.fixture
def asynchronous(aws: LocalAws) -> LocalAws:
    make_model(aws)
    make_endpoint(aws, make_asynchronous(aws))
    aws.clear_requests()
    return aws


MANAGED = {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 2}


@pytest.fixture
def component(aws: LocalAws) -> LocalAws:
    make_model(aws)
    make_host(aws, ManagedInstanceScaling=MANAGED)
    make_component(aws)
    aws.clear_requests()
    return aws


def policies(aws: LocalAws) -> dict[str, dict[str, Any]]:
    found = aws.client("application-autoscaling").describe_scaling_policies(ServiceNamespace="sagemaker")
    return {policy["PolicyName"]: policy for policy in found["ScalingPolicies"]}


def alarms(aws: LocalAws) -> dict[str, dict[str, Any]]:
    """Return the alarms, without those of target tracking."""
    found = aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    return {one["AlarmName"]: one for one in found if not one["AlarmName"].startswith("TargetTracking-")}


def targets(aws: LocalAws) -> list[dict[str, Any]]:
    found = aws.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    return [dict(one) for one in found["ScalableTargets"]]


def alarm_tags(aws: LocalAws, name: str) -> dict[str, str]:
    found = aws.client("cloudwatch").list_tags_for_resource(ResourceARN=alarms(aws)[name]["AlarmArn"])
    return {tag["Key"]: tag["Value"] for tag in found["Tags"]}


def is_whole(aws: LocalAws, name: str = "churn-main-from-zero") -> None:
    """Hold the alarm and the policies against each other: two policies, and one alarm that leads to one of them."""
    found = policies(aws)
    [step] = [one for one in found.values() if one["PolicyType"] == "StepScaling"]
    assert len(found) == 2
    assert list(alarms(aws)) == [name]
    assert alarms(aws)[name]["AlarmActions"] == [step["PolicyARN"]]


# Made


def test_an_asynchronous_endpoint_gets_all_of_the_recipe(asynchronous: LocalAws) -> None:
    """The values of async-inference-autoscale."""
    ran = run_task(configure(OF_VARIANT))
    [target] = targets(asynchronous)
    assert (target["ResourceId"], target["MinCapacity"], target["MaxCapacity"]) == (VARIANT, 0, 5)
    found = policies(asynchronous)
    tracking = found["churn-main-ApproximateBacklogSizePerInstance"]
    assert tracking["TargetTrackingScalingPolicyConfiguration"] == {
        "TargetValue": 5.0,
        "CustomizedMetricSpecification": {
            "MetricName": "ApproximateBacklogSizePerInstance",
            "Namespace": "AWS/SageMaker",
            "Dimensions": [{"Name": "EndpointName", "Value": "churn"}],
            "Statistic": "Average",
        },
        "ScaleInCooldown": 300,
        "ScaleOutCooldown": 300,
    }
    step = found["churn-main-from-zero"]["StepScalingPolicyConfiguration"]
    assert step == {
        "AdjustmentType": "ChangeInCapacity",
        "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
        "MetricAggregationType": "Average",
        "Cooldown": 300,
    }
    alarm = alarms(asynchronous)["churn-main-from-zero"]
    wanted = {
        "MetricName": "HasBacklogWithoutCapacity",
        "Namespace": "AWS/SageMaker",
        "Dimensions": [{"Name": "EndpointName", "Value": "churn"}],
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 2,
        "DatapointsToAlarm": 2,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "missing",
        "AlarmActions": [found["churn-main-from-zero"]["PolicyARN"]],
    }
    assert {name: alarm[name] for name in wanted} == wanted
    tags = alarm_tags(asynchronous, "churn-main-from-zero")
    assert is_ours(tags)
    assert tags[WAKES] == VARIANT
    assert ran.details["policy_arns"] == {name: policy["PolicyARN"] for name, policy in found.items()}
    assert ran.details["alarm"] == "churn-main-from-zero"
    assert ran.details["min_capacity"] == 0
    assert ran.details["written"][-1] == "alarm churn-main-from-zero"


def test_an_inference_component_gets_all_of_the_recipe(component: LocalAws) -> None:
    """The values of endpoint-auto-scaling-zero-instances, but with 1 as a threshold that is reached."""
    run_task(configure(OF_COMPONENT, max_capacity=2))
    [target] = targets(component)
    assert (target["ResourceId"], target["MinCapacity"], target["MaxCapacity"]) == (COMPONENT, 0, 2)
    found = policies(component)
    assert set(found) == {"churn-SageMakerInferenceComponentInvocationsPerCopy", "churn-from-zero"}
    step = found["churn-from-zero"]["StepScalingPolicyConfiguration"]
    assert (step["MetricAggregationType"], step["Cooldown"]) == ("Maximum", 60)
    alarm = alarms(component)["churn-from-zero"]
    wanted = {
        "MetricName": "NoCapacityInvocationFailures",
        "Dimensions": [{"Name": "InferenceComponentName", "Value": "churn"}],
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "DatapointsToAlarm": 1,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
        "AlarmActions": [found["churn-from-zero"]["PolicyARN"]],
    }
    assert {name: alarm[name] for name in wanted} == wanted


@pytest.mark.parametrize("kind", ["asynchronous", "component"])
def test_an_unchanged_run_changes_nothing(kind: str, request: pytest.FixtureRequest) -> None:
    aws: LocalAws = request.getfixturevalue(kind)
    of = OF_VARIANT if kind == "asynchronous" else OF_COMPONENT
    first = run_task(configure(of))
    aws.clear_requests()
    again = run_task(configure(of))
    assert operations(aws, mutating=True) == []
    assert again.details == {**first.details, "written": []}


def test_every_value_can_be_given_and_rendered(component: LocalAws) -> None:
    given = ScaleFromZero(
        target_value="{{ 3 }}",
        predefined_metric="SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution",
        scale_in_cooldown="{{ 600 }}",
        scale_out_cooldown=30,
        wake_capacity="{{ 2 }}",
        wake_cooldown=90,
        alarm_name="{{ 'wake-churn' }}",
    )
    assert run_task(configure(OF_COMPONENT, from_zero=given)).details["alarm"] == "wake-churn"
    found = policies(component)
    [tracking] = [one for one in found.values() if one["PolicyType"] == "TargetTrackingScaling"]
    assert tracking["TargetTrackingScalingPolicyConfiguration"] == {
        "TargetValue": 3.0,
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution"
        },
        "ScaleInCooldown": 600,
        "ScaleOutCooldown": 30,
    }
    step = found["churn-from-zero"]["StepScalingPolicyConfiguration"]
    assert (step["Cooldown"], step["StepAdjustments"][0]["ScalingAdjustment"]) == (90, 2)


def test_it_stands_beside_other_policies(asynchronous: LocalAws) -> None:
    other = StepScaling(
        step_adjustments=[{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 3}], policy_name="burst"
    )
    run_task(configure(OF_VARIANT, policies=[other]))
    assert len(policies(asynchronous)) == 3
    run_task(configure(OF_VARIANT))
    is_whole(asynchronous)


# Changed


def test_what_others_changed_is_put_right(asynchronous: LocalAws) -> None:
    run_task(configure(OF_VARIANT))
    found = alarms(asynchronous)["churn-main-from-zero"]
    members = ("Namespace", "MetricName", "Dimensions", "Statistic", "Period", "ComparisonOperator")
    asynchronous.client("cloudwatch").put_metric_alarm(
        AlarmName="churn-main-from-zero",
        **{name: found[name] for name in members},
        Threshold=9.0,
        EvaluationPeriods=2,
    )
    ran = run_task(configure(OF_VARIANT))
    assert ran.details["written"] == ["alarm churn-main-from-zero"]
    assert alarms(asynchronous)["churn-main-from-zero"]["Threshold"] == 1.0
    is_whole(asynchronous)


def test_with_another_alarm_name_the_old_alarm_goes(asynchronous: LocalAws) -> None:
    run_task(configure(OF_VARIANT))
    ran = run_task(configure(OF_VARIANT, from_zero=ScaleFromZero(target_value=5, alarm_name="wake")))
    assert ran.details["removed"] == ["alarm churn-main-from-zero"]
    is_whole(asynchronous, "wake")


def test_without_it_policies_and_alarm_go_and_the_alarms_of_others_stay(asynchronous: LocalAws) -> None:
    arns = run_task(configure(OF_VARIANT)).details["policy_arns"]
    own = CreateEndpointAlarmOperator(
        task_id=task_id("own"),
        **OF_VARIANT,
        metric=EndpointMetric.custom("AWS/SageMaker", "HasBacklogWithoutCapacity", statistic="Average"),
        threshold=1,
        evaluation_periods=1,
        alarm_name="own",
        alarm_actions=[arns["churn-main-from-zero"]],
    )
    run_task(own)
    ran = run_task(configure(OF_VARIANT, from_zero=None, min_capacity=0))
    assert ran.details["removed"][0] == "alarm churn-main-from-zero"
    assert policies(asynchronous) == {}
    assert list(alarms(asynchronous)) == ["own"]
    asynchronous.clear_requests()
    run_task(configure(OF_VARIANT, from_zero=None, min_capacity=0))
    assert operations(asynchronous, mutating=True) == []


def test_an_alarm_of_others_is_only_taken_over_when_adopted(asynchronous: LocalAws) -> None:
    asynchronous.client("cloudwatch").put_metric_alarm(
        AlarmName="churn-main-from-zero",
        Namespace="Team",
        MetricName="Backlog",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=5.0,
        ComparisonOperator="GreaterThanThreshold",
    )
    asynchronous.clear_requests()
    ended = outcome(configure(OF_VARIANT))
    assert isinstance(ended.error, ConflictError)
    assert operations(asynchronous, mutating=True) == []
    run_task(configure(OF_VARIANT, adopt=True))
    is_whole(asynchronous)


def test_an_alarm_wakes_one_target(asynchronous: LocalAws) -> None:
    make_endpoint(asynchronous, "c1", "other")
    given = ScaleFromZero(target_value=5, alarm_name="wake")
    run_task(configure(OF_VARIANT, from_zero=given))
    asynchronous.clear_requests()
    ended = outcome(configure({"endpoint_name": "other", "variant_name": "main"}, from_zero=given))
    assert isinstance(ended.error, ConflictError)
    assert f"'wake' wakes {VARIANT}" in str(ended.error)
    assert operations(asynchronous, mutating=True) == []


# Removed


@pytest.mark.parametrize("kind", ["asynchronous", "component"])
def test_it_is_removed_as_one(kind: str, request: pytest.FixtureRequest) -> None:
    aws: LocalAws = request.getfixturevalue(kind)
    of = OF_VARIANT if kind == "asynchronous" else OF_COMPONENT
    name = run_task(configure(of)).details["alarm"]
    ran = run_task(remove(of))
    assert ran.details["removed"][0] == "scalable target"
    assert ran.details["removed"][-1] == f"alarm {name}"
    assert (targets(aws), policies(aws), alarms(aws)) == ([], {}, {})
    assert run_task(remove(of)).details["removed"] == []


def test_a_deleted_component_takes_its_alarm_with_it(component: LocalAws) -> None:
    run_task(configure(OF_COMPONENT))
    delete = DeleteInferenceComponentOperator(
        task_id=task_id("delete"), inference_component_name="churn", poll_interval=0.1, timeout=60
    )
    run_task(delete)
    assert (targets(component), alarms(component)) == ([], {})


def test_an_endpoint_that_is_deleted_with_its_components_takes_their_alarms_with_it(
    component: LocalAws,
) -> None:
    run_task(configure(OF_COMPONENT))
    delete = DeleteEndpointOperator(
        task_id=task_id("delete"),
        endpoint_name="host",
        delete_inference_components=True,
        poll_interval=0.1,
        timeout=60,
    )
    run_task(delete)
    assert (targets(component), alarms(component)) == ([], {})


def test_a_deleted_endpoint_takes_its_alarm_with_it(asynchronous: LocalAws) -> None:
    run_task(configure(OF_VARIANT))
    delete = DeleteEndpointOperator(
        task_id=task_id("delete"), endpoint_name="churn", poll_interval=0.1, timeout=60
    )
    run_task(delete)
    assert (targets(asynchronous), alarms(asynchronous)) == ([], {})


# Deployments


@pytest.mark.slow
def test_a_deployment_moves_it_off_and_on_as_one(asynchronous: LocalAws) -> None:
    """Another instance type: AWS wants the scaling off, and its policies get new ARNs."""
    before = run_task(configure(OF_VARIANT)).details["policy_arns"]
    make_asynchronous(asynchronous, "c2", InstanceType="ml.c5.large")
    run_task(deploy("c2"))
    after = {name: policy["PolicyARN"] for name, policy in policies(asynchronous).items()}
    assert set(after) == set(before)
    assert after["churn-main-from-zero"] != before["churn-main-from-zero"]
    is_whole(asynchronous)
    assert alarm_tags(asynchronous, "churn-main-from-zero")[WAKES] == VARIANT
    asynchronous.clear_requests()
    assert run_task(configure(OF_VARIANT)).details["policy_arns"] == after
    assert operations(asynchronous, mutating=True) == []


# Killed


class Kill(BaseException):
    """What a worker that is killed does not come back from."""


@contextmanager
def killed_after(aws: LocalAws, stop: int, *others: Any) -> Iterator[list[str]]:
    """End the process, as it were, after a number of calls that change something."""
    made: list[str] = []

    def count(model: Any, **_: Any) -> None:
        if not model.name.startswith(("Describe", "List")):
            made.append(model.name)
            if len(made) == stop:
                raise Kill

    from airflow_sm_hosting.hooks import CloudWatchHook

    clients = [autoscaling_client(), CloudWatchHook().conn, *others]
    with ExitStack() as stack:
        for client in clients:
            client.meta.events.register_last("after-call", count)
            stack.callback(client.meta.events.unregister, "after-call", count)
        try:
            yield made
        except Kill:
            return


def kill_points(aws: LocalAws, task: Callable[[], Any], check: Callable[[], None]) -> int:
    """Kill the task after each of its calls, let it run again, and check; return how many calls it made."""
    stop = 1
    while True:
        with killed_after(aws, stop) as made:
            run_task(task())
        if len(made) < stop:
            return len(made)
        run_task(task())
        check()
        aws.clear_requests()
        run_task(task())
        assert operations(aws, mutating=True) == []
        stop += 1
        take_off(aws)


def take_off(aws: LocalAws) -> None:
    """Remove all scaling and alarms, whoever made them."""
    scaling = aws.client("application-autoscaling")
    for target in targets(aws):
        place = {name: target[name] for name in ("ServiceNamespace", "ResourceId", "ScalableDimension")}
        scaling.deregister_scalable_target(**place)
    if found := list(alarms(aws)):
        aws.client("cloudwatch").delete_alarms(AlarmNames=found)


@pytest.mark.slow
def test_killed_after_any_call_the_next_run_makes_it_whole(asynchronous: LocalAws) -> None:
    calls = kill_points(asynchronous, lambda: configure(OF_VARIANT), lambda: is_whole(asynchronous))
    assert calls == 4  # target, two policies, alarm


@pytest.mark.slow
def test_killed_while_it_is_taken_away_the_next_run_ends_it(asynchronous: LocalAws) -> None:
    run_task(configure(OF_VARIANT))
    stop = 1
    while True:
        with killed_after(asynchronous, stop) as made:
            run_task(configure(OF_VARIANT, from_zero=None, min_capacity=0))
        run_task(configure(OF_VARIANT, from_zero=None, min_capacity=0))
        assert (policies(asynchronous), alarms(asynchronous)) == ({}, {})
        if len(made) < stop:
            break
        run_task(configure(OF_VARIANT))
        is_whole(asynchronous)
        stop += 1
    assert len(made) == 4  # alarm, two policies, the marks of both


@pytest.mark.slow
def test_killed_while_it_is_removed_the_next_run_removes_the_rest(asynchronous: LocalAws) -> None:
    for stop in (1, 2):
        run_task(configure(OF_VARIANT))
        with killed_after(asynchronous, stop) as made:
            run_task(remove(OF_VARIANT))
        assert len(made) == stop
        run_task(remove(OF_VARIANT))
        assert (targets(asynchronous), alarms(asynchronous)) == ([], {})


@pytest.mark.slow
def test_a_deployment_that_is_killed_anywhere_is_completed_with_all_of_the_scaling(
    asynchronous: LocalAws,
) -> None:
    """Another instance type, there and back: the calls of SageMaker, Application Auto Scaling and CloudWatch, one after the other."""
    types = itertools.cycle(("ml.c5.large", "ml.m5.large"))
    run_task(configure(OF_VARIANT))
    stop = 1
    while True:
        config = make_asynchronous(asynchronous, f"kill{stop}", InstanceType=next(types))
        task = deploy(config)
        with killed_after(asynchronous, stop, sagemaker_client()) as made:
            run_task(task)
        run_task(task)
        is_whole(asynchronous)
        asynchronous.clear_requests()
        run_task(configure(OF_VARIANT))
        assert operations(asynchronous, mutating=True) == []
        if len(made) < stop:
            break
        stop += 1
    assert {
        "DeregisterScalableTarget",
        "RegisterScalableTarget",
        "PutScalingPolicy",
        "PutMetricAlarm",
    } <= set(made)
    print(f"\nkilled after each of {len(made)} calls: {', '.join(made)}")


# What cannot be


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"from_zero": "{}"}, "from_zero is a str"),
        ({"from_zero": InvocationsScaling(max_requests_per_second=1)}, "from_zero is a InvocationsScaling"),
        ({"min_capacity": 1}, "min_capacity is 1; allowed: 0, or none, with from_zero"),
        (
            {"scalable_dimension": "sagemaker:variant:DesiredProvisionedConcurrency"},
            "a serverless variant scales from zero by itself",
        ),
        (
            {"from_zero": ScaleFromZero(target_value=1, predefined_metric="SageMakerInferenceComponentInvocationsPerCopy")},
            "tracks ApproximateBacklogSizePerInstance",
        ),
    ],
)  # fmt: skip
def test_what_can_never_work_is_an_error_while_the_dag_is_parsed(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        configure(OF_VARIANT, **options)


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ({}, "of a real-time endpoint, which keeps one instance"),
        ({"serverless": True}, "is serverless and scales from zero by itself"),
    ],
)
def test_an_endpoint_that_keeps_an_instance_is_an_error(
    aws: LocalAws, variant: dict[str, Any], words: str
) -> None:
    make_model(aws)
    if variant:
        aws.client("sagemaker").create_endpoint_config(
            EndpointConfigName="c1",
            ProductionVariants=[
                {
                    "VariantName": "main",
                    "ModelName": "model",
                    "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 4},
                }
            ],
        )
        make_endpoint(aws, "c1")
    else:
        make_endpoint(aws, make_config(aws, "c1"))
    aws.clear_requests()
    ended = outcome(configure(OF_VARIANT))
    assert isinstance(ended.error, InvalidSpecError)
    assert words in str(ended.error)
    assert operations(aws, mutating=True) == []


def test_a_variant_of_components_is_scaled_by_its_components(component: LocalAws) -> None:
    ended = outcome(configure({"endpoint_name": "host", "variant_name": "main"}))
    assert isinstance(ended.error, InvalidSpecError)
    assert "hosts inference components; allowed: inference_component_name=" in str(ended.error)


@pytest.mark.parametrize(
    ("managed", "words"),
    [
        ({}, "has no ManagedInstanceScaling"),
        ({"ManagedInstanceScaling": {**MANAGED, "MinInstanceCount": 1}}, "has the MinInstanceCount 1"),
    ],
)
def test_instances_that_stay_are_a_warning(
    aws: LocalAws, capsys: pytest.CaptureFixture[str], managed: dict[str, Any], words: str
) -> None:
    make_model(aws)
    make_host(aws, **managed)
    make_component(aws)
    run_task(configure(OF_COMPONENT))
    assert words in "".join(capsys.readouterr())
    run_task(configure(OF_COMPONENT))
    assert "its instances stay" not in "".join(capsys.readouterr())


# Woken


@pytest.mark.slow
def test_an_asynchronous_endpoint_falls_to_zero_and_a_request_wakes_it(virtual_aws: LocalAws) -> None:
    """All by itself: only a request is sent, and time passes."""
    make_model(virtual_aws)
    make_endpoint(virtual_aws, make_asynchronous(virtual_aws))
    run_task(configure(OF_VARIANT))

    def instances() -> int:
        [found] = virtual_aws.client("sagemaker").describe_endpoint(EndpointName="churn")[
            "ProductionVariants"
        ]
        return int(found["CurrentInstanceCount"])

    virtual_aws.advance(3600)
    assert instances() == 0
    s3 = virtual_aws.client("s3")
    for bucket in ("in", "out"):
        s3.create_bucket(Bucket=f"{bucket}-zero")
    s3.put_object(Bucket="in-zero", Key="asked", Body=b"1")
    virtual_aws.client("sagemaker-runtime").invoke_endpoint_async(
        EndpointName="churn", InputLocation="s3://in-zero/asked"
    )
    virtual_aws.advance(300)
    assert instances() == 1
    virtual_aws.advance(3600)
    assert instances() == 0


@pytest.mark.slow
def test_a_component_falls_to_zero_and_a_request_wakes_it(virtual_aws: LocalAws) -> None:
    make_model(virtual_aws)
    make_host(virtual_aws, ManagedInstanceScaling=MANAGED)
    make_component(virtual_aws)
    # CloudWatch keeps an alarm in ALARM for some minutes after its last data; with AWS's 60 s a copy that is there at once is not the last.
    run_task(configure(OF_COMPONENT, from_zero=ScaleFromZero(target_value=5, wake_cooldown=300)))

    def copies() -> int:
        found = virtual_aws.client("sagemaker").describe_inference_component(InferenceComponentName="churn")
        return int(found["RuntimeConfig"]["CurrentCopyCount"])

    virtual_aws.advance(3600)
    assert copies() == 0
    runtime = virtual_aws.client("sagemaker-runtime")
    with pytest.raises(ClientError, match="no capacity"):
        runtime.invoke_endpoint(EndpointName="host", InferenceComponentName="churn", Body=b"1")
    virtual_aws.advance(300)
    assert copies() == 1
    virtual_aws.advance(3600)
    assert copies() == 0


@pytest.mark.engine
def test_containers_of_docker_answer_after_they_were_woken(
    docker_client: Any, debian_base_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an asynchronous endpoint the request that wakes it is answered, of a component the one after it."""
    with LocalAws(engine="docker", transition_seconds=0, clock="virtual") as aws:
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(aws.connection()))
        deployer = Deployer(aws)
        model = deployer.model(
            Image=build_and_push(docker_client, deployer, debian_base_image),
            Environment={"VERSION": "docker"},
        )
        make_endpoint(aws, make_asynchronous(aws, ModelName=model))
        make_host(aws, ManagedInstanceScaling=MANAGED)
        make_component(aws, model)
        for of in (OF_VARIANT, OF_COMPONENT):
            run_task(configure(of))
        aws.advance(3600)
        s3, runtime = aws.client("s3"), aws.client("sagemaker-runtime")
        s3.create_bucket(Bucket="out")
        told = runtime.invoke_endpoint_async(EndpointName="churn", Body=b"1")
        of_component = {"EndpointName": "host", "InferenceComponentName": "churn", "Body": b"1"}
        with pytest.raises(ClientError, match="no capacity"):
            runtime.invoke_endpoint(**of_component)
        aws.advance(300)
        bucket, key = told["OutputLocation"].removeprefix("s3://").split("/", 1)
        answered = s3.get_object(Bucket=bucket, Key=key)["Body"]
        for body in (answered, runtime.invoke_endpoint(**of_component)["Body"]):
            assert json.loads(body.read())["version"] == "docker"
