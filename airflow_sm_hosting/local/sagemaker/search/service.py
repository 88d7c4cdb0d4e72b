"""The operation Search, for the resources of hosting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from airflow_sm_hosting.local.sagemaker.endpoints.service import Endpoints
from airflow_sm_hosting.local.sagemaker.listing import one_page
from airflow_sm_hosting.local.sagemaker.models import Models
from airflow_sm_hosting.local.sagemaker.operations import Operations
from airflow_sm_hosting.local.sagemaker.packages.groups import PackageGroups
from airflow_sm_hosting.local.sagemaker.packages.service import Packages
from airflow_sm_hosting.local.sagemaker.refusal import refuse
from airflow_sm_hosting.local.sagemaker.search.expression import check_expression, matches, values_of
from airflow_sm_hosting.local.sagemaker.store import Store
from airflow_sm_hosting.local.wire.tagging import tags_as_list
from airflow_sm_hosting.service_model.shapes import service_model

_Records = Callable[[], Iterable[dict[str, Any]]]
_TYPES = {
    **dict.fromkeys(("integer", "long", "float", "double"), "number"),
    **{"boolean": "boolean", "timestamp": "time", "string": "text"},
}


class Search:
    """Search over the endpoints, models, model packages and groups of one Region.

    The members of the records are those of the shapes of botocore's model. Which properties of a model can be searched for is assumed: its
    own, and those of its record (``Model.ModelName``, ``Endpoints.EndpointName``).

    :param store: Has the tags.
    :param endpoints: The endpoints.
    :param models: The models.
    :param groups: The model package groups.
    :param packages: The model packages.
    """

    def __init__(
        self, store: Store, endpoints: Endpoints, models: Models, groups: PackageGroups, packages: Packages
    ) -> None:
        self._store = store
        self._endpoints = endpoints
        self._models = models
        self._groups = groups
        self._packages = packages
        self._records: Mapping[str, _Records] = {
            "Endpoint": self._of_endpoints,
            "Model": self._of_models,
            "ModelPackage": self._of_packages,
            "ModelPackageGroup": self._of_groups,
        }

    @property
    def operations(self) -> Operations:
        """The operations by name, called with the Region's lock held."""
        return {"Search": self._search}

    def answers(self, resource: object) -> bool:
        """Return whether a search for a kind of resource is answered, or refused, here; moto searches training jobs and the like."""
        return resource in self._records or resource not in _shape("ResourceType").enum

    def _search(self, request: dict[str, Any]) -> dict[str, Any]:
        kind = request["Resource"]

        def type_of(name: str) -> str | None:
            return _property_type(kind, name)

        expression = request.get("SearchExpression")
        if expression is not None:
            check_expression(expression, type_of)
        sort_by = request.get("SortBy", "LastModifiedTime")
        if "SortBy" in request and type_of(sort_by) is None:
            # As of filters.
            refuse(f"Unknown property name: {sort_by}")
        # Nothing is shared with this account: there is only one.
        others = request.get("CrossAccountFilterOption") == "CrossAccount"
        found = [
            record
            for record in ([] if others else self._records[kind]())
            if (expression is None or matches(_searched(kind, record), expression, type_of))
            and _is_visible(_searched(kind, record), request.get("VisibilityConditions", ()))
        ]
        # API_Search.html: "The default is Descending."
        descending = request.get("SortOrder", "Descending") == "Descending"
        having = [record for record in found if _sort_key(kind, record, sort_by) is not None]
        having.sort(key=lambda record: _sort_key(kind, record, sort_by), reverse=descending)
        # What does not have the property comes last: assumed.
        ordered = [*having, *(record for record in found if _sort_key(kind, record, sort_by) is None)]
        answer = one_page("Results", [{kind: record} for record in ordered], request)
        return {**answer, "TotalHits": {"Value": len(found), "Relation": "EqualTo"}}

    # The records

    def _of_endpoints(self) -> Iterator[dict[str, Any]]:
        for endpoint in self._endpoints.all():
            if self._store.is_visible(endpoint.lifecycle.created):
                yield self._record("Endpoint", endpoint.describe(), endpoint.arn)

    def _of_models(self) -> Iterator[dict[str, Any]]:
        endpoints = [one for one in self._endpoints.all() if one.serving.fleet]
        for model in list(self._store.models.values()):
            if not self._store.is_visible(model["CreationTime"]):
                continue
            name = model["ModelName"]
            hosting = [
                _members("ModelDashboardEndpoint", endpoint.describe())
                for endpoint in endpoints
                if any(name == variant.get("ModelName") for variant in endpoint.config["ProductionVariants"])
            ]
            described = self._record("Model", self._models.described(name), model["ModelArn"])
            yield {"Model": described, "Endpoints": hosting}

    def _of_packages(self) -> Iterator[dict[str, Any]]:
        for package in self._packages.all():
            record = self._record("ModelPackage", package.members, self._packages.tag_owner(package.arn))
            # ModelPackage of botocore's model: "follows the format 'ModelPackageGroupName/ModelPackageVersion'".
            name = package.name if package.version is None else f"{package.name}/{package.version}"
            yield {**record, "ModelPackageName": name}

    def _of_groups(self) -> Iterator[dict[str, Any]]:
        for group in self._groups.all():
            yield self._record("ModelPackageGroup", group.members, group.arn)

    def _record(self, shape: str, description: Mapping[str, Any], arn: str) -> dict[str, Any]:
        tags = tags_as_list(self._store.tags.of(arn))
        return {**_members(shape, description), "Tags": tags}


def _shape(name: str) -> Any:
    return service_model("sagemaker").shape_for(name)


def _members(shape: str, description: Mapping[str, Any]) -> dict[str, Any]:
    return {name: description[name] for name in _shape(shape).members if name in description}


def _searched(kind: str, record: dict[str, Any]) -> dict[str, Any]:
    """Return what the properties of a record are looked for in."""
    return {**record["Model"], **record} if kind == "Model" else record


def _sort_key(kind: str, record: dict[str, Any], name: str) -> Any:
    searched = _searched(kind, record)
    values = values_of(searched, name)
    if not values and name == "LastModifiedTime":
        # Models and groups do not have it: assumed.
        values = values_of(searched, "CreationTime")
    return values[0] if values and not isinstance(values[0], dict) else None


def _is_visible(record: Mapping[str, Any], conditions: Iterable[Mapping[str, str]]) -> bool:
    # VisibilityConditions of botocore's model: "Any resources that don't have a key from the list … will also be included".
    # Both members are optional there; half a condition is none (assumed).
    return all(
        value == condition["Value"]
        for condition in conditions
        if "Key" in condition and "Value" in condition
        for value in values_of(record, condition["Key"])
    )


@cache
def _property_type(kind: str, name: str) -> str | None:
    """Return the type of a property of a kind of resource, None where it has none of that name."""
    if name.startswith("Tags."):
        return "text"
    if kind == "Model":
        record, _, rest = name.partition(".")
        if record in ("Model", "Endpoints"):
            shape = "Model" if record == "Model" else "ModelDashboardEndpoint"
            return _type_in(_shape(shape), rest) if rest else "structure"
    return _type_in(_shape(kind), name)


def _type_in(shape: Any, name: str) -> str | None:
    head, _, rest = name.partition(".")
    while shape.type_name == "list":
        shape = shape.member
    if shape.type_name == "map":
        # A key of a map, with its dots.
        return _TYPES.get(shape.value.type_name, "structure")
    if shape.type_name != "structure" or head not in shape.members:
        return None
    member = shape.members[head]
    if rest:
        return _type_in(member, rest)
    while member.type_name == "list":
        member = member.member
    return _TYPES.get(member.type_name, "structure")
