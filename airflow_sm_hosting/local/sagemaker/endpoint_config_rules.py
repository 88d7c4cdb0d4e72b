"""What SageMaker refuses of CreateEndpointConfig beyond its model of the request: each rule with its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_sm_hosting.local.sagemaker.refusal import refuse
from airflow_sm_hosting.local.sagemaker.store import served_containers
from airflow_sm_hosting.local.sagemaker.structure_rules import (
    check_explainer,
    check_managed_scaling,
    check_metrics,
    check_pools,
    check_routing,
)

# _API is https://docs.aws.amazon.com/sagemaker/latest/APIReference
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
    # Assumed: these are about instances, too.
    "CapacityReservationConfig",
    "VariantInstanceProvisionTimeoutInSeconds",
    "AcceleratorPartitionLayouts",
)

#: Members of the config that a serverless variant excludes: serverless-endpoints.html, exclusions. That it is so for asynchronous inference
#: (aws/aws-cdk-rfcs#433) and explainers is assumed.
_NOT_BESIDE_SERVERLESS = (
    "DataCaptureConfig",
    "AsyncInferenceConfig",
    "ExplainerConfig",
    "VpcConfig",
    "EnableNetworkIsolation",
)


#: Regions whose endpoints cannot be scaled to zero instances: measured in 2026 (stdapi-ai/stdapi.ai#43). That the others can is assumed,
#: as AWS's page names no Regions: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-zero-instances.html
_NEVER_ZERO = ("eu-west-3",)


def check_create_endpoint_config(
    request: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]], region: str
) -> None:
    """Validate a CreateEndpointConfig request.

    :param request: The request.
    :param models: The models that exist, by name.
    :param region: The Region.
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
    _check_shadows(request, shadows, models)
    if "CrossRegionTrafficConfig" in request and (serverless or "AsyncInferenceConfig" in request):
        # botocore, CreateEndpointConfigInput: "You can't specify it with serverless variants or with AsyncInferenceConfig."
        refuse(
            "CrossRegionTrafficConfig cannot be specified with serverless variants or with AsyncInferenceConfig."
        )
    for member in _NOT_BESIDE_SERVERLESS if serverless else ():
        if request.get(member):
            refuse(f"{member} is not supported for serverless variants.")
    if "AsyncInferenceConfig" in request and len(variants) > 1:
        # aws/aws-cdk-rfcs#433: "a single instance-based production variant"; the sentence is assumed.
        refuse("An asynchronous endpoint can have one production variant only.")
    check_metrics(request.get("MetricsConfig", {}))
    check_explainer(request.get("ExplainerConfig", {}))
    for variant in (*variants, *shadows):
        _check_variant(variant, request, models)
        scaling = variant.get("ManagedInstanceScaling", {})
        if (
            region in _NEVER_ZERO
            and scaling.get("Status") == "ENABLED"
            and scaling.get("MinInstanceCount") == 0
        ):
            refuse("Min instance count needs to be greater than 0 for enabled managed instance scaling")


def _check_shadows(
    request: Mapping[str, Any], shadows: Sequence[Mapping[str, Any]], models: Mapping[str, Mapping[str, Any]]
) -> None:
    """Refuse shadow variants beside what they do not go with.

    https://docs.aws.amazon.com/sagemaker/latest/dg/shadow-tests-exclusions.html; the sentences are assumed.
    """
    if not shadows:
        return
    if "AsyncInferenceConfig" in request:
        refuse("ShadowProductionVariants are not supported for asynchronous endpoints.")
    for variant in (*request["ProductionVariants"], *shadows):
        name = variant["VariantName"]
        if "ServerlessConfig" in variant:
            refuse(f"ShadowProductionVariants are not supported with the serverless variant {name}.")
        if "AcceleratorType" in variant or variant.get("InstanceType", "").startswith("ml.inf1."):
            refuse(
                f"ShadowProductionVariants are not supported with Elastic Inference and Inf1, as of variant {name}."
            )
        definitions = served_containers(models.get(variant.get("ModelName", ""), {}))
        if len(definitions) > 1 or any(definition.get("Mode") == "MultiModel" for definition in definitions):
            refuse(
                f"ShadowProductionVariants are not supported with several containers or models, as of variant {name}."
            )


def _check_variant(
    variant: Mapping[str, Any], request: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]]
) -> None:
    name = variant["VariantName"]
    model_name = variant.get("ModelName")
    check_pools(name, variant)
    check_routing(name, variant.get("RoutingConfig", {}))
    check_managed_scaling(name, variant.get("ManagedInstanceScaling", {}))
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
    definitions = served_containers(model)
    if len(definitions) > 1:
        refuse("Inference pipelines are not supported for serverless variants.")
    if any(definition.get("Mode") == "MultiModel" for definition in definitions):
        refuse("Multi-model containers are not supported for serverless variants.")
    if any("ModelDataSource" in definition for definition in definitions):
        # botocore, ContainerDefinition: "you cannot use ModelDataSource in conjunction with … SageMaker serverless endpoints"
        refuse("ModelDataSource is not supported for serverless variants.")
