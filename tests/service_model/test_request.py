"""A request is coerced and validated before it is sent."""

from __future__ import annotations

import copy

import pytest

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.service_model.request import validated_request


def test_an_unknown_well_formed_member_of_an_enum_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    request = {
        "EndpointConfigName": "c",
        "ProductionVariants": [
            {"VariantName": "v", "InstanceType": "ml.m55.large", "InitialInstanceCount": "1"}
        ],
    }
    with caplog.at_level("WARNING"):
        ready = validated_request("sagemaker", "CreateEndpointConfig", request)
    assert ready["ProductionVariants"][0]["InstanceType"] == "ml.m55.large"
    assert "ml.m5.large" in caplog.text
    assert "does not know" in caplog.text


def test_a_malformed_member_of_an_enum_is_an_error() -> None:
    request = {
        "EndpointConfigName": "c",
        "ProductionVariants": [{"VariantName": "v", "InstanceType": "ml m5 large"}],
    }
    with pytest.raises(InvalidSpecError, match=r"ProductionVariants\[0\].InstanceType is 'ml m5 large'"):
        validated_request("sagemaker", "CreateEndpointConfig", request)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InvalidSpecError, match=r"CreateModel would be rejected \(3 problems\): ") as caught:
        validated_request(
            "sagemaker",
            "CreateModel",
            {"ModelName": "a_b", "EnableNetworkIsolation": "no", "PrimaryContainer": {"Image": ""}},
        )
    for path in ("ModelName is 'a_b'", "EnableNetworkIsolation is 'no'", "PrimaryContainer.Image is ''"):
        assert path in str(caught.value)


def test_a_collection_is_told_by_its_size_and_an_unknown_member_is_not_shown() -> None:
    with pytest.raises(InvalidSpecError) as caught:
        validated_request(
            "sagemaker",
            "CreateEndpointConfig",
            {"EndpointConfigName": "c", "ProductionVariants": [], "Environmnt": {"TOKEN": "hunter2"}},
        )
    assert "ProductionVariants is a list of 0: Member must have length greater than or equal to 1" in str(
        caught.value
    )
    assert "Environmnt is ***: Member must be one of: " in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_validating_changes_nothing_that_was_given() -> None:
    request = {"ModelName": "m", "EnableNetworkIsolation": "True", "VpcConfig": None}
    before = copy.deepcopy(request)
    ready = validated_request("sagemaker", "CreateModel", request)
    assert request == before
    assert ready == {"ModelName": "m", "EnableNetworkIsolation": True}
