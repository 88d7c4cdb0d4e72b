"""SageMaker's control plane for hosting: models, endpoint configs, tags, and the way to the endpoints."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_sm_hosting.local.autoscaling.dimensions import COPIES
from airflow_sm_hosting.local.autoscaling.service import AutoScaling
from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.cloudwatch.service import RegionalCloudWatch
from airflow_sm_hosting.local.ecr.registry import Registry
from airflow_sm_hosting.local.engines.engine import Engine
from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID
from airflow_sm_hosting.local.runtime.backlog import Backlog
from airflow_sm_hosting.local.runtime.service import Runtime
from airflow_sm_hosting.local.sagemaker import rules
from airflow_sm_hosting.local.sagemaker.by_name import ByName
from airflow_sm_hosting.local.sagemaker.components.service import (
    KIND as COMPONENT,
    ComponentCopies,
    Components,
)
from airflow_sm_hosting.local.sagemaker.endpoints.capacity import Shortages
from airflow_sm_hosting.local.sagemaker.endpoints.endpoint_metrics import EndpointMetrics
from airflow_sm_hosting.local.sagemaker.endpoints.service import Endpoints
from airflow_sm_hosting.local.sagemaker.listing import page
from airflow_sm_hosting.local.wire.protocol import AwsError
from airflow_sm_hosting.local.wire.validation import check_request

_MAX_TAGS = 50


class Hosting:
    """SageMaker hosting in one Region.

    :param region: The Region.
    :param engine: What runs containers.
    :param registry: Where images are.
    :param folder: An existing folder for model data.
    :param transition_seconds: How long a transition of an endpoint takes at least.
    :param clock: What tells the time.
    :param consistency_seconds: How long what was created cannot be found yet.
    :param cloudwatch: The Region's metrics and alarms. Default: its own, which nothing evaluates.
    :param alarm_state: Returns the state of an alarm by its name, None where there is no such alarm. Default: as
        ``cloudwatch`` has it.
    :param shortages: What says that instances are short. Default: they never are.
    :param backlog: What keeps asynchronous requests over a restart. Default: nothing.
    """

    def __init__(
        self,
        region: str,
        engine: Engine,
        registry: Registry,
        folder: Path,
        transition_seconds: float,
        clock: Clock,
        consistency_seconds: float = 0.0,
        cloudwatch: RegionalCloudWatch | None = None,
        alarm_state: Callable[[str], str | None] | None = None,
        shortages: Shortages | None = None,
        backlog: Backlog | None = None,
    ) -> None:
        cloudwatch = cloudwatch or RegionalCloudWatch(region, clock)
        self.alarm_state = alarm_state or cloudwatch.alarms.state
        self.endpoint_metrics = EndpointMetrics(cloudwatch.metrics, clock)
        self.clock = clock
        self.backlog = backlog
        self._consistency = timedelta(seconds=consistency_seconds)
        self.region = region
        self._registry = registry
        # What it guards is small and in memory: one lock for all keeps every answer consistent.
        self._lock = threading.RLock()
        self.models: ByName[dict[str, Any]] = ByName()
        self.configs: ByName[dict[str, Any]] = ByName()
        self._tags: dict[str, dict[str, str]] = {}
        self.endpoints = Endpoints(
            self, self._lock, engine, registry, folder, transition_seconds, clock, shortages
        )
        self.components = Components(
            self, self._lock, engine, registry, folder, transition_seconds, clock, shortages
        )
        self.runtime = Runtime(self)
        self.scaling = AutoScaling(self, self._lock, cloudwatch.alarms, clock)
        self.scaling.add_dimension(COPIES, ComponentCopies(self.components))
        self._operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "CreateModel": self._create_model,
            "DescribeModel": self._describe_model,
            "ListModels": self._list_models,
            "DeleteModel": self._delete_model,
            "CreateEndpointConfig": self._create_endpoint_config,
            "DescribeEndpointConfig": self._describe_endpoint_config,
            "ListEndpointConfigs": self._list_endpoint_configs,
            "DeleteEndpointConfig": self._delete_endpoint_config,
            "CreateEndpoint": self.endpoints.create,
            "DescribeEndpoint": self.endpoints.describe,
            "ListEndpoints": self.endpoints.list,
            "UpdateEndpoint": self.endpoints.update,
            "UpdateEndpointWeightsAndCapacities": self.endpoints.update_weights_and_capacities,
            "DeleteEndpoint": self.endpoints.delete,
            "CreateInferenceComponent": self.components.create,
            "DescribeInferenceComponent": self.components.describe,
            "ListInferenceComponents": self.components.list,
            "UpdateInferenceComponent": self.components.update,
            "UpdateInferenceComponentRuntimeConfig": self.components.update_runtime_config,
            "DeleteInferenceComponent": self.components.delete,
            "AddTags": self._add_tags,
            "ListTags": self._list_tags,
            "DeleteTags": self._delete_tags,
        }

    def answers(self, operation: str, request: Mapping[str, Any]) -> bool:
        """Tell whether an operation is ours; the rest of SageMaker (training, pipelines, …) is moto's."""
        if operation in ("AddTags", "ListTags", "DeleteTags"):
            # Tags of training jobs and the like are moto's, too.
            return str(request.get("ResourceArn", "")).rpartition("/")[0].rpartition(":")[2] in (
                "model",
                "endpoint-config",
                "endpoint",
                COMPONENT,
            )
        return operation in self._operations

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Answer an operation.

        :raises AwsError: The refusal.
        """
        check_request("sagemaker", operation, request)
        with self._lock:
            # What is kept and what is answered must not be the same objects: both are changed later.
            return copy.deepcopy(self._operations[operation](copy.deepcopy(request)))

    def stop_all(self, grace: float) -> None:
        """Stop all containers, and forget all endpoints and inference components."""
        self.runtime.close()
        self.components.stop_all(grace)
        self.endpoints.stop_all(grace)

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of a ``model``, ``endpoint-config``, ``endpoint`` or ``inference-component``."""
        # The resource part of ARNs is in lower case, as DescribeEndpoint shows it.
        return f"arn:aws:sagemaker:{self.region}:{ACCOUNT_ID}:{kind}/{name.lower()}"

    def is_visible(self, created: datetime) -> bool:
        """Tell whether what was created then can be found yet.

        Reads are eventually consistent, "describe first and retry": API_CreateEndpoint.html
        """
        return self.clock.now() >= created + self._consistency

    # What is kept over a restart

    def dump(self) -> dict[str, Any]:
        """Return all that is kept."""
        with self._lock:
            kept = {
                "models": dict(self.models),
                "configs": dict(self.configs),
                "tags": self._tags,
                "endpoints": self.endpoints.dump(),
                "components": self.components.dump(),
            }
            return copy.deepcopy(kept) | {"scaling": self.scaling.dump()}

    def load(self, kept: Mapping[str, Any]) -> None:
        """Have again what was kept."""
        with self._lock:
            self.models.update(kept["models"])
            self.configs.update(kept["configs"])
            self._tags.update(kept["tags"])
            self.endpoints.load(kept["endpoints"])
            self.components.load(kept["components"])
            self.scaling.load(kept["scaling"])

    # Models

    def _create_model(self, request: dict[str, Any]) -> dict[str, Any]:
        name, arn = request["ModelName"], self.arn("model", request["ModelName"])
        if name in self.models:
            # astronomer-providers#1055
            rules.refuse(f'Cannot create already existing model "{arn}".')
        rules.check_model(request, self._registry)
        self.set_tags(arn, request.pop("Tags", []))
        self.models[name] = {
            "EnableNetworkIsolation": False,
            **request,
            "CreationTime": self.clock.now(),
            "ModelArn": arn,
        }
        return {"ModelArn": arn}

    def _describe_model(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._model(request["ModelName"])

    def _list_models(self, request: dict[str, Any]) -> dict[str, Any]:
        members = ("ModelName", "ModelArn", "CreationTime")
        return self._list("Models", self.models, request, members)

    def _delete_model(self, request: dict[str, Any]) -> dict[str, Any]:
        # Not refused for a model in use (DeleteModel documentation; hashicorp/terraform-provider-aws 40048).
        model = self._model(request["ModelName"])
        self.forget_tags(model["ModelArn"])
        del self.models[model["ModelName"]]
        return {}

    def _model(self, name: str) -> dict[str, Any]:
        model = self.models.get(name)
        if model is None or not self.is_visible(model["CreationTime"]):
            # amazon-sagemaker-operator-for-k8s looks for this text.
            rules.refuse(f'Could not find model "{self.arn("model", name)}".')
        return model

    # Endpoint configs

    def _create_endpoint_config(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["EndpointConfigName"]
        arn = self.arn("endpoint-config", name)
        if name in self.configs:
            rules.refuse(f'Cannot create already existing endpoint configuration "{arn}".')
        for variant in (*request["ProductionVariants"], *request.get("ShadowProductionVariants", ())):
            if "ModelName" in variant:
                self._model(variant["ModelName"])
        rules.check_endpoint_config(request, self.models)
        for variant in (*request["ProductionVariants"], *request.get("ShadowProductionVariants", ())):
            if variant.get("ModelName"):
                # DescribeEndpointConfig shows the default (API_ProductionVariant.html).
                variant.setdefault("InitialVariantWeight", 1.0)
        self.set_tags(arn, request.pop("Tags", []))
        self.configs[name] = {**request, "CreationTime": self.clock.now(), "EndpointConfigArn": arn}
        return {"EndpointConfigArn": arn}

    def _describe_endpoint_config(self, request: dict[str, Any]) -> dict[str, Any]:
        return self.config(request["EndpointConfigName"])

    def _list_endpoint_configs(self, request: dict[str, Any]) -> dict[str, Any]:
        members = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
        return self._list("EndpointConfigs", self.configs, request, members)

    def _delete_endpoint_config(self, request: dict[str, Any]) -> dict[str, Any]:
        # Not refused for a config in use; the next update of its endpoint is (hashicorp/terraform-provider-aws#40048).
        config = self.config(request["EndpointConfigName"])
        self.forget_tags(config["EndpointConfigArn"])
        del self.configs[config["EndpointConfigName"]]
        return {}

    def config(self, name: str) -> dict[str, Any]:
        """Return an endpoint config.

        :raises AwsError: It does not exist.
        """
        config = self.configs.get(name)
        if config is None or not self.is_visible(config["CreationTime"]):
            rules.refuse(f'Could not find endpoint configuration "{self.arn("endpoint-config", name)}".')
        return config

    def _list(
        self,
        result: str,
        resources: Mapping[str, dict[str, Any]],
        request: dict[str, Any],
        members: tuple[str, ...],
    ) -> dict[str, Any]:
        rows = (
            {member: resource[member] for member in members}
            for resource in resources.values()
            if self.is_visible(resource["CreationTime"])
        )
        found, token = page(rows, request, name=members[0])
        return {result: found, **({"NextToken": token} if token else {})}

    # Tags

    def set_tags(self, arn: str, tags: list[dict[str, str]]) -> None:
        """Add or overwrite tags of a resource."""
        merged = {**self._tags.get(arn, {}), **{tag["Key"]: tag["Value"] for tag in tags}}
        if len(merged) > _MAX_TAGS:
            # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_AddTags.html
            raise AwsError("ResourceLimitExceeded", f"A resource can have at most {_MAX_TAGS} tags.")
        self._tags[arn] = merged

    def forget_tags(self, arn: str) -> None:
        """Forget the tags of a resource that is deleted."""
        self._tags.pop(arn, None)

    def _add_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        arn = self._tagged(request["ResourceArn"])
        self.set_tags(arn, request["Tags"])
        return {"Tags": _tag_list(self._tags[arn])}

    def _list_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        tags = _tag_list(self._tags[self._tagged(request["ResourceArn"])])
        start = int(request.get("NextToken", "0"))
        end = start + request.get("MaxResults", _MAX_TAGS)
        return {"Tags": tags[start:end], **({"NextToken": str(end)} if end < len(tags) else {})}

    def _delete_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        tags = self._tags[self._tagged(request["ResourceArn"])]
        for key in request["TagKeys"]:
            tags.pop(key, None)
        return {}

    def _tagged(self, arn: str) -> str:
        if arn.lower() not in self._tags:
            rules.refuse(f"Could not find resource {arn}.")
        return arn.lower()


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
