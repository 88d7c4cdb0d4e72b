"""Each of moto's internals that the local AWS touches, held by itself: what breaks here, breaks with a new moto."""

from __future__ import annotations

import inspect
import sys
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from moto import mock_aws

from airflow_sm_hosting.local import alarms, moto_backends
from airflow_sm_hosting.local.moto_backends import ACCOUNT_ID

REGION = "eu-west-1"


@pytest.fixture(autouse=True)
def _moto(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield


def client(service):
    return boto3.client(service, region_name=REGION)


def test_s3_objects_are_read():
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="bucket")
    for key in ("a/2", "a/1", "b"):
        s3.put_object(Bucket="bucket", Key=key, Body=key.encode())
    assert moto_backends.s3_object("bucket", "a/1") == b"a/1"
    assert moto_backends.s3_object("bucket", "absent") is None
    assert moto_backends.s3_object("absent", "absent") is None
    assert moto_backends.s3_object_exists("bucket", "b")
    assert moto_backends.s3_keys("bucket", "a/") == ["a/1", "a/2"]
    assert moto_backends.s3_keys("absent", "") == []


def test_log_lines_are_written():
    for _ in range(2):
        moto_backends.put_log_lines(REGION, "/group", "stream", ["one", "two"])
    events = client("logs").get_log_events(logGroupName="/group", logStreamName="stream")["events"]
    assert [event["message"] for event in events] == ["one", "two"] * 2


def test_metrics_are_written_and_read():
    dimensions = {"EndpointName": "e"}
    moto_backends.put_metrics(REGION, "N", dimensions, [("M", 3.0, "Microseconds")])
    start = datetime.now(UTC) - timedelta(minutes=1)
    ((at, datum),) = moto_backends.metric_values(REGION, "N", "M", dimensions, start)
    assert abs(at - datetime.now(UTC)) < timedelta(minutes=1)
    assert (datum.value, datum.unit) == (3.0, "Microseconds")
    assert not list(moto_backends.metric_values(REGION, "N", "M", {}, start))
    assert REGION in moto_backends.cloudwatch_regions()


def test_alarms_have_what_is_evaluated():
    client("cloudwatch").put_metric_alarm(
        AlarmName="a",
        Namespace="N",
        MetricName="M",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
        Dimensions=[{"Name": "EndpointName", "Value": "e"}],
    )
    (alarm,) = moto_backends.alarms(REGION)
    alarms.evaluate(alarm, REGION, datetime.now(UTC))
    moto_backends.put_metrics(REGION, "N", {"EndpointName": "e"}, [("M", 3.0, "None")])
    alarms.evaluate(alarm, REGION, datetime.now(UTC))
    (found,) = client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert found["StateValue"] == "ALARM"


def test_put_metric_alarm_is_one_method_called_with_names():
    from moto.cloudwatch.models import CloudWatchBackend

    put = inspect.unwrap(CloudWatchBackend.put_metric_alarm)
    assert {
        "name",
        "rule",
        "statistic",
        "extended_statistic",
        "metric_data_queries",
        "metric_name",
        "namespace",
        "period",
        "evaluation_periods",
        "datapoints_to_alarm",
        "treat_missing_data",
    } <= set(inspect.signature(put).parameters)
    assert "put_metric_alarm(\n            name=name" in inspect.getsource(
        sys.modules["moto.cloudwatch.responses"].CloudWatchResponse.put_metric_alarm
    )


def test_ecr_repositories_keep_images_that_we_make():
    from moto.ecr.models import Image

    client("ecr").create_repository(repositoryName="repo")
    repository = moto_backends.find_repository("repo", ["us-east-1", REGION])
    assert repository is not None
    assert (repository.name, repository.account_id, repository.is_tag_immutable()) == (
        "repo",
        ACCOUNT_ID,
        False,
    )
    image = Image(ACCOUNT_ID, None, "{}", "repo", "media/type", "sha256:" + "0" * 64)
    repository.images.append(image)
    image.update_tag("v1")
    image.update_tag("v2")
    image.remove_tag("v1")
    (found,) = client("ecr").describe_images(repositoryName="repo")["imageDetails"]
    assert (found["imageTags"], found["imageDigest"]) == (["v2"], "sha256:" + "0" * 64)
    assert moto_backends.find_repository("absent", [REGION]) is None


def test_scalable_targets_are_seen_and_forgotten():
    scaling = client("application-autoscaling")
    where = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/e/variant/v",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling.register_scalable_target(**where, MinCapacity=1, MaxCapacity=2)
    scaling.put_scaling_policy(
        **where,
        PolicyName="p",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={"TargetValue": 1.0},
    )
    scaling.put_scheduled_action(
        **where, ScheduledActionName="s", Schedule="rate(1 day)", ScalableTargetAction={"MinCapacity": 1}
    )
    (target,) = moto_backends.scalable_targets(REGION)
    assert (target.resource_id, target.min_capacity) == (where["ResourceId"], 1)
    (policy,) = moto_backends.scaling_policies(REGION, where["ResourceId"])
    assert policy.policy_name == "p"
    metric = {
        "namespace": "N",
        "metric_name": "M",
        "dimensions": [],
        "statistic": "Sum",
        "target": 1.0,
        "scale_in": True,
    }
    made = moto_backends.make_target_tracking_alarms(REGION, where["ResourceId"], "p", metric)
    assert len(made) == 2
    moto_backends.forget_scaling(REGION, where["ResourceId"])
    assert moto_backends.scalable_targets(REGION) == []
    assert scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"] == []
    assert scaling.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"] == []
    assert moto_backends.alarms(REGION) == []


def test_keys_of_assumed_roles_are_known():
    role = client("iam").create_role(RoleName="role", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    session = client("sts").assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    assert moto_backends.is_issued_key(session["AccessKeyId"])
    assert not moto_backends.is_issued_key("OTHER")


def test_the_server_application_and_its_request_handler_are_where_we_take_them_from():
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )

    assert callable(DomainDispatcherApplication(create_backend_app))
    assert hasattr(MotoRequestHandler, "make_environ")
