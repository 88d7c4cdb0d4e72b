"""Adapters in the containers that load them: each is fetched and registered where it is not, and taken out when it is deleted.

The requests to containers follow the contract of AWS's own serving images, https://github.com/aws/model-hosting-container-standards
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
from airflow_sm_hosting.local.sagemaker.endpoints.variant import ServingContainer
from airflow_sm_hosting.local.wire.errors import AwsError

LOG = logging.getLogger(__name__)

#: Which adapter an invocation is for.
HEADER = "X-Amzn-SageMaker-Adapter-Identifier"
_PATH = "/adapters"


@dataclass
class _Held:
    """The adapters of one container: by name, what they were created or updated with."""

    specifications: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    #: One is loaded at a time.
    loading: threading.Lock = field(default_factory=threading.Lock)


class Adapters:
    """Has containers load adapters."""

    def __init__(self) -> None:
        self._held: WeakKeyDictionary[RunningContainer, _Held] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def load(
        self, container: ServingContainer, caller: Caller, name: str, specification: Mapping[str, Any]
    ) -> None:
        """Have a container load an adapter. A container that was replaced, or is of another fleet, has not loaded it yet.

        :param specification: What the adapter was created or updated with: the same object as long as it is not updated.
        :raises AwsError: The artifact cannot be downloaded, or the container does not load it.
        """
        held = self._of(container)
        if held.specifications.get(name) is specification:
            return
        with held.loading:
            if held.specifications.get(name) is specification:
                return
            if name in held.specifications:
                self._remove(container, caller, name, held)
            request = json.dumps({"name": name, "src": _fetch(container, name, specification)}).encode()
            headers = {"Content-Type": "application/json"}
            good(ask(container, caller, _PATH, body=request, headers=headers), container, caller)
            held.specifications[name] = specification

    def unload(self, container: ServingContainer, caller: Caller, name: str) -> None:
        """Have a container unload an adapter."""
        held = self._of(container)
        with held.loading:
            if name in held.specifications:
                self._remove(container, caller, name, held)

    def _remove(self, container: ServingContainer, caller: Caller, name: str, held: _Held) -> None:
        del held.specifications[name]
        try:
            answer = ask(container, caller, f"{_PATH}/{name}", method="DELETE")
        except AwsError as error:
            LOG.warning("the container %s did not unload the adapter %s: %s", container.name, name, error)
            return
        if not is_good(answer) and answer.status != 404:
            LOG.warning(
                "the container %s did not unload the adapter %s: %s", container.name, name, answer.status
            )

    def _of(self, container: ServingContainer) -> _Held:
        with self._lock:
            return self._held.setdefault(container.running, _Held())


def _fetch(container: ServingContainer, name: str, specification: Mapping[str, Any]) -> str:
    """Download and unpack an adapter's archive, and return the path at which the container sees it."""
    source = model_data.ModelSource(specification["Container"]["ArtifactUrl"], "archive")
    # The folder of the version before may be in use still.
    place = f"{name}-{uuid4().hex[:8]}"
    folder = container.models_folder / place / "model"
    folder.mkdir(parents=True)
    try:
        model_data.fetch(source, folder)
    except model_data.ModelFetchError as error:
        shutil.rmtree(folder.parent)
        raise refusal(str(error)) from error
    return container.running.take_model(place, folder)
