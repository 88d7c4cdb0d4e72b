"""What AWS does not take together in a variant, and in an endpoint config: each rule with its source, and what belongs where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.checks import Problems, is_rendered_later

#: Members of a ProductionVariant that only instances have
#: (https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html, how it works, and feature exclusions). That the last three are
#: refused is assumed: they are about instances, too.
INSTANCE_MEMBERS = (
    "InstanceType",
    "InitialInstanceCount",
    "InstancePools",
    "VolumeSizeInGB",
    "CoreDumpConfig",
    "EnableSSMAccess",
    "ManagedInstanceScaling",
    "RoutingConfig",
    "InferenceAmiVersion",
    "CapacityReservationConfig",
    "VariantInstanceProvisionTimeoutInSeconds",
    "AcceleratorPartitionLayouts",
)

#: Members of an endpoint config that a serverless variant excludes (same page; for CrossRegionTrafficConfig botocore, CreateEndpointConfigInput).
NOT_FOR_SERVERLESS = (
    "DataCaptureConfig",
    "AsyncInferenceConfig",
    "ShadowProductionVariants",
    "ExplainerConfig",
    "VpcConfig",
    "EnableNetworkIsolation",
    "CrossRegionTrafficConfig",
)

#: Members of an endpoint config that asynchronous inference excludes: shadow variants
#: (https://docs.aws.amazon.com/sagemaker/latest/dg/shadow-tests-exclusions.html), and traffic of routers (botocore, CreateEndpointConfigInput).
NOT_FOR_ASYNC = ("ShadowProductionVariants", "CrossRegionTrafficConfig")


def check_variant_combinations(where: str, variant: Mapping[str, Any]) -> None:
    """Check what is together in a variant in the AWS shape.

    :param where: The variant.
    :param variant: The variant.
    :raises InvalidSpecError: When AWS would refuse it.
    """
    problems = Problems()
    with problems:
        if _has(variant, "ManagedInstanceScaling") and _has(variant, "ModelName"):
            # hashicorp/terraform-provider-aws#45926
            raise InvalidSpecError(
                f"{where} has model_name (ModelName) and ManagedInstanceScaling; allowed: managed scaling only in a variant without a "
                "model, for inference components. ConfigureAutoscalingOperator scales a variant with a model."
            )
    with problems:
        if _has(variant, "InstancePools") and _has(variant, "InstanceType"):
            # InstancePools: "instead of InstanceType" (developer guide, "realtime-endpoints-heterogeneous").
            raise InvalidSpecError(
                f"{where} has InstancePools and InstanceType; allowed: one of them, as the pools contain the types."
            )
    with problems:
        if _has(variant, "InstancePools") and _has(variant, "CapacityReservationConfig"):
            # Assumed: a reservation is of one instance type.
            raise InvalidSpecError(
                f"{where} has InstancePools and CapacityReservationConfig; allowed: a reservation with the InstanceType that is reserved."
            )
    problems.tell()


def check_config_combinations(
    variants: Sequence[Mapping[str, Any]], shadows: Sequence[Mapping[str, Any]], members: Mapping[str, Any]
) -> None:
    """Check what is together in an endpoint config, as far as it is literal.

    :param variants: The production variants.
    :param shadows: The shadow variants.
    :param members: The other members of the request, in AWS's spelling.
    :raises InvalidSpecError: When AWS would refuse it.
    """
    if any(_has(variant, "ServerlessConfig") for variant in shadows):
        raise InvalidSpecError(
            "shadow_production_variants has a serverless variant; allowed: an instance variant."
        )
    _check_serverless(variants, members)
    _check_shadow_types([*variants, *shadows] if shadows else [])
    if not members.get("AsyncInferenceConfig"):
        return
    for member in NOT_FOR_ASYNC:
        if members.get(member) and not is_rendered_later(members[member]):
            raise InvalidSpecError(
                f"{member} is given with AsyncInferenceConfig; allowed: only for endpoints that answer in real time."
            )
    if len(variants) > 1:
        # aws/aws-cdk-rfcs#433: "If your EndpointConfig is asynchronous, you can have a single instance-based production variant."
        raise InvalidSpecError(
            f"production_variants has {len(variants)} entries with AsyncInferenceConfig; allowed: one instance variant."
        )


def _check_serverless(variants: Sequence[Mapping[str, Any]], members: Mapping[str, Any]) -> None:
    serverless = [variant for variant in variants if _has(variant, "ServerlessConfig")]
    if not serverless:
        return
    if len(variants) > 1:
        raise InvalidSpecError(
            f"production_variants has a serverless variant among {len(variants)}; "
            "allowed: one serverless variant alone, or 1 to 10 instance variants."
        )
    both = [member for member in INSTANCE_MEMBERS if member in serverless[0]]
    if both:
        raise InvalidSpecError(
            f"production_variants[0] has ServerlessConfig and {', '.join(both)}; allowed: either serverless "
            "or instance members."
        )
    for member in NOT_FOR_SERVERLESS:
        if members.get(member) and not is_rendered_later(members[member]):
            raise InvalidSpecError(
                f"{member} is given with a serverless variant; allowed: only with instance variants."
            )


def _check_shadow_types(variants: Sequence[Mapping[str, Any]]) -> None:
    """Check the instance types beside a shadow variant (shadow-tests-exclusions: "Inf1 (Inferentia-based) instances")."""
    for variant in variants:
        kind = variant.get("InstanceType")
        if isinstance(kind, str) and kind.startswith("ml.inf1."):
            raise InvalidSpecError(
                f"Variant {variant.get('VariantName')} has the instance type {kind!r} with shadow_production_variants; allowed: other "
                "types than ml.inf1."
            )


def _has(variant: Mapping[str, Any], member: str) -> bool:
    return variant.get(member) is not None
