"""Adapters in the containers that load them: each is fetched and registered where it is not, and taken out when it is deleted.

How containers are told is the contract of AWS's own serving images, https://github.com/aws/model-hosting-container-standards
(python/model_hosting_container_standards/sagemaker/lora): ``POST /adapters`` with ``name`` and ``src``, ``DELETE
/adapters/<name>``, and the header ``X-Amzn-SageMaker-Adapter-Identifier`` of invocations. Assumed are that the name is that of the
inference component, that ``src`` is the folder of the unpacked archive, and where that lies.
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

from airflow_sm_hosting.local.engines.engine import RunningContainer
from airflow_sm_hosting.local.runtime.container import Caller, ask, good, is_good
from airflow_sm_hosting.local.runtime.request import refusal
from airflow_sm_hosting.local.sagemaker import model_data
from airflow_sm_hosting.local.sagemaker.endpoints.fleet import ServingContainer
from airflow_sm_hosting.local.wire.protocol import AwsError

LOG = logging.getLogger(__name__)

#: Which adapter an invocation is for.
HEADER = "X-Amzn-SageMaker-Adapter-Identifier"
_PATH = "/adapters"


@dataclass
class _Held:
    """The adapters of one container: by name, what they were created or updated with."""

    configs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    #: One is loaded at a time.
    loading: threading.Lock = field(default_factory=threading.Lock)


class Adapters:
    """Has containers load adapters."""

    def __init__(self) -> None:
        self._held: WeakKeyDictionary[RunningContainer, _Held] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def load(self, container: ServingContainer, caller: Caller, name: str, config: Mapping[str, Any]) -> None:
        """Have a container hold an adapter; one that was started anew, or is of another fleet, does not yet.

        :param config: What the adapter was created or updated with: the same object for as long as it is the same.
        :raises AwsError: The artifact cannot be had, or the container does not take it.
        """
        held = self._of(container)
        if held.configs.get(name) is config:
            return
        with held.loading:
            if held.configs.get(name) is config:
                return
            if name in held.configs:
                self._remove(container, caller, name, held)
            request = json.dumps({"name": name, "src": _fetch(container, name, config)}).encode()
            headers = {"Content-Type": "application/json"}
            good(ask(container, caller, _PATH, body=request, headers=headers), container, caller)
            held.configs[name] = config

    def unload(self, container: ServingContainer, caller: Caller, name: str) -> None:
        """Have a container hold an adapter no more."""
        held = self._of(container)
        with held.loading:
            if name in held.configs:
                self._remove(container, caller, name, held)

    def _remove(self, container: ServingContainer, caller: Caller, name: str, held: _Held) -> None:
        del held.configs[name]
        try:
            answer = ask(container, caller, f"{_PATH}/{name}", method="DELETE")
        except AwsError as error:
            LOG.warning("the container %s does not unload the adapter %s: %s", container.name, name, error)
            return
        if not is_good(answer) and answer.status != 404:
            LOG.warning(
                "the container %s does not unload the adapter %s: %s", container.name, name, answer.status
            )

    def _of(self, container: ServingContainer) -> _Held:
        with self._lock:
            return self._held.setdefault(container.running, _Held())


def _fetch(container: ServingContainer, name: str, config: Mapping[str, Any]) -> str:
    """Get an adapter's archive, and return the path at which the container sees what is in it."""
    source = model_data.ModelSource(config["Specification"]["Container"]["ArtifactUrl"], "archive")
    # The folder of what it was before may be in use yet.
    place = f"{name}-{uuid4().hex[:8]}"
    folder = container.models_folder / place / "model"
    folder.mkdir(parents=True)
    try:
        model_data.fetch(source, folder)
    except model_data.ModelDataError as error:
        shutil.rmtree(folder.parent)
        raise refusal(str(error)) from error
    return container.running.take_model(place, folder)
