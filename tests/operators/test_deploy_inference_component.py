"""DeployInferenceComponentOperator against the local AWS: what it does in each state, and that it tells the truth, sync and deferred."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import DAG

from airflow_sm_hosting import (
    AllAtOnce,
    CreateEndpointConfigOperator,
    InferenceComponentSpecification,
    InstanceProductionVariant,
    Rolling,
    SmokeTest,
)
from airflow_sm_hosting.deployment import evidence
from airflow_sm_hosting.exceptions import (
    ConflictError,
    DeploymentFailedError,
    DeploymentRolledBackError,
    DeploymentTimeoutError,
    InvalidSpecError,
    NotFoundError,
)
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import is_ours
from tests.airflow_versions import DagSerialization
from tests.operators.components import (
    NEEDS,
    deploy_component,
    make_component,
    make_host,
    make_models,
    specification,
)
from tests.operators.conftest import (
    IMAGE,
    ROLE,
    answered_with,
    make_broken_model,
    make_config,
    make_endpoint,
    make_model,
    operations,
    outcome,
    sagemaker_client,
    sent,
    settled_component,
    tags_of,
    task_id,
)

pytestmark = pytest.mark.usefixtures("dag")

both = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])


@pytest.fixture
def host(aws: LocalAws) -> LocalAws:
    """A local AWS with an endpoint for components, and two models."""
    make_models(aws, "model", "newer")
    make_host(aws)
    aws.clear_requests()
    return aws


def serving(aws: LocalAws, name: str = "churn") -> dict[str, Any]:
    return settled_component(aws, name)


@both
def test_a_component_is_created_and_verified(host: LocalAws, deferrable: bool) -> None:
    end = outcome(deploy_component(deferrable=deferrable, copy_count=2, tags={"team": "a"}))
    assert (end.error, end.value) == (None, "churn")
    found = serving(host)
    assert found["Specification"]["ModelName"] == "model"
    assert found["RuntimeConfig"] == {"DesiredCopyCount": 2, "CurrentCopyCount": 2}
    tags = tags_of(host, found["InferenceComponentArn"])
    assert is_ours(tags)
    assert tags["team"] == "a"
    assert end.details["action"] == "create"
    assert end.details["specification"] == {"ModelName": "model", "ComputeResourceRequirements": NEEDS}
    assert end.details["specification_name"].startswith("model@")
    assert end.details["copy_count"] == 2
    assert end.details["inference_component_arn"] == found["InferenceComponentArn"]


@both
def test_an_unchanged_run_changes_nothing(host: LocalAws, deferrable: bool) -> None:
    outcome(deploy_component())
    settled_component(host)
    host.clear_requests()
    end = outcome(deploy_component(task_id="again", deferrable=deferrable))
    assert end.error is None
    assert end.details["action"] == "unchanged"
    assert operations(host, mutating=True) == []
    assert end.ran.deferrals == 0


@both
def test_a_new_model_is_an_update_that_keeps_the_copies(host: LocalAws, deferrable: bool) -> None:
    make_component(host, copies=3)
    end = outcome(deploy_component("newer", deferrable=deferrable))
    assert end.error is None
    found = serving(host)
    assert found["Specification"]["ModelName"] == "newer"
    assert found["RuntimeConfig"]["CurrentCopyCount"] == 3
    assert end.details["action"] == "update"
    assert end.details["previous_specification_name"].startswith("model@")
    assert operations(host).count("UpdateInferenceComponentRuntimeConfig") == 0


@both
def test_the_requested_number_of_copies_is_set_after_the_update(host: LocalAws, deferrable: bool) -> None:
    make_component(host)
    end = outcome(deploy_component("newer", copy_count=2, deferrable=deferrable))
    assert end.error is None
    assert serving(host)["RuntimeConfig"] == {"DesiredCopyCount": 2, "CurrentCopyCount": 2}
    assert end.details["copy_count"] == 2


@both
def test_copies_alone_change_without_an_update(host: LocalAws, deferrable: bool) -> None:
    make_component(host)
    host.clear_requests()
    end = outcome(deploy_component(copy_count=0, deferrable=deferrable))
    assert (end.error, end.details["action"]) == (None, "update")
    assert operations(host, mutating=True) == ["UpdateInferenceComponentRuntimeConfig"]
    assert serving(host)["RuntimeConfig"]["CurrentCopyCount"] == 0
    assert outcome(deploy_component(copy_count=0)).error is None


def test_copies_of_a_component_that_is_not_ours_are_left_alone(host: LocalAws) -> None:
    make_component(host, tags={})
    host.clear_requests()
    end = outcome(deploy_component(copy_count=2))
    assert isinstance(end.error, ConflictError)
    assert "adopt=True" in str(end.error)
    assert operations(host, mutating=True) == []
    assert outcome(deploy_component(copy_count=2, adopt=True)).error is None
    assert serving(host)["RuntimeConfig"]["CurrentCopyCount"] == 2


def test_an_older_run_leaves_the_copies_of_a_newer_one(host: LocalAws) -> None:
    newer, older = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    assert outcome(deploy_component(copy_count=2), run_after=newer).error is None
    host.clear_requests()
    end = outcome(deploy_component(copy_count=1), run_after=older)
    assert (end.details["action"], end.details["copy_count"]) == ("unchanged", 2)
    assert operations(host, mutating=True) == []
    end = outcome(deploy_component(copy_count=1, allow_older=True), run_after=older)
    assert (end.details["action"], end.details["copy_count"]) == ("update", 1)


def test_a_component_begins_with_one_copy_where_none_is_requested(host: LocalAws) -> None:
    assert outcome(deploy_component(copy_count=0)).error is None
    assert serving(host)["RuntimeConfig"]["DesiredCopyCount"] == 0


def test_the_copies_of_a_scalable_target_are_left_to_autoscaling(host: LocalAws) -> None:
    make_component(host)
    host.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId="inference-component/churn",
        ScalableDimension="sagemaker:inference-component:DesiredCopyCount",
        MinCapacity=1,
        MaxCapacity=4,
    )
    assert outcome(deploy_component(copy_count=3)).error is None
    assert serving(host)["RuntimeConfig"]["DesiredCopyCount"] == 1


@both
def test_a_silent_rollback_is_a_failure(aws: LocalAws, deferrable: bool) -> None:
    make_model(aws)
    make_host(aws)
    make_component(aws)
    broken = make_broken_model(aws)
    end = outcome(deploy_component(broken, deferrable=deferrable))
    assert isinstance(end.error, DeploymentRolledBackError)
    assert "rolled inference component churn back: it serves model@" in str(end.error)
    assert "ModelName is 'model', requested 'broken'" in str(end.error)
    assert end.details["specification"]["ModelName"] == "model"
    assert serving(aws)["InferenceComponentStatus"] == "InService"


@both
def test_the_sticky_reason_of_an_earlier_update_is_no_failure(host: LocalAws, deferrable: bool) -> None:
    make_component(host)

    def stick(parsed: dict[str, Any]) -> None:
        parsed["FailureReason"] = "The update before failed."

    with answered_with(sagemaker_client(), "DescribeInferenceComponent", stick):
        end = outcome(deploy_component("newer", deferrable=deferrable))
    assert end.error is None
    assert end.details["action"] == "update"


@both
def test_a_component_that_cannot_be_created_is_a_failure_with_its_reason(
    aws: LocalAws, deferrable: bool
) -> None:
    make_host(aws)
    make_broken_model(aws)
    end = outcome(deploy_component("broken", deferrable=deferrable))
    assert isinstance(end.error, DeploymentFailedError)
    assert "Inference component churn is Failed" in str(end.error)
    make_model(aws)
    again = outcome(deploy_component(deferrable=deferrable))
    assert again.error is None
    assert again.details["action"] == "replace"


@both
def test_no_room_for_copies_is_a_failure(host: LocalAws, deferrable: bool) -> None:
    make_component(host)
    end = outcome(deploy_component(copy_count=100, deferrable=deferrable))
    assert isinstance(end.error, DeploymentFailedError)
    assert "not the requested" in str(end.error)
    assert "hardware resources" in str(end.error)


def test_a_component_of_others_is_only_changed_when_adopted(host: LocalAws) -> None:
    make_component(host, tags={"by": "hand"})
    host.clear_requests()
    assert isinstance(outcome(deploy_component("newer")).error, ConflictError)
    assert operations(host, mutating=True) == []
    assert outcome(deploy_component("newer", adopt=True)).error is None
    found = serving(host)
    assert found["Specification"]["ModelName"] == "newer"
    tags = tags_of(host, found["InferenceComponentArn"])
    assert is_ours(tags)
    assert tags["by"] == "hand"


def test_an_older_run_is_skipped(host: LocalAws) -> None:
    late = datetime.now(UTC)
    assert outcome(deploy_component("newer"), run_after=late).error is None
    host.clear_requests()
    end = outcome(deploy_component("model"), run_after=late - timedelta(hours=1))
    assert isinstance(end.error, AirflowSkipException)
    assert operations(host, mutating=True) == []
    allowed = outcome(deploy_component("model", allow_older=True), run_after=late - timedelta(hours=1))
    assert allowed.error is None
    assert serving(host)["Specification"]["ModelName"] == "model"


def test_another_endpoint_or_variant_is_refused(host: LocalAws) -> None:
    make_component(host)
    make_host(host, "other")
    host.clear_requests()
    for place in ({"endpoint_name": "other"}, {"variant_name": "second"}):
        end = outcome(deploy_component("newer", **place))
        assert isinstance(end.error, ConflictError)
        assert "AWS cannot change" in str(end.error)
    assert operations(host, mutating=True) == []


def test_a_missing_endpoint_is_not_found(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "READS_LAG", 0.2)
    make_model(aws)
    end = outcome(deploy_component())
    assert isinstance(end.error, NotFoundError)
    assert "no endpoint 'host'" in str(end.error)


def test_an_endpoint_with_a_model_takes_no_component(aws: LocalAws) -> None:
    make_model(aws)
    make_config(aws, "host")
    make_endpoint(aws, "host", "host")
    end = outcome(deploy_component())
    assert end.error is not None
    assert "not supported in this Endpoint" in str(end.error)


@both
@pytest.mark.slow
def test_a_rolling_update_sends_its_batches_and_alarms(virtual_aws: LocalAws, deferrable: bool) -> None:
    host = virtual_aws
    make_models(host, "model", "newer")
    make_host(host)
    host.client("cloudwatch").put_metric_alarm(
        AlarmName="errors",
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[{"Name": "InferenceComponentName", "Value": "churn"}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )
    make_component(host, copies=2)
    rollout = Rolling(maximum_batch_size=1, wait_interval=60)
    with sent(sagemaker_client(), "UpdateInferenceComponent") as updates:
        end = outcome(
            deploy_component("newer", rollout=rollout, auto_rollback_alarms=["errors"], deferrable=deferrable)
        )
    assert end.error is None
    assert updates[0]["DeploymentConfig"] == {
        "RollingUpdatePolicy": {
            "MaximumBatchSize": {"Type": "COPY_COUNT", "Value": 1},
            "WaitIntervalInSeconds": 60,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]},
    }
    assert serving(host)["Specification"]["ModelName"] == "newer"


def test_an_alarm_that_does_not_exist_is_an_error_before_the_update(host: LocalAws) -> None:
    make_component(host)
    host.clear_requests()
    rollout = Rolling(maximum_batch_size=1, wait_interval=60, auto_rollback_alarms=["absent"])
    end = outcome(deploy_component("newer", rollout=rollout))
    assert isinstance(end.error, InvalidSpecError)
    assert "Inference component churn is not updated: alarm absent does not exist" in str(end.error)
    assert operations(host, mutating=True) == []


@both
def test_an_adapter_is_created_on_its_base(host: LocalAws, deferrable: bool) -> None:
    make_component(host, name="base")
    host.client("s3").create_bucket(Bucket="models")
    host.client("s3").put_object(Bucket="models", Key="adapter.tar.gz", Body=b"adapter")
    adapter = InferenceComponentSpecification(
        base_inference_component_name="base", artifact_url="s3://models/adapter.tar.gz"
    )
    given = {"specification": adapter, "variant_name": None, "deferrable": deferrable}
    end = outcome(deploy_component(**given))
    assert end.error is None
    assert serving(host)["Specification"]["BaseInferenceComponentName"] == "base"
    host.clear_requests()
    assert outcome(deploy_component(**given)).details["action"] == "unchanged"
    assert operations(host, mutating=True) == []


def test_an_adapter_without_its_base_is_not_found(host: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "READS_LAG", 0.2)
    adapter = InferenceComponentSpecification(
        base_inference_component_name="base", artifact_url="s3://models/adapter.tar.gz"
    )
    end = outcome(deploy_component(specification=adapter, variant_name=None))
    assert isinstance(end.error, NotFoundError)
    assert "no base component 'base'" in str(end.error)


def test_specifications_for_each_instance_type_are_compared_too(host: LocalAws) -> None:
    several = [specification(instance_type="ml.m5.large"), specification(instance_type="ml.m5.xlarge")]
    assert outcome(deploy_component(specifications=several)).error is None
    host.clear_requests()
    end = outcome(deploy_component(specifications=list(reversed(several))))
    assert end.details["action"] == "unchanged"
    assert operations(host, mutating=True) == []
    several[1] = specification("newer", instance_type="ml.m5.xlarge")
    assert outcome(deploy_component(specifications=several)).details["action"] == "update"


def test_a_containers_environment_is_compared_and_never_shown(host: LocalAws) -> None:
    def container(token: str) -> InferenceComponentSpecification:
        return InferenceComponentSpecification(
            image=IMAGE, environment={"TOKEN": token}, requirements={"MinMemoryRequiredInMb": 256}
        )

    first = outcome(deploy_component(specification=container("s3cr3t-1")))
    assert first.error is None
    second = outcome(deploy_component(specification=container("s3cr3t-2")))
    assert second.details["action"] == "update"
    same = outcome(deploy_component(specification=container("s3cr3t-2")))
    assert same.details["action"] == "unchanged"
    assert "s3cr3t" not in str([first.ran.xcoms, second.ran.xcoms])
    arn = serving(host)["InferenceComponentArn"]
    assert "s3cr3t" not in str(tags_of(host, arn))


@pytest.mark.parametrize("is_list", [False, True])
def test_the_values_of_an_environment_are_hidden_and_sent(host: LocalAws, dag: DAG, is_list: bool) -> None:
    one = InferenceComponentSpecification(
        image=IMAGE,
        environment={"LITERAL": "s3cr3t-1", "JINJA": "{{ params.token }}"},
        requirements=NEEDS,
        instance_type="ml.m5.large" if is_list else None,
    )
    task = deploy_component(**({"specifications": [one]} if is_list else {"specification": one}))
    assert "s3cr3t" not in json.dumps(DagSerialization.to_dict(dag))
    assert outcome(task, params={"token": "s3cr3t-2"}).error is None
    assert "***" in str([task.specification, task.specifications])
    assert "s3cr3t" not in str([getattr(task, name) for name in task.template_fields])
    assert task.hidden_values() == {"s3cr3t-1", "s3cr3t-2"}
    sent_as = {"LITERAL": "s3cr3t-1", "JINJA": "s3cr3t-2"}
    plain = {**one, "Container": {"Image": IMAGE, "Environment": sent_as}}
    same = outcome(deploy_component(**({"specifications": [plain]} if is_list else {"specification": plain})))
    assert same.details["action"] == "unchanged"


@both
def test_numbers_from_jinja_are_numbers(host: LocalAws, deferrable: bool) -> None:
    spec = specification(requirements={"MinMemoryRequiredInMb": "{{ 128 * 2 }}"})
    end = outcome(deploy_component(specification=spec, copy_count="{{ 1 + 1 }}", deferrable=deferrable))
    assert end.error is None
    assert serving(host)["RuntimeConfig"]["CurrentCopyCount"] == 2
    assert outcome(deploy_component(copy_count=2)).details["action"] == "unchanged"


@both
def test_the_time_budget_ends_both_kinds_of_wait_in_the_same_way(host: LocalAws, deferrable: bool) -> None:
    def creating(parsed: dict[str, Any]) -> None:
        parsed["InferenceComponentStatus"] = "Creating"

    with answered_with(sagemaker_client(), "DescribeInferenceComponent", creating):
        end = outcome(deploy_component(timeout=1, deferrable=deferrable))
    assert isinstance(end.error, DeploymentTimeoutError)
    assert str(end.error).startswith("Inference component churn: the time budget ended")


@both
@pytest.mark.slow
def test_a_change_in_progress_is_waited_for(slow_aws: LocalAws, deferrable: bool) -> None:
    make_models(slow_aws, "model", "newer")
    make_host(slow_aws)
    make_component(slow_aws)
    slow_aws.client("sagemaker").update_inference_component_runtime_config(
        InferenceComponentName="churn", DesiredRuntimeConfig={"CopyCount": 2}
    )
    end = outcome(deploy_component("newer", deferrable=deferrable))
    assert end.error is None
    assert serving(slow_aws)["Specification"]["ModelName"] == "newer"


@both
@pytest.mark.slow
def test_an_endpoint_that_is_being_created_is_waited_for(slow_aws: LocalAws, deferrable: bool) -> None:
    make_model(slow_aws)
    client = slow_aws.client("sagemaker")
    client.create_endpoint_config(
        EndpointConfigName="host",
        ProductionVariants=[
            {"VariantName": "main", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        ],
        ExecutionRoleArn=ROLE,
    )
    client.create_endpoint(EndpointName="host", EndpointConfigName="host")
    end = outcome(deploy_component(deferrable=deferrable, inference_component_name="host"))
    assert end.error is None
    assert end.details["action"] == "create"
    assert end.details["inference_component_arn"].endswith(":inference-component/host")


@both
@pytest.mark.slow
def test_a_base_that_is_being_created_is_waited_for(slow_aws: LocalAws, deferrable: bool) -> None:
    make_model(slow_aws)
    make_host(slow_aws)
    client = slow_aws.client("sagemaker")
    client.create_inference_component(
        InferenceComponentName="base",
        EndpointName="host",
        VariantName="main",
        Specification=dict(specification()),
        RuntimeConfig={"CopyCount": 1},
    )
    slow_aws.client("s3").create_bucket(Bucket="models")
    slow_aws.client("s3").put_object(Bucket="models", Key="adapter.tar.gz", Body=b"adapter")
    adapter = InferenceComponentSpecification(
        base_inference_component_name="base", artifact_url="s3://models/adapter.tar.gz"
    )
    end = outcome(deploy_component(specification=adapter, variant_name=None, deferrable=deferrable))
    assert end.error is None
    assert end.details["action"] == "create"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"specification": None}, "neither given"),
        ({"specifications": [specification()], "specification": specification()}, "both given"),
        ({"variant_name": None}, "variant_name"),
        ({"copy_count": -1}, "copy_count"),
        ({"auto_rollback_alarms": ["errors"]}, "without rollout"),
        ({"rollout": AllAtOnce()}, "Rolling"),
        ({"specification": {"ModelName": "churn"}}, "no requirements"),
        ({"inference_component_name": "a_b"}, "inference_component_name"),
        (
            {
                "specification": {
                    "BaseInferenceComponentName": "base",
                    "Container": {"ArtifactUrl": "s3://b/a.tar.gz"},
                },
                "copy_count": 2,
            },
            "adapter",
        ),
    ],
)
def test_mistakes_are_told_at_parse(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        deploy_component(**given)


def test_the_config_of_a_host_has_its_role_by_name(aws: LocalAws) -> None:
    def config(**given: Any) -> Any:
        return CreateEndpointConfigOperator(
            **{
                "task_id": task_id("config"),
                "endpoint_config_name": "host",
                "production_variants": [
                    InstanceProductionVariant(variant_name="main", instance_type="ml.m5.large")
                ],
                **given,
            }
        )

    by_name = outcome(config(execution_role="sagemaker"))
    assert by_name.error is None
    found = aws.client("sagemaker").describe_endpoint_config(EndpointConfigName=by_name.value)
    assert found["ExecutionRoleArn"] == ROLE
    aws.clear_requests()
    assert outcome(config(execution_role=ROLE)).value == by_name.value
    assert operations(aws, mutating=True) == []
    with pytest.raises(InvalidSpecError, match="execution_role"):
        config()


def test_a_smoke_test_may_come_from_upstream(host: LocalAws) -> None:
    task = deploy_component(smoke_test="{{ params.test }}")
    task.smoke_test = SmokeTest(body="1", kind="asynchronous")
    assert "smoke_test is asynchronous" in str(outcome(task).error)
    assert operations(host) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"copy_count": 0}, "copy_count is 0"),
        ({"smoke_test": SmokeTest(body="1", kind="asynchronous")}, "smoke_test is asynchronous"),
        (
            {"smoke_test": SmokeTest(body="1", inference_component_name="other")},
            "smoke_test invokes inference component 'other'",
        ),
    ],
)
def test_a_smoke_test_that_cannot_reach_the_component_is_told_at_parse(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        deploy_component(**{"smoke_test": SmokeTest(body="1"), **given})
