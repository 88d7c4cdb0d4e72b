"""The shapes of requests, out of botocore's models of services."""

from __future__ import annotations

import pytest

from airflow_sm_hosting.service_model.shapes import input_shape, service_model


def test_a_model_is_loaded_once() -> None:
    assert service_model("sagemaker") is service_model("sagemaker")


def test_the_shape_of_a_request_is_the_services() -> None:
    assert input_shape("sagemaker", "CreateModel").name == "CreateModelInput"


def test_an_operation_without_a_request_is_told() -> None:
    with pytest.raises(ValueError, match=r"^GetAccountPasswordPolicy of iam takes no request$"):
        input_shape("iam", "GetAccountPasswordPolicy")
