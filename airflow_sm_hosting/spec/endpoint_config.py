"""The CreateEndpointConfig request: what its members must be to each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.rules import (
    check_instance_type_form,
    check_unique,
    is_rendered_later,
    present,
)
from airflow_sm_hosting.spec.variant import ACCELERATORS_ARE_GONE

MAX_VARIANTS = 10  # CreateEndpointConfig, ProductionVariants

#: Members of a ProductionVariant that only instances have (developer guide, "Serverless Inference", feature exclusions).
INSTANCE_MEMBERS = ("InstanceType", "InitialInstanceCount", "InstancePools", "VolumeSizeInGB")

#: Members of an endpoint config that a serverless variant excludes (same page).
NOT_FOR_SERVERLESS = (
    "DataCaptureConfig",
    "AsyncInferenceConfig",
    "ShadowProductionVariants",
    "ExplainerConfig",
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
        ShadowProductionVariants=list(shadow_production_variants) if shadow_production_variants else None,
        KmsKeyId=kms_key_id,
        DataCaptureConfig=data_capture_config,
        AsyncInferenceConfig=async_inference_config,
        ExplainerConfig=explainer_config,
        **members,
    )


def check_endpoint_config(
    *, production_variants: Any, shadow_production_variants: Any = None, **members: Any
) -> None:
    """Check the parameters of an endpoint config as far as they are literal.

    :raises InvalidSpecError: When they can never work together.
    """
    variants = _check_variants("production_variants", production_variants)
    shadows = _check_variants("shadow_production_variants", shadow_production_variants)
    if shadows is not None and variants is not None and (len(variants) != 1 or len(shadows) != 1):
        raise InvalidSpecError(
            f"shadow_production_variants has {len(shadows)} entries beside {len(variants)} production variants; "
            "allowed: exactly one of each (CreateEndpointConfig)."
        )
    check_unique(
        "production_variants and shadow_production_variants: VariantName",
        [variant.get("VariantName") for variant in [*(variants or []), *(shadows or [])]],
    )
    serverless = [variant for variant in variants or [] if "ServerlessConfig" in variant]
    if not serverless:
        return
    if len(variants or []) > 1:
        raise InvalidSpecError(
            f"production_variants has a serverless variant among {len(variants or [])}; "
            "allowed: one serverless variant alone, or 1 to 10 instance variants."
        )
    both = [member for member in INSTANCE_MEMBERS if member in serverless[0]]
    if both:
        raise InvalidSpecError(
            f"production_variants[0] has ServerlessConfig and {', '.join(both)}; allowed: either of the two kinds."
        )
    excluded = {"ShadowProductionVariants": shadow_production_variants, **members}
    for member in NOT_FOR_SERVERLESS:
        if excluded.get(member):
            raise InvalidSpecError(
                f"{member} is given with a serverless variant; allowed: on instance variants only."
            )


def _check_variants(where: str, variants: Any) -> list[dict[str, Any]] | None:
    """Check the list, and return its variants where all are known."""
    if variants is None or is_rendered_later(variants):
        return None
    if not isinstance(variants, list | tuple):
        raise InvalidSpecError(
            f"{where} is a {type(variants).__name__}; allowed: a list of 1 to {MAX_VARIANTS} variants."
        )
    if not 1 <= len(variants) <= MAX_VARIANTS:
        raise InvalidSpecError(f"{where} has {len(variants)} entries; allowed: 1 to {MAX_VARIANTS}.")
    for index, variant in enumerate(variants):
        if not isinstance(variant, dict) and not is_rendered_later(variant):
            raise InvalidSpecError(
                f"{where}[{index}] is a {type(variant).__name__}; allowed: an InstanceProductionVariant, a "
                "ServerlessProductionVariant, or a dict in the shape of ProductionVariant."
            )
        if isinstance(variant, dict):
            instance_type = variant.get("InstanceType")
            if instance_type is not None:
                check_instance_type_form(f"{where}[{index}].InstanceType", instance_type)
            if variant.get("AcceleratorType") is not None:
                raise InvalidSpecError(f"{where}[{index}].AcceleratorType: {ACCELERATORS_ARE_GONE}")
    known = [variant for variant in variants if isinstance(variant, dict)]
    return known if len(known) == len(variants) else None
