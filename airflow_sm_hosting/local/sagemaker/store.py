"""The models and endpoint configs of one Region, with names, tags and the Region's lock: the ground of SageMaker hosting."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.moto_bridge.account import regional_arn
from airflow_sm_hosting.local.sagemaker.by_name import ByName
from airflow_sm_hosting.local.sagemaker.refusal import refuse
from airflow_sm_hosting.local.wire.tagging import TagStore

#: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_AddTags.html
MAX_TAGS = 50
#: The member of a stored model for the containers of its model package, which DescribeModel does not show (assumed).
FROM_PACKAGE = "ContainersFromPackage"


def served_containers(model: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the containers that a model runs: those of its model package, if it names one."""
    found: Sequence[Mapping[str, Any]] = model.get(FROM_PACKAGE) or model.get("Containers") or ()
    return found or [model.get("PrimaryContainer", {})]


class Store:
    """Models, endpoint configs and tags of one Region.

    :param region: The Region's name.
    :param clock: The clock.
    :param consistency_seconds: How long a created resource cannot be found yet.
    """

    def __init__(self, region: str, clock: Clock, consistency_seconds: float = 0.0) -> None:
        self.region = region
        self.clock = clock
        #: Guards all state of the Region. The state is small and in memory: one lock keeps every answer consistent.
        self.lock = threading.RLock()
        self.models: ByName[dict[str, Any]] = ByName()
        self.configs: ByName[dict[str, Any]] = ByName()
        self.tags = TagStore(most=MAX_TAGS, too_many="ResourceLimitExceeded")
        self._consistency = timedelta(seconds=consistency_seconds)

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of a ``model``, ``endpoint-config``, ``endpoint`` or ``inference-component``."""
        # The resource part of ARNs is in lower case, as DescribeEndpoint shows it.
        return regional_arn("sagemaker", self.region, f"{kind}/{name.lower()}")

    def plain_arn(self, kind: str) -> str:
        """Return the ARN of resources of a kind, up to their name: ARNs of model packages have it as it was given."""
        return regional_arn("sagemaker", self.region, kind)

    def is_visible(self, created: datetime) -> bool:
        """Return whether a resource that was created then can be found yet.

        Reads are eventually consistent, "describe first and retry": API_CreateEndpoint.html
        """
        return self.clock.now() >= created + self._consistency

    def model(self, name: str) -> dict[str, Any]:
        """Return a model.

        :raises AwsError: It does not exist.
        """
        model = self.models.get(name)
        if model is None or not self.is_visible(model["CreationTime"]):
            # amazon-sagemaker-operator-for-k8s looks for this text.
            refuse(f'Could not find model "{self.arn("model", name)}".')
        return model

    def config(self, name: str) -> dict[str, Any]:
        """Return an endpoint config.

        :raises AwsError: It does not exist.
        """
        config = self.configs.get(name)
        if config is None or not self.is_visible(config["CreationTime"]):
            refuse(f'Could not find endpoint configuration "{self.arn("endpoint-config", name)}".')
        return config

    def dump(self) -> dict[str, Any]:
        """Return what is saved over a restart. With the lock held."""
        return {"models": dict(self.models), "configs": dict(self.configs), "tags": self.tags.dump()}

    def load(self, saved: Mapping[str, Any]) -> None:
        """Restore saved models, endpoint configs and tags. With the lock held."""
        self.models.update(saved["models"])
        self.configs.update(saved["configs"])
        self.tags.load(saved["tags"])
