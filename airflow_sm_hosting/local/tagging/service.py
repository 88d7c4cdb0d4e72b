"""The Resource Groups Tagging API of a Region: the tags of what this package has, together with those of moto's services."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from airflow_sm_hosting.local.moto_bridge import tagged
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.paging import page
from airflow_sm_hosting.local.wire.tagging import TagStore, tags_as_list
from airflow_sm_hosting.local.wire.validation import check_request

# _API is https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference
#: The operations that are answered here; compliance reports are moto's, which has none.
OPERATIONS = ("GetResources", "GetTagKeys", "GetTagValues", "TagResources", "UntagResources")
# _API/API_GetResources.html: 1 to 100 resources, 100 to 500 tags "in increments of 100". The defaults are assumed, as is the size of pages of
# keys and values.
_RESOURCES = range(1, 101)
_TAGS = range(100, 501, 100)
_MOST_VALUES = 20
_PAGE = 100
_OTHER_FILTERS = (
    *("ResourceTypeFilters", "TagFilters"),
    *("ResourcesPerPage", "TagsPerPage", "PaginationToken"),
)


def _expired() -> AwsError:
    return AwsError("PaginationTokenExpiredException", "The PaginationToken is not valid.")


class Tagging:
    """The tags of all resources of one Region.

    Resources without tags are not shown, also if they had some (assumed of moto's services; AWS shows them).

    :param region: The Region's name.
    :param lock: Guards the tags of this package's services.
    :param stores: The tags of this package's services, by ARN.
    """

    def __init__(self, region: str, lock: threading.RLock, stores: Sequence[TagStore]) -> None:
        self._region = region
        self._lock = lock
        self._stores = stores
        self._operations: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "GetResources": self._get_resources,
            "GetTagKeys": self._get_tag_keys,
            "GetTagValues": self._get_tag_values,
            "TagResources": self._tag,
            "UntagResources": self._untag,
        }

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Answer an operation.

        :raises AwsError: The refusal.
        """
        try:
            check_request("resourcegroupstaggingapi", operation, request)
        except AwsError as refusal:
            # The only refusal of parameters that the service's model has.
            code = refusal.code.replace("ValidationException", "InvalidParameterException")
            raise AwsError(code, refusal.message) from refusal
        return self._operations[operation](request)

    def _get_resources(self, request: dict[str, Any]) -> dict[str, Any]:
        _check_get_resources(request)
        wanted = request.get("ResourceARNList")
        found = [
            {"ResourceARN": arn, "Tags": tags_as_list(tags)}
            for arn, tags in self._all()
            if (wanted is None or arn in wanted)
            and _is_of_type(arn, request.get("ResourceTypeFilters"))
            and all(_has(tags, one) for one in request.get("TagFilters", ()))
        ]
        size = request.get("ResourcesPerPage", _RESOURCES[-1])
        token = request.get("PaginationToken")
        rows, _ = page(found, token, size, invalid=_expired())
        start = len(found) if not rows else found.index(rows[0])
        kept = _within(rows, request.get("TagsPerPage"))
        # The token of the place where this page ends, which the tags may have made shorter.
        _, following = page(found[: start + len(kept) + 1], token, len(kept), invalid=_expired())
        more = start + len(kept) < len(found)
        return {
            "ResourceTagMappingList": kept,
            "PaginationToken": following["NextToken"] if more else "",
        }

    def _get_tag_keys(self, request: dict[str, Any]) -> dict[str, Any]:
        return _listed("TagKeys", (key for _, tags in self._all() for key in tags), request)

    def _get_tag_values(self, request: dict[str, Any]) -> dict[str, Any]:
        key = request["Key"]
        return _listed("TagValues", (tags[key] for _, tags in self._all() if key in tags), request)

    def _tag(self, request: dict[str, Any]) -> dict[str, Any]:
        tags = request["Tags"]
        return self._each(
            request, lambda store, arn: store.add(arn, tags), lambda arn: tagged.tag(self._region, arn, tags)
        )

    def _untag(self, request: dict[str, Any]) -> dict[str, Any]:
        keys = request["TagKeys"]
        return self._each(
            request,
            lambda store, arn: store.remove(arn, keys),
            lambda arn: tagged.untag(self._region, arn, keys),
        )

    def _each(
        self,
        request: Mapping[str, Any],
        of_store: Callable[[TagStore, str], object],
        of_moto: Callable[[str], object],
    ) -> dict[str, Any]:
        """Change the tags of each resource of a request; what fails is told, and does not disturb the others."""
        failed = {}
        for arn in request["ResourceARNList"]:
            try:
                if len(arn.split(":", 5)) < 6:
                    _refuse(f"{arn} is not an ARN.")
                with self._lock:
                    store = next((one for one in self._stores if arn in one), None)
                    if store:
                        of_store(store, arn)
                if store is None:
                    of_moto(arn)
            except AwsError as error:
                failed[arn] = _failure(error.status, error.code, error.message)
        return {"FailedResourcesMap": failed}

    def _all(self) -> list[tuple[str, dict[str, str]]]:
        """Return all resources that have tags, by ARN."""
        with self._lock:
            ours = {arn: tags for store in self._stores for arn, tags in store.dump().items()}
        every = {**tagged.resources(self._region), **ours}
        return sorted((arn, tags) for arn, tags in every.items() if tags)


def _check_get_resources(request: Mapping[str, Any]) -> None:
    if "ResourceARNList" in request and (beside := [name for name in _OTHER_FILTERS if request.get(name)]):
        # _API/API_GetResources.html: "You can't specify both … you get an Invalid Parameter exception"; the text is assumed.
        _refuse(f"ResourceARNList cannot be specified together with {beside[0]}.")
    if "ResourcesPerPage" in request and request["ResourcesPerPage"] not in _RESOURCES:
        # In moto's words.
        _refuse("ResourcesPerPage must be between 1 and 100")
    if "TagsPerPage" in request and request["TagsPerPage"] not in _TAGS:
        _refuse("TagsPerPage must be between 100 and 500, in increments of 100")
    if any(len(one.get("Values", ())) > _MOST_VALUES for one in request.get("TagFilters", ())):
        # "each key can include up to 20 values"
        _refuse(f"A tag filter can have at most {_MOST_VALUES} values.")
    if request.get("IncludeComplianceDetails") or request.get("ExcludeCompliantResources"):
        raise AwsError("NotImplemented", "The local AWS has no tag policies.", status=501)


def _is_of_type(arn: str, kinds: Sequence[str] | None) -> bool:
    """Return whether a resource is of one of the kinds: ``service`` or ``service:type``, "the same as that embedded in" its ARN."""
    kind = tagged.resource_kind(arn)
    return not kinds or kind in kinds or kind.partition(":")[0] in kinds


def _has(tags: Mapping[str, str], one: Mapping[str, Any]) -> bool:
    """Return whether tags match a filter: a key, with one of its values if there are any."""
    key, values = str(one.get("Key")), one.get("Values")
    return key in tags and (not values or tags[key] in values)


def _within(rows: list[dict[str, Any]], most_tags: int | None) -> list[dict[str, Any]]:
    """Return the first rows, with no more tags than a page may have."""
    count = 0
    for index, row in enumerate(rows):
        count += len(row["Tags"])
        # "does not split a resource and its associated tags across pages"; one that has more is a page of its own.
        if most_tags is not None and count > most_tags and index:
            return rows[:index]
    return rows


def _listed(result: str, values: Iterable[str], request: Mapping[str, Any]) -> dict[str, Any]:
    found, following = page(sorted(set(values)), request.get("PaginationToken"), _PAGE, invalid=_expired())
    return {result: found, "PaginationToken": following.get("NextToken", "")}


def _failure(status: int, code: str, message: str) -> dict[str, Any]:
    return {"StatusCode": status, "ErrorCode": code, "ErrorMessage": message}


def _refuse(message: str) -> NoReturn:
    raise AwsError("InvalidParameterException", message)
