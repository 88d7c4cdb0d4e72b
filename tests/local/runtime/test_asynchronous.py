"""InvokeEndpointAsync: the queue, what is put into S3, what is told by SNS and by metrics.

https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference.html and the pages below it
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.data_plane import Answer, Asked, DataPlane, data_plane, echo, slow, wait_until


@pytest.fixture(scope="module")
def plane_() -> Iterator[DataPlane]:
    with data_plane() as plane:
        yield plane


@pytest.fixture
def plane(plane_: DataPlane) -> DataPlane:
    plane_.reset()
    return plane_


class Queue:
    """An asynchronous endpoint with its buckets and topics."""

    def __init__(
        self,
        plane: DataPlane,
        model: Any,
        *,
        topics: bool = False,
        included: tuple[Any, ...] = (),
        client: Any = None,
    ) -> None:
        self.plane = plane
        self.bucket = plane.bucket(**{"in": b"input"})
        self.queues: dict[str, str] = {}
        output: dict[str, Any] = {
            "S3OutputPath": f"s3://{self.bucket}/out/",
            "S3FailurePath": f"s3://{self.bucket}/failed",
        }
        if topics:
            output["NotificationConfig"] = {
                "SuccessTopic": self.topic("Success"),
                "ErrorTopic": self.topic("Error"),
                "IncludeInferenceResponseIn": list(included),
            }
        config = {"OutputConfig": output, **({"ClientConfig": client} if client else {})}
        self.name = plane.serving(model, AsyncInferenceConfig=config)

    def topic(self, name: str) -> Any:
        sns, sqs = self.plane.client("sns"), self.plane.client("sqs")
        arn = sns.create_topic(Name=name)["TopicArn"]
        queue = sqs.create_queue(QueueName=name)["QueueUrl"]
        of_queue = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
        sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=of_queue["QueueArn"])
        self.queues[name] = queue
        return arn

    def told(self, name: str) -> Any:
        found = self.plane.client("sqs").receive_message(QueueUrl=self.queues[name], MaxNumberOfMessages=10)
        return [json.loads(json.loads(row["Body"])["Message"]) for row in found.get("Messages", ())]

    def invoke(self, **members: Any) -> Any:
        members = members or {"InputLocation": f"s3://{self.bucket}/in"}
        return self.plane.runtime.invoke_endpoint_async(EndpointName=self.name, **members)

    def metric(self, name: str, statistic: str = "Sum") -> Any:
        return self.plane.metric(name, statistic, EndpointName=self.name, VariantName="main")

    def backlog(self, name: str, statistic: str = "Maximum") -> Any:
        return self.plane.metric(name, statistic, EndpointName=self.name)

    def scale(self, instances: int) -> None:
        self.plane.hosting.endpoints.set_desired(self.name, "main", instance_count=instances)
        self.plane.deployer.settled(self.name)


def test_the_answer_is_put_into_s3(plane: DataPlane) -> None:
    """API_runtime_InvokeEndpointAsync.html: 202 with InferenceId, OutputLocation and FailureLocation."""
    queue = Queue(plane, lambda asked: Answer(b"<" + asked.body + b">", content_type="text/x"), topics=True)
    answer = queue.invoke(
        InputLocation=f"s3://{queue.bucket}/in", ContentType="text/csv", Accept="text/x", InferenceId="i-1"
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["InferenceId"] == "i-1"
    assert answer["OutputLocation"].startswith(f"s3://{queue.bucket}/out/")
    assert answer["OutputLocation"].endswith(".out")
    assert answer["FailureLocation"].startswith(f"s3://{queue.bucket}/failed/")
    plane.settled()
    assert plane.object(answer["OutputLocation"]) == b"<input>"
    assert plane.object(answer["FailureLocation"]) is None
    # https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-check-predictions.html
    (told,) = queue.told("Success")
    now = "2026-01-01T"
    assert told.pop("eventTime").startswith(now)
    assert told.pop("receivedTime").startswith(now)
    assert told == {
        "awsRegion": "us-east-1",
        "invocationStatus": "Completed",
        "requestParameters": {
            "contentType": "text/csv",
            "accept": "text/x",
            "endpointName": queue.name,
            "inputLocation": f"s3://{queue.bucket}/in",
        },
        "responseParameters": {"contentType": "text/x", "outputLocation": answer["OutputLocation"]},
        "inferenceId": "i-1",
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
    assert queue.told("Error") == []


def test_the_metrics_are_those_of_asynchronous_endpoints_only(plane: DataPlane) -> None:
    """async-inference-monitor.html: "Any metric not listed below is not published"."""
    queue = Queue(plane, echo)
    queue.invoke()
    plane.settled()
    listed = {
        row["MetricName"]
        for row in plane.client("cloudwatch").list_metrics(Namespace="AWS/SageMaker")["Metrics"]
        if {"Name": "VariantName", "Value": "main"} in row["Dimensions"]
    }
    assert listed == {
        "ModelLatency",
        "Invocation4XXErrors",
        "Invocation5XXErrors",
        "RequestDownloadLatency",
        "ResponseUploadLatency",
        "TimeInBacklog",
        "TotalProcessingTime",
        "InvocationsProcessed",
    }
    assert queue.metric("InvocationsProcessed") == 1


@pytest.mark.parametrize(
    ("model", "members", "reason", "body", "metric"),
    [
        (lambda asked: Answer(b'{"why": 1}', status=400), {}, "client error (400)", b'{"why": 1}', None),
        (echo, {"InputLocation": "s3://absent/in"}, "cannot be downloaded", None, "RequestDownloadFailures"),
        (slow(3), {"InvocationTimeoutSeconds": 1}, "timed out", None, None),
    ],
    ids=["model", "input", "time"],
)
def test_a_failure_is_put_into_s3_and_told(
    plane: DataPlane, model: Any, members: dict[str, Any], reason: str, body: bytes | None, metric: str | None
) -> None:
    """API_AsyncInferenceOutputConfig.html, S3FailurePath; async-inference-monitor.html, InvocationFailures."""
    queue = Queue(plane, model, topics=True)
    answer = queue.invoke(**{"InputLocation": f"s3://{queue.bucket}/in", **members})
    plane.settled()
    assert plane.object(answer["OutputLocation"]) is None
    written = plane.object(answer["FailureLocation"])
    assert written == body if body else reason in written.decode()
    (told,) = queue.told("Error")
    assert told["invocationStatus"] == "Failed"
    assert reason in told["failureReason"]
    assert told["responseParameters"] == {"failureLocation": answer["FailureLocation"]}
    assert queue.told("Success") == []
    assert queue.metric("InvocationFailures") == 1
    if metric:
        assert queue.metric(metric) == 1


def test_the_answer_can_be_told_by_sns(plane: DataPlane) -> None:
    """API_AsyncInferenceNotificationConfig.html: up to 128 KB."""
    queue = Queue(plane, echo, topics=True, included=["SUCCESS_NOTIFICATION_TOPIC"])
    queue.invoke(Body=b"small")
    queue.invoke(Body=b"l" * 100_000)
    plane.settled()
    told = [message["responseBody"]["content"] for message in queue.told("Success")]
    assert sorted(len(base64.b64decode(one)) for one in told) == [5, 100_000]


def test_input_in_the_request(plane: DataPlane) -> None:
    """API_runtime_InvokeEndpointAsync.html: Body, at most 128,000 bytes; aws-samples/sagemaker-genai-hosting-examples#208."""
    queue = Queue(plane, echo)
    answer = queue.invoke(Body=bytes(128_000))
    plane.settled()
    assert plane.object(answer["OutputLocation"]) == bytes(128_000)
    for members in ({"Body": b"x", "InputLocation": f"s3://{queue.bucket}/in"}, {"ContentType": "text/csv"}):
        with pytest.raises(ClientError, match="ValidationError"):
            queue.invoke(**members)
    with pytest.raises(ClientError, match="length less than or equal to 128000"):
        queue.invoke(Body=bytes(128_001))


def test_the_name_of_the_output_can_be_chosen(plane: DataPlane) -> None:
    """API_runtime_InvokeEndpointAsync.html: S3OutputPathExtension and Filename."""
    queue = Queue(plane, echo)
    answer = queue.invoke(Body=b"x", S3OutputPathExtension="team/a", Filename="answer.json")
    assert answer["OutputLocation"] == f"s3://{queue.bucket}/out/team/a/answer.json"
    plane.settled()
    assert plane.object(answer["OutputLocation"]) == b"x"


def test_an_asynchronous_endpoint_has_no_streams(plane: DataPlane) -> None:
    """async-inference.html; the sentence is assumed."""
    name = Queue(plane, echo).name
    with pytest.raises(ClientError, match="does not support this inference type"):
        plane.runtime.invoke_endpoint_with_response_stream(EndpointName=name, Body=b"")


def test_an_instance_works_on_so_many_at_once(plane: DataPlane) -> None:
    """API_AsyncInferenceClientConfig.html: MaxConcurrentInvocationsPerInstance."""
    lock, go_on, now, most = threading.Lock(), threading.Event(), [0], [0]

    def model(asked: Asked) -> Any:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        assert go_on.wait(10)
        with lock:
            now[0] -= 1
        return echo(asked)

    queue = Queue(plane, model, client={"MaxConcurrentInvocationsPerInstance": 2})
    for _ in range(5):
        queue.invoke()
    wait_until(lambda: now[0] == 2)
    go_on.set()
    wait_until(lambda: queue.metric("InvocationsProcessed") == 5)
    assert most[0] == 2


def test_without_instances_requests_wait_and_the_backlog_is_published(plane: DataPlane) -> None:
    """async-inference-autoscale.html and async-inference-monitor.html: backlog metrics have EndpointName only."""
    queue = Queue(plane, echo)
    queue.scale(0)
    answers = [queue.invoke() for _ in range(3)]
    plane.clock.advance(60)
    assert plane.object(answers[0]["OutputLocation"]) is None
    assert queue.backlog("ApproximateBacklogSize") == 3
    assert queue.backlog("HasBacklogWithoutCapacity") == 1
    assert queue.backlog("ApproximateBacklogSizePerInstance") is None
    assert queue.backlog("ApproximateAgeOfOldestRequest") == 60
    queue.scale(2)
    plane.clock.advance(60)
    for answer in answers:
        assert plane.object(answer["OutputLocation"]) == b"input"
    assert queue.backlog("HasBacklogWithoutCapacity", "Minimum") == 0
    assert queue.backlog("ApproximateBacklogSizePerInstance") == 0
    assert 60_000 <= queue.metric("TimeInBacklog", "Maximum") <= 62_000


def test_a_backlog_scales_the_endpoint_out_from_zero(plane: DataPlane) -> None:
    """async-inference-autoscale.html: a step policy on HasBacklogWithoutCapacity."""
    queue = Queue(plane, echo)
    queue.scale(0)
    scaling = plane.client("application-autoscaling")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{queue.name}/variant/main",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling.register_scalable_target(**target, MinCapacity=0, MaxCapacity=5)
    policy = scaling.put_scaling_policy(
        **target,
        PolicyName="from-zero",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "Cooldown": 300,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        },
    )["PolicyARN"]
    plane.client("cloudwatch").put_metric_alarm(
        AlarmName="from-zero",
        MetricName="HasBacklogWithoutCapacity",
        Namespace="AWS/SageMaker",
        Statistic="Average",
        Dimensions=[{"Name": "EndpointName", "Value": queue.name}],
        Period=60,
        EvaluationPeriods=2,
        DatapointsToAlarm=2,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="missing",
        AlarmActions=[policy],
    )
    answer = queue.invoke()
    plane.clock.advance(300)
    (variant,) = plane.deployer.describe(queue.name)["ProductionVariants"]
    assert variant["CurrentInstanceCount"] == 1
    assert plane.object(answer["OutputLocation"]) == b"input"


def test_a_request_that_waits_too_long_expires(plane: DataPlane) -> None:
    """API_runtime_InvokeEndpointAsync.html: RequestTTLSeconds."""
    queue = Queue(plane, echo, topics=True)
    queue.scale(0)
    short = queue.invoke(Body=b"x", RequestTTLSeconds=60)
    long = queue.invoke(Body=b"x")
    plane.clock.advance(61)
    assert b"RequestTTLSeconds" in (plane.object(short["FailureLocation"]) or b"")
    assert [message["inferenceId"] for message in queue.told("Error")] == [short["InferenceId"]]
    assert queue.metric("ExpiredRequests") == 1
    assert plane.object(long["FailureLocation"]) is None
    # "The default is 6 hours, or 21,600 seconds."
    plane.clock.advance(21_600)
    assert plane.object(long["FailureLocation"])


def test_the_queue_goes_with_its_endpoint(plane: DataPlane) -> None:
    queue = Queue(plane, echo)
    queue.scale(0)
    answer = queue.invoke()
    plane.sagemaker.delete_endpoint(EndpointName=queue.name)
    plane.clock.advance(5)
    plane.sagemaker.create_endpoint(
        EndpointName=queue.name,
        EndpointConfigName=plane.sagemaker.list_endpoint_configs()["EndpointConfigs"][0][
            "EndpointConfigName"
        ],
    )
    plane.deployer.settled(queue.name)
    plane.clock.advance(60)
    assert plane.object(answer["OutputLocation"]) is None
    assert queue.backlog("ApproximateBacklogSize") == 0
