from __future__ import annotations

from collections.abc import Iterator

import botocore.exceptions
import pytest

from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import Deployer, wait_until
from tests.local.test_control_plane import refusal_of


@pytest.fixture(scope="module")
def slow() -> Iterator[Deployer]:
    """A local AWS whose transitions can be watched."""
    with LocalAws(engine="none", transition_seconds=0.3) as aws:
        yield Deployer(aws)


def test_an_endpoint_is_created_and_told_of_meanwhile(slow):
    config = slow.config(slow.variant(InitialInstanceCount=3))
    endpoint = slow.endpoint(config, wait=False)
    creating = slow.describe(endpoint)
    assert creating["EndpointStatus"] == "Creating"
    assert "ProductionVariants" not in creating
    pending = creating["PendingDeploymentSummary"]
    assert pending["EndpointConfigName"] == config
    assert pending["ProductionVariants"][0]["DesiredInstanceCount"] == 3
    assert pending["ProductionVariants"][0]["VariantStatus"][0]["Status"] == "Creating"
    slow.sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName=endpoint, WaiterConfig={"Delay": 1, "MaxAttempts": 10}
    )
    found = slow.describe(endpoint)
    assert "PendingDeploymentSummary" not in found
    (variant,) = found["ProductionVariants"]
    assert (variant["CurrentWeight"], variant["DesiredWeight"]) == (1.0, 1.0)
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (3, 3)
    assert found["LastModifiedTime"] > found["CreationTime"]


@pytest.mark.parametrize("status", ["Creating", "Updating", "Deleting"])
def test_nothing_can_be_done_to_an_endpoint_in_transition(slow, status):
    config = slow.config()
    endpoint = slow.endpoint(config, wait=status != "Creating")
    if status == "Updating":
        slow.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    if status == "Deleting":
        slow.sagemaker.delete_endpoint(EndpointName=endpoint)
    found = slow.describe(endpoint)
    assert found["EndpointStatus"] == status
    refusal = ("ValidationException", f'Cannot update in-progress endpoint "{found["EndpointArn"]}".')
    sagemaker = slow.sagemaker
    assert refusal_of(sagemaker.delete_endpoint, EndpointName=endpoint) == refusal
    assert refusal_of(sagemaker.update_endpoint, EndpointName=endpoint, EndpointConfigName=config) == refusal
    assert (
        refusal_of(
            sagemaker.update_endpoint_weights_and_capacities,
            EndpointName=endpoint,
            DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredWeight": 2.0}],
        )
        == refusal
    )


def test_an_update_resets_weights_and_counts_unless_they_are_retained(slow):
    first, second, third, fourth = (slow.config(slow.variant(InitialInstanceCount=2)) for _ in range(4))
    endpoint = slow.endpoint(first)
    slow.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint,
        DesiredWeightsAndCapacities=[
            {"VariantName": "main", "DesiredWeight": 0.5, "DesiredInstanceCount": 5}
        ],
    )
    updating = slow.describe(endpoint)
    assert updating["EndpointStatus"] == "Updating"
    (variant,) = updating["ProductionVariants"]
    assert variant["VariantStatus"][0]["Status"] == "Updating"
    assert (variant["CurrentWeight"], variant["DesiredWeight"]) == (1.0, 0.5)
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (2, 5)
    assert _properties(slow.settled(endpoint)) == (0.5, 5)

    def update(config, **more):
        slow.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config, **more)
        return _properties(slow.settled(endpoint))

    assert update(second, RetainAllVariantProperties=True) == (0.5, 5)
    excluded = [{"VariantPropertyType": "DesiredWeight"}]
    assert update(third, RetainAllVariantProperties=True, ExcludeRetainedVariantProperties=excluded) == (
        1.0,
        5,
    )
    assert update(fourth) == (1.0, 2)


def _properties(endpoint) -> tuple[float, int]:
    (variant,) = endpoint["ProductionVariants"]
    return variant["CurrentWeight"], variant["CurrentInstanceCount"]


def test_updating_shows_the_old_config_and_the_pending_one(slow):
    old, new = slow.config(), slow.config()
    endpoint = slow.endpoint(old)
    slow.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=new)
    updating = slow.describe(endpoint)
    assert (updating["EndpointStatus"], updating["EndpointConfigName"]) == ("Updating", old)
    assert updating["PendingDeploymentSummary"]["EndpointConfigName"] == new
    assert updating["ProductionVariants"]
    assert slow.settled(endpoint)["EndpointConfigName"] == new


def test_an_update_to_the_config_that_serves_is_accepted(slow):
    config = slow.config()
    endpoint = slow.endpoint(config)
    slow.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    assert slow.settled(endpoint)["EndpointConfigName"] == config


def test_an_update_after_the_old_config_was_deleted_is_refused(deployer):
    old, new = deployer.config(), deployer.config()
    endpoint = deployer.endpoint(old)
    deployer.sagemaker.delete_endpoint_config(EndpointConfigName=old)
    code, message = refusal_of(
        deployer.sagemaker.update_endpoint, EndpointName=endpoint, EndpointConfigName=new
    )
    assert code == "ValidationException"
    assert message.startswith("Could not find endpoint configuration")
    assert message.endswith(f'/{old}".')


def test_the_deployment_config_is_kept_and_told(deployer):
    old, new, last = deployer.config(), deployer.config(), deployer.config()
    endpoint = deployer.endpoint(old)
    wanted = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
            "TerminationWaitInSeconds": 0,
        }
    }
    deployer.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=new, DeploymentConfig=wanted)
    assert deployer.settled(endpoint)["LastDeploymentConfig"] == wanted
    deployer.sagemaker.update_endpoint(
        EndpointName=endpoint, EndpointConfigName=last, RetainDeploymentConfig=True
    )
    assert deployer.settled(endpoint)["LastDeploymentConfig"] == wanted


def test_guarded_updates_need_the_same_variants(deployer):
    old = deployer.config(deployer.variant(name="a"))
    new = deployer.config(deployer.variant(name="b"))
    endpoint = deployer.endpoint(old)
    canary = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "WaitIntervalInSeconds": 0,
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
            }
        }
    }
    _, message = refusal_of(
        deployer.sagemaker.update_endpoint,
        EndpointName=endpoint,
        EndpointConfigName=new,
        DeploymentConfig=canary,
    )
    assert "same variant names" in message


def test_an_instance_endpoint_cannot_become_serverless_but_the_other_way_it_can(deployer):
    model = deployer.model()
    serverless = deployer.config(
        {
            "VariantName": "main",
            "ModelName": model,
            "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
        }
    )
    instances = deployer.config(deployer.variant(model))
    endpoint = deployer.endpoint(serverless)
    assert deployer.describe(endpoint)["ProductionVariants"][0]["CurrentServerlessConfig"] == {
        "MemorySizeInMB": 1024,
        "MaxConcurrency": 1,
    }
    deployer.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=instances)
    assert deployer.settled(endpoint)["EndpointConfigName"] == instances
    _, message = refusal_of(
        deployer.sagemaker.update_endpoint, EndpointName=endpoint, EndpointConfigName=serverless
    )
    assert "cannot be updated to a serverless variant" in message


def test_deleting_takes_its_time_and_frees_the_name(slow):
    config = slow.config()
    endpoint = slow.endpoint(config)
    slow.sagemaker.delete_endpoint(EndpointName=endpoint)
    assert slow.describe(endpoint)["EndpointStatus"] == "Deleting"
    slow.sagemaker.get_waiter("endpoint_deleted").wait(
        EndpointName=endpoint, WaiterConfig={"Delay": 1, "MaxAttempts": 10}
    )
    slow.sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    assert slow.settled(endpoint)["EndpointStatus"] == "InService"


def test_models_and_configs_in_use_can_be_deleted(deployer):
    model = deployer.model()
    config = deployer.config(deployer.variant(model))
    deployer.endpoint(config)
    deployer.sagemaker.delete_model(ModelName=model)
    assert (
        "Could not find model"
        in refusal_of(deployer.sagemaker.create_endpoint, EndpointName="other", EndpointConfigName=config)[1]
    )
    deployer.sagemaker.delete_endpoint_config(EndpointConfigName=config)


def test_an_image_deleted_meanwhile_fails_the_endpoint(deployer):
    image = deployer.push_image(tag="v1")
    config = deployer.config(deployer.variant(deployer.model(Image=image)))
    repository = image.partition("/")[2].partition(":")[0]
    deployer.aws.client("ecr").delete_repository(repositoryName=repository, force=True)
    found = deployer.describe(deployer.endpoint(config))
    assert (found["EndpointStatus"], found["FailureReason"]) == (
        "Failed",
        f"Requested image {image} not found.",
    )


def test_invoking_before_service_without_service_and_without_engine(slow):
    def refusal(name):
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            slow.runtime.invoke_endpoint(EndpointName=name, Body=b"x")
        return caught.value.response["Error"]

    assert refusal("absent") == {
        "Code": "ValidationError",
        "Message": "Endpoint absent of account 123456789012 not found.",
    }
    endpoint = slow.endpoint(wait=False)
    assert "not in service (status Creating)" in refusal(endpoint)["Message"]
    wait_until(lambda: slow.describe(endpoint)["EndpointStatus"] == "InService")
    assert "the engine 'none'" in refusal(endpoint)["Message"]


def test_bodies_have_a_limit(deployer):
    endpoint = deployer.endpoint()
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        deployer.runtime.invoke_endpoint(EndpointName=endpoint, Body=b"x" * 6_291_457)
    assert "less than or equal to 6291456" in str(caught.value)
