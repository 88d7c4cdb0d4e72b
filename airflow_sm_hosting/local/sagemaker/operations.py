"""SageMaker's operations: which of them are answered here, and the answer to one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from airflow_sm_hosting.local.sagemaker.refusal import refuse
from airflow_sm_hosting.local.sagemaker.store import MAX_TAGS, Store
from airflow_sm_hosting.local.wire.paging import page
from airflow_sm_hosting.local.wire.tagging import tags_as_dict, tags_as_list
from airflow_sm_hosting.local.wire.validation import check_request

#: Operations by name: each takes the members of a request and returns those of the answer.
Operations = Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]

_TAGGED_KINDS = (
    *("model", "endpoint-config", "endpoint", "inference-component"),
    *("model-package", "model-package-group"),
)


class SageMaker:
    """SageMaker's control plane for hosting in one Region.

    :param store: Has the tags and the lock.
    :param operations: The operations on models, endpoint configs, endpoints, inference components and model packages.
    :param tag_owner: Returns the ARN whose tags a resource has, by its own.
    :param is_searched: Tells whether a search for a kind of resource is answered here.
    """

    def __init__(
        self,
        store: Store,
        *operations: Operations,
        tag_owner: Callable[[str], str],
        is_searched: Callable[[object], bool],
    ) -> None:
        self._store = store
        self._is_searched = is_searched
        self._tag_owner = tag_owner
        self._tagging: Operations = {
            "AddTags": self._add_tags,
            "ListTags": self._list_tags,
            "DeleteTags": self._delete_tags,
        }
        self._operations: Operations = {
            name: function for some in (*operations, self._tagging) for name, function in some.items()
        }

    def answers(self, operation: str, request: Mapping[str, Any]) -> bool:
        """Return whether an operation is answered here; the rest of SageMaker (training, pipelines, …) is moto's."""
        if operation in self._tagging:
            # Tags of training jobs and the like are moto's, too.
            kind = str(request.get("ResourceArn", "")).rpartition(":")[2].partition("/")[0]
            return kind in _TAGGED_KINDS
        if operation == "Search":
            return self._is_searched(request.get("Resource"))
        return operation in self._operations

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Answer an operation.

        :raises AwsError: The refusal.
        """
        check_request("sagemaker", operation, request)
        with self._store.lock:
            # What is kept and what is answered must not be the same objects: both are changed later.
            return copy.deepcopy(self._operations[operation](copy.deepcopy(request)))

    def _add_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        arn = self._own_tags(request["ResourceArn"])
        self._store.tags.add(arn, tags_as_dict(request["Tags"]))
        return {"Tags": tags_as_list(self._store.tags.of(arn))}

    def _list_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        tags = tags_as_list(self._store.tags.of(self._tagged(request["ResourceArn"])))
        found, token = page(tags, request.get("NextToken"), request.get("MaxResults", MAX_TAGS))
        return {"Tags": found, **token}

    def _delete_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        self._store.tags.remove(self._own_tags(request["ResourceArn"]), request["TagKeys"])
        return {}

    def _own_tags(self, arn: str) -> str:
        """Return the ARN of a resource whose tags can be changed."""
        owner = self._tagged(arn)
        if owner.lower() != arn.lower():
            # A version of a model "uses the tags associated with the model group" (API_CreateModelPackage.html); the refusal is assumed.
            refuse(f"The tags of {arn} are those of {owner}.")
        return owner

    def _tagged(self, arn: str) -> str:
        owner = self._tag_owner(arn)
        if owner not in self._store.tags:
            refuse(f"Could not find resource {arn}.")
        return owner
