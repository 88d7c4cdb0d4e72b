"""Search and tags over services."""

from __future__ import annotations

from typing import Any

from tests.local.rules.cloud import Cloud, refused


def found(cloud: Cloud, resource: str, *filters: dict[str, Any], **request: Any) -> list[dict[str, Any]]:
    if filters:
        request["SearchExpression"] = {"Filters": list(filters)}
    results = cloud.sagemaker.search(Resource=resource, **request)["Results"]
    return [one[resource] for one in results]


def test_search_of_endpoints(cloud: Cloud) -> None:
    """Search finds endpoints by their properties and by their tags.

    Source: sagemaker:API_Search.html
    """
    tags = [{"Key": "team", "Value": "x"}]
    name = cloud.endpoint(Tags=tags)
    cloud.endpoint()
    for one in (
        {"Name": "EndpointName", "Operator": "Equals", "Value": name},
        {"Name": "Tags.team", "Operator": "Equals", "Value": "x"},
    ):
        assert [row["EndpointName"] for row in found(cloud, "Endpoint", one)] == [name]


def test_search_of_models(cloud: Cloud) -> None:
    """Search finds models, with the endpoints that host them.

    Source: botocore, ModelDashboardModel
    """
    model = cloud.model()
    name = cloud.endpoint(cloud.config(cloud.variant(ModelName=model)))
    (record,) = found(cloud, "Model", {"Name": "ModelName", "Operator": "Equals", "Value": model})
    assert record["Model"]["ModelName"] == model
    assert [one["EndpointName"] for one in record["Endpoints"]] == [name]


def test_search_by_time(cloud: Cloud) -> None:
    """Times are compared with ISO 8601 date-times.

    Source: sagemaker:API_Filter.html
    """
    name = cloud.endpoint()
    for operator, expected in (("GreaterThan", [name]), ("LessThan", [])):
        one = {"Name": "CreationTime", "Operator": operator, "Value": "2000-01-01T00:00:00"}
        assert [row["EndpointName"] for row in found(cloud, "Endpoint", one)] == expected


def test_search_by_number(cloud: Cloud) -> None:
    """Numbers are compared as numbers: ten is greater than nine.

    Source: sagemaker:API_Filter.html
    """
    cloud.endpoint(cloud.config(cloud.variant(count=10)))
    one = {"Name": "ProductionVariants.CurrentInstanceCount", "Operator": "GreaterThan", "Value": "9"}
    assert len(found(cloud, "Endpoint", one)) == 1


def test_search_in_a_list(cloud: Cloud) -> None:
    """A nested filter is satisfied by a single object of a list.

    Source: sagemaker:API_SearchExpression.html
    """
    cloud.endpoint(cloud.config(cloud.variant("a", count=1), cloud.variant("b", count=2)))

    def hits(count: str) -> int:
        filters = [
            {"Name": "ProductionVariants.VariantName", "Operator": "Equals", "Value": "a"},
            {"Name": "ProductionVariants.CurrentInstanceCount", "Operator": "Equals", "Value": count},
        ]
        nested = [{"NestedPropertyName": "ProductionVariants", "Filters": filters}]
        answer = cloud.sagemaker.search(Resource="Endpoint", SearchExpression={"NestedFilters": nested})
        return len(answer["Results"])

    assert (hits("1"), hits("2")) == (1, 0)


def test_search_by_text(cloud: Cloud) -> None:
    """Texts are not compared by greater and less.

    Source: sagemaker:API_Filter.html
    """
    with refused("not supported"):
        found(cloud, "Endpoint", {"Name": "EndpointName", "Operator": "LessThan", "Value": "x"})


def test_search_with_contains(cloud: Cloud) -> None:
    """A search contains one Contains for a property: "'CONTAINS' operator usage limit of 1 exceeded.".

    Source: sagemaker:API_Filter.html
    """
    one = {"Name": "EndpointName", "Operator": "Contains", "Value": "a"}
    with refused("'CONTAINS' operator usage limit of 1 exceeded."):
        found(cloud, "Endpoint", one, {**one, "Value": "b"})


def test_search_by_unknown_property(cloud: Cloud) -> None:
    """A filter names a property that the resource has.

    Source: sagemaker:API_Filter.html; the text is moto's
    """
    with refused("Unknown property name: EndpointNam"):
        found(cloud, "Endpoint", {"Name": "EndpointNam", "Operator": "Equals", "Value": "a"})


def test_search_is_newest_first(cloud: Cloud) -> None:
    """Results of a search are sorted by LastModifiedTime, newest first.

    Source: sagemaker:API_Search.html
    """
    first = cloud.endpoint()
    cloud.advance(60)
    second = cloud.endpoint()
    assert [row["EndpointName"] for row in found(cloud, "Endpoint")] == [second, first]


def test_tags_over_services(cloud: Cloud) -> None:
    """GetResources finds tagged resources of SageMaker, CloudWatch, Application Auto Scaling and ECR together.

    Source: https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
    """
    tags = [{"Key": "team", "Value": "x"}]
    endpoint = cloud.endpoint(Tags=tags)
    cloud.alarm(Tags=tags)
    cloud.client("ecr").create_repository(repositoryName="r", tags=tags)
    cloud.scaled(endpoint, Tags={"team": "x"})
    tagging = cloud.client("resourcegroupstaggingapi")
    rows = tagging.get_resources(TagFilters=[{"Key": "team", "Values": ["x"]}])["ResourceTagMappingList"]
    assert sorted(row["ResourceARN"].split(":")[2] for row in rows) == [
        *("application-autoscaling", "cloudwatch", "ecr", "sagemaker"),
    ]


def test_tags_by_type(cloud: Cloud) -> None:
    """Resource types are those of ARNs: a service, or a service and a type.

    Source: https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
    """
    cloud.endpoint(Tags=[{"Key": "team", "Value": "x"}])
    tagging = cloud.client("resourcegroupstaggingapi")
    for kind, count in (("sagemaker", 1), ("sagemaker:endpoint", 1), ("sagemaker:model", 0)):
        assert len(tagging.get_resources(ResourceTypeFilters=[kind])["ResourceTagMappingList"]) == count


def test_tags_of_what_is_absent(cloud: Cloud) -> None:
    """TagResources reports for each resource why it failed, and tags the others.

    Source: https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_TagResources.html
    """
    arn = cloud.describe(cloud.endpoint())["EndpointArn"]
    tagging = cloud.client("resourcegroupstaggingapi")
    answer = tagging.tag_resources(ResourceARNList=[f"{arn}-absent", arn], Tags={"a": "b"})
    assert set(answer["FailedResourcesMap"]) == {f"{arn}-absent"}
    assert cloud.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]


def test_what_is_not_built(cloud: Cloud) -> None:
    """An operation of hosting that is not built is refused, and never a false success.

    Source: assumed: a client would go on as if it had been done
    """
    with refused(code="NotImplemented"):
        cloud.sagemaker.list_inference_experiments()
