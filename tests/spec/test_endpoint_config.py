"""The CreateEndpointConfig request, and what its members must be to each other."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest
from botocore.validate import ParamValidator
from hypothesis import given, strategies as st

from airflow_sm_hosting import InstanceProductionVariant, ServerlessProductionVariant
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.service_model.request import validated_request
from airflow_sm_hosting.service_model.shapes import input_shape
from airflow_sm_hosting.spec.endpoint_config import check_endpoint_config, endpoint_config_request
from airflow_sm_hosting.spec.naming import content_digest, content_name
from airflow_sm_hosting.spec.patterns import INSTANCE_FAMILIES
from airflow_sm_hosting.spec.variant import SERVERLESS_MEMORY_SIZES


def variant(name: str = "main", **options: Any) -> dict[str, Any]:
    return InstanceProductionVariant(model_name="churn", variant_name=name, **options)


def serverless(name: str = "main") -> dict[str, Any]:
    return ServerlessProductionVariant(
        model_name="churn", variant_name=name, max_concurrency=1, memory_size_in_mb=1024
    )


def variants(number: int) -> list[dict[str, Any]]:
    return [variant(f"v{index}") for index in range(number)]


def test_a_request_has_what_was_given_and_no_more() -> None:
    assert endpoint_config_request(production_variants=variants(1)) == {"ProductionVariants": variants(1)}
    request = endpoint_config_request(
        production_variants=variants(1),
        shadow_production_variants=[variant("shadow")],
        kms_key_id="alias/key",
        data_capture_config={"EnableCapture": False},
        async_inference_config={"OutputConfig": {}},
        explainer_config={"ClarifyExplainerConfig": {}},
        MetricsConfig={"EnableEnhancedMetrics": True},
    )
    assert request == {
        "ProductionVariants": variants(1),
        "ShadowProductionVariants": [variant("shadow")],
        "KmsKeyId": "alias/key",
        "DataCaptureConfig": {"EnableCapture": False},
        "AsyncInferenceConfig": {"OutputConfig": {}},
        "ExplainerConfig": {"ClarifyExplainerConfig": {}},
        "MetricsConfig": {"EnableEnhancedMetrics": True},
    }


def test_nothing_that_was_given_is_changed() -> None:
    given_variants = variants(2)
    before = copy.deepcopy(given_variants)
    check_endpoint_config(production_variants=given_variants)
    endpoint_config_request(production_variants=given_variants)["ProductionVariants"].clear()
    assert given_variants == before


@pytest.mark.parametrize("number", [1, 10])
def test_1_to_10_variants_are_taken(number: int) -> None:
    check_endpoint_config(production_variants=variants(number))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"production_variants": []}, "production_variants has 0 entries; allowed: 1 to 10"),
        ({"production_variants": variants(11)}, "production_variants has 11 entries; allowed: 1 to 10"),
        ({"production_variants": variant()}, r"production_variants is a \w+; allowed: a list of 1 to 10 variants"),
        ({"production_variants": "main"}, "production_variants is a str"),
        ({"production_variants": ["main"]}, r"production_variants\[0\] is a str; allowed: an InstanceProductionVariant"),
        ({"production_variants": [variant("a"), variant("a")]}, "VariantName has 'a' twice"),
        ({"production_variants": [variant()], "shadow_production_variants": [variant()]}, "VariantName has 'main' twice"),
        ({"production_variants": variants(2), "shadow_production_variants": [variant("s")]}, "shadow_production_variants has 1 entries with 2 production variants; allowed: exactly one of each"),
        ({"production_variants": variants(1), "shadow_production_variants": [variant("s"), variant("t")]}, "shadow_production_variants has 2 entries with 1"),
        ({"production_variants": [serverless(), variant("b")]}, "a serverless variant among 2; allowed: one serverless variant alone"),
        ({"production_variants": [serverless("a"), serverless("b")]}, "a serverless variant among 2"),
        ({"production_variants": [{**serverless(), "InstanceType": "ml.m5.large"}]}, r"production_variants\[0\] has ServerlessConfig and InstanceType"),
        ({"production_variants": [{**serverless(), "InitialInstanceCount": 1, "VolumeSizeInGB": 2}]}, "ServerlessConfig and InitialInstanceCount, VolumeSizeInGB"),
        ({"production_variants": [serverless()], "data_capture_config": {"EnableCapture": True}}, "DataCaptureConfig is given with a serverless variant"),
        ({"production_variants": [serverless()], "async_inference_config": {"a": 1}}, "AsyncInferenceConfig is given with a serverless variant"),
        ({"production_variants": [serverless()], "explainer_config": {"a": 1}}, "ExplainerConfig is given with a serverless variant"),
        ({"production_variants": [serverless()], "shadow_production_variants": [variant("s")]}, "ShadowProductionVariants is given with a serverless variant"),
    ],
    ids=range(17),
)  # fmt: skip
def test_variants_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        check_endpoint_config(**options)


names = st.text("abzAZ09-", min_size=1, max_size=63).map(lambda text: text.strip("-") or "a")
instance_variants = st.builds(
    InstanceProductionVariant,
    model_name=names,
    variant_name=names,
    instance_type=st.sampled_from([f"ml.{family}.xlarge" for family in INSTANCE_FAMILIES]),
    initial_instance_count=st.integers(1, 500),
    initial_variant_weight=st.floats(0, 1000) | st.integers(0, 100),
    container_startup_health_check_timeout=st.none() | st.integers(60, 3600),
    model_data_download_timeout=st.none() | st.integers(60, 3600),
    volume_size_in_gb=st.none() | st.integers(1, 512),
)
serverless_variants = st.builds(
    ServerlessProductionVariant,
    model_name=names,
    variant_name=names,
    max_concurrency=st.integers(10, 200),
    memory_size_in_mb=st.sampled_from(SERVERLESS_MEMORY_SIZES),
    provisioned_concurrency=st.none() | st.integers(1, 10),
    initial_variant_weight=st.floats(0, 10),
)
configs = st.lists(
    instance_variants, min_size=1, max_size=4, unique_by=lambda one: one["VariantName"]
) | st.lists(serverless_variants, min_size=1, max_size=1)


@given(configs, names)
def test_every_request_passes_botocores_own_validator_and_our_stricter_one(
    chosen: list[dict[str, Any]], base: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "production_variants: every InitialVariantWeight is 0")
        check_endpoint_config(production_variants=chosen)
    request = endpoint_config_request(production_variants=chosen)
    name = content_name(base, content_digest("CreateEndpointConfig", request))
    ready = validated_request("sagemaker", "CreateEndpointConfig", {"EndpointConfigName": name, **request})
    report = ParamValidator().validate(ready, input_shape("sagemaker", "CreateEndpointConfig"))
    assert not report.has_errors(), report.generate_report()
    assert ready["ProductionVariants"] == chosen


def test_a_serverless_variant_alone_is_right() -> None:
    variant = ServerlessProductionVariant(
        model_name="m", variant_name="main", max_concurrency=1, memory_size_in_mb=1024
    )
    check_endpoint_config(production_variants=[variant])
