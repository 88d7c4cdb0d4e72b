"""What SageMaker refuses beyond its model: each rule with its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from airflow_sm_hosting.local.ecr.registry import Registry
from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID
from airflow_sm_hosting.local.sagemaker import model_data
from airflow_sm_hosting.local.sagemaker.endpoints import rollout
from airflow_sm_hosting.local.wire.protocol import AwsError

_API = "https://docs.aws.amazon.com/sagemaker/latest/APIReference"

# Instance fields that a serverless variant cannot have: _API + /API_ProductionVariantServerlessConfig.html and
# https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html#serverless-endpoints-how-it-works-exclusions
_NOT_SERVERLESS = (
    "InitialInstanceCount",
    "InstanceType",
    "AcceleratorType",
    "VolumeSizeInGB",
    "CoreDumpConfig",
    "EnableSSMAccess",
    "ManagedInstanceScaling",
    "RoutingConfig",
    "InferenceAmiVersion",
    "InstancePools",
)
_OCI_MEDIA_TYPES = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json")


def refuse(message: str) -> NoReturn:
    """Refuse a request: SageMaker has one error code for nearly everything."""
    raise AwsError("ValidationException", message)


def check_model(request: Mapping[str, Any], registry: Registry) -> None:
    """Hold a CreateModel request against the service's rules."""
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
        _check_container(definition, registry)
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


def _check_container(definition: Mapping[str, Any], registry: Registry) -> None:
    if "Image" not in definition and "ModelPackageName" not in definition:
        # _API/API_ContainerDefinition.html: an image, or a model package that has one.
        refuse("Either Image or ModelPackageName must be specified for a container.")
    if "ModelDataUrl" in definition and "ModelDataSource" in definition:
        # _API/API_ContainerDefinition.html: "you must specify … only one".
        refuse("ModelDataUrl and ModelDataSource cannot both be specified for a container.")
    if image := definition.get("Image"):
        _check_image(image, registry)
    source = model_data.model_source(definition)
    if source and source.kind == "prefix" and not source.uri.endswith("/"):
        # _API/API_S3ModelDataSource.html: a prefix "must end with a forward slash".
        refuse(f"The S3Uri {source.uri} must end with a forward slash when S3DataType is S3Prefix.")
    if source and not model_data.exists(source):
        # astronomer/airflow-guides#404
        refuse(f"Could not find model data at {source.uri}.")


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


def check_endpoint_config(request: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]]) -> None:
    """Hold a CreateEndpointConfig request against the service's rules.

    :param request: The request.
    :param models: The models that exist, by name.
    """
    variants: Sequence[Mapping[str, Any]] = request["ProductionVariants"]
    shadows: Sequence[Mapping[str, Any]] = request.get("ShadowProductionVariants", ())
    names = [variant["VariantName"] for variant in (*variants, *shadows)]
    if len(set(names)) < len(names):
        # _API/API_ProductionVariant.html: the name identifies the variant.
        refuse("Variant names must be unique within an endpoint configuration.")
    if shadows and (len(variants), len(shadows)) != (1, 1):
        # _API/API_CreateEndpointConfig.html, ShadowProductionVariants: "you can have only one variant".
        refuse(
            "ShadowProductionVariants can be used with exactly one production variant and one shadow variant."
        )
    serverless = [variant for variant in variants if "ServerlessConfig" in variant]
    if serverless and len(serverless) < len(variants):
        refuse(
            "Serverless variants and instance-backed variants cannot be mixed in an endpoint configuration."
        )
    if len(serverless) > 1:
        # serverless-endpoints.html, exclusions: "multiple production variants" (one per endpoint).
        refuse("A serverless endpoint can have one production variant only.")
    if serverless and "DataCaptureConfig" in request:
        # serverless-endpoints.html, exclusions.
        refuse("DataCaptureConfig is not supported for serverless variants.")
    for variant in (*variants, *shadows):
        _check_variant(variant, request, models)


def _check_variant(
    variant: Mapping[str, Any], request: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]]
) -> None:
    name = variant["VariantName"]
    model_name = variant.get("ModelName")
    if "ServerlessConfig" in variant:
        _check_serverless(variant, models.get(model_name or "", {}))
    elif "InstanceType" not in variant and "InstancePools" not in variant:
        # _API/API_ProductionVariant.html: one of the three ways to give compute.
        refuse(f"InstanceType or ServerlessConfig must be specified for production variant {name}.")
    elif "InitialInstanceCount" not in variant and model_name and "ManagedInstanceScaling" not in variant:
        refuse(f"InitialInstanceCount must be specified for production variant {name}.")
    if "ManagedInstanceScaling" in variant and model_name:
        # hashicorp/terraform-provider-aws#45926
        refuse("ManagedInstanceScaling is only supported for inference component endpoints.")
    if model_name is None and "ExecutionRoleArn" not in request:
        # _API/API_CreateEndpointConfig.html, ExecutionRoleArn: required for endpoints of inference components.
        refuse(
            f"ModelName must be specified for production variant {name}, or ExecutionRoleArn for the config."
        )


def _check_serverless(variant: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    name, serverless = variant["VariantName"], variant["ServerlessConfig"]
    for member in _NOT_SERVERLESS:
        if member in variant:
            refuse(f"{member} cannot be specified with ServerlessConfig for production variant {name}.")
    if serverless["MemorySizeInMB"] % 1024:
        # _API/API_ProductionVariantServerlessConfig.html: "in 1 GB increments".
        refuse("MemorySizeInMB must be one of 1024, 2048, 3072, 4096, 5120, 6144.")
    if serverless.get("ProvisionedConcurrency", 0) > serverless["MaxConcurrency"]:
        # The same page: "should be less than or equal to MaxConcurrency".
        refuse("ProvisionedConcurrency must be less than or equal to MaxConcurrency.")
    # serverless-endpoints.html, exclusions.
    if "VpcConfig" in model or model.get("EnableNetworkIsolation"):
        refuse("VpcConfig and network isolation are not supported for serverless variants.")
    if len(model.get("Containers", ())) > 1:
        refuse("Inference pipelines are not supported for serverless variants.")


def check_desired(change: Mapping[str, Any], variant: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Hold a ``DesiredWeightAndCapacity`` against its variant.

    :param change: What is wanted.
    :param variant: The variant of the endpoint config.
    :param config: The endpoint config.
    """
    name, serverless = variant["VariantName"], variant.get("ServerlessConfig")
    if serverless is not None and "DesiredInstanceCount" in change:
        # _API/API_DesiredWeightAndCapacity.html: serverless variants have ServerlessUpdateConfig; the sentence is assumed.
        refuse("DesiredInstanceCount cannot be specified for serverless variants.")
    update = change.get("ServerlessUpdateConfig")
    if update and serverless is None:
        refuse(f"ServerlessUpdateConfig cannot be specified for the instance-backed variant {name}.")
    if update and serverless:
        wanted = {**serverless, **update}
        if wanted.get("ProvisionedConcurrency", 0) > wanted["MaxConcurrency"]:
            refuse("ProvisionedConcurrency must be less than or equal to MaxConcurrency.")
    if (
        change.get("DesiredInstanceCount") == 0
        and "ModelName" in variant
        and "AsyncInferenceConfig" not in config
    ):
        # Zero instances: asynchronous endpoints and those of inference components only
        # (https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-autoscale.html); the sentence is assumed.
        refuse(f"DesiredInstanceCount of the real-time variant {name} must be at least 1.")


def check_deployment_config(
    deployment: Mapping[str, Any] | None,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    instances: Mapping[str, int | None],
) -> None:
    """Hold the ``DeploymentConfig`` of an UpdateEndpoint against the two configs. All sentences are assumed.

    :param deployment: The ``DeploymentConfig``.
    :param old: The endpoint config that serves.
    :param new: The endpoint config that is to serve.
    :param instances: The instances that each new variant is to have.
    """
    if not deployment:
        return
    blue_green, rolling = deployment.get("BlueGreenUpdatePolicy"), deployment.get("RollingUpdatePolicy")
    if blue_green and rolling:
        # _API/API_DeploymentConfig.html: "Only one update policy should be used".
        refuse("Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy can be specified.")
    names = [[variant["VariantName"] for variant in config["ProductionVariants"]] for config in (old, new)]
    if blue_green:
        _check_blue_green(blue_green, names, instances)
    if rolling:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html
        _check_same_variants(names)
        if len(names[1]) > 1:
            refuse("Rolling deployments are not supported for endpoints with multiple production variants.")
        if None in instances.values():
            refuse("Rolling deployments are not supported for serverless endpoints.")
        _check_size("MaximumBatchSize", rolling["MaximumBatchSize"], instances)


def _check_blue_green(
    policy: Mapping[str, Any], names: Sequence[Sequence[str]], instances: Mapping[str, int | None]
) -> None:
    routing = policy["TrafficRoutingConfiguration"]
    waits = routing["WaitIntervalInSeconds"] + policy.get("TerminationWaitInSeconds", 0)
    limit = policy.get("MaximumExecutionTimeoutInSeconds")
    if limit is not None and limit <= waits:
        # _API/API_BlueGreenUpdatePolicy.html: "should be larger than the total waiting time specified in
        # TerminationWaitInSeconds and WaitIntervalInSeconds".
        refuse(
            f"MaximumExecutionTimeoutInSeconds ({limit}) must be larger than the sum of TerminationWaitInSeconds and "
            f"WaitIntervalInSeconds ({waits})."
        )
    member = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}.get(routing["Type"])
    for other in ("CanarySize", "LinearStepSize"):
        if other in routing and other != member:
            refuse(f"{other} cannot be specified for the traffic routing type {routing['Type']}.")
    if member is None:
        return
    # deployment-guardrails-exclusions.html: "must have the same variant name as the old".
    _check_same_variants(names)
    if member not in routing:
        refuse(f"{member} must be specified for the traffic routing type {routing['Type']}.")
    _check_size(member, routing[member], instances)


def _check_same_variants(names: Sequence[Sequence[str]]) -> None:
    if set(names[0]) != set(names[1]):
        refuse("The new endpoint configuration must have the same variant names as the old one.")


def _check_size(member: str, size: Mapping[str, Any], instances: Mapping[str, int | None]) -> None:
    """Refuse a size that is not the share of a variant's instances that AWS allows."""
    low, high = rollout.SIZE_LIMITS[member]
    if size["Type"] == "CAPACITY_PERCENT" and not low <= size["Value"] <= high:
        refuse(f"{member} must be between {low}% and {high}% of the capacity, not {size['Value']}%.")
    for name, total in instances.items():
        if total is None:
            continue
        count = rollout.instances(size, total) if size["Type"] == "CAPACITY_PERCENT" else size["Value"]
        # An instance is the least that can be shifted, so with one there is nothing to shift in parts.
        too_small = size["Type"] == "INSTANCE_COUNT" and count * 100 < low * total
        if count * 100 > high * total or too_small:
            refuse(
                f"{member} is {count} of the {total} instance(s) of variant {name}; it must be between {low}% and {high}% "
                "of the variant's total instance count."
            )


def has_no_guardrails(config: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]]) -> bool:
    """Tell whether a feature of the endpoint makes every update all-at-once without a bake.

    https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html: Marketplace containers, Inf1,
    Elastic Inference. And serverless: guardrails "only apply to Asynchronous inference and Real-time inference endpoint
    types" (deployment-guardrails.html).
    """
    for variant in config["ProductionVariants"]:
        types = [
            variant.get("InstanceType", ""),
            *(p["InstanceType"] for p in variant.get("InstancePools", ())),
        ]
        if "ServerlessConfig" in variant or "AcceleratorType" in variant:
            return True
        if any(instance_type.startswith("ml.inf1.") for instance_type in types):
            return True
    definitions = (
        definition
        for model in models.values()
        for definition in (model.get("Containers") or [model.get("PrimaryContainer", {})])
    )
    # A package of the Marketplace belongs to the seller's account.
    packages = (definition.get("ModelPackageName", "") for definition in definitions)
    return any(package.startswith("arn:") and f":{ACCOUNT_ID}:" not in package for package in packages)
