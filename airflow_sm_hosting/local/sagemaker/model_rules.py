"""What SageMaker refuses of CreateModel beyond its model of the request: each rule with its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_sm_hosting.local.ecr.registry import Registry
from airflow_sm_hosting.local.sagemaker import model_data
from airflow_sm_hosting.local.sagemaker.refusal import refuse
from airflow_sm_hosting.local.sagemaker.structure_rules import (
    check_image_access,
    check_metrics,
    check_multi_model,
)

# _API is https://docs.aws.amazon.com/sagemaker/latest/APIReference
_OCI_MEDIA_TYPES = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json")


def check_create_model(request: Mapping[str, Any], registry: Registry, region: str) -> None:
    """Validate a CreateModel request in a Region."""
    primary, containers = request.get("PrimaryContainer"), request.get("Containers", ())
    # _API/API_CreateModel.html: "a primary container … or an inference pipeline".
    if primary is not None and containers:
        refuse("PrimaryContainer and Containers cannot be specified in the same request.")
    if primary is None and not containers:
        refuse("Either PrimaryContainer or Containers must be specified.")
    definitions: Sequence[Mapping[str, Any]] = [primary] if primary is not None else containers
    # https://docs.aws.amazon.com/sagemaker/latest/dg/inference-pipelines.html: two to fifteen containers. One in
    # Containers is accepted by the API (the model's own minimum is 0), so only the maximum is a refusal; botocore has it.
    _check_hostnames(definitions, request.get("InferenceExecutionConfig", {}).get("Mode"))
    _check_environment(definitions)
    for definition in definitions:
        check_image_access(definition, has_vpc="VpcConfig" in request)
        check_multi_model(definition)
        for endpoint in definition.get("ContainerMetricsConfig", {}).get("MetricsEndpoints", ()):
            check_metrics(endpoint)
        _check_container(definition, registry, region)
        _check_capabilities(definition, len(definitions) > 1, registry)


def _check_hostnames(definitions: Sequence[Mapping[str, Any]], mode: str | None) -> None:
    named = [d["ContainerHostname"] for d in definitions if "ContainerHostname" in d]
    # _API/API_ContainerDefinition.html: "If you specify a value for any … you must specify … for each".
    if named and len(named) < len(definitions):
        refuse("If you specify ContainerHostname for one container, you must specify it for every container.")
    if len(set(named)) < len(named):
        refuse("Container hostnames must be unique within a model.")
    # https://docs.aws.amazon.com/sagemaker/latest/dg/multi-container-direct.html
    if mode == "Direct" and len(named) < len(definitions):
        refuse(
            "ContainerHostname is required for every container when InferenceExecutionConfig mode is Direct."
        )


def _check_environment(definitions: Sequence[Mapping[str, Any]]) -> None:
    # _API/API_ContainerDefinition.html: "The maximum length of all … environment variables … is 32 KB".
    size = sum(
        len(key.encode()) + len(value.encode())
        for definition in definitions
        for key, value in definition.get("Environment", {}).items()
    )
    if size > 32 * 1024:
        refuse(f"The environment variables of all containers take {size} bytes; the limit is 32768 bytes.")


def _check_container(definition: Mapping[str, Any], registry: Registry, region: str) -> None:
    if "Image" not in definition and "ModelPackageName" not in definition:
        # _API/API_ContainerDefinition.html: an image, or a model package that has one.
        refuse("Either Image or ModelPackageName must be specified for a container.")
    if "InferenceSpecificationName" in definition and "ModelPackageName" not in definition:
        # _API/API_ContainerDefinition.html: a "name in the model package version"; the text is assumed.
        refuse("InferenceSpecificationName cannot be specified without ModelPackageName.")
    if "ModelPackageName" in definition and any(
        member in definition for member in ("Image", "ModelDataUrl", "ModelDataSource")
    ):
        # As users have quoted it: a model package brings its own image and data. That it is so for ModelDataSource is assumed.
        refuse("Specify one of either Image and Model Data URL or ModelPackageName in container definition.")
    if "ModelDataUrl" in definition and "ModelDataSource" in definition:
        # _API/API_ContainerDefinition.html: "you must specify … only one".
        refuse("ModelDataUrl and ModelDataSource cannot both be specified for a container.")
    if image := definition.get("Image"):
        _check_image(image, registry)
    source = model_data.model_source(definition)
    if source and source.kind == "prefix" and not source.uri.endswith("/"):
        # _API/API_S3ModelDataSource.html: a prefix "must end with a forward slash".
        refuse(f"The S3Uri {source.uri} must end with a forward slash when S3DataType is S3Prefix.")
    if source and not model_data.data_exists(source):
        # astronomer/airflow-guides#404
        refuse(f"Could not find model data at {source.uri}.")
    if source and (other := model_data.other_region(source, region)):
        # _API/API_ContainerDefinition.html, ModelDataUrl: "in the same region"; the text is assumed. mlflow/mlflow#2573
        refuse(
            f"The model data at {source.uri} is in {other}; it must be in the Region of the model, {region}."
        )


def _check_capabilities(definition: Mapping[str, Any], is_one_of_several: bool, registry: Registry) -> None:
    """Refuse an image that does not say that it can be used so.

    deepjavalibrary/djl-serving#708; https://docs.aws.amazon.com/sagemaker/latest/dg/multi-container-troubleshooting.html and
    build-multi-model-build-container.html (that the sentence is the same there is assumed).
    """
    image = definition.get("Image", "")
    stored = registry.find(image) if registry.is_ours(image) else None
    labels = registry.labels(stored) if stored else None
    if labels is None:
        return
    needed = [
        f"com.amazonaws.sagemaker.capabilities.{capability}"
        for capability, is_needed in (
            ("accept-bind-to-port", is_one_of_several),
            ("multi-models", definition.get("Mode") == "MultiModel"),
        )
        if is_needed
    ]
    missing = [f"{label}=true" for label in needed if labels.get(label) != "true"]
    if missing:
        refuse(f"Your Ecr Image {image} does not contain required {', '.join(missing)} Docker label(s).")


def _check_image(image: str, registry: Registry) -> None:
    if not registry.is_ours(image):
        # AWS's own Deep Learning Containers and other accounts' registries: nobody here can look into them.
        return
    stored = registry.find(image)
    if stored is None:
        refuse(f"Requested image {image} not found.")
    if stored.media_type in _OCI_MEDIA_TYPES:
        # aws/amazon-sagemaker-feedback#180, mlflow#13834, moby/buildkit#5480
        refuse(
            f"Unsupported manifest media type {stored.media_type} for image {image}. Ensure that valid manifest "
            "media type is used for specified image."
        )
