"""Airflow's Amazon provider works against the local AWS unmodified: its hooks, operators, sensor and trigger.

Its deferrable operators need aiobotocore, whose versions do not go with boto3's of today: they run in a virtual environment of their
own. ``SageMakerEndpointSensor`` has no deferrable mode. Endpoints and endpoint configs are deleted through the hook's client, as
the provider has no operator for that.
"""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from tests.clients.environments import environment, run_client, without_ours
from tests.local.conftest import ROLE, Deployer, tar_bytes
from tests.operators.conftest import Ran, run_task, task_id

# The first run installs a second Airflow.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


@pytest.fixture
def deployer(deployer: Deployer, monkeypatch: pytest.MonkeyPatch) -> Deployer:
    """An empty local AWS, which the connection ``aws_default`` leads to."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(deployer.aws.connection()))
    return deployer


def run(operator: str, **parameters: Any) -> Any:
    """Run an operator of the provider, and return its return value."""
    from airflow.providers.amazon.aws.operators import sagemaker

    return run_task(getattr(sagemaker, f"SageMaker{operator}Operator")(task_id=task_id(), **parameters)).value


def container(deployer: Deployer, number: str) -> dict[str, Any]:
    return {"Image": deployer.push_image(), "Environment": {"VERSION": number}}


def model(deployer: Deployer, number: str) -> dict[str, Any]:
    return {
        "ModelName": f"m{number}",
        "ExecutionRoleArn": ROLE,
        "PrimaryContainer": container(deployer, number),
    }


def config(number: str, **variant: Any) -> dict[str, Any]:
    members = {
        "VariantName": "main",
        "ModelName": f"m{number}",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        "ContainerStartupHealthCheckTimeoutInSeconds": 60,
    }
    return {"EndpointConfigName": f"c{number}", "ProductionVariants": [{**members, **variant}]}


def endpoint(number: str) -> dict[str, Any]:
    return {"EndpointName": "e", "EndpointConfigName": f"c{number}"}


def test_the_operator_that_registers_models(deployer: Deployer) -> None:
    """It makes the group once: "already exists" is no error to it."""
    from airflow.providers.amazon.aws.utils.sagemaker import ApprovalStatus

    data = deployer.upload(tar_bytes({"weights": b"1"}))
    registered = [
        run(
            "RegisterModelVersion",
            image_uri=deployer.push_image(),
            model_url=data,
            package_group_name="churn",
            model_approval=approval,
        )
        for approval in (ApprovalStatus.PENDING_MANUAL_APPROVAL, ApprovalStatus.APPROVED)
    ]
    assert [arn.rpartition("model-package/")[2] for arn in registered] == ["churn/1", "churn/2"]
    request = {"ModelName": "m1", "ExecutionRoleArn": ROLE}
    with pytest.raises(ClientError, match="is not Approved"):
        run("Model", config={**request, "PrimaryContainer": {"ModelPackageName": registered[0]}})
    run("Model", config={**request, "PrimaryContainer": {"ModelPackageName": registered[1]}})
    run("EndpointConfig", config=config("1"))
    run("Endpoint", config=endpoint("1"), operation="create", check_interval=1, deferrable=False)
    assert deployer.invoke("e")["model"] == {"weights": "1"}


def test_the_sensor_that_waits_for_an_approval(deployer: Deployer) -> None:
    """An approval in SageMaker is a message in the queue of a rule, which a DAG waits for."""
    from airflow.providers.amazon.aws.sensors.sqs import SqsSensor

    sagemaker, sqs, events = (deployer.aws.client(name) for name in ("sagemaker", "sqs", "events"))
    url = sqs.create_queue(QueueName="approved")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"UpdatedModelPackageFields": ["ModelApprovalStatus"]},
    }
    events.put_rule(Name="approved", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="approved", Targets=[{"Id": "queue", "Arn": queue}])
    sagemaker.create_model_package_group(ModelPackageGroupName="churn")
    arns = [
        sagemaker.create_model_package(ModelPackageGroupName="churn")["ModelPackageArn"] for _ in range(2)
    ]
    for arn, status in zip(arns, ("Rejected", "Approved"), strict=True):
        sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=status)
    sensor = SqsSensor(
        task_id=task_id(),
        sqs_queue=url,
        max_messages=1,
        wait_time_seconds=0,
        poke_interval=0.1,
        message_filtering="jsonpath",
        message_filtering_config="detail.ModelApprovalStatus",
        message_filtering_match_values=["Approved"],
    )
    (message,) = run_task(sensor).xcoms["messages"]
    assert json.loads(message["Body"])["detail"]["ModelPackageArn"] == arns[1]


def test_the_hooks(deployer: Deployer) -> None:
    from airflow.providers.amazon.aws.hooks.ecr import EcrHook
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from airflow.providers.amazon.aws.hooks.sagemaker import SageMakerHook

    s3 = S3Hook()
    s3.create_bucket(bucket_name="models")
    s3.load_bytes(tar_bytes({"a": b"b"}), key="model.tar.gz", bucket_name="models")
    assert s3.check_for_key("model.tar.gz", "models")
    credentials = EcrHook().get_temporary_credentials()
    assert credentials[0].username == "AWS"
    assert credentials[0].proxy_endpoint == deployer.aws.endpoint_url

    sagemaker = SageMakerHook()
    request = model(deployer, "1")
    request["PrimaryContainer"]["ModelDataUrl"] = "s3://models/model.tar.gz"
    sagemaker.create_model(request)
    sagemaker.create_endpoint_config(config("1"))
    sagemaker.create_endpoint(endpoint("1"), wait_for_completion=True, check_interval=1)
    assert sagemaker.describe_endpoint("e")["EndpointStatus"] == "InService"
    sagemaker.update_endpoint(endpoint("1"), wait_for_completion=True, check_interval=1)


def test_each_resource_with_its_operator_from_upload_to_deletion(deployer: Deployer, tmp_path: Path) -> None:
    from airflow.providers.amazon.aws.hooks.sagemaker import SageMakerHook
    from airflow.providers.amazon.aws.sensors.sagemaker import SageMakerEndpointSensor

    deployer.aws.client("iam").create_role(RoleName="serving", AssumeRolePolicyDocument=json.dumps(TRUST))
    artifact = tmp_path / "model.tar.gz"
    artifact.write_bytes(tar_bytes({"weights": b"1"}))
    upload = {"Path": str(artifact), "Bucket": "models", "Key": "model.tar.gz", "Tar": False}
    first = {
        **model(deployer, "1"),
        # A name, which the operator looks up.
        "ExecutionRoleArn": "serving",
        "S3Operations": {"S3CreateBucket": [{"Bucket": "models"}], "S3Upload": [upload]},
    }
    first["PrimaryContainer"]["ModelDataUrl"] = "s3://models/model.tar.gz"
    made = run("Model", config=first)["Model"]
    assert made["ModelArn"].endswith(":model/m1")
    assert made["ExecutionRoleArn"].endswith(":role/serving")

    # Templates make strings of numbers, and the operator numbers of these.
    made = run("EndpointConfig", config=config("1", InitialInstanceCount="1"))["EndpointConfig"]
    assert made["ProductionVariants"][0]["InitialInstanceCount"] == 1

    done = run("Endpoint", config=endpoint("1"), check_interval=1)
    assert (done["Endpoint"]["EndpointStatus"], done["EndpointConfig"]["EndpointConfigName"]) == (
        "InService",
        "c1",
    )
    answer = deployer.invoke("e")
    assert (answer["version"], answer["model"]) == ("1", {"weights": "1"})

    run("Model", config=model(deployer, "2"))
    run("EndpointConfig", config=config("2"))
    run("Endpoint", config=endpoint("2"), operation="update", wait_for_completion=False)
    sensor = SageMakerEndpointSensor(task_id=task_id(), endpoint_name="e", poke_interval=1, timeout=60)
    assert run_task(sensor) == Ran()
    assert deployer.invoke("e")["version"] == "2"

    client: Any = SageMakerHook().conn
    client.delete_endpoint(EndpointName="e")
    client.get_waiter("endpoint_deleted").wait(EndpointName="e", WaiterConfig={"Delay": 1})
    for number in "12":
        client.delete_endpoint_config(EndpointConfigName=f"c{number}")
        run("DeleteModel", config={"ModelName": f"m{number}"})
    assert deployer.sagemaker.list_models()["Models"] == []
    with pytest.raises(ClientError, match="Could not find model"):
        run("DeleteModel", config={"ModelName": "m1"})


def test_all_with_one_operator_and_a_second_create_that_becomes_an_update(deployer: Deployer) -> None:
    for number in "12":
        whole = {
            "Model": model(deployer, number),
            "EndpointConfig": config(number),
            # It tells by the words of the refusal that the endpoint exists, and leaves out the tags then.
            "Endpoint": {**endpoint(number), "Tags": [{"Key": "run", "Value": number}]},
        }
        done = run("Endpoint", config=whole, check_interval=1)
        assert done["Endpoint"]["EndpointConfigName"] == f"c{number}"
        assert deployer.invoke("e")["version"] == number
    tags = deployer.sagemaker.list_tags(ResourceArn=done["Endpoint"]["EndpointArn"])["Tags"]
    assert tags == [{"Key": "run", "Value": "1"}]


def test_a_failed_endpoint_is_a_failure_of_operator_and_sensor(deployer: Deployer) -> None:
    from airflow.providers.amazon.aws.sensors.sagemaker import SageMakerEndpointSensor
    from airflow.providers.common.compat.sdk import AirflowException

    broken = model(deployer, "1")
    broken["PrimaryContainer"]["Environment"]["CRASH"] = "1"
    run("Model", config=broken)
    run("EndpointConfig", config=config("1", ContainerStartupHealthCheckTimeoutInSeconds=60))
    with pytest.raises(WaiterError, match="terminal failure state"):
        run("Endpoint", config=endpoint("1"), check_interval=1)
    sensor = SageMakerEndpointSensor(task_id=task_id(), endpoint_name="e", poke_interval=1)
    with pytest.raises(AirflowException, match=r"failed for the following reason: .*main"):
        run_task(sensor)


def test_the_deferrable_operator_and_its_trigger(deployer: Deployer, tmp_path: Path) -> None:
    """The same versions as here, and aiobotocore, which brings a boto3 of its own."""
    packages = ("apache-airflow", "apache-airflow-providers-amazon")
    airflow, amazon = (version(package) for package in packages)
    programs = environment(
        "airflow-aiobotocore", f"apache-airflow=={airflow}", f"{packages[1]}[aiobotocore]=={amazon}"
    )
    for number in "12":
        deployer.sagemaker.create_model(**model(deployer, number))
        deployer.sagemaker.create_endpoint_config(**config(number))
    broken = model(deployer, "3")
    broken["PrimaryContainer"]["Environment"]["CRASH"] = "1"
    deployer.sagemaker.create_model(**broken)
    deployer.sagemaker.create_endpoint_config(**config("3"))
    asked = [
        ("create", endpoint("1")),
        ("update", endpoint("2")),
        ("create", {**endpoint("3"), "EndpointName": "f"}),
    ]
    created, updated, failed = run_client(
        programs,
        "amazon_provider_deferred",
        json.dumps(asked),
        env={
            **without_ours(deployer.aws),
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(deployer.aws.connection()),
        },
    )
    assert (created["EndpointStatus"], created["EndpointConfigName"]) == ("InService", "c1")
    assert (updated["EndpointStatus"], updated["EndpointConfigName"]) == ("InService", "c2")
    assert failed["error"] == "AirflowException"
    assert "did not pass the ping health check" in failed["said"]
    assert deployer.invoke("e")["version"] == "2"
