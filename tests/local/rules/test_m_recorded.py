"""What only recorded answers of AWS tell"""

from __future__ import annotations

import json
from datetime import timedelta

from tests.local.rules.cloud import IMAGE, ROLE, Cloud, refused, rolling
from tests.local.rules.test_j_components import create, describe


def test_role_is_assumed(cloud: Cloud) -> None:
    """The execution role of a model must exist and trust SageMaker.

    Source: recorded:model-role-invalid
    """
    arn = "arn:aws:iam::123456789012:role/other"
    with refused(f'The execution role ARN "{arn}" is invalid', "sts:AssumeRole"):
        cloud.sagemaker.create_model(ModelName="m", ExecutionRoleArn=arn, PrimaryContainer={"Image": IMAGE})


def test_image_or_package(cloud: Cloud) -> None:
    """A container has an image or a model package, not both.

    Source: recorded:model-package-and-image
    """
    package = "arn:aws:sagemaker:us-east-1:123456789012:model-package/p/1"
    with refused("Specify one of either Image and Model Data URL or ModelPackageName"):
        cloud.model(container={"Image": IMAGE, "ModelPackageName": package})


def test_defaults_of_a_container(cloud: Cloud) -> None:
    """DescribeModel returns Mode and Environment of a container that was given neither.

    Source: recorded:model-describe
    """
    container = cloud.described_model(cloud.model())["PrimaryContainer"]
    assert (container["Mode"], container["Environment"]) == ("SingleModel", {})


def test_images_are_resolved_at_the_call(cloud: Cloud) -> None:
    """The images of an endpoint are resolved when it is created, not when its containers start.

    Source: recorded:endpoint-image-resolved
    """
    with cloud.aws.fault("capacity", instance_type="ml.m5.large", seconds=60):
        name = cloud.begin_endpoint(cloud.config(cloud.variant(VariantInstanceProvisionTimeoutInSeconds=300)))
        cloud.advance(120)
    found = cloud.describe(name)
    (image,) = found["ProductionVariants"][0]["DeployedImages"]
    assert image["ResolutionTime"] - found["CreationTime"] <= timedelta(seconds=1)


def test_rolling_needs_two_instances(cloud: Cloud) -> None:
    """A rolling deployment to a single instance is rejected by UpdateEndpoint.

    Source: recorded:rolling-single-update
    """
    one = cloud.config(cloud.variant(count=1))
    name = cloud.endpoint(one)
    with refused("Cannot update endpoint with single instance using RollingUpdatePolicy"):
        cloud.update(name, one, rolling())


def test_new_endpoint_rolls_to_two_instances(cloud: Cloud) -> None:
    """A rolling deployment to a single instance is rejected by CreateEndpoint, too.

    Source: recorded:rolling-single-create
    """
    with refused("Cannot update endpoint with single instance using RollingUpdatePolicy"):
        cloud.begin_endpoint(cloud.config(cloud.variant(count=1)), DeploymentConfig=rolling())


def test_quota_is_told_at_once(cloud: Cloud) -> None:
    """A request that exceeds the account's quota of an instance type is a ResourceLimitExceeded.

    Source: recorded:endpoint-quota
    """
    cloud.aws.set_quotas({"ml.m5.large for endpoint usage": 1})
    config = cloud.config(cloud.variant(count=2))
    with refused("'ml.m5.large for endpoint usage' is 1 Instances", code="ResourceLimitExceeded"):
        cloud.begin_endpoint(config)


def test_not_every_region_scales_to_zero(cloud: Cloud) -> None:
    """In some Regions, managed instance scaling has at least one instance.

    Source: recorded:config-scale-to-zero-region
    """
    import boto3

    session = boto3.Session(cloud.aws.access_key, "x", region_name="eu-west-3")
    sagemaker = session.client("sagemaker", endpoint_url=cloud.aws.endpoint_url)
    variant = {
        "VariantName": "main",
        "InstanceType": "ml.g5.xlarge",
        "InitialInstanceCount": 1,
        "ManagedInstanceScaling": {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 2},
    }
    with refused("Min instance count needs to be greater than 0"):
        sagemaker.create_endpoint_config(
            EndpointConfigName="c",
            ExecutionRoleArn=ROLE,
            ProductionVariants=[variant],  # type: ignore[list-item]
        )


def test_copies_need_room(cloud: Cloud) -> None:
    """An inference component whose copy does not fit on the instances fails.

    Source: recorded:component-no-room
    """
    needs = {"MinMemoryRequiredInMb": 16_384}
    create(
        cloud,
        cloud.endpoint(cloud.component_config()),
        Specification={"ComputeResourceRequirements": needs},
    )
    cloud.advance(5)
    found = describe(cloud)
    assert found["InferenceComponentStatus"] == "Failed"
    assert "not enough hardware resources" in found["FailureReason"]


def test_busy_component(cloud: Cloud) -> None:
    """An inference component that is being created or scaled cannot be deleted.

    Source: recorded:component-delete-busy
    """
    create(cloud, cloud.endpoint(cloud.component_config()))
    with refused("Cannot delete inference component", "while it is in state CREATE_IN_PROGRESS"):
        cloud.sagemaker.delete_inference_component(InferenceComponentName="component")
    cloud.advance(5)
    cloud.sagemaker.update_inference_component_runtime_config(
        InferenceComponentName="component", DesiredRuntimeConfig={"CopyCount": 2}
    )
    with refused("while it is in state UPDATE_RC_IN_PROGRESS"):
        cloud.sagemaker.delete_inference_component(InferenceComponentName="component")


def test_host_of_components_stays(cloud: Cloud) -> None:
    """An endpoint with inference components cannot be deleted.

    Source: recorded:component-host-delete
    """
    host = cloud.endpoint(cloud.component_config())
    create(cloud, host)
    cloud.advance(5)
    with refused("Cannot delete endpoint with inference component associated."):
        cloud.sagemaker.delete_endpoint(EndpointName=host)


def test_no_copies_no_answer(cloud: Cloud) -> None:
    """An inference component without copies rejects requests.

    Source: recorded:invoke-no-copies
    """
    host = cloud.endpoint(cloud.component_config())
    create(cloud, host)
    cloud.advance(5)
    cloud.sagemaker.update_inference_component_runtime_config(
        InferenceComponentName="component", DesiredRuntimeConfig={"CopyCount": 0}
    )
    cloud.advance(5)
    with refused("Inference Component has no capacity", code="ValidationError"):
        cloud.runtime.invoke_endpoint(EndpointName=host, InferenceComponentName="component", Body=b"1")


def test_body_of_a_serverless_endpoint(cloud: Cloud) -> None:
    """A serverless endpoint takes 4 MB at most.

    Source: recorded:invoke-oversize-serverless; guide:serverless-endpoints-invoke.html
    """
    name = cloud.endpoint(cloud.config(cloud.serverless()))
    with refused("has oversize body", code="ValidationError"):
        cloud.runtime.invoke_endpoint(EndpointName=name, Body=b"x" * (4 * 1024 * 1024 + 1))


def test_tags_of_a_known_target(cloud: Cloud) -> None:
    """RegisterScalableTarget with tags is rejected for a registered target.

    Source: recorded:scaling-tags-again
    """
    target = cloud.scaled(cloud.endpoint())
    with refused("The scalable target that you tried to tag already exists"):
        cloud.scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=2, Tags={"a": "b"})


def test_reason_of_one_period(cloud: Cloud) -> None:
    """Without DatapointsToAlarm, the reason of a state names the datapoints alone.

    Source: recorded:alarm-one-data
    """
    cloud.alarm(Threshold=2.0)
    cloud.put(21.5)
    cloud.advance(61)
    (found,) = cloud.cloudwatch.describe_alarms(AlarmNames=["alarm"])["MetricAlarms"]
    assert found["StateReason"].startswith("Threshold Crossed: 1 datapoint [21.5 (")
    assert found["StateReason"].endswith(")] was greater than the threshold (2.0).")


def test_missing_datapoints_are_told(cloud: Cloud) -> None:
    """StateReasonData has the times of periods without data that were evaluated.

    Source: recorded:alarm-missing-evaluated
    """
    cloud.alarm(TreatMissingData="breaching", EvaluationPeriods=2)
    cloud.advance(61)
    (found,) = cloud.cloudwatch.describe_alarms(AlarmNames=["alarm"])["MetricAlarms"]
    points = json.loads(found["StateReasonData"])["evaluatedDatapoints"]
    assert [list(point) for point in points] == [["timestamp"], ["timestamp"]]


def test_new_composite_alarm(cloud: Cloud) -> None:
    """A new composite alarm is evaluated at once, with all its children as triggers.

    Source: recorded:composite-created
    """
    for name in ("one", "two"):
        cloud.alarm(name)
    cloud.cloudwatch.put_composite_alarm(AlarmName="both", AlarmRule="ALARM(one) OR ALARM(two)")
    found = cloud.cloudwatch.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"][0]
    assert found["StateReason"].endswith(":alarm:both was created and its alarm rule evaluates to OK")
    assert len(json.loads(found["StateReasonData"])["triggeringAlarms"]) == 2


def test_history_of_a_composite_alarm(cloud: Cloud) -> None:
    """DescribeAlarmHistory and DescribeAlarms return composite alarms only if AlarmTypes has them.

    Source: cloudwatch:API_DescribeAlarmHistory.html; cloudwatch:API_DescribeAlarms.html
    """
    cloud.alarm("one")
    cloud.cloudwatch.put_composite_alarm(AlarmName="both", AlarmRule="ALARM(one)")
    assert cloud.cloudwatch.describe_alarms(AlarmNames=["both"])["CompositeAlarms"] == []
    history = cloud.cloudwatch.describe_alarm_history
    assert history(AlarmName="both")["AlarmHistoryItems"] == []
    found = history(AlarmName="both", AlarmTypes=["CompositeAlarm"])["AlarmHistoryItems"]
    assert {item["HistoryItemType"] for item in found} == {"ConfigurationUpdate", "StateUpdate"}
    assert {item["AlarmType"] for item in found} == {"CompositeAlarm"}


def put_units(cloud: Cloud) -> None:
    data = [
        {"MetricName": "M", "Value": value, "Unit": unit}
        for unit, value in (("Seconds", 60.0), ("Milliseconds", 60_000.0))
    ]
    cloud.cloudwatch.put_metric_data(Namespace="Ours", MetricData=data)


def test_statistics_of_units(cloud: Cloud) -> None:
    """GetMetricStatistics without a unit returns a datapoint for each unit.

    Source: recorded:statistics-units
    """
    put_units(cloud)
    found = cloud.cloudwatch.get_metric_statistics(
        Namespace="Ours",
        MetricName="M",
        StartTime=cloud.now() - timedelta(hours=1),
        EndTime=cloud.now() + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    assert {(one["Unit"], one["Sum"]) for one in found} == {("Seconds", 60.0), ("Milliseconds", 60_000.0)}


def test_data_of_units(cloud: Cloud) -> None:
    """GetMetricData without a unit returns the data of one unit, and the message MultipleUnits.

    Source: recorded:data-units
    """
    put_units(cloud)
    stat = {"Metric": {"Namespace": "Ours", "MetricName": "M"}, "Period": 60, "Stat": "Sum"}
    (found,) = cloud.cloudwatch.get_metric_data(
        MetricDataQueries=[{"Id": "m", "MetricStat": stat}],
        StartTime=cloud.now() - timedelta(hours=1),
        EndTime=cloud.now() + timedelta(minutes=1),
    )["MetricDataResults"]
    assert found["Values"] == [60_000.0]
    assert found["Messages"][0]["Code"] == "MultipleUnits"


def test_times_in_order(cloud: Cloud) -> None:
    """GetMetricStatistics rejects a StartTime that is not before EndTime as InvalidParameterValue.

    Source: recorded:statistics-order
    """
    with refused("StartTime must be less than", code="InvalidParameterValue"):
        cloud.cloudwatch.get_metric_statistics(
            Namespace="Ours",
            MetricName="M",
            StartTime=cloud.now(),
            EndTime=cloud.now(),
            Period=60,
            Statistics=["Sum"],
        )


def test_events_of_endpoints(cloud: Cloud) -> None:
    """EventBridge gets an event when an endpoint's status changes.

    Source: recorded:event-states; guide:automating-sagemaker-with-eventbridge.html
    """
    sqs, events = cloud.client("sqs"), cloud.client("events")
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="r", EventPattern=json.dumps({"source": ["aws.sagemaker"]}))
    events.put_targets(Rule="r", Targets=[{"Id": "q", "Arn": arn}])
    cloud.endpoint()
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert json.loads(message["Body"])["detail"]["EndpointStatus"] == "IN_SERVICE"
