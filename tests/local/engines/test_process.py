from __future__ import annotations

import re
import subprocess
from typing import Any

import botocore.exceptions
import pytest

from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import OCI_MANIFEST, ROLE, Deployer, tar_bytes, wait_until

CRASH = {"CRASH": "1"}


@pytest.fixture(scope="module")
def local(process_deployer: Deployer) -> Deployer:
    return process_deployer


@pytest.fixture(scope="module")
def image(local: Deployer) -> str:
    return local.push_image()


def test_the_container_answers_with_its_model_its_environment_and_the_callers_headers(
    local: Deployer, image: str
) -> None:
    data = local.upload(tar_bytes({"weights.txt": b"0.5", "code/x.txt": b"y"}))
    model = local.model(Image=image, ModelDataUrl=data, Environment={"VERSION": "1"})
    endpoint = local.endpoint(local.config(local.variant(model)))
    answer = local.invoke(endpoint, b"1,2,3", Accept="application/json", CustomAttributes="trace=7")
    assert answer == {
        "version": "1",
        "body": "1,2,3",
        "content_type": "text/csv",
        "accept": "application/json",
        "custom": "trace=7",
        "model": {"weights.txt": "0.5", "code/x.txt": "y"},
        "aws": [],
        "variant": "main",
    }


def test_model_data_may_be_an_uncompressed_prefix(local: Deployer, image: str) -> None:
    uri = local.upload(b"0.5", key="models/a/weights.txt").removesuffix("weights.txt")
    source = {"S3Uri": uri, "S3DataType": "S3Prefix", "CompressionType": "None"}
    model = local.model(Image=image, ModelDataSource={"S3DataSource": source})
    endpoint = local.endpoint(local.config(local.variant(model)))
    assert local.invoke(endpoint)["model"] == {"weights.txt": "0.5"}


def test_describe_endpoint_names_the_image_by_digest(local: Deployer, image: str) -> None:
    endpoint = local.endpoint(local.config(local.variant(local.model(Image=image))))
    (deployed,) = local.describe(endpoint)["ProductionVariants"][0]["DeployedImages"]
    assert deployed["SpecifiedImage"] == image
    assert "@sha256:" in deployed["ResolvedImage"]


def test_lines_of_the_container_are_in_cloudwatch_logs(local: Deployer, image: str) -> None:
    endpoint = local.endpoint(local.config(local.variant(local.model(Image=image))))
    local.invoke(endpoint)
    wait_until(lambda: "answered /invocations" in local.log(endpoint))


def test_a_container_that_crashes_fails_the_endpoint_which_can_only_be_deleted(
    local: Deployer, image: str
) -> None:
    config = local.config(local.variant(local.model(Image=image, Environment=CRASH)))
    endpoint = local.endpoint(config)
    found = local.describe(endpoint)
    assert found["EndpointStatus"] == "Failed"
    assert found["FailureReason"] == (
        "The primary container for production variant main did not pass the ping health check. Please check "
        "CloudWatch logs for this endpoint."
    )
    assert "RuntimeError: this container crashes" in local.log(endpoint)
    with pytest.raises(botocore.exceptions.ClientError, match="Failed"):
        local.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    local.sagemaker.delete_endpoint(EndpointName=endpoint)


def test_an_update_that_fails_goes_back_to_the_old_config_which_never_stopped_answering(
    local: Deployer, image: str
) -> None:
    good = local.config(local.variant(local.model(Image=image, Environment={"VERSION": "good"})))
    bad = local.config(local.variant(local.model(Image=image, Environment=CRASH)))
    endpoint = local.endpoint(good)
    local.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=bad)
    pending = local.describe(endpoint)
    versions = {local.invoke(endpoint)["version"]}
    found = local.settled(endpoint)
    versions.add(local.invoke(endpoint)["version"])
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", good)
    assert "did not pass the ping health check" in found["FailureReason"]
    assert "PendingDeploymentSummary" not in found
    assert versions == {"good"}
    if pending["EndpointStatus"] == "Updating":
        assert pending["EndpointConfigName"] == good
        assert pending["PendingDeploymentSummary"]["EndpointConfigName"] == bad


def test_an_update_switches_to_the_new_fleet_and_forgets_the_failure_before(
    local: Deployer, image: str
) -> None:
    old = local.config(local.variant(local.model(Image=image, Environment={"VERSION": "1"})))
    bad = local.config(local.variant(local.model(Image=image, Environment=CRASH)))
    new = local.config(local.variant(local.model(Image=image, Environment={"VERSION": "2"})))
    endpoint = local.endpoint(old)
    for config in (bad, new):
        local.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
        found = local.settled(endpoint)
    assert found["EndpointConfigName"] == new
    assert "FailureReason" not in found
    assert local.invoke(endpoint)["version"] == "2"


def test_invocations_are_routed_by_weight_and_by_target_variant(local: Deployer, image: str) -> None:
    variants = [
        local.variant(
            local.model(Image=image, Environment={"VERSION": name}), name=name, InitialVariantWeight=weight
        )
        for name, weight in (("blue", 9.0), ("green", 1.0))
    ]
    endpoint = local.endpoint(local.config(*variants))
    answers = [local.invoke(endpoint) for _ in range(200)]
    assert all(answer["variant"] == answer["version"] for answer in answers)
    green = sum(answer["variant"] == "green" for answer in answers)
    # 20 expected; outside of this once in ten million runs.
    assert 2 <= green <= 50
    assert local.invoke(endpoint, TargetVariant="green")["version"] == "green"
    local.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint, DesiredWeightsAndCapacities=[{"VariantName": "blue", "DesiredWeight": 0.0}]
    )
    local.settled(endpoint)
    assert {local.invoke(endpoint)["variant"] for _ in range(20)} == {"green"}
    with pytest.raises(botocore.exceptions.ClientError, match="Variant red"):
        local.invoke(endpoint, TargetVariant="red")


def test_a_pipeline_hands_each_containers_answer_to_the_next(local: Deployer, image: str) -> None:
    name = local.name("pipeline")
    local.sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=ROLE,
        Containers=[{"Image": image, "Environment": {"VERSION": version}} for version in "12"],
    )
    endpoint = local.endpoint(local.config(local.variant(name)))
    answer = local.invoke(endpoint, b"x")
    assert answer["version"] == "2"
    assert answer["content_type"] == "application/json"
    assert '"version": "1"' in answer["body"]


def test_what_goes_wrong_in_the_container_is_a_model_error(local: Deployer, image: str) -> None:
    endpoint = local.endpoint(local.config(local.variant(local.model(Image=image))))
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        local.invoke(endpoint, b"fail")
    response = caught.value.response
    assert response["Error"]["Code"] == "ModelError"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == 503
    assert response["OriginalMessage"] == "the model is ill"
    assert response["LogStreamArn"].endswith(f"/aws/sagemaker/Endpoints/{endpoint}")
    assert 'Received server error (503) from primary with message "the model is ill"' in str(caught.value)


def test_an_entry_point_that_is_not_python_fails_the_endpoint_and_says_so(local: Deployer) -> None:
    image = local.push_image({"bin/serve": b"#!/bin/sh\nexit 0\n"}, config={"Entrypoint": ["/bin/serve"]})
    endpoint = local.endpoint(local.config(local.variant(local.model(Image=image))))
    assert "is not Python (/bin/serve)" in local.describe(endpoint)["FailureReason"]


@pytest.mark.parametrize(
    "config",
    [
        {"Entrypoint": ["/opt/program/serve.py"]},
        {"Entrypoint": ["/usr/bin/env", "python3", "-u", "serve.py"], "WorkingDir": "/opt/program"},
        {"Entrypoint": ["python", "-m", "serve"], "WorkingDir": "/opt/program"},
        {"Entrypoint": ["python", "-m", "serve"], "Env": ["PYTHONPATH=/opt/program"]},
    ],
    ids=["script", "relative", "module", "pythonpath"],
)
def test_python_entry_points_of_all_sorts_run(local: Deployer, config: dict[str, Any]) -> None:
    image = local.push_image(config=config)
    endpoint = local.endpoint(local.config(local.variant(local.model(Image=image))))
    assert local.describe(endpoint)["EndpointStatus"] == "InService", local.describe(endpoint)


def test_hostile_model_archives_fail_the_endpoint_with_a_reason(local: Deployer, image: str) -> None:
    data = local.upload(tar_bytes({"../../escaped.txt": b"x"}))
    endpoint = local.endpoint(local.config(local.variant(local.model(Image=image, ModelDataUrl=data))))
    assert "member outside of its folder" in local.describe(endpoint)["FailureReason"]


def test_oci_images_are_refused_by_create_model(local: Deployer) -> None:
    image = local.push_image(media_type=OCI_MANIFEST)
    with pytest.raises(
        botocore.exceptions.ClientError,
        match=re.escape(f"Unsupported manifest media type {OCI_MANIFEST} for"),
    ) as caught:
        local.model(Image=image)
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_invocations_are_metrics(local: Deployer, image: str) -> None:
    endpoint = local.endpoint(local.config(local.variant(local.model(Image=image), InitialInstanceCount=2)))
    for body in (b"a", b"slow"):
        local.invoke(endpoint, body)
    with pytest.raises(botocore.exceptions.ClientError):
        local.invoke(endpoint, b"fail")
    cloudwatch = local.aws.client("cloudwatch")

    def total(name: str, statistic: str = "Sum") -> float:
        from datetime import UTC, datetime, timedelta

        now = datetime.now(UTC)
        (point,) = cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=name,
            Dimensions=[
                {"Name": "EndpointName", "Value": endpoint},
                {"Name": "VariantName", "Value": "main"},
            ],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=5),
            Period=3600,
            Statistics=[statistic],
        )["Datapoints"]
        return point[statistic]

    assert total("Invocations") == 3
    assert total("InvocationsPerInstance") == 1.5
    assert total("Invocation5XXErrors") == 1
    assert total("Invocation4XXErrors") == 0
    assert 300_000 < total("ModelLatency", "Maximum") < 3_000_000


def test_deleting_the_endpoint_ends_its_processes(local: Deployer, image: str) -> None:
    endpoint = local.endpoint(local.config(local.variant(local.model(Image=image))))
    marker = local.describe(endpoint)["EndpointArn"]
    assert marker
    local.sagemaker.delete_endpoint(EndpointName=endpoint)
    local.sagemaker.get_waiter("endpoint_deleted").wait(
        EndpointName=endpoint, WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )


def test_nothing_is_left_when_the_server_ends(image: str) -> None:
    from airflow_sm_hosting.local import LocalAws

    with LocalAws(engine="process", transition_seconds=0) as aws:
        deployer = Deployer(aws)
        own = deployer.push_image(config={"Entrypoint": ["python3", "/opt/program/serve.py"], "Env": []})
        deployer.endpoint(deployer.config(deployer.variant(deployer.model(Image=own))))
        children = _children(aws)
        assert children
    wait_until(lambda: not any(_runs(pid) for pid in children))


def _children(aws: LocalAws) -> list[str]:
    pid = str(aws._process.pid)
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", pid], capture_output=True, text=True, check=False)
    return listed.stdout.split()


def _runs(pid: str) -> bool:
    return subprocess.run(["ps", "-p", pid], capture_output=True, check=False).returncode == 0
