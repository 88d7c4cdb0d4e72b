from __future__ import annotations

import json
import os
import shutil
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.local.client.control import LocalAwsError
from airflow_sm_hosting.local.server.state import State, StateError
from tests.local.conftest import ROLE, Deployer, tar_bytes, wait_until

ARCHIVE = tar_bytes({"weights": b"1"})
QUEUE = "arn:aws:sqs:us-east-1:123456789012:queue"


def without_answer(told: Any) -> Any:
    return {name: value for name, value in told.items() if name != "ResponseMetadata"}


def kill(aws: LocalAws) -> None:
    os.kill(aws.health()["pid"], signal.SIGKILL)
    aws.stop()


class Seen:
    """All that is to be the same before and after."""

    def __init__(self, aws: LocalAws, endpoint: str) -> None:
        sagemaker, scaling = aws.client("sagemaker"), aws.client("application-autoscaling")
        one = {"ServiceNamespace": "sagemaker"}
        found = sagemaker.describe_endpoint(EndpointName=endpoint)
        arn = found["EndpointArn"]
        asked = {
            "models": [
                sagemaker.describe_model(ModelName=model["ModelName"])
                for model in sagemaker.list_models(SortBy="Name")["Models"]
            ],
            "configs": [
                sagemaker.describe_endpoint_config(EndpointConfigName=config["EndpointConfigName"])
                for config in sagemaker.list_endpoint_configs(SortBy="Name")["EndpointConfigs"]
            ],
            "components": [
                sagemaker.describe_inference_component(InferenceComponentName=name)
                for name in (
                    c["InferenceComponentName"]
                    for c in sagemaker.list_inference_components()["InferenceComponents"]
                )
            ],
            "tags": sagemaker.list_tags(ResourceArn=arn),
            "packages": sagemaker.search(Resource="ModelPackage"),
            "groups": sagemaker.search(Resource="ModelPackageGroup"),
            "policy": sagemaker.get_model_package_group_policy(ModelPackageGroupName="Churn"),
            "targets": scaling.describe_scalable_targets(**one),
            "target_tags": scaling.list_tags_for_resource(
                ResourceARN=scaling.describe_scalable_targets(**one)["ScalableTargets"][0][
                    "ScalableTargetARN"
                ]
            ),
            "policies": scaling.describe_scaling_policies(**one),
            "scheduled": scaling.describe_scheduled_actions(**one),
            "alarms": aws.client("cloudwatch").describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"]),
            "history": aws.client("cloudwatch").describe_alarm_history(AlarmName="mine"),
            "buckets": aws.client("s3").list_buckets(),
            "roles": aws.client("iam").list_roles(),
            "topics": aws.client("sns").list_subscriptions(),
            "images": aws.client("ecr").describe_images(repositoryName="team/repo-1"),
        }
        self.endpoint = {
            name: value for name, value in without_answer(found).items() if name != "LastModifiedTime"
        }
        for variant in self.endpoint["ProductionVariants"]:
            for image in variant["DeployedImages"]:
                del image["ResolutionTime"]
        self.rest = {}
        for what, answer in asked.items():
            answers = answer if isinstance(answer, list) else [answer]
            self.rest[what] = [without_answer(one) for one in answers]
        for component in self.rest["components"]:
            del component["LastModifiedTime"]
            component["Specification"].get("Container", {}).pop("DeployedImage", None)


def make_everything(aws: LocalAws) -> Any:
    deployer = Deployer(aws)
    image = deployer.push_image({"opt/program/serve.py": b"pass"})
    data = deployer.upload(ARCHIVE)
    model = deployer.model(Image=image, ModelDataUrl=data)
    config = deployer.config(
        deployer.variant(model, "a", InitialVariantWeight=2.0),
        deployer.variant(model, "b"),
        Tags=[{"Key": "k", "Value": "v"}],
    )
    endpoint = deployer.endpoint(config, wait=False, Tags=[{"Key": "who", "Value": "me"}])
    aws.advance(1)
    change = {"VariantName": "b", "DesiredWeight": 3.0, "DesiredInstanceCount": 2}
    deployer.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint, DesiredWeightsAndCapacities=[change]
    )
    aws.advance(1)
    sagemaker = deployer.sagemaker
    sagemaker.create_model_package_group(ModelPackageGroupName="Churn", Tags=[{"Key": "k", "Value": "v"}])
    sagemaker.put_model_package_group_policy(ModelPackageGroupName="Churn", ResourcePolicy="{}")
    containers = {"Containers": [{"Image": image, "ModelDataUrl": data}]}
    package = sagemaker.create_model_package(
        ModelPackageGroupName="Churn", InferenceSpecification=containers, ModelApprovalStatus="Approved"
    )["ModelPackageArn"]
    sagemaker.create_model(
        ModelName="a-of-package", ExecutionRoleArn=ROLE, PrimaryContainer={"ModelPackageName": package}
    )
    scaling = aws.client("application-autoscaling")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/a",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=4, Tags={"team": "x"})
    scaling.put_scaling_policy(
        **target,
        PolicyName="track",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 10.0,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            },
        },
    )
    scaling.put_scheduled_action(
        **target,
        ScheduledActionName="up",
        Schedule="rate(1 hour)",
        ScalableTargetAction={"MinCapacity": 3},
    )
    sns, sqs = aws.client("sns"), aws.client("sqs")
    sqs.create_queue(QueueName="queue")
    topic = sns.create_topic(Name="topic")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=QUEUE)
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName="mine",
        Namespace="N",
        MetricName="M",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[topic],
    )
    aws.client("iam").create_role(RoleName="role", AssumeRolePolicyDocument="{}")
    aws.client("ssm").put_parameter(Name="parameter", Value="x", Type="String")

    host = deployer.name("config")
    deployer.sagemaker.create_endpoint_config(
        EndpointConfigName=host,
        ExecutionRoleArn=ROLE,
        ProductionVariants=[{"VariantName": "v", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}],
    )
    shared = deployer.endpoint(host, wait=False)
    aws.advance(1)
    deployer.sagemaker.create_inference_component(
        InferenceComponentName="component",
        EndpointName=shared,
        VariantName="v",
        Specification={"ModelName": model, "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 128}},
        RuntimeConfig={"CopyCount": 2},
    )
    aws.advance(1)
    deployer.sagemaker.create_inference_component(
        InferenceComponentName="adapter",
        EndpointName=shared,
        Specification={"BaseInferenceComponentName": "component", "Container": {"ArtifactUrl": data}},
    )
    aws.advance(1)
    failed = deployer.name("failed")
    with aws.fault("crash", endpoint=failed, when="start"):
        deployer.sagemaker.create_endpoint(EndpointName=failed, EndpointConfigName=config)
        aws.advance(1)
    # In use, and gone.
    deployer.sagemaker.delete_endpoint_config(EndpointConfigName=host)
    return deployer, endpoint, failed


def test_what_was_created_outlives_a_kill(tmp_path: Path) -> None:
    folder, log = tmp_path / "state", tmp_path / "log"
    options = {
        "engine": "none",
        "clock": "virtual",
        "transition_seconds": 0,
        "state": folder,
        "log_file": log,
    }
    aws = LocalAws(**options)
    with aws:
        deployer, endpoint, failed = make_everything(aws)
        before, now, url = Seen(aws, endpoint), aws.now(), aws.endpoint_url
        with pytest.raises(LocalAwsError, match=r"Another local AWS uses the state folder"):
            LocalAws(**options | {"log_file": None}).start()
        deployer.sagemaker.add_tags(
            ResourceArn=deployer.describe(endpoint)["EndpointArn"],
            Tags=[{"Key": "written-last", "Value": "1"}],
        )
        before.rest["tags"][0]["Tags"].append({"Key": "written-last", "Value": "1"})
        wait_until(lambda: "written-last" in (folder / "state.json").read_text())
        kill(aws)
    assert "NOT SAVED: the contents of ssm are lost" in log.read_text()
    # What is pickled is moto's: the modules of this package may move.
    assert not [path for path in folder.rglob("*.pickle") if b"airflow_sm_hosting" in path.read_bytes()]
    for path in folder.rglob("*"):
        if path.is_file() and path.parent.name != "registry":
            assert path.stat().st_mode & 0o022 == 0, path

    aws = LocalAws(**options)
    with aws:
        assert aws.now() == now
        aws.advance(0)
        after = Seen(aws, endpoint)
        assert after.rest == before.rest
        # Its registry has another port, and knows the images by their old names.
        assert (after.endpoint, aws.endpoint_url != url) == (before.endpoint, True)
        assert aws.client("sagemaker").describe_endpoint(EndpointName=failed)["EndpointStatus"] == "Failed"
        bucket, key = (
            before.rest["models"][0]["PrimaryContainer"]["ModelDataUrl"].removeprefix("s3://").split("/")
        )
        assert aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read() == ARCHIVE
        with pytest.raises(ClientError, match="ParameterNotFound"):
            aws.client("ssm").get_parameter(Name="parameter")

        # What was kept is alive: alarms reach the queue, schedules come due.
        aws.client("cloudwatch").set_alarm_state(AlarmName="mine", StateValue="ALARM", StateReason="x")
        queue = aws.client("sqs").get_queue_url(QueueName="queue")["QueueUrl"]
        (message,) = aws.client("sqs").receive_message(QueueUrl=queue)["Messages"]
        assert "mine" in message["Body"]
        aws.advance(timedelta(hours=1, seconds=5))
        variants = aws.client("sagemaker").describe_endpoint(EndpointName=endpoint)["ProductionVariants"]
        assert {v["VariantName"]: v["CurrentInstanceCount"] for v in variants} == {"a": 3, "b": 2}
        Deployer(aws).sagemaker.delete_endpoint(EndpointName=failed)
        aws.reset()

    with LocalAws(**options) as aws:
        assert aws.client("sagemaker").list_models()["Models"] == []
        assert aws.client("s3").list_buckets()["Buckets"] == []
    assert list((folder / "objects").iterdir()) == []
    assert list((folder / "registry" / "blobs").iterdir()) == []


def test_a_state_that_0_1_wrote_is_restored(tmp_path: Path) -> None:
    """``state_of_0_1.json`` was written by the server before its modules lay in folders; it must be read for ever."""
    folder = tmp_path / "state"
    folder.mkdir()
    shutil.copy(Path(__file__).with_name("state_of_0_1.json"), folder / "state.json")
    with LocalAws(engine="none", clock="virtual", transition_seconds=1, state=folder) as aws:
        aws.advance(5)
        sagemaker = aws.client("sagemaker")
        model = sagemaker.describe_model(ModelName="model")
        assert model["PrimaryContainer"]["Image"] == "elsewhere/image:1"
        assert sagemaker.list_tags(ResourceArn=model["ModelArn"])["Tags"] == [{"Key": "k", "Value": "v"}]
        endpoint = sagemaker.describe_endpoint(EndpointName="Endpoint")
        (variant,) = endpoint["ProductionVariants"]
        assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", "config")
        assert (variant["CurrentWeight"], variant["CurrentInstanceCount"]) == (2.0, 3)
        base, adapter = (
            sagemaker.describe_inference_component(InferenceComponentName=name)
            for name in ("base", "adapter")
        )
        assert (base["InferenceComponentStatus"], base["RuntimeConfig"]["CurrentCopyCount"]) == (
            "InService",
            2,
        )
        assert adapter["InferenceComponentStatus"] == "InService"
        assert adapter["Specification"] == {
            "BaseInferenceComponentName": "base",
            "Container": {"ArtifactUrl": "s3://bucket/a.tar.gz"},
        }
        scaling, one = aws.client("application-autoscaling"), {"ServiceNamespace": "sagemaker"}
        (target,) = scaling.describe_scalable_targets(**one)["ScalableTargets"]
        assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 4)
        arn = target["ScalableTargetARN"]
        assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"team": "x"}
        (policy,) = scaling.describe_scaling_policies(**one)["ScalingPolicies"]
        (action,) = scaling.describe_scheduled_actions(**one)["ScheduledActions"]
        assert (policy["PolicyName"], action["ScheduledActionName"]) == ("track", "night")
        cloudwatch = aws.client("cloudwatch")
        (mine,) = cloudwatch.describe_alarms(AlarmNames=["mine"])["MetricAlarms"]
        (both,) = cloudwatch.describe_alarms(AlarmNames=["both"], AlarmTypes=["CompositeAlarm"])[
            "CompositeAlarms"
        ]
        assert (mine["StateValue"], mine["StateReason"], both["StateValue"]) == ("ALARM", "told", "ALARM")
        tags = cloudwatch.list_tags_for_resource(ResourceARN=mine["AlarmArn"])["Tags"]
        assert tags == [{"Key": "a", "Value": "b"}]


def test_containers_are_started_again(tmp_path: Path) -> None:
    options = {"engine": "process", "transition_seconds": 0, "state": tmp_path}
    with LocalAws(**options) as aws:
        deployer = Deployer(aws)
        data = deployer.upload(tar_bytes({"weights": b"kept"}))
        model = deployer.model(Image=deployer.push_image(), ModelDataUrl=data)
        endpoint = deployer.endpoint(deployer.config(deployer.variant(model)))
        # An update that is cut off does not happen.
        slow = deployer.model(Image=deployer.push_image(), Environment={"PING_STATUS": "500"})
        deployer.sagemaker.update_endpoint(
            EndpointName=endpoint, EndpointConfigName=deployer.config(deployer.variant(slow))
        )
        config = deployer.describe(endpoint)["EndpointConfigName"]
    with LocalAws(**options) as aws:
        deployer = Deployer(aws)
        assert deployer.settled(endpoint)["EndpointStatus"] == "InService"
        assert deployer.invoke(endpoint)["model"] == {"weights": "kept"}
        found = deployer.describe(endpoint)
        assert found["EndpointConfigName"] == config
        assert "interrupted" in found["FailureReason"]


# Metrics and alarms


def put(aws: LocalAws, *values: Any, name: str = "M") -> None:
    data = [{"MetricName": name, "Value": value} for value in values]
    aws.client("cloudwatch").put_metric_data(Namespace="N", MetricData=data)


def told(aws: LocalAws, name: str = "M", **where: Any) -> Any:
    found = aws.client("cloudwatch").get_metric_statistics(
        Namespace=where.pop("namespace", "N"),
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in where.items()],
        StartTime=aws.now() - timedelta(hours=1),
        EndTime=aws.now() + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum", "SampleCount"],
        ExtendedStatistics=["p90"],
    )["Datapoints"]
    return sorted(found, key=lambda point: point["Timestamp"])


@pytest.mark.parametrize("ends", ["killed", "stopped"])
def test_metrics_and_what_alarms_make_of_them_outlive_the_server(tmp_path: Path, ends: str) -> None:
    options = {"engine": "none", "clock": "virtual", "transition_seconds": 0, "state": tmp_path}
    with LocalAws(**options) as aws:
        cloudwatch = aws.client("cloudwatch")
        cloudwatch.put_metric_alarm(
            AlarmName="three",
            Namespace="N",
            MetricName="M",
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=3,
            Threshold=5,
            ComparisonOperator="GreaterThanThreshold",
        )
        for value in (9, 9):
            put(aws, value, 1)
            aws.advance(60)
        before = told(aws)
        assert [point["Sum"] for point in before] == [10, 10]
        if ends == "killed":
            put(aws, 1, name="last")
            aws.advance(1)
            # What is asked for is written a moment later.
            metrics = tmp_path / "metrics.sqlite"
            wait_until(lambda: b"last" in metrics.read_bytes())
            wait_until(lambda: aws.now().isoformat() in (tmp_path / "state.json").read_text())
            kill(aws)
    with LocalAws(**options) as aws:
        assert told(aws) == before
        assert aws.client("cloudwatch").list_metrics(Namespace="N", MetricName="M")["Metrics"]
        put(aws, 9, 1)
        aws.advance(60)
        # Two of its three minutes were before.
        state = {a["AlarmName"]: a for a in aws.client("cloudwatch").describe_alarms()["MetricAlarms"]}
        assert state["three"]["StateValue"] == "ALARM"
        assert "[9.0" in state["three"]["StateReason"]
        aws.reset()
        assert told(aws) == []
    with LocalAws(**options) as aws:
        assert aws.client("cloudwatch").list_metrics()["Metrics"] == []


def test_data_of_metrics_that_cannot_be_read_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "metrics.sqlite").write_bytes(b"junk" * 1000)
    with pytest.raises(LocalAwsError, match=r"metrics\.sqlite cannot be read: file is not a database"):
        LocalAws(engine="none", state=tmp_path).start()
    assert (tmp_path / "metrics.sqlite").read_bytes() == b"junk" * 1000


# Asynchronous requests


def async_config(deployer: Deployer, model: Any, bucket: str, **client: Any) -> Any:
    output = {"S3OutputPath": f"s3://{bucket}/out", "S3FailurePath": f"s3://{bucket}/failed"}
    config = {"OutputConfig": output, **({"ClientConfig": client} if client else {})}
    return deployer.config(deployer.variant(model), AsyncInferenceConfig=config)


def content(aws: LocalAws, uri: str) -> Any:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        return aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    except aws.client("s3").exceptions.NoSuchKey:
        return None


def test_accepted_requests_are_answered_after_a_kill_and_after_a_stop(tmp_path: Path) -> None:
    options = {"engine": "process", "transition_seconds": 0, "state": tmp_path}
    kept = tmp_path / "async"
    with LocalAws(**options) as aws:
        deployer = Deployer(aws)
        model = deployer.model(Image=deployer.push_image(), Environment={"SECONDS": "0.5"})
        bucket = deployer.name("bucket")
        aws.client("s3").create_bucket(Bucket=bucket)
        aws.client("s3").put_object(Bucket=bucket, Key="in", Body=b"of S3")
        config = async_config(deployer, model, bucket, MaxConcurrentInvocationsPerInstance=1)
        endpoint = deployer.endpoint(config)
        # The state has the endpoint.
        state = tmp_path / "state.json"
        wait_until(lambda: state.exists() and endpoint in state.read_text())

        def invoke(aws: LocalAws, **members: Any) -> Any:
            invoke = aws.client("sagemaker-runtime").invoke_endpoint_async
            return invoke(EndpointName=endpoint, **members)["OutputLocation"]

        asked = [
            invoke(aws, InputLocation=f"s3://{bucket}/in", ContentType="text/csv"),
            *(invoke(aws, Body=b"%d" % number) for number in range(3)),
        ]
        # At once, while the first is being worked on.
        kill(aws)
    assert len(list(kept.iterdir())) == 4
    assert all(path.stat().st_mode & 0o077 == 0 for path in kept.iterdir())
    with LocalAws(**options) as aws:
        wait_until(lambda: content(aws, asked[0]))
        # It is stopped while the second is being worked on.
        asked.append(invoke(aws, Body=b"last"))
    with LocalAws(**options) as aws:
        answers = [json.loads(wait_until(lambda uri=uri: content(aws, uri))) for uri in asked]
        assert [answer["body"] for answer in answers] == ["of S3", "0", "1", "2", "last"]
        assert answers[0]["content_type"] == "text/csv"
        keys = [row["Key"] for row in aws.client("s3").list_objects_v2(Bucket=bucket)["Contents"]]
        assert not [key for key in keys if key.startswith("failed")]
        # They go when their answers are kept.
        wait_until(lambda: not list(kept.iterdir()))
    with LocalAws(**options) as aws:
        assert json.loads(content(aws, asked[-1]))["body"] == "last"


def test_a_request_expires_while_the_server_is_away_and_goes_with_its_endpoint(tmp_path: Path) -> None:
    options = {"engine": "none", "clock": "virtual", "transition_seconds": 0, "state": tmp_path}
    kept = tmp_path / "async"
    with LocalAws(**options) as aws:
        deployer = Deployer(aws)
        bucket = deployer.name("bucket")
        aws.client("s3").create_bucket(Bucket=bucket)
        config = async_config(deployer, deployer.model(), bucket)
        endpoints = [deployer.endpoint(config, wait=False) for _ in range(2)]
        aws.advance(1)
        answers = []
        for endpoint in endpoints:
            aws.client("sagemaker").update_endpoint_weights_and_capacities(
                EndpointName=endpoint,
                DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": 0}],
            )
            aws.advance(1)
            for seconds in (60, 7200):
                answers.append(
                    aws.client("sagemaker-runtime").invoke_endpoint_async(
                        EndpointName=endpoint, Body=b"x", RequestTTLSeconds=seconds
                    )
                )
    # What another endpoint of that name was asked is nobody's.
    for path in kept.iterdir():
        one = json.loads(path.read_text())
        if one["endpoint"] == endpoints[1]:
            path.write_text(json.dumps({**one, "endpoint_created": "2020-01-01T00:00:00+00:00"}))
    (kept / "half.new").write_text("{")
    with LocalAws(**options) as aws:
        wait_until(lambda: len(list(kept.iterdir())) == 2)
        aws.advance(61)
        assert b"RequestTTLSeconds" in content(aws, answers[0]["FailureLocation"])
        assert content(aws, answers[1]["FailureLocation"]) is None
        where = {"EndpointName": endpoints[0], "VariantName": "main"}
        (point,) = told(aws, "ExpiredRequests", namespace="AWS/SageMaker", **where)
        assert point["Sum"] == 1
        wait_until(lambda: len(list(kept.iterdir())) == 1)
        aws.reset()
        wait_until(lambda: not list(kept.iterdir()))


def test_a_request_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "async").mkdir()
    for content, said in (("{", "cannot be read"), ('{"version": 2}', "does not have the version 1")):
        (tmp_path / "async" / "a.json").write_text(content)
        with pytest.raises(LocalAwsError, match=rf"a\.json {said}"):
            LocalAws(engine="none", state=tmp_path).start()


def test_a_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    # Whoever can change a pickle in it can run code.
    tmp_path.chmod(0o777)
    with pytest.raises(StateError, match="nobody else may have write access"):
        State(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"), [("{", "cannot be read"), ('{"version": 99}', "has the version 99, not 1")]
)
def test_a_state_that_cannot_be_read_is_left_alone(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "state.json").write_text(content)
    with pytest.raises(LocalAwsError, match=said):
        LocalAws(engine="none", state=tmp_path).start()
    assert (tmp_path / "state.json").read_text() == content


def test_a_pickle_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"version": 1, "moto": "5.2.0", "state": null}')
    (tmp_path / "moto").mkdir(mode=0o700)
    (tmp_path / "moto" / "s3.pickle").write_bytes(b"junk")
    state = State(tmp_path)
    with pytest.raises(StateError, match=r"s3\.pickle cannot be read by moto 5\.2\S* \(written by 5\.2\.0\)"):
        state.load()
    state.close()
    assert (tmp_path / "moto" / "s3.pickle").exists()
