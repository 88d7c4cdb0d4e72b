from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest

from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.local.client.control import LocalAwsError
from airflow_sm_hosting.local.wire.errors import AwsError
from tests.local.conftest import Deployer, wait_until
from tests.local.region import Region

TRANSITION = 30


class SlowDeployer(Deployer):
    """A deployer on a local AWS whose transitions end when its clock is advanced."""

    def settled(self, endpoint: str) -> dict[str, Any]:
        self.aws.advance(TRANSITION)
        return super().settled(endpoint)


@pytest.fixture(scope="module")
def slow() -> Iterator[SlowDeployer]:
    with LocalAws(engine="none", transition_seconds=TRANSITION, clock="virtual") as aws:
        yield SlowDeployer(aws)


def test_an_endpoint_is_created_and_told_of_meanwhile(slow: SlowDeployer) -> None:
    config = slow.config(slow.variant(InitialInstanceCount=3))
    endpoint = slow.endpoint(config, wait=False)
    creating = slow.describe(endpoint)
    assert creating["EndpointStatus"] == "Creating"
    assert "ProductionVariants" not in creating
    pending = creating["PendingDeploymentSummary"]
    assert pending["EndpointConfigName"] == config
    assert pending["ProductionVariants"][0]["DesiredInstanceCount"] == 3
    assert pending["ProductionVariants"][0]["VariantStatus"][0]["Status"] == "Creating"
    slow.aws.advance(TRANSITION)
    slow.sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=endpoint)
    found = slow.describe(endpoint)
    assert "PendingDeploymentSummary" not in found
    assert found["LastModifiedTime"] > found["CreationTime"]


def test_weights_and_counts_are_told_meanwhile_and_counts_retained_without_weights(
    slow: SlowDeployer,
) -> None:
    old, new = (slow.config(slow.variant(InitialInstanceCount=2)) for _ in range(2))
    endpoint = slow.endpoint(old)
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
    slow.sagemaker.update_endpoint(
        EndpointName=endpoint,
        EndpointConfigName=new,
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredWeight"}],
    )
    assert _properties(slow.settled(endpoint)) == (1.0, 5)


def _properties(endpoint: dict[str, Any]) -> tuple[float, int]:
    (variant,) = endpoint["ProductionVariants"]
    return variant["CurrentWeight"], variant["CurrentInstanceCount"]


def test_a_deployment_config_that_is_used_again_is_told_again(deployer: Deployer) -> None:
    old, new, last = deployer.config(), deployer.config(), deployer.config()
    endpoint = deployer.endpoint(old)
    wanted = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
            "TerminationWaitInSeconds": 0,
        }
    }
    deployer.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=new, DeploymentConfig=wanted)
    deployer.settled(endpoint)
    deployer.sagemaker.update_endpoint(
        EndpointName=endpoint, EndpointConfigName=last, RetainDeploymentConfig=True
    )
    assert deployer.settled(endpoint)["LastDeploymentConfig"] == wanted


def test_an_image_deleted_meanwhile_fails_the_endpoint(deployer: Deployer) -> None:
    image = deployer.push_image(tag="v1")
    config = deployer.config(deployer.variant(deployer.model(Image=image)))
    repository = image.partition("/")[2].partition(":")[0]
    deployer.aws.client("ecr").delete_repository(repositoryName=repository, force=True)
    found = deployer.describe(deployer.endpoint(config))
    assert (found["EndpointStatus"], found["FailureReason"]) == (
        "Failed",
        "Please make sure all images included in the model for the production variant main exist, and that the execution role used to "
        "create the model has permissions to access them.",
    )


def test_without_an_engine_an_invocation_is_told_why_nothing_answers(deployer: Deployer) -> None:
    endpoint = deployer.endpoint()
    with pytest.raises(botocore.exceptions.ClientError, match="the engine 'none'"):
        deployer.runtime.invoke_endpoint(EndpointName=endpoint, Body=b"x")


# In virtual time, in this process.


def test_an_endpoint_is_updated_and_deleted_by_its_name_in_any_case(region: Region) -> None:
    region.config("c")
    region.ask("CreateEndpoint", EndpointName="Churn", EndpointConfigName="c")
    region.clock.advance(0)
    assert "already existing" in region.refusal(
        "CreateEndpoint", EndpointName="cHURN", EndpointConfigName="c"
    )
    assert region.ask("DescribeEndpoint", EndpointName="CHURN")["EndpointArn"].endswith(":endpoint/churn")
    region.ask("UpdateEndpoint", EndpointName="churn", EndpointConfigName="c")
    region.clock.advance(0)
    region.ask("DeleteEndpoint", EndpointName="chURN")
    region.clock.advance(0)
    assert "Could not find" in region.refusal("DescribeEndpoint", EndpointName="Churn")


CHANGES = {
    "UpdateEndpoint": {"EndpointConfigName": "new"},
    "UpdateEndpointWeightsAndCapacities": {
        "DesiredWeightsAndCapacities": [{"VariantName": "main", "DesiredWeight": 2.0}]
    },
    "DeleteEndpoint": {},
}


@pytest.mark.parametrize("operation", CHANGES)
@pytest.mark.parametrize(
    ("status", "allowed"),
    [
        ("InService", set(CHANGES)),
        # "cannot be updated or deleted or re-scaled until it has completed": API_DescribeEndpoint.html
        ("SystemUpdating", set()),
        ("Creating", set()),
        ("Updating", set()),
        ("RollingBack", set()),
        ("Deleting", set()),
        ("Failed", {"DeleteEndpoint"}),
        ("OutOfService", {"UpdateEndpoint", "DeleteEndpoint"}),
        ("UpdateRollbackFailed", {"UpdateEndpoint", "DeleteEndpoint"}),
    ],
)
def test_what_each_status_lets_one_do(
    make_region: Callable[..., Region], status: str, allowed: Any, operation: Any
) -> None:
    region = make_region(transition_seconds=5)
    region.serving()
    endpoint = region.hosting.endpoints.find("e")
    # However it came there: the ways to each status have their own tests.
    endpoint.lifecycle.status = status
    if operation in allowed:
        region.ask(operation, EndpointName="e", **CHANGES[operation])
        assert region.status == ("Deleting" if operation == "DeleteEndpoint" else "Updating")
    else:
        message = region.refusal(operation, EndpointName="e", **CHANGES[operation])
        assert message == (
            f'Cannot update endpoint "{endpoint.arn}" in status Failed. Delete it.'
            if status == "Failed"
            else f'Cannot update in-progress endpoint "{endpoint.arn}".'
        )
        assert region.status == status


def test_aws_updates_an_endpoint_by_itself(region: Region) -> None:
    region.serving()
    region.hosting.endpoints.set_status("e", "SystemUpdating", 60)
    assert region.share == 0
    region.clock.advance(59)
    assert region.status == "SystemUpdating"
    region.clock.advance(1)
    assert region.status == "InService"
    assert "FailureReason" not in region.described


@pytest.mark.parametrize(
    ("operation", "request_", "lost"),
    [
        ("DeleteEndpointConfig", {"EndpointConfigName": "old"}, "Could not find endpoint configuration"),
        ("DeleteModel", {"ModelName": "m"}, "Could not find model"),
    ],
)
def test_an_endpoint_whose_parts_were_deleted_cannot_be_patched_and_says_so(
    region: Region, operation: str, request_: dict[str, Any], lost: str
) -> None:
    """ministryofjustice/analytical-platform#10195: it goes on, with a reason that is not one of a deployment."""
    region.serving()
    region.ask(operation, **request_)
    region.hosting.endpoints.set_status("e", "SystemUpdating", 60)
    region.clock.advance(60)
    assert region.status == "InService"
    assert lost in region.described["FailureReason"]


def test_a_status_is_given_through_the_server_only_to_who_may_have_it(deployer: Deployer) -> None:
    endpoint = deployer.endpoint()
    deployer.aws.set_endpoint_status(endpoint, "OutOfService")
    assert deployer.describe(endpoint)["EndpointStatus"] == "OutOfService"
    with pytest.raises(botocore.exceptions.ClientError, match="not in service"):
        deployer.runtime.invoke_endpoint(EndpointName=endpoint, Body=b"x")
    deployer.aws.set_endpoint_status(endpoint, "InService")
    assert deployer.describe(endpoint)["EndpointStatus"] == "InService"
    with pytest.raises(LocalAwsError, match="not to Updating"):
        deployer.aws.set_endpoint_status(endpoint, "Updating")
    with pytest.raises(LocalAwsError, match="Could not find endpoint"):
        deployer.aws.set_endpoint_status("absent", "OutOfService")


def test_an_endpoint_is_given_a_rollback_that_failed(deployer: Deployer) -> None:
    """It serves, is neither scaled nor reweighted, and another update mends it."""
    endpoint, config = deployer.endpoint(), deployer.config()
    deployer.aws.set_endpoint_status(endpoint, "UpdateRollbackFailed")
    assert deployer.describe(endpoint)["EndpointStatus"] == "UpdateRollbackFailed"
    with pytest.raises(botocore.exceptions.ClientError, match="in-progress"):
        deployer.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=endpoint,
            DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": 2}],
        )
    deployer.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    found = deployer.settled(endpoint)
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", config)


def test_what_was_just_created_cannot_be_found_yet(make_region: Callable[..., Region]) -> None:
    """Reads are eventually consistent: API_CreateEndpoint.html tells to describe first, and to retry."""
    region = make_region(consistency_seconds=3)
    model = {"ModelName": "m"}
    config = {"EndpointConfigName": "c"}
    endpoint = {"EndpointName": "e"}

    def is_found(operation: str, **request: Any) -> Any:
        try:
            region.ask(operation, **request)
        except AwsError as refusal:
            return "Could not find" not in refusal.message
        return True

    def wait_for(operation: str, **request: Any) -> None:
        assert not is_found(operation, **request)
        region.clock.advance(2.999)
        assert not is_found(operation, **request)
        region.clock.advance(0.001)
        assert is_found(operation, **request)

    assert region.ask("ListModels")["Models"] == []
    assert "Could not find model" in region.refusal(
        "CreateEndpointConfig", EndpointConfigName="c", ProductionVariants=[region.variant()]
    )
    wait_for("DescribeModel", **model)
    assert len(region.ask("ListModels")["Models"]) == 1
    region.config("c")
    assert region.ask("ListEndpointConfigs")["EndpointConfigs"] == []
    assert "Could not find endpoint configuration" in region.refusal("CreateEndpoint", **endpoint, **config)
    # A name is taken from the beginning.
    assert "already existing" in region.refusal(
        "CreateEndpointConfig", **config, ProductionVariants=[region.variant()]
    )
    wait_for("DescribeEndpointConfig", **config)
    region.ask("CreateEndpoint", **endpoint, **config)
    assert region.ask("ListEndpoints")["Endpoints"] == []
    assert "Could not find endpoint" in region.refusal("DeleteEndpoint", **endpoint)
    wait_for("DescribeEndpoint", **endpoint)
    assert region.status == "InService"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([{"VariantName": "other"}], 'Could not find variant "other"'),
        ([{"VariantName": "main"}, {"VariantName": "main"}], "only once"),
        ([{"VariantName": "main", "DesiredInstanceCount": 0}], "must be at least 1"),
        ([{"VariantName": "main", "ServerlessUpdateConfig": {"MaxConcurrency": 1}}], "instance-backed"),
    ],
)
def test_weights_and_capacities_that_are_refused(region: Region, changes: list[Any], expected: str) -> None:
    region.serving()
    request = {"EndpointName": "e", "DesiredWeightsAndCapacities": changes}
    assert expected in region.refusal("UpdateEndpointWeightsAndCapacities", **request)
    assert region.status == "InService"


def test_a_serverless_variant_is_scaled_by_its_concurrency(make_region: Callable[..., Region]) -> None:
    region = make_region(transition_seconds=5)
    serverless = {"MemorySizeInMB": 1024, "MaxConcurrency": 10, "ProvisionedConcurrency": 1}
    region.serving({"VariantName": "main", "ModelName": "m", "ServerlessConfig": serverless})
    change = {"VariantName": "main", "DesiredInstanceCount": 2}
    request = {"EndpointName": "e", "DesiredWeightsAndCapacities": [change]}
    assert "serverless" in region.refusal("UpdateEndpointWeightsAndCapacities", **request)
    change = {"VariantName": "main", "ServerlessUpdateConfig": {"ProvisionedConcurrency": 11}}
    request = {"EndpointName": "e", "DesiredWeightsAndCapacities": [change]}
    assert "less than or equal to MaxConcurrency" in region.refusal(
        "UpdateEndpointWeightsAndCapacities", **request
    )
    region.hosting.endpoints.set_desired("e", "main", provisioned_concurrency=4)

    def told() -> Any:
        (variant,) = region.described["ProductionVariants"]
        return tuple(
            variant.get(f"{which}ServerlessConfig", {}).get("ProvisionedConcurrency")
            for which in ("Current", "Desired")
        )

    assert (region.status, told()) == ("Updating", (1, 4))
    region.clock.advance(5)
    assert (region.status, told()) == ("InService", (4, None))


def test_deleting_is_told_of_by_the_variants(make_region: Callable[..., Region]) -> None:
    region = make_region(transition_seconds=5)
    region.serving()
    region.ask("DeleteEndpoint", EndpointName="e")
    (variant,) = region.described["ProductionVariants"]
    assert variant["VariantStatus"][0]["Status"] == "Deleting"


def test_a_deleted_endpoint_of_the_same_name_is_another_one(make_region: Callable[..., Region]) -> None:
    """What was to happen to the one must not happen to the other."""
    region = make_region(transition_seconds=5)
    region.serving()
    region.hosting.endpoints.set_status("e", "OutOfService", 8)
    region.ask("DeleteEndpoint", EndpointName="e")
    region.clock.advance(5)
    region.ask("CreateEndpoint", EndpointName="e", EndpointConfigName="new")
    region.clock.advance(4)
    assert region.status == "Creating"
    region.clock.advance(1)
    assert region.status == "InService"


def test_a_reset_in_the_middle_of_a_deployment_leaves_nothing(region: Region) -> None:
    region.serving()
    region.update(
        {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
                "TerminationWaitInSeconds": 600,
            }
        }
    )
    region.hosting.endpoints.stop_all(0)
    region.clock.advance(9000)
    assert region.ask("ListEndpoints")["Endpoints"] == []


# With containers.


def test_a_container_that_died_is_started_anew(process_deployer: Deployer) -> None:
    """Meanwhile invocations fail with ModelError."""
    local = process_deployer
    image = local.push_image({"opt/program/serve.py": DYING})
    endpoint = local.endpoint(local.config(local.variant(local.model(Image=image))))
    pid = local.invoke(endpoint, b"pid")["pid"]
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        local.invoke(endpoint, b"die")
    assert caught.value.response["Error"]["Code"] == "ModelError"

    def answers() -> Any:
        try:
            return local.invoke(endpoint, b"pid")["pid"]
        except local.runtime.exceptions.ModelError:
            return None

    assert wait_until(answers) != pid
    assert local.describe(endpoint)["EndpointStatus"] == "InService"


def test_a_container_that_dies_unasked_is_found_by_the_clock(virtual_process_deployer: Deployer) -> None:
    local = virtual_process_deployer
    image = local.push_image({"opt/program/serve.py": DYING})
    endpoint = local.endpoint(local.config(local.variant(local.model(Image=image))), wait=False)
    local.aws.advance(0)
    pid = local.invoke(endpoint, b"pid")["pid"]
    os.kill(pid, signal.SIGKILL)
    # It is a zombie as long as the engine has not looked.
    wait_until(lambda: b"\nState:\tZ" in Path(f"/proc/{pid}/status").read_bytes())
    local.aws.advance(10)
    assert local.invoke(endpoint, b"pid")["pid"] != pid


def test_what_is_in_flight_ends_on_the_old_fleet(process_deployer: Deployer) -> None:
    local = process_deployer
    image = local.push_image()

    def version(name: str, seconds: float) -> Any:
        environment = {"VERSION": name, "SECONDS": seconds}
        return local.config(local.variant(local.model(Image=image, Environment=environment)))

    endpoint = local.endpoint(version("old", "2"))
    with ThreadPoolExecutor(4) as threads:
        # The container stops at once when it is told to.
        slow = [threads.submit(local.invoke, endpoint) for _ in range(4)]
        wait_until(lambda: local.log(endpoint).count("asked") == 4)
        local.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=version("new", "0"))
        assert [future.result()["version"] for future in slow] == ["old"] * 4
    wait_until(lambda: local.invoke(endpoint)["version"] == "new")


DYING = b"""
import json, os, signal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        if self.rfile.read(int(self.headers["Content-Length"])) == b"die":
            os._exit(3)
        self.answer(json.dumps({"pid": os.getpid()}).encode())

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""
