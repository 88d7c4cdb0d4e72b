"""The CreateEndpointConfig request, and the rules between its members."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.arn import MODEL, resource_name
from airflow_sm_hosting.spec.checks import (
    Problems,
    check_kms_key,
    check_role,
    check_structure,
    check_unique,
    is_rendered_later,
)
from airflow_sm_hosting.spec.combinations import check_config_combinations
from airflow_sm_hosting.spec.described_shape import check_described
from airflow_sm_hosting.spec.members import check_member_names
from airflow_sm_hosting.spec.reference import present
from airflow_sm_hosting.spec.rendered import as_number
from airflow_sm_hosting.spec.variant import check_variant

MAX_VARIANTS = 10  # CreateEndpointConfig, ProductionVariants

#: Members of the request that have a parameter.
CONFIG_PARAMETERS = {
    "EndpointConfigName": "endpoint_config_name",
    "ProductionVariants": "production_variants",
    "ShadowProductionVariants": "shadow_production_variants",
    "KmsKeyId": "kms_key_id",
    "DataCaptureConfig": "data_capture_config",
    "AsyncInferenceConfig": "async_inference_config",
    "ExplainerConfig": "explainer_config",
    "Tags": "tags",
}

#: Members that have a parameter, and may be given in ``extra_members``, too, as they could before they had one.
EITHER_SPELLING = {
    "ExecutionRoleArn": "execution_role",
    "VpcConfig": "vpc_config",
    "MetricsConfig": "metrics_config",
    "EnableNetworkIsolation": "enable_network_isolation",
    "CrossRegionTrafficConfig": "cross_region_traffic_config",
}

#: The structures of the request that are checked.
CONFIG_STRUCTURES = (
    "DataCaptureConfig",
    "AsyncInferenceConfig",
    "ExplainerConfig",
    "VpcConfig",
    "MetricsConfig",
    "CrossRegionTrafficConfig",
)


def endpoint_config_request(
    *,
    production_variants: Sequence[dict[str, Any]],
    shadow_production_variants: Sequence[dict[str, Any]] | None = None,
    kms_key_id: str | None = None,
    data_capture_config: dict[str, Any] | None = None,
    async_inference_config: dict[str, Any] | None = None,
    explainer_config: dict[str, Any] | None = None,
    **members: Any,
) -> dict[str, Any]:
    """Return the request without its name and tags."""
    return present(
        ProductionVariants=list(production_variants),
        ShadowProductionVariants=None
        if shadow_production_variants is None
        else list(shadow_production_variants),
        KmsKeyId=kms_key_id,
        DataCaptureConfig=data_capture_config,
        AsyncInferenceConfig=async_inference_config,
        ExplainerConfig=explainer_config,
        **members,
    )


def check_endpoint_config(
    *,
    production_variants: Any,
    shadow_production_variants: Any = None,
    kms_key_id: Any = None,
    data_capture_config: Any = None,
    async_inference_config: Any = None,
    explainer_config: Any = None,
    execution_role: Any = None,
    vpc_config: Any = None,
    metrics_config: Any = None,
    enable_network_isolation: Any = None,
    cross_region_traffic_config: Any = None,
    extra_members: Any = None,
) -> None:
    """Check the parameters of an endpoint config as far as they are literal.

    :raises InvalidSpecError: When they can never work together.
    """
    check_kms_key("kms_key_id", kms_key_id)
    check_structure("extra_members", extra_members)
    check_role("execution_role", execution_role)
    extra = extra_members if isinstance(extra_members, dict) else {}
    named = present(
        DataCaptureConfig=data_capture_config,
        AsyncInferenceConfig=async_inference_config,
        ExplainerConfig=explainer_config,
        ExecutionRoleArn=execution_role,
        VpcConfig=vpc_config,
        MetricsConfig=metrics_config,
        EnableNetworkIsolation=enable_network_isolation,
        CrossRegionTrafficConfig=cross_region_traffic_config,
    )
    for member in named:
        if member in extra:
            parameter = EITHER_SPELLING.get(member) or CONFIG_PARAMETERS[member]
            raise InvalidSpecError(
                f"{parameter} and extra_members[{member!r}] are given; allowed: {parameter}."
            )
    check_member_names("extra_members", extra, CONFIG_PARAMETERS)
    variants = _check_variants("production_variants", production_variants)
    shadows = _check_variants("shadow_production_variants", shadow_production_variants)
    if shadows is not None and variants is not None and (len(variants) != 1 or len(shadows) != 1):
        raise InvalidSpecError(
            f"shadow_production_variants has {len(shadows)} entries with {len(variants)} production variants; "
            "allowed: exactly one of each (CreateEndpointConfig)."
        )
    check_unique(
        "production_variants and shadow_production_variants: VariantName",
        [variant.get("VariantName") for variant in [*(variants or []), *(shadows or [])]],
    )
    if execution_role is None:
        _check_role(variants or [], extra_members)
    check_config_combinations(
        variants or [],
        shadows or [],
        {"ShadowProductionVariants": shadow_production_variants, **named, **extra},
    )
    _check_structures({**named, **extra}, named)
    if variants and all(_weighs_nothing(variant) for variant in variants):
        warnings.warn(
            "production_variants: every InitialVariantWeight is 0. A variant's share is its weight divided "
            "by the sum of all weights (ProductionVariant documentation), which is 0 here; AWS does not "
            "document the effect.",
            stacklevel=3,
        )


def _check_structures(members: Mapping[str, Any], named: Mapping[str, Any]) -> None:
    """Check the structures of the request, given by parameter or in AWS's spelling."""
    problems = Problems()
    for member in CONFIG_STRUCTURES:
        where = (
            {**CONFIG_PARAMETERS, **EITHER_SPELLING}[member] if member in named else f"extra_members.{member}"
        )
        with problems:
            check_described(where, members.get(member), member)
    problems.tell()


def with_model_names(where: str, variants: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rendered variants with model ARNs replaced by names, as CreateEndpointConfig accepts only names."""
    named = []
    for index, variant in enumerate(variants):
        named.append(_named(f"{where}[{index}]", variant, "ModelName"))
        if isinstance(variant.get("InstancePools"), list | tuple):
            named[-1]["InstancePools"] = [
                _named(f"{where}[{index}].InstancePools[{place}]", pool, "ModelNameOverride")
                for place, pool in enumerate(variant["InstancePools"])
            ]
    return named


def models_of_variants(where: str, variants: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the model names and ARNs in rendered variants, by field."""
    models: dict[str, Any] = {}
    for index, variant in enumerate(variants):
        models[f"{where}[{index}].ModelName"] = variant.get("ModelName")
        for place, pool in enumerate(variant.get("InstancePools") or []):
            models[f"{where}[{index}].InstancePools[{place}].ModelNameOverride"] = pool.get(
                "ModelNameOverride"
            )
    return models


def _named(where: str, holder: Mapping[str, Any], member: str) -> dict[str, Any]:
    if holder.get(member) is None:
        return dict(holder)
    return {**holder, member: resource_name(f"{where}.{member}", holder[member], MODEL)}


def _check_role(variants: list[dict[str, Any]], extra_members: Any) -> None:
    """Check that a config whose variants have no models, for inference components, has an execution role.

    API_CreateEndpointConfig, ExecutionRoleArn: required for endpoints of inference components.
    """
    without = [
        variant.get("VariantName")
        for variant in variants
        if variant.get("ModelName") is None
        and "ServerlessConfig" not in variant
        and not any(isinstance(pool, dict) and pool.get("ModelNameOverride") for pool in _pools(variant))
    ]
    if not without or is_rendered_later(extra_members):
        return
    if not isinstance(extra_members, dict) or extra_members.get("ExecutionRoleArn") is None:
        raise InvalidSpecError(
            f"production_variants: {', '.join(map(str, without))} without a model, and the config has no execution role; allowed: "
            "model_name=…, or, for inference components, execution_role=…."
        )


def _pools(variant: Mapping[str, Any]) -> Sequence[Any]:
    pools = variant.get("InstancePools")
    return pools if isinstance(pools, list | tuple) else ()


def _weighs_nothing(variant: Mapping[str, Any]) -> bool:
    weight = variant.get("InitialVariantWeight")
    if weight is None or is_rendered_later(weight):
        return False
    return as_number("InitialVariantWeight", weight, low=0) == 0


def _check_variants(where: str, variants: Any) -> list[dict[str, Any]] | None:
    """Check the list, and return its variants if all are known."""
    if variants is None or is_rendered_later(variants):
        return None
    if not isinstance(variants, list | tuple):
        raise InvalidSpecError(
            f"{where} is a {type(variants).__name__}; allowed: a list of 1 to {MAX_VARIANTS} variants."
        )
    if not 1 <= len(variants) <= MAX_VARIANTS:
        raise InvalidSpecError(f"{where} has {len(variants)} entries; allowed: 1 to {MAX_VARIANTS}.")
    problems = Problems()
    for index, variant in enumerate(variants):
        with problems:
            if isinstance(variant, dict):
                check_variant(f"{where}[{index}]", variant)
            elif not is_rendered_later(variant):
                raise InvalidSpecError(
                    f"{where}[{index}] is a {type(variant).__name__}; allowed: an InstanceProductionVariant, a "
                    "ServerlessProductionVariant, or a dict in the shape of ProductionVariant."
                )
    problems.tell()
    known = [variant for variant in variants if isinstance(variant, dict)]
    return known if len(known) == len(variants) else None
