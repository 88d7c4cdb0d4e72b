"""Any request in the shapes of botocore's model is answered or refused, and leaves what is there readable."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.service_model.shapes import service_model
from tests.local.conftest import FOREIGN_IMAGE, ROLE
from tests.local.region import Region

ARN = "arn:aws:sagemaker:us-east-1:123456789012"
PACKAGES = [
    *("CreateModelPackageGroup", "DescribeModelPackageGroup", "ListModelPackageGroups"),
    *("DeleteModelPackageGroup", "PutModelPackageGroupPolicy", "GetModelPackageGroupPolicy"),
    *("DeleteModelPackageGroupPolicy", "CreateModelPackage", "DescribeModelPackage", "UpdateModelPackage"),
    *("BatchDescribeModelPackage", "ListModelPackages", "DeleteModelPackage", "CreateModel"),
    *("AddTags", "ListTags", "DeleteTags"),
]
SENSIBLE: dict[str, tuple[set[str], dict[str, Any]]] = {
    "CreateModelPackage": (
        {
            *("ModelPackageName", "Tags", "CertifyForMarketplace", "ValidationSpecification"),
            *("SourceAlgorithmSpecification", "SourceUri", "AdditionalInferenceSpecifications"),
        },
        {"ModelPackageGroupName": "g"},
    ),
    "CreateModel": (
        {"Containers", "InferenceExecutionConfig"},
        {"PrimaryContainer": {"ModelPackageName": "g/1"}, "ModelName": "made"},
    ),
}
# Names that mean something here, and some that are odd.
TEXTS = (
    *(
        "g",
        "g/1",
        "g/2",
        "p",
        "m",
        "1",
        "",
        "-",
        "a/b/c",
        "G",
        "x" * 70,
        "ä",
        "{}",
        "[]",
        "Tags.a",
        "sagemaker",
    ),
    *(f"{ARN}:model-package/g/1", f"{ARN}:model-package/p", f"{ARN}:model-package-group/g", f"{ARN}:model/m"),
    *(
        f"{ARN}:model-package/g/x",
        f"{ARN}:model-package",
        "arn:aws",
        "arn:",
        ":::::",
        "arn:aws:ecr:us-east-1:1:repository/a",
    ),
    *(
        "EndpointName",
        "CreationTime",
        "ModelPackageVersion",
        "ProductionVariants.VariantName",
        "Model",
        "Endpoints",
    ),
    *("1.4-2", "sha256:" + "0" * 64, "arn:aws:kms:us-east-1:123456789012:key/k", "TEXT/csv"),
    *("2026-01-01T00:00:00", "nan", "1e5", FOREIGN_IMAGE, ROLE, "s3://a/b", "s3:///", "https://x/y"),
)


@cache
def values(service: str, name: str) -> st.SearchStrategy[Any]:
    """Return values of a shape, most of which its constraints allow."""
    shape: Any = service_model(service).shape_for(name)
    match shape.type_name:
        case "structure":
            return st.fixed_dictionaries(
                {key: of(service, shape.members[key]) for key in shape.required_members},
                optional={
                    key: of(service, member)
                    for key, member in shape.members.items()
                    if key not in shape.required_members
                },
            )
        case "list":
            least = shape.metadata.get("min", 0)
            return st.lists(of(service, shape.member), min_size=least, max_size=max(least, 2))
        case "map":
            return st.dictionaries(
                of(service, shape.key),
                of(service, shape.value),
                min_size=shape.metadata.get("min", 0),
                max_size=2,
            )
        case "string":
            return st.sampled_from(shape.enum or texts(shape.metadata))
        case "boolean":
            return st.booleans()
        case "integer" | "long":
            return st.integers(shape.metadata.get("min", 0), shape.metadata.get("max", 200))
        case "float" | "double" | "timestamp":
            return st.floats(0, 2e9)
    raise AssertionError(shape.type_name)


def texts(constraints: Any) -> list[str]:
    """Return the texts that a shape allows, often enough that a request with several of them is valid, and one that it does not."""
    found = breaks(constraints)
    return [text for text in TEXTS if not found(text)] * 20 + [TEXTS[len(constraints)]] or list(TEXTS)


def breaks(constraints: Any) -> Callable[[str], bool]:
    try:
        pattern = re.compile(constraints.get("pattern", ".*"), re.DOTALL)
    except re.error:
        # Classes of Unicode, which Python does not have.
        pattern = re.compile(".*", re.DOTALL)
    least, most = constraints.get("min", 0), constraints.get("max", 10_000)
    return lambda text: not (pattern.fullmatch(text) and least <= len(text) <= most)


def of(service: str, shape: Any) -> st.SearchStrategy[Any]:
    return st.deferred(lambda: values(service, shape.name))


def requests(service: str, operation: str) -> st.SearchStrategy[dict[str, Any]]:
    shape = service_model(service).operation_model(operation).input_shape
    assert shape
    return values(service, shape.name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_model_packages(make_region: Callable[..., Region], data: st.DataObject) -> None:
    region = make_region()
    containers = {"Containers": [{"Image": FOREIGN_IMAGE}]}
    types = {
        "SupportedTransformInstanceTypes": ["ml.m5.large"],
        "SupportedRealtimeInferenceInstanceTypes": ["ml.m5.large"],
    }
    region.ask("CreateModelPackageGroup", ModelPackageGroupName="g")
    region.ask(
        "CreateModelPackage",
        ModelPackageGroupName="g",
        InferenceSpecification=containers,
        ModelApprovalStatus="Approved",
    )
    region.ask("CreateModelPackage", ModelPackageName="p", InferenceSpecification={**containers, **types})
    for operation in data.draw(st.lists(st.sampled_from(PACKAGES), min_size=1, max_size=8)):
        request = data.draw(requests("sagemaker", operation))
        if operation in SENSIBLE and data.draw(st.booleans()):
            # Few requests are without what excludes each other.
            without, more = SENSIBLE[operation]
            request = {**{key: value for key, value in request.items() if key not in without}, **more}
        with suppress(AwsError):
            region.ask(operation, **request)
    for package in region.ask("ListModelPackages", ModelPackageType="Both", MaxResults=100)[
        "ModelPackageSummaryList"
    ]:
        region.ask("DescribeModelPackage", ModelPackageName=package["ModelPackageArn"])
    for group in region.ask("ListModelPackageGroups", MaxResults=100)["ModelPackageGroupSummaryList"]:
        region.ask("DescribeModelPackageGroup", ModelPackageGroupName=group["ModelPackageGroupArn"])
    for resource in ("Model", "ModelPackage", "ModelPackageGroup"):
        region.ask("Search", Resource=resource)
    # What is kept can be restored.
    saved = region.hosting.dump()
    other = make_region()
    other.hosting.load(saved)
    assert other.hosting.dump() == saved


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("sagemaker", "Search"),
        *(
            ("resourcegroupstaggingapi", operation)
            for operation in ("GetResources", "GetTagKeys", "GetTagValues", "TagResources", "UntagResources")
        ),
    ],
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_views(make_region: Callable[..., Region], service: str, operation: str, data: st.DataObject) -> None:
    region = make_region()
    region.serving(region.variant())
    request = data.draw(requests(service, operation))
    if service == "sagemaker":
        request["Resource"] = data.draw(st.sampled_from(["Endpoint", "Model", "ModelPackage"]))
    answer = region.hosting.sagemaker.answer if service == "sagemaker" else region.hosting.tagging.answer
    with suppress(AwsError):
        answer(operation, request)
