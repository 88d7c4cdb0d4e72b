"""The operations on models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from airflow_sm_hosting.local.ecr.registry import Registry
from airflow_sm_hosting.local.sagemaker.listing import listed
from airflow_sm_hosting.local.sagemaker.model_rules import check_create_model
from airflow_sm_hosting.local.sagemaker.operations import Operations
from airflow_sm_hosting.local.sagemaker.refusal import refuse
from airflow_sm_hosting.local.sagemaker.store import FROM_PACKAGE, Store
from airflow_sm_hosting.local.wire.tagging import tags_as_dict


class PackageContainers(Protocol):
    """The model packages, as far as models are made of them."""

    def containers(self, definition: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the containers of a container definition that names a package; itself where the package is of another account.

        :raises AwsError: There is no such package, or no model can be made of it.
        """


class Models:
    """The models of one Region.

    :param store: Keeps them.
    :param registry: Has the images.
    :param is_assumable: Tells by its ARN whether SageMaker can assume a role.
    :param packages: The model packages.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        is_assumable: Callable[[str], bool],
        packages: PackageContainers,
    ) -> None:
        self._store = store
        self._registry = registry
        self._is_assumable = is_assumable
        self._packages = packages

    @property
    def operations(self) -> Operations:
        """The operations by name, called with the Region's lock held."""
        return {
            "CreateModel": self._create,
            "DescribeModel": self._describe,
            "ListModels": self._list,
            "DeleteModel": self._delete,
        }

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        store, name = self._store, request["ModelName"]
        arn = store.arn("model", name)
        if name in store.models:
            # astronomer-providers#1055
            refuse(f'Cannot create already existing model "{arn}".')
        check_create_model(request, self._registry, self._store.region)
        from_package = self._from_package(request)
        role = request.get("ExecutionRoleArn")
        if role is not None and not self._is_assumable(role):
            # As users quote it, of models whose role is gone or trusts another service.
            refuse(
                f'The execution role ARN "{role}" is invalid. Please ensure that the role exists and that its trust relationship '
                'policy allows the action "sts:AssumeRole" for the service principal "sagemaker.amazonaws.com".'
            )
        store.tags.add(arn, tags_as_dict(request.pop("Tags", [])))
        store.models[name] = {
            "EnableNetworkIsolation": False,
            **request,
            **from_package,
            "CreationTime": store.clock.now(),
            "ModelArn": arn,
        }
        return {"ModelArn": arn}

    def _from_package(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is stored of the containers of the request's model package; nothing if it names none.

        The containers are those of this moment: that later edits of the package do not change the model is assumed.
        """
        definitions = request.get("Containers") or [request["PrimaryContainer"]]
        naming = [one for one in definitions if "ModelPackageName" in one]
        if not naming:
            return {}
        if len(definitions) > 1:
            # A package may be a pipeline of its own; that it cannot be one of several containers is assumed.
            refuse("A container with a ModelPackageName must be the only container of a model.")
        containers = self._packages.containers(naming[0])
        if "ModelPackageName" in containers[0]:
            # Of another account: nobody here can look into it.
            return {}
        mode = {name: request[name] for name in ("InferenceExecutionConfig",) if name in request}
        several = {"Containers": containers} if len(containers) > 1 else {"PrimaryContainer": containers[0]}
        check_create_model({**several, **mode}, self._registry, self._store.region)
        return {FROM_PACKAGE: containers}

    def _describe(self, request: dict[str, Any]) -> dict[str, Any]:
        return self.described(request["ModelName"])

    def described(self, name: str) -> dict[str, Any]:
        """Return a model as DescribeModel shows it.

        :raises AwsError: It does not exist.
        """
        model = dict(self._store.model(name))
        # That the package's containers are not repeated is assumed.
        model.pop(FROM_PACKAGE, None)
        if "PrimaryContainer" in model:
            model["PrimaryContainer"] = _described(model["PrimaryContainer"])
        if "Containers" in model:
            model["Containers"] = [_described(container) for container in model["Containers"]]
        return model

    def _list(self, request: dict[str, Any]) -> dict[str, Any]:
        members = ("ModelName", "ModelArn", "CreationTime")
        rows = (
            {member: model[member] for member in members}
            for model in self._store.models.values()
            if self._store.is_visible(model["CreationTime"])
        )
        return listed("Models", rows, request, name="ModelName")

    def _delete(self, request: dict[str, Any]) -> dict[str, Any]:
        # Not refused for a model in use (DeleteModel documentation; hashicorp/terraform-provider-aws 40048).
        model = self._store.model(request["ModelName"])
        self._store.tags.forget(model["ModelArn"])
        del self._store.models[model["ModelName"]]
        return {}


def _described(container: Mapping[str, Any]) -> dict[str, Any]:
    """Return a container as DescribeModel shows it: with its defaults, as recorded in 2021 (cloud-custodian/cloud-custodian)."""
    return {"Mode": "SingleModel", "Environment": {}, **container}
