"""Search over endpoints, models, model packages and their groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.local.conftest import FOREIGN_IMAGE, ROLE
from tests.local.region import START, Region

ARN = "arn:aws:sagemaker:us-east-1:123456789012"


def tags(**values: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


@pytest.fixture
def region(make_region: Callable[..., Region]) -> Region:
    """With two endpoints, three models, and a group with three versions."""
    region = make_region()
    region.clock.advance(60)
    for name in ("a", "b"):
        container = {"Image": FOREIGN_IMAGE, "Environment": {"A": name}}
        region.ask(
            "CreateModel",
            ModelName=name,
            ExecutionRoleArn=ROLE,
            PrimaryContainer=container,
            Tags=tags(team=name),
        )
    region.config("one", region.variant("main", 2), region.variant("other", 1))
    region.config("two", {**region.variant("main", 1), "ModelName": "b"})
    region.ask(
        "CreateEndpoint", EndpointName="E", EndpointConfigName="one", Tags=tags(team="x", stage="prod")
    )
    region.clock.advance(60)
    region.ask("CreateEndpoint", EndpointName="F", EndpointConfigName="two", Tags=tags(team="y"))
    region.clock.advance(60)
    region.ask("CreateModelPackageGroup", ModelPackageGroupName="g", Tags=tags(team="x"))
    for status in ("Approved", "Rejected", "Approved"):
        region.ask(
            "CreateModelPackage",
            ModelPackageGroupName="g",
            InferenceSpecification={"Containers": [{"Image": FOREIGN_IMAGE}]},
            ModelApprovalStatus=status,
            CustomerMetadataProperties={"run.id": status.lower()},
        )
        region.clock.advance(60)
    cycle = {"Stage": "Production", "StageStatus": "Active"}
    arn = f"{ARN}:model-package/g/1"
    region.ask("UpdateModelPackage", ModelPackageArn=arn, ModelLifeCycle=cycle)
    return region


def search(region: Region, resource: str, **request: Any) -> list[dict[str, Any]]:
    answer = region.ask("Search", Resource=resource, **request)
    return [one[resource] for one in answer["Results"]]


def found(region: Region, resource: str, *filters: dict[str, Any], **request: Any) -> list[Any]:
    """Return the names, oldest first, of what all filters let through."""
    expression = {"SearchExpression": {"Filters": list(filters)}} if filters else {}
    rows = search(
        region, resource, **expression, **{"SortBy": "CreationTime", "SortOrder": "Ascending", **request}
    )
    if resource == "Model":
        return [row["Model"]["ModelName"] for row in rows]
    return [row["ModelPackageVersion" if resource == "ModelPackage" else f"{resource}Name"] for row in rows]


def is_(name: str, operator: str | None = None, value: str | None = None) -> dict[str, Any]:
    asked = {"Name": name, "Operator": operator, "Value": value}
    return {key: given for key, given in asked.items() if given is not None}


def test_an_endpoint_is_found_with_its_variants_and_tags(region: Region) -> None:
    (record,) = search(region, "Endpoint", SearchExpression={"Filters": [is_("EndpointName", "Equals", "E")]})
    described = region.ask("DescribeEndpoint", EndpointName="E")
    assert record == {
        **{
            name: described[name]
            for name in (
                *("EndpointName", "EndpointArn", "EndpointConfigName", "EndpointStatus"),
                *("CreationTime", "LastModifiedTime", "ProductionVariants"),
            )
        },
        "Tags": tags(team="x", stage="prod"),
    }


def test_a_model_is_found_with_its_endpoints(region: Region) -> None:
    (record,) = search(region, "Model", SearchExpression={"Filters": [is_("ModelName", "Equals", "b")]})
    assert record["Model"] == {**region.ask("DescribeModel", ModelName="b"), "Tags": tags(team="b")}
    assert [(one["EndpointName"], one["EndpointStatus"]) for one in record["Endpoints"]] == [
        ("F", "InService")
    ]
    assert set(record["Endpoints"][0]) == {
        *("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus"),
    }


def test_a_version_is_found_with_the_tags_of_its_group(region: Region) -> None:
    stage = is_("ModelLifeCycle.Stage", "Equals", "Production")
    (record,) = search(region, "ModelPackage", SearchExpression={"Filters": [stage]})
    assert record["ModelPackageArn"] == f"{ARN}:model-package/g/1"
    assert record["ModelPackageName"] == "g/1"
    assert record["Tags"] == tags(team="x")
    (group,) = search(region, "ModelPackageGroup")
    assert (group["ModelPackageGroupName"], group["Tags"]) == ("g", tags(team="x"))


@pytest.mark.parametrize(
    ("resource", "one", "expected"),
    [
        ("Endpoint", is_("EndpointStatus", None, "InService"), ["E", "F"]),
        ("Endpoint", is_("EndpointName", "NotEquals", "E"), ["F"]),
        ("Endpoint", is_("EndpointName", "In", "F, G"), ["F"]),
        ("Endpoint", is_("EndpointConfigName", "Contains", "w"), ["F"]),
        ("Endpoint", is_("Tags.team", "Equals", "y"), ["F"]),
        ("Endpoint", is_("Tags.stage", "Exists"), ["E"]),
        ("Endpoint", is_("Tags.stage", "NotExists"), ["F"]),
        ("Endpoint", is_("FailureReason", "Exists"), []),
        ("Endpoint", is_("ProductionVariants.CurrentInstanceCount", "GreaterThan", "1"), ["E"]),
        ("Endpoint", is_("ProductionVariants.VariantName", "Equals", "other"), ["E"]),
        ("Endpoint", is_("CreationTime", "GreaterThan", "2026-01-01T00:01:00"), ["F"]),
        ("Endpoint", is_("CreationTime", "GreaterThanOrEqualTo", "2026-01-01T00:01:00Z"), ["E", "F"]),
        ("Endpoint", is_("CreationTime", "LessThan", "2026-01-01T02:02:00+02:00"), ["E"]),
        ("Model", is_("Model.ModelName", "Equals", "a"), ["a"]),
        ("Model", is_("Tags.team", "Equals", "a"), ["a"]),
        ("Model", is_("PrimaryContainer.Environment.A", "Equals", "b"), ["b"]),
        ("Model", is_("EnableNetworkIsolation", "Equals", "False"), ["m", "a", "b"]),
        ("Model", is_("Endpoints.EndpointName", "Equals", "E"), ["m"]),
        ("Model", is_("Endpoints", "NotExists"), ["a"]),
        ("ModelPackage", is_("ModelApprovalStatus", "Equals", "Approved"), [1, 3]),
        ("ModelPackage", is_("ModelPackageVersion", "GreaterThanOrEqualTo", "2"), [2, 3]),
        ("ModelPackage", is_("ModelPackageVersion", "Equals", "2.0"), [2]),
        ("ModelPackage", is_("CustomerMetadataProperties.run.id", "Equals", "rejected"), [2]),
        ("ModelPackage", is_("InferenceSpecification.Containers.Image", "Contains", "pytorch"), [1, 2, 3]),
        ("ModelPackage", is_("ModelPackageGroupName", "Equals", "G"), []),
        ("ModelPackageGroup", is_("Tags.team", "Equals", "x"), ["g"]),
    ],
    ids=str,
)
def test_filters(region: Region, resource: str, one: dict[str, Any], expected: list[Any]) -> None:
    assert found(region, resource, one) == expected


def test_a_single_object_satisfies_a_nested_filter(region: Region) -> None:
    def endpoints(name: str, count: str) -> list[Any]:
        filters = [
            is_("ProductionVariants.VariantName", "Equals", name),
            is_("ProductionVariants.CurrentInstanceCount", "Equals", count),
        ]
        nested = [{"NestedPropertyName": "ProductionVariants", "Filters": filters}]
        rows = search(region, "Endpoint", SearchExpression={"NestedFilters": nested})
        return [row["EndpointName"] for row in rows]

    assert endpoints("main", "2") == ["E"]
    # Another variant of E has one instance, but is not "main".
    assert endpoints("main", "1") == ["F"]
    assert endpoints("other", "2") == []


def test_expressions_are_combined(region: Region) -> None:
    def versions(expression: dict[str, Any]) -> list[int]:
        rows = search(region, "ModelPackage", SearchExpression=expression, SortBy="ModelPackageVersion")
        return [row["ModelPackageVersion"] for row in rows]

    approved = is_("ModelApprovalStatus", "Equals", "Approved")
    second = is_("ModelPackageVersion", "Equals", "2")
    third = is_("ModelPackageVersion", "Equals", "3")
    assert versions({"Filters": [approved, third]}) == [3]
    assert versions({"Filters": [approved, second]}) == []
    assert versions({"Filters": [approved, second], "Operator": "Or"}) == [3, 2, 1]
    either = {"Filters": [second, third], "Operator": "Or"}
    assert versions({"Filters": [approved], "SubExpressions": [either]}) == [3]
    assert versions({"SubExpressions": [either, {"Filters": [approved]}], "Operator": "Or"}) == [3, 2, 1]


def test_results_are_sorted_and_paged(region: Region) -> None:
    def versions(**request: Any) -> list[int]:
        return [row["ModelPackageVersion"] for row in search(region, "ModelPackage", **request)]

    # LastModifiedTime, newest first: the first version was updated last.
    assert versions() == [1, 3, 2]
    assert versions(SortOrder="Ascending") == [2, 3, 1]
    assert versions(SortBy="CreationTime") == [3, 2, 1]
    assert versions(SortBy="ModelLifeCycle.Stage", SortOrder="Ascending")[0] == 1
    # Models have no LastModifiedTime.
    assert search(region, "Model")[-1]["Model"]["ModelName"] == "m"
    first = region.ask("Search", Resource="ModelPackage", MaxResults=2)
    assert first["TotalHits"] == {"Value": 3, "Relation": "EqualTo"}
    assert versions(MaxResults=2, NextToken=first["NextToken"]) == [2]
    assert versions(CrossAccountFilterOption="CrossAccount") == []


def test_visibility_leaves_out_other_values_of_a_tag(region: Region) -> None:
    """VisibilityConditions of botocore's model: what does not have the key is shown."""
    assert found(region, "Endpoint", VisibilityConditions=[{"Key": "Tags.team", "Value": "x"}]) == ["E"]
    assert found(region, "Endpoint", VisibilityConditions=[{"Key": "Tags.stage", "Value": "prod"}]) == [
        "E",
        "F",
    ]


@pytest.mark.parametrize(
    ("request_part", "words"),
    [
        ({"Resource": "EndpointConfig"}, "at 'resource' failed to satisfy constraint"),
        ({"SearchExpression": {}}, "at least one subexpression, filter, or nested filter"),
        ({"SearchExpression": {"SubExpressions": [{}]}}, "at least one subexpression"),
        (
            {"SearchExpression": {"Filters": [is_("EndpointNam", "Exists")]}},
            "Unknown property name: EndpointNam",
        ),
        ({"SearchExpression": {"Filters": [is_("ModelName", "Equals", "x")]}}, "Unknown property name"),
        ({"SortBy": "EndpointNam"}, "Unknown property name: EndpointNam"),
        ({"SearchExpression": {"Filters": [is_("EndpointName", "Equals")]}}, "A Value must be specified"),
        (
            {"SearchExpression": {"Filters": [is_("EndpointName", "LessThan", "x")]}},
            "LessThan is not supported",
        ),
        (
            {"SearchExpression": {"Filters": [is_("CreationTime", "Contains", "2026")]}},
            "only supported for text",
        ),
        (
            {"SearchExpression": {"Filters": [is_("CreationTime", "LessThan", "soon")]}},
            "an ISO 8601 date-time",
        ),
        (
            {
                "SearchExpression": {
                    "Filters": [is_("ProductionVariants.CurrentInstanceCount", "Equals", "two")]
                }
            },
            "must be a number",
        ),
        (
            {
                "SearchExpression": {
                    "Filters": [is_("EndpointName", "Contains", "a")],
                    "SubExpressions": [{"Filters": [is_("EndpointName", "Contains", "b")]}],
                }
            },
            "'CONTAINS' operator usage limit of 1 exceeded.",
        ),
        (
            {
                "SearchExpression": {
                    "Filters": [is_("EndpointName", "Exists")] * 15,
                    "SubExpressions": [{"Filters": [is_("EndpointName", "Exists")]}] * 6,
                }
            },
            "up to 20 elements",
        ),
        (
            {"SearchExpression": {"SubExpressions": [{"Filters": [is_("EndpointName", "Exists")] * 19}] * 3}},
            "and 50 with",
        ),
    ],
    ids=str,
)
def test_search_refuses(region: Region, request_part: dict[str, Any], words: str) -> None:
    assert words in region.refusal("Search", **{"Resource": "Endpoint", **request_part})


def test_what_is_new_is_found_later(make_region: Callable[..., Region]) -> None:
    region = make_region(consistency_seconds=5)
    assert search(region, "Model") == []
    region.clock.advance(5)
    assert found(region, "Model") == ["m"]
    assert region.clock.now() > START
