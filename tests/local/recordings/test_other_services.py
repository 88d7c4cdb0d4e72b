"""Application Auto Scaling, CloudWatch, IAM and ECR answer as AWS was recorded to."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from tests.local.recordings.facts import Fact, asks
from tests.local.recordings.test_sagemaker import refusal
from tests.local.rules.cloud import Cloud
from tests.local.rules.test_k_images import push

# Application Auto Scaling


@asks("scaling-tags-again")
def test_tags_of_a_known_target(cloud: Cloud, fact: Fact) -> None:
    target = cloud.scaled(cloud.endpoint())
    request = {**target, "MinCapacity": 1, "MaxCapacity": 5, "Tags": {"a": "b"}}
    assert refusal(cloud.scaling.register_scalable_target, **request) == (
        *(400, "ValidationException"),
        "The scalable target that you tried to tag already exists. To update tags on an existing scalable target, use the "
        "TagResource API.",
    )
    (found,) = cloud.scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert found["MaxCapacity"] == 4


@asks("scaling-policy-alarms")
def test_alarms_of_a_policy(cloud: Cloud, fact: Fact) -> None:
    name = cloud.endpoint()
    alarms = cloud.tracked(cloud.scaled(name))["Alarms"]
    front = f"TargetTracking-endpoint/{name}/variant/main-Alarm"
    high, low = (alarm["AlarmName"] for alarm in alarms)
    for found, side in ((high, "High"), (low, "Low")):
        assert found.startswith(f"{front}{side}-")
        assert len(found.removeprefix(f"{front}{side}-").split("-")) == 5


def scaled_by_alarm(cloud: Cloud) -> tuple[str, dict[str, str]]:
    """Return an endpoint that an alarm wants to have two instances, and its scalable target."""
    name = cloud.endpoint()
    target = cloud.scaled(name)
    policy = cloud.scaling.put_scaling_policy(
        **target,
        PolicyName="grow",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        },
    )["PolicyARN"]
    cloud.alarm("busy", AlarmActions=[policy])
    cloud.put(5, 5)
    return name, target


def to_next_minute(cloud: Cloud) -> None:
    """Go to the full minute, at which alarms are evaluated."""
    now = cloud.now()
    cloud.advance(60 - now.second - now.microsecond / 1e6)


def activity(cloud: Cloud, target: dict[str, str]) -> dict[str, Any]:
    found = cloud.scaling.describe_scaling_activities(**target)["ScalingActivities"]
    return dict(found[0])


@asks("scaling-activity-done", "scaling-activity-going")
def test_activity(cloud: Cloud, fact: Fact) -> None:
    _, target = scaled_by_alarm(cloud)
    to_next_minute(cloud)
    if fact.id == "scaling-activity-done":
        cloud.advance(5)
    found = activity(cloud, target)
    assert found["Description"] == "Setting desired instance count to 2."
    assert found["Cause"] == "monitor alarm busy in state ALARM triggered policy grow"
    assert (found["StatusCode"], found["StatusMessage"]) == (
        (
            "Successful",
            "Successfully set desired instance count to 2. Change successfully fulfilled by sagemaker.",
        )
        if fact.id == "scaling-activity-done"
        else (
            "InProgress",
            "Successfully set desired instance count to 2. Waiting for change to be fulfilled by sagemaker.",
        )
    )


@asks("scaling-activity-refused")
def test_refused_activity(cloud: Cloud, fact: Fact) -> None:
    _, target = scaled_by_alarm(cloud)
    cloud.aws.set_quotas({"ml.m5.large for endpoint usage": 1})
    to_next_minute(cloud)
    found = activity(cloud, target)
    assert found["StatusCode"] == "Failed"
    assert found["StatusMessage"].startswith(
        "Failed to set desired instance count to 2. Reason: The account-level service limit 'ml.m5.large for endpoint usage' is "
        "1 Instances, with current utilization of 1 Instances and a request delta of 1 Instances."
    )
    assert (
        "(Service: AmazonSageMaker; Status Code: 400; Error Code: ResourceLimitExceeded; "
        in found["StatusMessage"]
    )


# CloudWatch: alarms


def alarm_of(cloud: Cloud, name: str = "alarm") -> dict[str, Any]:
    found: Any = cloud.cloudwatch.describe_alarms(
        AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    described: dict[str, Any]
    (described,) = [*found["MetricAlarms"], *found["CompositeAlarms"]]
    return dict(described)


@asks("alarm-minimal")
def test_minimal_alarm(cloud: Cloud, fact: Fact) -> None:
    cloud.alarm()
    found = alarm_of(cloud)
    assert not {
        *("AlarmDescription", "Unit", "TreatMissingData", "DatapointsToAlarm", "StateReasonData"),
    } & set(found)
    lists = ("OKActions", "AlarmActions", "InsufficientDataActions", "Dimensions")
    assert [found[member] for member in lists] == [[], [], [], []]
    assert (found["StateValue"], found["StateReason"]) == (
        "INSUFFICIENT_DATA",
        "Unchecked: Initial alarm creation",
    )
    assert "StateTransitionedTimestamp" in found


@asks("alarm-missing", "alarm-missing-evaluated")
def test_missing_data(cloud: Cloud, fact: Fact) -> None:
    cloud.alarm(TreatMissingData="breaching", EvaluationPeriods=2)
    cloud.advance(61)
    found = alarm_of(cloud)
    assert found["StateReason"] == (
        "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as [Breaching]."
    )
    data = json.loads(found["StateReasonData"])
    assert [set(point) for point in data["evaluatedDatapoints"]] == [{"timestamp"}, {"timestamp"}]
    assert data["recentDatapoints"] == []
    assert "startDate" not in data


@asks("alarm-one-data")
def test_one_period(cloud: Cloud, fact: Fact) -> None:
    cloud.alarm(Unit="Seconds", Threshold=2.0, Statistic="Average", TreatMissingData="notBreaching")
    for value in (21.0, 22.0):
        data = [{"MetricName": "Errors", "Value": value, "Unit": "Seconds"}]
        cloud.cloudwatch.put_metric_data(Namespace="Ours", MetricData=data)
    cloud.advance(61)
    found = alarm_of(cloud)
    data = json.loads(found["StateReasonData"])
    assert set(data) == {
        *(
            "version",
            "queryDate",
            "startDate",
            "unit",
            "statistic",
            "period",
            "recentDatapoints",
            "threshold",
        ),
        "evaluatedDatapoints",
    }
    assert (data["version"], data["recentDatapoints"]) == ("1.0", [21.5])
    (point,) = data["evaluatedDatapoints"]
    assert (point["sampleCount"], point["value"]) == (2.0, 21.5)
    # The same snapshot has the sentence, too.
    assert found["StateReason"].startswith("Threshold Crossed: 1 datapoint [21.5 (")
    assert found["StateReason"].endswith(")] was greater than the threshold (2.0).")


@asks("alarm-set-absent")
def test_absent_alarm(cloud: Cloud, fact: Fact) -> None:
    request = {"AlarmName": "absent", "StateValue": "OK", "StateReason": "x"}
    status, code, message = refusal(cloud.cloudwatch.set_alarm_state, **request)
    assert (status, code) == (404, "ResourceNotFound")
    assert message in ("", "Unknown")  # the second is botocore's word for none


def composite(cloud: Cloud) -> list[str]:
    """Make a composite alarm of two, and return the ARNs of the two."""
    arns = [alarm_of(cloud, cloud.alarm(name))["AlarmArn"] for name in ("one", "two")]
    cloud.cloudwatch.put_composite_alarm(AlarmName="both", AlarmRule='ALARM("one") OR ALARM("two")')
    return arns


def triggers(alarm: dict[str, Any]) -> list[str]:
    return [one["arn"] for one in json.loads(alarm["StateReasonData"])["triggeringAlarms"]]


@asks("composite-created")
def test_new_composite_alarm(cloud: Cloud, fact: Fact) -> None:
    arns = composite(cloud)
    found = alarm_of(cloud, "both")
    assert found["StateValue"] == "OK"
    assert found["StateReason"] == f"{found['AlarmArn']} was created and its alarm rule evaluates to OK"
    assert triggers(found) == arns


@asks("composite-alarm", "composite-unchanged")
def test_composite_alarm(cloud: Cloud, fact: Fact) -> None:
    arns = composite(cloud)
    cloud.set_alarm("ALARM", "one")
    if fact.id == "composite-unchanged":
        cloud.set_alarm("ALARM", "two")
    found = alarm_of(cloud, "both")
    assert found["StateValue"] == "ALARM"
    assert triggers(found) == arns[:1]


# CloudWatch: metrics


@asks("metric-values-counts")
def test_values_and_counts(cloud: Cloud, fact: Fact) -> None:
    data = [{"MetricName": "M", "Values": [1.0, 2.0], "Counts": [1.0]}]
    status, code, message = refusal(cloud.cloudwatch.put_metric_data, Namespace="Ours", MetricData=data)
    assert (status, code) == (400, "InvalidParameterValue")
    assert message.endswith("must be of the same size.")


def span(cloud: Cloud, **before: float) -> dict[str, Any]:
    now = cloud.now()
    return {"StartTime": now - timedelta(**before), "EndTime": now + timedelta(seconds=60)}


def statistics_of(**more: Any) -> dict[str, Any]:
    return {"Namespace": "Ours", "MetricName": "M", "Period": 60, "Statistics": ["Average"], **more}


@asks("statistics-many")
def test_too_many_datapoints(cloud: Cloud, fact: Fact) -> None:
    now = cloud.now().replace(second=0, microsecond=0)
    request = statistics_of(StartTime=now - timedelta(days=1), EndTime=now, Period=1)
    status, code, message = refusal(cloud.cloudwatch.get_metric_statistics, **request)
    assert (status, code) == (400, "InvalidParameterCombination")
    assert message.startswith("You have requested up to 86400 datapoints, which exceeds the limit of 1440. ")


@asks("statistics-order")
def test_times_in_the_wrong_order(cloud: Cloud, fact: Fact) -> None:
    now = cloud.now()
    for start in (now, now + timedelta(hours=1)):
        assert refusal(
            cloud.cloudwatch.get_metric_statistics, **statistics_of(StartTime=start, EndTime=now)
        ) == (
            *(400, "InvalidParameterValue"),
            "The parameter StartTime must be less than the parameter EndTime.",
        )


@asks("statistics-none")
def test_no_statistics(cloud: Cloud, fact: Fact) -> None:
    found = cloud.cloudwatch.get_metric_statistics(**statistics_of(**span(cloud, hours=1)))
    assert (found["Datapoints"], found["Label"]) == ([], "M")


def put_units(cloud: Cloud, **values: float) -> None:
    data = [{"MetricName": "M", "Value": value, "Unit": unit} for unit, value in values.items()]
    cloud.cloudwatch.put_metric_data(Namespace="Ours", MetricData=data)


@asks("statistics-units")
def test_statistics_of_several_units(cloud: Cloud, fact: Fact) -> None:
    put_units(cloud, Seconds=1.0, Count=5.0)
    cloud.cloudwatch.put_metric_data(Namespace="Ours", MetricData=[{"MetricName": "M", "Value": 10.0}])
    found = cloud.cloudwatch.get_metric_statistics(**statistics_of(**span(cloud, hours=1)))["Datapoints"]
    assert sorted((point["Unit"], point["Average"]) for point in found) == [
        ("Count", 5.0),
        ("None", 10.0),
        ("Seconds", 1.0),
    ]


def data_of(cloud: Cloud, **more: Any) -> dict[str, Any]:
    stat = {"Metric": {"Namespace": "Ours", "MetricName": "M"}, "Period": 60, "Stat": "Sum", **more}
    (found,) = cloud.cloudwatch.get_metric_data(
        MetricDataQueries=[{"Id": "m1", "MetricStat": stat}], **span(cloud, hours=1)
    )["MetricDataResults"]
    return dict(found)


@asks("data-units")
def test_data_of_several_units(cloud: Cloud, fact: Fact) -> None:
    put_units(cloud, Seconds=60.0, Milliseconds=60_000.0)
    found = data_of(cloud)
    assert found["Values"] == [60_000.0]
    assert found["Messages"] == [
        {"Code": "MultipleUnits", "Value": "Multiple units returned: '[Milliseconds, Seconds]'"}
    ]
    assert data_of(cloud, Unit="Seconds")["Values"] == [60.0]
    assert "Messages" not in data_of(cloud, Unit="Seconds")


@asks("data-none")
def test_no_data(cloud: Cloud, fact: Fact) -> None:
    answer = cloud.cloudwatch.get_metric_data(
        MetricDataQueries=[
            {
                "Id": "m1",
                "MetricStat": {
                    "Metric": {"Namespace": "Ours", "MetricName": "M"},
                    "Period": 60,
                    "Stat": "Sum",
                },
            }
        ],
        **span(cloud, hours=1),
    )
    (found,) = answer["MetricDataResults"]
    assert (found["StatusCode"], found["Values"], answer["Messages"]) == ("Complete", [], [])


# IAM


@asks("iam-malformed")
def test_malformed_trust_policy(cloud: Cloud, fact: Fact) -> None:
    assert refusal(cloud.client("iam").create_role, RoleName="r", AssumeRolePolicyDocument="not json") == (
        400,
        "MalformedPolicyDocument",
        "This policy contains invalid Json",
    )


@asks("iam-policy-absent")
def test_absent_policy(cloud: Cloud, fact: Fact) -> None:
    arn = "arn:aws:iam::123456789012:policy/absent"
    assert refusal(cloud.client("iam").delete_policy, PolicyArn=arn) == (
        *(404, "NoSuchEntity"),
        f"Policy {arn} was not found.",
    )


@asks("iam-simulate")
def test_simulation(cloud: Cloud, fact: Fact) -> None:
    iam = cloud.client("iam")
    arn = iam.create_user(UserName="u")["User"]["Arn"]
    statement = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=document)
    found = iam.simulate_principal_policy(
        PolicySourceArn=arn, ActionNames=["s3:PutObject", "s3:GetObjectVersion"]
    )["EvaluationResults"]
    assert [one["EvalDecision"] for one in found] == ["allowed", "implicitDeny"]


# ECR


@asks("ecr-repository")
def test_repository(cloud: Cloud, fact: Fact) -> None:
    cloud.client("ecr").create_repository(repositoryName="team/repo")
    (found,) = cloud.client("ecr").describe_repositories()["repositories"]
    assert set(found) == {
        *(
            "repositoryArn",
            "registryId",
            "repositoryName",
            "repositoryUri",
            "createdAt",
            "imageTagMutability",
        ),
        *("imageScanningConfiguration", "encryptionConfiguration"),
    }
    assert found["imageTagMutability"] == "MUTABLE"
    assert found["imageScanningConfiguration"] == {"scanOnPush": False}
    assert found["encryptionConfiguration"] == {"encryptionType": "AES256"}


@asks("ecr-lifecycle-absent")
def test_absent_lifecycle_policy(cloud: Cloud, fact: Fact) -> None:
    cloud.client("ecr").create_repository(repositoryName="n")
    assert refusal(cloud.client("ecr").get_lifecycle_policy, repositoryName="n") == (
        *(400, "LifecyclePolicyNotFoundException"),
        "Lifecycle policy does not exist for the repository with name 'n' in the registry with id '123456789012'",
    )


@asks("ecr-image")
def test_image(cloud: Cloud, fact: Fact) -> None:
    push(cloud, imageTagMutability="MUTABLE")
    (found,) = cloud.client("ecr").describe_images(repositoryName="team/repo")["imageDetails"]
    assert set(found) >= {
        *("registryId", "repositoryName", "imageDigest", "imageTags", "imageSizeInBytes", "imagePushedAt"),
        *("imageManifestMediaType", "artifactMediaType"),
    }
    assert found["artifactMediaType"] == "application/vnd.docker.container.image.v1+json"
