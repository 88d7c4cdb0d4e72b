"""Inference components"""

from __future__ import annotations

from typing import Any

from tests.local.rules.cloud import Cloud, refused


def create(cloud: Cloud, endpoint: str, name: str = "component", copies: int = 1, **more: Any) -> None:
    specification = {
        "ModelName": more.pop("ModelName", None) or cloud.model(),
        "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 1024, "NumberOfCpuCoresRequired": 1},
        **more.pop("Specification", {}),
    }
    request = {
        "InferenceComponentName": name,
        "EndpointName": endpoint,
        "VariantName": "main",
        "Specification": {member: value for member, value in specification.items() if value is not None},
        "RuntimeConfig": {"CopyCount": copies},
        **more,
    }
    cloud.sagemaker.create_inference_component(**{k: v for k, v in request.items() if v is not None})


def describe(cloud: Cloud, name: str = "component") -> dict[str, Any]:
    found: dict[str, Any] = cloud.sagemaker.describe_inference_component(InferenceComponentName=name)
    return found


def test_component_comes_into_service(cloud: Cloud) -> None:
    """A new inference component is Creating first, and InService later, with its copies.

    Source: sagemaker:API_DescribeInferenceComponent.html
    """
    create(cloud, cloud.endpoint(cloud.component_config()), copies=2)
    assert describe(cloud)["InferenceComponentStatus"] == "Creating"
    cloud.advance(10)
    found = describe(cloud)
    assert found["InferenceComponentStatus"] == "InService"
    assert (found["RuntimeConfig"]["DesiredCopyCount"], found["RuntimeConfig"]["CurrentCopyCount"]) == (2, 2)


def test_duplicate_component(cloud: Cloud) -> None:
    """An inference component name that is taken is rejected.

    Source: sagemaker:API_CreateInferenceComponent.html; the wording is assumed, from other resources
    """
    name = cloud.endpoint(cloud.component_config())
    create(cloud, name)
    with refused("Cannot create already existing inference component"):
        create(cloud, name)


def test_component_without_a_copy(cloud: Cloud) -> None:
    """An inference component cannot be created without copies; it can be scaled to zero later.

    Source: stdapi-ai/stdapi.ai#43
    """
    endpoint = cloud.endpoint(cloud.component_config())
    with refused("copy count an integer larger than 0"):
        create(cloud, endpoint, copies=0)
    create(cloud, endpoint)
    cloud.advance(10)
    cloud.sagemaker.update_inference_component_runtime_config(
        InferenceComponentName="component", DesiredRuntimeConfig={"CopyCount": 0}
    )
    cloud.advance(10)
    assert describe(cloud)["RuntimeConfig"] == {"DesiredCopyCount": 0, "CurrentCopyCount": 0}


def test_host_exists(cloud: Cloud) -> None:
    """An inference component's endpoint must exist.

    Source: sagemaker:API_CreateInferenceComponent.html
    """
    with refused("Could not find endpoint"):
        create(cloud, "absent")


def test_host_has_no_models(cloud: Cloud) -> None:
    """An inference component cannot be placed on a variant that has a model.

    Source: guide:realtime-endpoints-deploy-models.html; the wording is assumed
    """
    name = cloud.endpoint()
    with refused("Inference Components are not supported"):
        create(cloud, name)


def test_model_of_a_component_exists(cloud: Cloud) -> None:
    """An inference component's model must exist.

    Source: sagemaker:API_InferenceComponentSpecification.html
    """
    name = cloud.endpoint(cloud.component_config())
    with refused("Could not find model"):
        create(cloud, name, ModelName="absent")


def test_requirements_are_given(cloud: Cloud) -> None:
    """An inference component must specify its resource requirements.

    Source: sagemaker:API_InferenceComponentSpecification.html
    """
    name = cloud.endpoint(cloud.component_config())
    with refused("ComputeResourceRequirements"):
        create(cloud, name, Specification={"ComputeResourceRequirements": None})


def test_least_memory(cloud: Cloud) -> None:
    """An inference component needs at least 128 MB.

    Source: botocore, MemoryInMb
    """
    name = cloud.endpoint(cloud.component_config())
    with refused("minMemoryRequiredInMb"):
        create(cloud, name, Specification={"ComputeResourceRequirements": {"MinMemoryRequiredInMb": 64}})


def test_absent_component(cloud: Cloud) -> None:
    """An inference component that does not exist is reported as "Could not find inference component".

    Source: recorded:component-absent
    """
    with refused("Could not find inference component"):
        describe(cloud, "absent")


def test_component_is_deleted(cloud: Cloud) -> None:
    """A deleted inference component is Deleting first, and later does not exist.

    Source: sagemaker:API_DeleteInferenceComponent.html
    """
    create(cloud, cloud.endpoint(cloud.component_config()))
    cloud.advance(10)
    cloud.sagemaker.delete_inference_component(InferenceComponentName="component")
    assert describe(cloud)["InferenceComponentStatus"] == "Deleting"
    cloud.advance(10)
    with refused("Could not find inference component"):
        describe(cloud)


def test_copies_are_changed(cloud: Cloud) -> None:
    """UpdateInferenceComponentRuntimeConfig changes the number of copies.

    Source: sagemaker:API_UpdateInferenceComponentRuntimeConfig.html
    """
    create(cloud, cloud.endpoint(cloud.component_config()))
    cloud.advance(10)
    cloud.sagemaker.update_inference_component_runtime_config(
        InferenceComponentName="component", DesiredRuntimeConfig={"CopyCount": 3}
    )
    assert describe(cloud)["InferenceComponentStatus"] == "Updating"
    cloud.advance(10)
    assert describe(cloud)["RuntimeConfig"]["CurrentCopyCount"] == 3


def test_components_are_listed(cloud: Cloud) -> None:
    """ListInferenceComponents accepts the endpoint's name.

    Source: recorded:component-list; sagemaker:API_ListInferenceComponents.html
    """
    config = cloud.component_config()
    first, second = cloud.endpoint(config), cloud.endpoint(config)
    create(cloud, first, "a")
    create(cloud, second, "b")
    found = cloud.sagemaker.list_inference_components(EndpointNameEquals=first)["InferenceComponents"]
    assert [component["InferenceComponentName"] for component in found] == ["a"]


def test_copies_are_scaled(cloud: Cloud) -> None:
    """An inference component's copies can be a scalable target.

    Source: guide:endpoint-auto-scaling-zero-instances.html; scaling:API_RegisterScalableTarget.html
    """
    create(cloud, cloud.endpoint(cloud.component_config()))
    cloud.advance(10)
    cloud.scaling.register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId="inference-component/component",
        ScalableDimension="sagemaker:inference-component:DesiredCopyCount",
        MinCapacity=2,
        MaxCapacity=4,
    )
    cloud.advance(30)
    assert describe(cloud)["RuntimeConfig"]["CurrentCopyCount"] == 2


def create_adapter(cloud: Cloud, endpoint: str, base: str = "component", **more: Any) -> None:
    cloud.sagemaker.create_inference_component(
        InferenceComponentName="adapter",
        EndpointName=endpoint,
        Specification={
            "BaseInferenceComponentName": base,
            "Container": {"ArtifactUrl": "s3://bucket/adapter.tar.gz"},
            **more,
        },
    )


def test_adapter_comes_into_service(cloud: Cloud) -> None:
    """An adapter names its base and its artifact, and is a separate inference component.

    Source: guide:realtime-endpoints-adapt.html
    """
    name = cloud.endpoint(cloud.component_config())
    create(cloud, name)
    cloud.advance(10)
    create_adapter(cloud, name)
    cloud.advance(10)
    found = describe(cloud, "adapter")
    assert found["InferenceComponentStatus"] == "InService"
    assert found["Specification"]["BaseInferenceComponentName"] == "component"


def test_base_of_an_adapter_exists(cloud: Cloud) -> None:
    """An adapter's base must exist.

    Source: sagemaker:API_InferenceComponentSpecification.html
    """
    name = cloud.endpoint(cloud.component_config())
    with refused("Could not find inference component"):
        create_adapter(cloud, name, "absent")


def test_base_of_an_adapter_is_in_service(cloud: Cloud) -> None:
    """An adapter's base must be InService.

    Source: guide:realtime-endpoints-adapt.html; the wording is assumed
    """
    name = cloud.endpoint(cloud.component_config())
    create(cloud, name)
    with refused("not in service"):
        create_adapter(cloud, name)


def test_adapter_has_no_requirements(cloud: Cloud) -> None:
    """An adapter uses its base's resources, and must not have ComputeResourceRequirements.

    Source: sagemaker:API_InferenceComponentSpecification.html; the wording is assumed
    """
    name = cloud.endpoint(cloud.component_config())
    create(cloud, name)
    cloud.advance(10)
    with refused("ComputeResourceRequirements"):
        create_adapter(cloud, name, ComputeResourceRequirements={"MinMemoryRequiredInMb": 1024})


def test_base_stays_with_its_adapters(cloud: Cloud) -> None:
    """An inference component with adapters cannot be deleted.

    Source: assumed
    """
    name = cloud.endpoint(cloud.component_config())
    create(cloud, name)
    cloud.advance(10)
    create_adapter(cloud, name)
    cloud.advance(10)
    with refused("adapter inference components"):
        cloud.sagemaker.delete_inference_component(InferenceComponentName="component")
