"""What rendering made of types is turned back."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from airflow_sm_hosting.service_model.coercion import scalar, typed
from airflow_sm_hosting.service_model.shapes import input_shape

MODEL = input_shape("sagemaker", "CreateModel")
CONFIG = input_shape("sagemaker", "CreateEndpointConfig")


@pytest.mark.parametrize(
    ("type_name", "text", "value"),
    [
        ("integer", "2", 2), ("integer", " 2 ", 2), ("integer", "-2", -2), ("integer", "+2", 2), ("integer", "2.0", 2), ("long", "0", 0),
        ("integer", "2.5", "2.5"), ("integer", "two", "two"), ("integer", "", ""), ("integer", "None", "None"), ("integer", "True", "True"),
        ("float", "2", 2.0), ("float", ".5", 0.5), ("double", "1e3", 1000.0), ("float", "-0.25", -0.25),
        ("float", "nan", "nan"), ("double", "inf", "inf"), ("float", "1,5", "1,5"),
        ("boolean", "True", True), ("boolean", "False", False), ("boolean", "false", False), ("boolean", " TRUE ", True),
        ("boolean", "0", "0"), ("boolean", "yes", "yes"), ("boolean", "", ""), ("boolean", "None", "None"),
        ("string", "True", "True"), ("string", "2", "2"),
        ("integer", 2, 2), ("boolean", False, False), ("float", 1.5, 1.5),
    ],
    ids=repr,
)  # fmt: skip
def test_a_string_becomes_what_the_type_says_or_stays_what_it_is(
    type_name: str, text: Any, value: Any
) -> None:
    got = scalar(type_name, text)
    assert got == value
    assert type(got) is type(value)


def test_rendered_strings_are_turned_back_wherever_they_stand() -> None:
    request = {
        "EndpointConfigName": "c",
        "ProductionVariants": [
            {
                "VariantName": "v",
                "InitialInstanceCount": "2",
                "InitialVariantWeight": "0",
                "EnableSSMAccess": "False",
            },
            {"VariantName": "w", "ServerlessConfig": {"MaxConcurrency": "5", "MemorySizeInMB": "2048"}},
        ],
        "DataCaptureConfig": {"EnableCapture": "False", "InitialSamplingPercentage": "25"},
        "KmsKeyId": None,
    }
    before = copy.deepcopy(request)
    ready = typed(CONFIG, request)
    assert request == before
    first, second = ready["ProductionVariants"]
    assert first == {
        "VariantName": "v",
        "InitialInstanceCount": 2,
        "InitialVariantWeight": 0.0,
        "EnableSSMAccess": False,
    }
    assert first["EnableSSMAccess"] is False
    assert second["ServerlessConfig"] == {"MaxConcurrency": 5, "MemorySizeInMB": 2048}
    assert ready["DataCaptureConfig"] == {"EnableCapture": False, "InitialSamplingPercentage": 25}
    assert "KmsKeyId" not in ready


def test_environment_values_become_strings() -> None:
    ready = typed(MODEL, {"PrimaryContainer": {"Environment": {"WORKERS": 2, "DEBUG": False, "RATE": 0.5}}})
    assert ready["PrimaryContainer"]["Environment"] == {"WORKERS": "2", "DEBUG": "False", "RATE": "0.5"}


def test_unknown_members_are_kept_to_be_named() -> None:
    assert typed(MODEL, {"ModelNam": "x"}) == {"ModelNam": "x"}
