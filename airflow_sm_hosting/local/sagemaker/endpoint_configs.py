"""The operations on endpoint configs."""

from __future__ import annotations

from typing import Any

from airflow_sm_hosting.local.sagemaker.endpoint_config_rules import check_create_endpoint_config
from airflow_sm_hosting.local.sagemaker.listing import listed
from airflow_sm_hosting.local.sagemaker.operations import Operations
from airflow_sm_hosting.local.sagemaker.refusal import refuse
from airflow_sm_hosting.local.sagemaker.store import Store
from airflow_sm_hosting.local.wire.tagging import tags_as_dict


class EndpointConfigs:
    """The endpoint configs of one Region.

    :param store: Keeps them.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def operations(self) -> Operations:
        """The operations by name, called with the Region's lock held."""
        return {
            "CreateEndpointConfig": self._create,
            "DescribeEndpointConfig": self._describe,
            "ListEndpointConfigs": self._list,
            "DeleteEndpointConfig": self._delete,
        }

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        store, name = self._store, request["EndpointConfigName"]
        arn = store.arn("endpoint-config", name)
        if name in store.configs:
            refuse(f'Cannot create already existing endpoint configuration "{arn}".')
        variants = (*request["ProductionVariants"], *request.get("ShadowProductionVariants", ()))
        for variant in variants:
            if "ModelName" in variant:
                store.model(variant["ModelName"])
        check_create_endpoint_config(request, store.models, store.region)
        for variant in variants:
            if variant.get("ModelName"):
                # DescribeEndpointConfig shows the default (API_ProductionVariant.html).
                variant.setdefault("InitialVariantWeight", 1.0)
        store.tags.add(arn, tags_as_dict(request.pop("Tags", [])))
        store.configs[name] = {**request, "CreationTime": store.clock.now(), "EndpointConfigArn": arn}
        return {"EndpointConfigArn": arn}

    def _describe(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._store.config(request["EndpointConfigName"])

    def _list(self, request: dict[str, Any]) -> dict[str, Any]:
        members = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
        rows = (
            {member: config[member] for member in members}
            for config in self._store.configs.values()
            if self._store.is_visible(config["CreationTime"])
        )
        return listed("EndpointConfigs", rows, request, name="EndpointConfigName")

    def _delete(self, request: dict[str, Any]) -> dict[str, Any]:
        # Not refused for a config in use; the next update of its endpoint is (hashicorp/terraform-provider-aws#40048).
        config = self._store.config(request["EndpointConfigName"])
        self._store.tags.forget(config["EndpointConfigArn"])
        del self._store.configs[config["EndpointConfigName"]]
        return {}
