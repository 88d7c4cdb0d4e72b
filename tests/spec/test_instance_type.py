from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from airflow_sm_hosting.spec.instance_type import platform_of


@pytest.mark.parametrize("name", ["ml.c7g.large", "ml.m6gd.xlarge", "ml.c6gn.16xlarge", "ml.r8g.2xlarge"])
def test_graviton_types_need_arm64(name: str) -> None:
    assert platform_of(name) == "linux/arm64"


@pytest.mark.parametrize(
    "name",
    [
        "ml.g5.xlarge",
        "ml.g4dn.xlarge",
        "ml.g6e.xlarge",
        "ml.m5.large",
        "ml.inf2.xlarge",
        "ml.p4de.24xlarge",
        "ml.trn1.2xlarge",
    ],
)
def test_others_need_amd64(name: str) -> None:
    assert platform_of(name) == "linux/amd64"


@pytest.mark.parametrize("value", [None, "{{ params.type }}", 3, "large"])
def test_of_what_is_not_known_nothing_is_said(value: Any) -> None:
    assert platform_of(value) is None


def test_the_graviton_types_of_hosting_are_those_of_awss_own_list() -> None:
    """SageMaker guide, "Run inference on Graviton" (realtime-endpoints-graviton.html): C6g, C6gd, C6gn, M6g, M6gd, R6g, R6gn, and later ones."""
    shape = (
        botocore.session.get_session()
        .get_service_model("sagemaker")
        .shape_for("ProductionVariantInstanceType")
    )
    found = {name.split(".")[1] for name in shape.metadata["enum"] if platform_of(name) == "linux/arm64"}
    assert {"c6g", "c6gd", "c6gn", "m6g", "m6gd", "r6g", "c7g", "m8g"} <= found
    assert not found & {"g4dn", "g5", "g6", "gr6", "p4d", "inf1", "trn1", "m5", "c5", "r5"}
