"""Inference components: their life, their copies, their scaling, how they are invoked.

https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-deploy-models.html, botocore's model, and the issues named.
What no source tells is assumed, as :mod:`airflow_sm_hosting.local.sagemaker.components.service` says.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_sm_hosting.local.engines.engine import Usage
from airflow_sm_hosting.local.wire.errors import AwsError
from tests.local.conftest import FOREIGN_IMAGE, ROLE, tar_bytes
from tests.local.data_plane import Answer, Asked, DataPlane, Function, data_plane, echo
from tests.local.region import Region

NEEDS = {"MinMemoryRequiredInMb": 1024, "NumberOfCpuCoresRequired": 1.0}
COPIES = "sagemaker:inference-component:DesiredCopyCount"


class Host:
    """An endpoint for inference components, ``e`` with the variant ``main``."""

    def __init__(self, region: Region, **variant: Any) -> None:
        self.region = region
        self.ask = region.ask
        bare = {"VariantName": "main", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1, **variant}
        for name in ("old", "new"):
            region.ask(
                "CreateEndpointConfig",
                EndpointConfigName=name,
                ExecutionRoleArn=ROLE,
                ProductionVariants=[bare],
            )
        region.ask("CreateEndpoint", EndpointName="e", EndpointConfigName="old")
        region.clock.advance(60)
        assert region.status == "InService"

    def request(self, name: str = "c", copies: int = 1, **more: Any) -> Any:
        return {
            "InferenceComponentName": name,
            "EndpointName": "e",
            "VariantName": "main",
            "Specification": {"ModelName": "m", "ComputeResourceRequirements": NEEDS},
            "RuntimeConfig": {"CopyCount": copies},
            **more,
        }

    def create(self, name: str = "c", copies: int = 1, **more: Any) -> None:
        self.ask("CreateInferenceComponent", **self.request(name, copies, **more))
        self.region.clock.advance(60)

    def describe(self, name: str = "c") -> Any:
        return self.ask("DescribeInferenceComponent", InferenceComponentName=name)

    def copies(self, name: str = "c") -> Any:
        told = self.describe(name)["RuntimeConfig"]
        return told["DesiredCopyCount"], told["CurrentCopyCount"]

    def refusal(self, operation: str, **request: Any) -> Any:
        return self.region.refusal(operation, **request)


@pytest.fixture
def host(make_region: Callable[..., Region]) -> Any:
    return Host(make_region(transition_seconds=10))


def test_a_component_comes_into_service(host: Any) -> None:
    """DescribeInferenceComponentOutput; InferenceComponentStatus."""
    made = host.ask("CreateInferenceComponent", **host.request(copies=2, Tags=[{"Key": "a", "Value": "b"}]))
    arn = "arn:aws:sagemaker:us-east-1:123456789012:inference-component/c"
    assert made == {"InferenceComponentArn": arn}
    told = host.describe()
    assert told["InferenceComponentStatus"] == "Creating"
    assert told["RuntimeConfig"] == {"DesiredCopyCount": 2, "CurrentCopyCount": 0}
    host.region.clock.advance(10)
    told = host.describe()
    times = [told.pop(name) for name in ("CreationTime", "LastModifiedTime")]
    assert times[0] < times[1]
    assert told == {
        "InferenceComponentName": "c",
        "InferenceComponentArn": arn,
        "EndpointName": "e",
        "EndpointArn": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/e",
        "VariantName": "main",
        "InferenceComponentStatus": "InService",
        "Specification": {"ModelName": "m", "ComputeResourceRequirements": NEEDS},
        "RuntimeConfig": {"DesiredCopyCount": 2, "CurrentCopyCount": 2},
    }
    assert host.ask("ListTags", ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]


def test_a_container_of_its_own_is_described_with_its_image(host: Any) -> None:
    """InferenceComponentContainerSpecificationSummary: DeployedImage in place of Image."""
    container = {"Image": FOREIGN_IMAGE, "Environment": {"A": "b"}}
    host.create(Specification={"Container": container, "ComputeResourceRequirements": NEEDS})
    told = host.describe()["Specification"]["Container"]
    assert told["DeployedImage"]["SpecifiedImage"] == FOREIGN_IMAGE
    assert told["Environment"] == {"A": "b"}
    assert "Image" not in told


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"VariantName": "red"}, 'Could not find variant "red"'),
        ({"VariantName": None}, "VariantName must be specified"),
        ({"RuntimeConfig": None}, "RuntimeConfig must be specified"),
        ({"Specification": None}, "Exactly one of Specification and Specifications"),
        ({"Specification": {"ModelName": "m"}}, "ComputeResourceRequirements must be specified"),
        ({"Specification": {"ComputeResourceRequirements": NEEDS}}, "Exactly one of ModelName and Container"),
        (
            {
                "Specification": {
                    "ModelName": "m",
                    "ComputeResourceRequirements": {**NEEDS, "MaxMemoryRequiredInMb": 1000},
                }
            },
            "MaxMemoryRequiredInMb must not be less",
        ),
        (
            {
                "Specification": None,
                "Specifications": [{"BaseInferenceComponentName": "c", "ComputeResourceRequirements": NEEDS}],
            },
            "can be specified only for an adapter",
        ),
        ({"InferenceComponentName": "a_b"}, "at 'inferenceComponentName' failed to satisfy constraint"),
        ({"InferenceComponentName": "C"}, "Cannot create already existing inference component"),
    ],
)
def test_what_create_refuses(host: Any, more: dict[str, Any], message: str) -> None:
    host.create()
    request = {**host.request("other"), **more}
    refusal = host.refusal(
        "CreateInferenceComponent", **{name: value for name, value in request.items() if value is not None}
    )
    assert message in refusal


def test_an_endpoint_with_models_hosts_none(region: Region) -> None:
    """hashicorp/terraform-provider-aws#40644."""
    region.serving()
    request = {
        "InferenceComponentName": "c",
        "EndpointName": "e",
        "VariantName": "main",
        "Specification": {"ModelName": "m", "ComputeResourceRequirements": NEEDS},
        "RuntimeConfig": {"CopyCount": 1},
    }
    assert region.refusal("CreateInferenceComponent", **request) == (
        "Inference Components are not supported in this Endpoint. Please make sure this endpoint can deploy inference "
        "components."
    )


def test_what_is_in_progress_is_left_alone(host: Any) -> None:
    """aws/amazon-sagemaker-examples#3432: one that is Creating cannot be deleted."""
    host.ask("CreateInferenceComponent", **host.request())
    for operation, more in (
        ("DeleteInferenceComponent", {}),
        ("UpdateInferenceComponent", {"RuntimeConfig": {"CopyCount": 2}}),
        ("UpdateInferenceComponentRuntimeConfig", {"DesiredRuntimeConfig": {"CopyCount": 2}}),
    ):
        message = host.refusal(operation, InferenceComponentName="c", **more)
        verb = "delete" if operation.startswith("Delete") else "update"
        assert message.startswith(f"Cannot {verb} inference component ")
        assert message.endswith(" while it is in state CREATE_IN_PROGRESS.")
    host.region.clock.advance(10)
    host.ask("DeleteInferenceComponent", InferenceComponentName="c")
    host.region.clock.advance(10)
    assert "Could not find inference component" in host.refusal(
        "DescribeInferenceComponent", InferenceComponentName="c"
    )
    host.create()


@pytest.mark.parametrize("operation", ["UpdateInferenceComponentRuntimeConfig", "UpdateInferenceComponent"])
def test_copies_come_and_go(host: Any, operation: str) -> None:
    """API_UpdateInferenceComponentRuntimeConfig.html, API_UpdateInferenceComponent.html."""
    host.create(copies=1)
    member = "RuntimeConfig" if operation == "UpdateInferenceComponent" else "DesiredRuntimeConfig"
    host.ask(operation, InferenceComponentName="c", **{member: {"CopyCount": 3}})
    assert host.describe()["InferenceComponentStatus"] == "Updating"
    assert host.copies() == (3, 1)
    host.region.clock.advance(10)
    assert host.copies() == (3, 3)
    assert host.describe()["InferenceComponentStatus"] == "InService"


def test_a_rolling_update_replaces_copies_batch_by_batch(host: Any) -> None:
    """API_InferenceComponentRollingUpdatePolicy.html."""
    host.create(copies=4)
    container = {"Image": FOREIGN_IMAGE}
    update = {
        "InferenceComponentName": "c",
        "Specification": {"Container": container, "ComputeResourceRequirements": NEEDS},
        "DeploymentConfig": {
            "RollingUpdatePolicy": {
                "MaximumBatchSize": {"Type": "COPY_COUNT", "Value": 2},
                "WaitIntervalInSeconds": 100,
            }
        },
    }
    host.ask("UpdateInferenceComponent", **update)
    assert "ModelName" in host.describe()["Specification"]
    host.region.clock.advance(60)
    assert host.describe()["InferenceComponentStatus"] == "Updating"
    host.region.clock.advance(300)
    told = host.describe()
    assert told["InferenceComponentStatus"] == "InService"
    assert "Container" in told["Specification"]
    assert host.copies() == (4, 4)
    assert told["LastDeploymentConfig"] == update["DeploymentConfig"]


def test_a_batch_is_at_most_half_of_the_copies(host: Any) -> None:
    """API_InferenceComponentRollingUpdatePolicy.html: "between 5% to 50% of the copy count"."""
    host.create(copies=4)
    policy = {"MaximumBatchSize": {"Type": "COPY_COUNT", "Value": 3}, "WaitIntervalInSeconds": 0}
    refusal = host.refusal(
        "UpdateInferenceComponent",
        InferenceComponentName="c",
        Specification=host.request()["Specification"],
        DeploymentConfig={"RollingUpdatePolicy": policy},
    )
    assert "MaximumBatchSize" in refusal


def test_an_alarm_takes_an_update_back(host: Any) -> None:
    """API_InferenceComponentDeploymentConfig.html: AutoRollbackConfiguration."""
    host.create(copies=2)
    host.ask(
        "UpdateInferenceComponent",
        InferenceComponentName="c",
        Specification={"Container": {"Image": FOREIGN_IMAGE}, "ComputeResourceRequirements": NEEDS},
        DeploymentConfig={
            "RollingUpdatePolicy": {
                "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
                "WaitIntervalInSeconds": 600,
            },
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "bad"}]},
        },
    )
    host.region.clock.advance(60)
    host.region.alarms["bad"] = "ALARM"
    host.region.clock.advance(120)
    told = host.describe()
    assert told["InferenceComponentStatus"] == "InService"
    assert "bad" in told["FailureReason"]
    assert "ModelName" in told["Specification"]
    assert host.copies() == (2, 2)


def test_components_are_listed(host: Any) -> None:
    """API_ListInferenceComponents.html."""
    host.create("one")
    host.create("two")
    host.ask("CreateInferenceComponent", **host.request("three"))

    def names(**request: Any) -> Any:
        found = host.ask("ListInferenceComponents", **request)["InferenceComponents"]
        return [row["InferenceComponentName"] for row in found]

    assert names() == ["three", "two", "one"]
    assert names(StatusEquals="InService", SortOrder="Ascending") == ["one", "two"]
    assert names(NameContains="tw") == ["two"]
    assert names(VariantNameEquals="main", MaxResults=1) == ["three"]


def test_an_endpoint_with_components_stays(host: Any) -> None:
    """aws/amazon-sagemaker-feedback#49; gruntwork-io/cloud-nuke#1142."""
    host.create()
    assert "with inference component associated" in host.refusal("DeleteEndpoint", EndpointName="e")
    host.region.config("models")
    assert "hosts the inference component" in host.refusal(
        "UpdateEndpoint", EndpointName="e", EndpointConfigName="models"
    )
    host.region.update()
    host.region.clock.advance(60)
    assert host.region.described["EndpointConfigName"] == "new"
    assert host.copies() == (1, 1)
    host.ask("DeleteInferenceComponent", InferenceComponentName="c")
    host.region.clock.advance(10)
    host.ask("DeleteEndpoint", EndpointName="e")


def large(memory: int = 4096) -> dict[str, Any]:
    """Return a specification of which ml.m5.large (8 GiB) has room for two."""
    return {"ModelName": "m", "ComputeResourceRequirements": {"MinMemoryRequiredInMb": memory}}


def test_managed_scaling_adds_instances_for_copies_up_to_its_most(
    make_region: Callable[..., Region],
) -> None:
    scaling = {"Status": "ENABLED", "MinInstanceCount": 1, "MaxInstanceCount": 2}
    host = Host(make_region(transition_seconds=10), ManagedInstanceScaling=scaling)
    host.create(copies=3, Specification=large())
    assert host.copies() == (3, 3)
    assert host.region.described["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    desired = {"InferenceComponentName": "c", "DesiredRuntimeConfig": {"CopyCount": 5}}
    host.ask("UpdateInferenceComponentRuntimeConfig", **desired)
    host.region.clock.advance(60)
    found = host.describe()
    assert host.copies() == (3, 3)
    assert found["InferenceComponentStatus"] == "InService"
    assert "not enough hardware resources" in found["FailureReason"]
    host.create("d", Specification=large())
    assert host.describe("d")["InferenceComponentStatus"] == "InService"
    host.create("e", Specification=large(128))
    assert host.describe("e")["InferenceComponentStatus"] == "Failed"


def test_new_copies_need_room_beside_the_old_ones(host: Any) -> None:
    """Without a rolling policy all copies are replaced at once, beside the old ones; with one, a batch at a time."""
    host.create(copies=2, Specification=large(3072))
    host.ask("UpdateInferenceComponent", InferenceComponentName="c", Specification=large(2048))
    host.region.clock.advance(60)
    found = host.describe()
    assert found["InferenceComponentStatus"] == "InService"
    assert found["Specification"] == large(3072)
    assert "not enough hardware resources" in found["FailureReason"]
    batch = {"Type": "COPY_COUNT", "Value": 1}
    rolling = {"RollingUpdatePolicy": {"MaximumBatchSize": batch, "WaitIntervalInSeconds": 0}}
    host.ask(
        "UpdateInferenceComponent",
        InferenceComponentName="c",
        Specification=large(2048),
        DeploymentConfig=rolling,
    )
    host.region.clock.advance(120)
    assert host.describe()["Specification"] == large(2048)
    assert host.copies() == (2, 2)


def test_a_variant_that_scales_by_itself_has_no_instances_without_copies(
    make_region: Callable[..., Region],
) -> None:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-zero-instances.html."""
    scaling = {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 2}
    host = Host(make_region(), ManagedInstanceScaling=scaling)

    def instances() -> Any:
        return host.region.described["ProductionVariants"][0]["CurrentInstanceCount"]

    host.create()
    assert instances() == 1
    for copies, expected in ((0, 0), (2, 1)):
        host.ask(
            "UpdateInferenceComponentRuntimeConfig",
            InferenceComponentName="c",
            DesiredRuntimeConfig={"CopyCount": copies},
        )
        host.region.clock.advance(60)
        assert instances() == expected


def test_copies_are_scaled_in_and_are_no_target_after_their_component(host: Any) -> None:
    """RegisterScalableTarget: sagemaker:inference-component:DesiredCopyCount, from 0."""
    host.create(copies=2)
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "inference-component/c",
        "ScalableDimension": COPIES,
    }
    scaling = host.region.hosting.scaling
    scaling.answer("RegisterScalableTarget", {**target, "MinCapacity": 0, "MaxCapacity": 1})
    host.region.clock.advance(60)
    assert host.copies() == (1, 1)
    host.ask("DeleteInferenceComponent", InferenceComponentName="c")
    host.region.clock.advance(60)
    asked = {"ServiceNamespace": "sagemaker", "ResourceIds": ["inference-component/c"]}
    assert scaling.answer("DescribeScalableTargets", asked)["ScalableTargets"] == []


# Adapters


ARTIFACT = {"ArtifactUrl": "s3://bucket/adapter.tar.gz"}


def adapter(base: str = "c", **more: Any) -> Any:
    """Return what AWS's example creates: realtime-endpoints-adapt.html."""
    specification = {"BaseInferenceComponentName": base, "Container": ARTIFACT}
    return {"InferenceComponentName": "a", "EndpointName": "e", "Specification": specification, **more}


def test_an_adapter_is_an_inference_component_without_copies_of_its_own(host: Any) -> None:
    """realtime-endpoints-adapt.html; that RuntimeConfig is not described is assumed."""
    host.create(copies=2)
    tags = [{"Key": "a", "Value": "b"}]
    arn = host.ask("CreateInferenceComponent", **adapter(Tags=tags))["InferenceComponentArn"]
    assert host.describe("a")["InferenceComponentStatus"] == "Creating"
    host.region.clock.advance(10)
    told = host.describe("a")
    assert told["InferenceComponentStatus"] == "InService"
    assert told["Specification"] == adapter()["Specification"]
    assert told["VariantName"] == "main"
    assert "RuntimeConfig" not in told
    assert host.ask("ListTags", ResourceArn=arn)["Tags"] == tags
    rows = host.ask("ListInferenceComponents", EndpointNameEquals="e")["InferenceComponents"]
    assert [row["InferenceComponentName"] for row in rows] == ["a", "c"]
    assert "with adapter inference components" in host.refusal(
        "DeleteInferenceComponent", InferenceComponentName="c"
    )
    assert "with inference component associated" in host.refusal("DeleteEndpoint", EndpointName="e")
    host.ask("DeleteInferenceComponent", InferenceComponentName="a")
    assert host.describe("a")["InferenceComponentStatus"] == "Deleting"
    host.region.clock.advance(10)
    host.ask("DeleteInferenceComponent", InferenceComponentName="c")


def of_adapter(**more: Any) -> Any:
    return {"Specification": {**adapter()["Specification"], **more}}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (of_adapter(ModelName="m"), "ModelName must not be specified"),
        (
            of_adapter(Container={**ARTIFACT, "Image": FOREIGN_IMAGE}),
            r"Container.Image must not be specified",
        ),
        (of_adapter(Container={}), "Container.ArtifactUrl must be specified"),
        (of_adapter(BaseInferenceComponentName="young"), "is not in service (status Creating)"),
        (of_adapter(BaseInferenceComponentName="other"), "is an adapter inference component itself"),
        ({"VariantName": "red"}, "is on the variant main"),
        ({"EndpointName": "e2"}, 'is not on the endpoint "arn:'),
        ({"InferenceComponentName": "C"}, "Cannot create already existing inference component"),
        ({"Specifications": [{"ModelName": "m"}]}, "Exactly one of Specification and Specifications"),
    ],
)
def test_what_create_refuses_of_an_adapter(host: Any, more: Any, message: str) -> None:
    host.create()
    host.ask("CreateEndpoint", EndpointName="e2", EndpointConfigName="old")
    host.ask("CreateInferenceComponent", **adapter(InferenceComponentName="other"))
    host.region.clock.advance(60)
    host.ask("CreateInferenceComponent", **host.request("young"))
    assert message in host.refusal("CreateInferenceComponent", **{**adapter(), **more})


def test_what_an_adapter_has_not_cannot_be_changed(host: Any) -> None:
    """Assumed, as its copies are the base's."""
    host.create()
    host.create("d")
    host.ask("CreateInferenceComponent", **adapter())
    host.region.clock.advance(60)
    named = {"InferenceComponentName": "a"}
    for operation, more, message in (
        (
            "UpdateInferenceComponentRuntimeConfig",
            {"DesiredRuntimeConfig": {"CopyCount": 2}},
            "is an adapter",
        ),
        ("UpdateInferenceComponent", {"RuntimeConfig": {"CopyCount": 2}}, "only Specification"),
        ("UpdateInferenceComponent", of_adapter(BaseInferenceComponentName="d"), "cannot be changed"),
        ("UpdateInferenceComponent", of_adapter(ModelName="m"), "ModelName must not be specified"),
    ):
        assert message in host.refusal(operation, **named, **more)
    target = {"ServiceNamespace": "sagemaker", "ResourceId": "inference-component/a"}
    with pytest.raises(AwsError, match="Could not find the scalable resource"):
        host.region.hosting.scaling.answer(
            "RegisterScalableTarget",
            {**target, "ScalableDimension": COPIES, "MinCapacity": 1, "MaxCapacity": 2},
        )


# Invoked, with containers that are functions


@pytest.fixture(scope="module")
def plane_() -> Iterator[DataPlane]:
    with data_plane() as plane:
        yield plane


@pytest.fixture
def plane(plane_: DataPlane) -> DataPlane:
    plane_.reset()
    return plane_


def endpoint_of(plane: DataPlane) -> Any:
    variant = {"VariantName": "main", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    return plane.deployer.endpoint(plane.deployer.config(variant, ExecutionRoleArn=ROLE))


def component(plane: DataPlane, endpoint: str, model: Any, copies: int = 1) -> Any:
    name = plane.deployer.name("component")
    plane.sagemaker.create_inference_component(
        InferenceComponentName=name,
        EndpointName=endpoint,
        VariantName="main",
        Specification={
            "ModelName": plane.deployer.model(**plane.container(model)),
            "ComputeResourceRequirements": NEEDS,
        },
        RuntimeConfig={"CopyCount": copies or 1},
    )
    plane.clock.advance(1)
    if not copies:
        # No component is created without copies.
        plane.sagemaker.update_inference_component_runtime_config(
            InferenceComponentName=name, DesiredRuntimeConfig={"CopyCount": 0}
        )
        plane.clock.advance(1)
    return name


def test_a_component_is_invoked_by_its_name(plane: DataPlane) -> None:
    """API_runtime_InvokeEndpoint.html: InferenceComponentName; aws-samples/amazon-kendra-langchain-extensions#64."""
    endpoint = endpoint_of(plane)
    one, two = (
        component(plane, endpoint, lambda asked, answer=answer: Answer(answer), copies)
        for answer, copies in ((b"one", 1), (b"two", 4))
    )
    assert plane.invoke(endpoint, InferenceComponentName=one)["Body"] == b"one"
    assert plane.invoke(endpoint, InferenceComponentName=two)["Body"] == b"two"
    with pytest.raises(ClientError, match=r"ValidationError.*Inference Component Name header is required"):
        plane.invoke(endpoint)
    with pytest.raises(ClientError, match=r"ValidationError.*not found"):
        plane.invoke(endpoint, InferenceComponentName="three")
    with pytest.raises(ClientError, match="not found"):
        plane.invoke(endpoint_of(plane), InferenceComponentName=one)
    # monitoring-cloudwatch.html, inference component metrics
    assert plane.metric("Invocations", InferenceComponentName=two) == 1
    assert plane.metric("InvocationsPerCopy", InferenceComponentName=two) == 0.25
    assert plane.metric("Invocations", EndpointName=endpoint, VariantName="main") == 2
    assert plane.metric("InvocationsPerInstance", EndpointName=endpoint, VariantName="main") is None


def test_what_its_containers_use_is_published_every_minute(
    plane: DataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """monitoring-cloudwatch.html, inference component metrics: NEEDS are one core and 1024 MB."""
    monkeypatch.setattr(Function, "usage", lambda self: Usage(50, 1, None, memory_mb=256))
    endpoint = endpoint_of(plane)
    name, none = component(plane, endpoint, echo), component(plane, endpoint, echo, copies=0)
    plane.clock.advance(60)
    plane.settled()

    def used(name: str, metric: Any) -> Any:
        return plane.metric(
            metric, "Average", "/aws/sagemaker/InferenceComponents", InferenceComponentName=name
        )

    assert used(name, "CPUUtilizationNormalized") == 50
    assert used(name, "MemoryUtilizationNormalized") == 25
    assert used(none, "CPUUtilizationNormalized") is None


def test_a_stream_of_a_component(plane: DataPlane) -> None:
    endpoint = endpoint_of(plane)
    name = component(plane, endpoint, lambda asked: Answer(iter([b"a", b"b"])))
    answer = plane.runtime.invoke_endpoint_with_response_stream(
        EndpointName=endpoint, Body=b"", InferenceComponentName=name
    )
    assert b"".join(event["PayloadPart"]["Bytes"] for event in answer["Body"]) == b"ab"


def test_its_lines_are_in_a_log_group_of_its_own(plane: DataPlane) -> None:
    """The log group of an inference component, as the SageMaker console links it: /aws/sagemaker/InferenceComponents/<name>."""
    endpoint = endpoint_of(plane)
    name = component(plane, endpoint, lambda asked: Answer(status=500))
    with pytest.raises(plane.runtime.exceptions.ModelError) as caught:
        plane.invoke(endpoint, InferenceComponentName=name)
    group = f"/aws/sagemaker/InferenceComponents/{name}"
    assert caught.value.response["LogStreamArn"].endswith(group)
    plane.engine.plans[-1].on_line("hello")
    streams = plane.client("logs").describe_log_streams(logGroupName=group)["logStreams"]
    assert len(streams) == 1


def test_one_whose_model_does_not_start_fails_and_can_be_deleted(plane: DataPlane) -> None:
    endpoint = endpoint_of(plane)
    name = component(plane, endpoint, echo)
    broken = plane.deployer.model(Environment={"MODEL": "nobody"})
    plane.sagemaker.create_inference_component(
        InferenceComponentName="broken",
        EndpointName=endpoint,
        VariantName="main",
        Specification={"ModelName": broken, "ComputeResourceRequirements": NEEDS},
        RuntimeConfig={"CopyCount": 1},
    )
    plane.clock.advance(1)
    told = plane.sagemaker.describe_inference_component(InferenceComponentName="broken")
    assert told["InferenceComponentStatus"] == "Failed"
    assert told["FailureReason"]
    with pytest.raises(ClientError, match="not in service"):
        plane.invoke(endpoint, InferenceComponentName="broken")
    plane.sagemaker.update_inference_component(
        InferenceComponentName=name, Specification={"ModelName": broken, "ComputeResourceRequirements": NEEDS}
    )
    plane.clock.advance(1)
    told = plane.sagemaker.describe_inference_component(InferenceComponentName=name)
    assert (told["InferenceComponentStatus"], bool(told["FailureReason"])) == ("InService", True)
    assert plane.invoke(endpoint, InferenceComponentName=name)["Body"] == b"1,2"
    plane.sagemaker.delete_inference_component(InferenceComponentName="broken")


class Adaptable:
    """A container as AWS's serving images are: github.com/aws/model-hosting-container-standards, sagemaker/lora."""

    def __init__(self) -> None:
        self.adapters: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.may_load = threading.Event()
        self.may_load.set()

    def __call__(self, asked: Asked) -> Any:
        if asked.path == "/adapters":
            self.may_load.wait(30)
            given = json.loads(asked.body)
            self.asked.append(f"POST {given['name']}")
            self.adapters[given["name"]] = (Path(given["src"]) / "weights").read_bytes()
            return Answer(b"registered")
        if asked.method == "DELETE":
            self.asked.append(f"DELETE {asked.path}")
            return Answer(status=200 if self.adapters.pop(asked.path.rpartition("/")[2], None) else 404)
        name = asked.headers.get("X-Amzn-SageMaker-Adapter-Identifier")
        return Answer(b"base" if name is None else self.adapters[name])


class Adapted:
    """An endpoint with an inference component that has adapters."""

    def __init__(self, plane: DataPlane, model: Any = None, copies: int = 1) -> None:
        self.plane = plane
        self.container = model or Adaptable()
        self.endpoint = endpoint_of(plane)
        self.base = component(plane, self.endpoint, self.container, copies)

    def artifact(self, weights: bytes) -> Any:
        bucket = self.plane.bucket(**{"a.tar.gz": tar_bytes({"weights": weights})})
        return {"Container": {"ArtifactUrl": f"s3://{bucket}/a.tar.gz"}}

    def create(self, name: str, weights: bytes = b"", **more: Any) -> Any:
        self.plane.sagemaker.create_inference_component(
            InferenceComponentName=name,
            EndpointName=self.endpoint,
            Specification={"BaseInferenceComponentName": self.base, **self.artifact(weights), **more},
        )
        self.plane.clock.advance(1)
        return self.describe(name)

    def describe(self, name: str) -> Any:
        return self.plane.sagemaker.describe_inference_component(InferenceComponentName=name)

    def invoke(self, name: str) -> Any:
        return self.plane.invoke(self.endpoint, InferenceComponentName=name)["Body"]


def test_adapters_are_loaded_by_the_container_of_their_base_and_named_to_it(plane: DataPlane) -> None:
    adapted = Adapted(plane, copies=2)
    one, two = adapted.create("one", b"1"), adapted.create("two", b"2")
    assert {told["InferenceComponentStatus"] for told in (one, two)} == {"InService"}
    assert [adapted.invoke(name) for name in ("one", "two", adapted.base)] == [b"1", b"2", b"base"]
    assert adapted.container.asked == ["POST one", "POST two"]
    # No container was started for them.
    assert len(plane.engine.plans) == 1
    assert plane.metric("Invocations", InferenceComponentName="one") == 1
    assert plane.metric("InvocationsPerCopy", InferenceComponentName="one") == 0.5

    # This local AWS changes a status at once: only what the container has not yet done keeps it.
    adapted.container.may_load.clear()
    plane.sagemaker.update_inference_component(
        InferenceComponentName="one", Specification=adapted.artifact(b"new")
    )
    assert adapted.describe("one")["InferenceComponentStatus"] == "Updating"
    adapted.container.may_load.set()
    plane.clock.advance(1)
    assert adapted.describe("one")["InferenceComponentStatus"] == "InService"
    assert [adapted.invoke(name) for name in ("one", "two")] == [b"new", b"2"]

    plane.sagemaker.delete_inference_component(InferenceComponentName="one")
    plane.clock.advance(1)
    assert adapted.container.adapters == {"two": b"2"}
    with pytest.raises(ClientError, match=r"Inference component one of endpoint .* not found"):
        adapted.invoke("one")


def test_containers_that_are_new_load_the_adapters_again(plane: DataPlane) -> None:
    adapted = Adapted(plane)
    adapted.create("one", b"1")
    # The base gets another fleet.
    other = Adaptable()
    plane.sagemaker.update_inference_component(
        InferenceComponentName=adapted.base,
        Specification={
            "ModelName": plane.deployer.model(**plane.container(other)),
            "ComputeResourceRequirements": NEEDS,
        },
    )
    plane.clock.advance(1)
    assert adapted.invoke("one") == b"1"
    assert other.asked == ["POST one"]
    # Its container ends and is started anew.
    fleet = plane.hosting.components.find(adapted.base).serving.fleet
    fleet.variants[0].containers[0].running.kill()
    other.adapters.clear()
    with pytest.raises(ClientError, match="ModelError"):
        adapted.invoke("one")
    plane.settled()
    assert adapted.invoke("one") == b"1"
    assert other.asked == ["POST one", "POST one"]


@pytest.mark.parametrize(
    ("model", "artifact", "reason"),
    [
        (Adaptable(), {"ArtifactUrl": "s3://nowhere/a.tar.gz"}, "Failed to download model data"),
        (lambda asked: Answer(status=404), None, r"Received client error \(404\) from primary"),
    ],
    ids=["no artifact", "no adapters"],
)
def test_an_adapter_that_cannot_be_loaded_fails_and_can_be_deleted(
    plane: DataPlane, model: Any, artifact: dict[str, Any] | None, reason: str
) -> None:
    """That it fails is API_DescribeInferenceComponent.html, FailureReason; the sentences are assumed."""
    adapted = Adapted(plane, model)
    told = adapted.create("one", **({"Container": artifact} if artifact else {}))
    assert told["InferenceComponentStatus"] == "Failed"
    assert re.search(reason, told["FailureReason"])
    with pytest.raises(ClientError, match="not in service"):
        adapted.invoke("one")
    plane.sagemaker.delete_inference_component(InferenceComponentName="one")
    plane.clock.advance(1)
    plane.sagemaker.delete_inference_component(InferenceComponentName=adapted.base)


def test_an_adapter_has_no_capacity_where_its_base_has_none(plane: DataPlane) -> None:
    adapted = Adapted(plane, copies=0)
    adapted.create("one", b"1")
    with pytest.raises(ClientError, match="Inference Component has no capacity"):
        adapted.invoke("one")
    # By the base's metric the base is scaled out.
    assert plane.metric("NoCapacityInvocationFailures", InferenceComponentName=adapted.base) == 1


def test_without_copies_it_cannot_be_invoked_and_the_failures_scale_it_out(plane: DataPlane) -> None:
    """endpoint-auto-scaling-zero-instances.html: NoCapacityInvocationFailures and a step policy."""
    endpoint = endpoint_of(plane)
    name = component(plane, endpoint, echo, copies=0)
    scaling = plane.client("application-autoscaling")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"inference-component/{name}",
        "ScalableDimension": COPIES,
    }
    scaling.register_scalable_target(**target, MinCapacity=0, MaxCapacity=5)
    policy = scaling.put_scaling_policy(
        **target,
        PolicyName="from-zero",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Maximum",
            "Cooldown": 60,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        },
    )["PolicyARN"]
    plane.client("cloudwatch").put_metric_alarm(
        AlarmName="from-zero",
        AlarmActions=[policy],
        MetricName="NoCapacityInvocationFailures",
        Namespace="AWS/SageMaker",
        Statistic="Sum",
        Dimensions=[{"Name": "InferenceComponentName", "Value": name}],
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )
    with pytest.raises(ClientError, match="Inference Component has no capacity to process this request"):
        plane.invoke(endpoint, InferenceComponentName=name)
    plane.clock.advance(180)
    assert plane.invoke(endpoint, InferenceComponentName=name)["Body"] == b"1,2"


def test_target_tracking_on_concurrent_requests_scales_idle_copies_in(plane: DataPlane) -> None:
    """Its own alarm looks at 90 periods of 10 seconds: each needs a value."""
    name = component(plane, endpoint_of(plane), echo)
    scaling = plane.client("application-autoscaling")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"inference-component/{name}",
        "ScalableDimension": COPIES,
    }
    metric = "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution"
    scaling.register_scalable_target(**target, MinCapacity=0, MaxCapacity=2)
    scaling.put_scaling_policy(
        **target,
        PolicyName="track",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "PredefinedMetricSpecification": {"PredefinedMetricType": metric},
            "TargetValue": 3,
        },
    )
    plane.clock.advance(3600)
    told = plane.sagemaker.describe_inference_component(InferenceComponentName=name)
    assert told["RuntimeConfig"]["CurrentCopyCount"] == 0


def test_target_tracking_scales_copies_out_and_in(plane: DataPlane) -> None:
    """SageMakerInferenceComponentInvocationsPerCopy: the sum a minute."""
    endpoint = endpoint_of(plane)
    name = component(plane, endpoint, echo)
    scaling = plane.client("application-autoscaling")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"inference-component/{name}",
        "ScalableDimension": COPIES,
    }
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=3)
    scaling.put_scaling_policy(
        **target,
        PolicyName="track",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerInferenceComponentInvocationsPerCopy"
            },
            "TargetValue": 5,
        },
    )

    def copies() -> Any:
        told = plane.sagemaker.describe_inference_component(InferenceComponentName=name)
        return told["RuntimeConfig"]["CurrentCopyCount"]

    for _ in range(5):
        for _ in range(12):
            plane.invoke(endpoint, InferenceComponentName=name)
        plane.clock.advance(60)
    assert copies() == 3
    plane.clock.advance(3600)
    assert copies() == 1
