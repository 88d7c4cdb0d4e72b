"""Multi-model containers: each model is downloaded, loaded and unloaded on demand.

https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import urllib3

from airflow_sm_hosting.local.engines.engine import RunningContainer
from airflow_sm_hosting.local.runtime.container import Caller, ModelError, ask, good, is_good
from airflow_sm_hosting.local.runtime.request import refusal
from airflow_sm_hosting.local.sagemaker import model_data
from airflow_sm_hosting.local.sagemaker.endpoints.variant import ServingContainer

LOG = logging.getLogger(__name__)

_NO_MEMORY = 507
# Takes metrics: name, value, unit.
Publish = Callable[[list[tuple[str, float, str]]], None]


@dataclass
class _Models:
    """The models of one container."""

    #: The names of those in memory, that used last at the end.
    loaded: OrderedDict[str, None] = field(default_factory=OrderedDict)
    #: The paths of those on the disk, by name: they stay there when they are unloaded.
    paths: dict[str, str] = field(default_factory=dict)
    in_use: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)
    #: One model is loaded at a time; those that are loaded can be asked meanwhile.
    loading: threading.Lock = field(default_factory=threading.Lock)


class HeldModels:
    """Invokes the models of multi-model containers."""

    def __init__(self) -> None:
        self._models: WeakKeyDictionary[RunningContainer, _Models] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def ask(
        self,
        container: ServingContainer,
        caller: Caller,
        target: str,
        publish: Publish,
        *,
        body: bytes,
        headers: Mapping[str, str],
        whole: bool = True,
    ) -> urllib3.BaseHTTPResponse:
        """Invoke one model, which is loaded first where it is not.

        :param target: ``TargetModel``: the archive, from the container's prefix on.
        :param publish: Takes the metrics of the loading.
        :raises AwsError: There is no such model, it cannot be loaded, or the container does not answer.
        """
        models = self._of(container)
        name = hashlib.sha256(target.encode()).hexdigest()[:32]
        with _used(models, name):
            began = time.perf_counter()
            hit = self._load(container, caller, models, name, target, publish)
            waited = 0.0 if hit else _microseconds(began)
            publish([("ModelCacheHit", float(hit), "None"), ("ModelLoadingWaitTime", waited, "Microseconds")])

            def invoke() -> urllib3.BaseHTTPResponse:
                path = f"/models/{name}/invoke"
                return ask(container, caller, path, body=body, headers=headers, whole=whole)

            answer = invoke()
            if answer.status == 404 and not _is_loaded(container, caller, name):
                # "If model_name is not loaded, this API should return 404": it has lost it.
                models.loaded.pop(name, None)
                self._load(container, caller, models, name, target, publish)
                answer = invoke()
            elif answer.status == _NO_MEMORY and self._unload_one(container, caller, models, publish):
                answer = invoke()
        # "To disable model caching, set the parameter to Disabled": API_MultiModelConfig.html
        if container.definition.get("MultiModelConfig", {}).get("ModelCacheSetting") == "Disabled":
            self._unload_one(container, caller, models, publish, name)
        return answer

    def _of(self, container: ServingContainer) -> _Models:
        with self._lock:
            return self._models.setdefault(container.running, _Models())

    def _load(
        self,
        container: ServingContainer,
        caller: Caller,
        models: _Models,
        name: str,
        target: str,
        publish: Publish,
    ) -> bool:
        """Load a model, and return whether it was there."""
        with models.lock:
            if name in models.loaded:
                models.loaded.move_to_end(name)
                return True
        with models.loading:
            if name in models.loaded:
                return False
            if name not in models.paths:
                began = time.perf_counter()
                models.paths[name] = _fetch(container, name, target)
                publish([("ModelDownloadingTime", _microseconds(began), "Microseconds")])
            began = time.perf_counter()
            request = json.dumps({"model_name": name, "url": models.paths[name]}).encode()
            headers = {"Content-Type": "application/json", "Accept": "application/json"}
            headers |= {"X-Amzn-Target-Model": target}
            answer = ask(container, caller, "/models", body=request, headers=headers)
            while answer.status == _NO_MEMORY and self._unload_one(container, caller, models, publish):
                answer = ask(container, caller, "/models", body=request, headers=headers)
            # "If model_name is already loaded, this API should return 409."
            if answer.status != 409:
                good(answer, container, caller)
            with models.lock:
                models.loaded[name] = None
            publish([("ModelLoadingTime", _microseconds(began), "Microseconds")])
        return False

    def _unload_one(
        self,
        container: ServingContainer,
        caller: Caller,
        models: _Models,
        publish: Publish,
        name: str | None = None,
    ) -> bool:
        """Unload a model, of those that nobody uses the one that was used longest ago, and return whether there was one."""
        with models.lock:
            unused = (
                one for one in models.loaded if not models.in_use[one] and (name is None or one == name)
            )
            found = next(unused, None)
            if found is None:
                return False
            del models.loaded[found]
        began = time.perf_counter()
        answer = ask(container, caller, f"/models/{found}", method="DELETE")
        if not is_good(answer) and answer.status != 404:
            LOG.warning(
                "the container %s did not unload the model %s: %s", container.name, found, answer.status
            )
        publish([("ModelUnloadingTime", _microseconds(began), "Microseconds")])
        return True

    def loaded_count(self, container: ServingContainer) -> int:
        """Return how many models a container has in memory."""
        return len(self._of(container).loaded)


def has_many(container: ServingContainer) -> bool:
    """Return whether a container is a multi-model container."""
    return container.definition.get("Mode") == "MultiModel"


@contextmanager
def _used(models: _Models, name: str) -> Iterator[None]:
    """Keep a model from being unloaded."""
    with models.lock:
        models.in_use[name] += 1
    try:
        yield
    finally:
        with models.lock:
            models.in_use[name] -= 1


def _is_loaded(container: ServingContainer, caller: Caller, name: str) -> bool:
    """Ask the container whether it has a model: a 404 may be the model's own."""
    try:
        return is_good(ask(container, caller, f"/models/{name}", method="GET"))
    except ModelError:
        return False


def _fetch(container: ServingContainer, name: str, target: str) -> str:
    """Download and unpack a model's archive, and return the path at which the container sees it."""
    source = model_data.below(_prefix(container.definition), target)
    folder = container.models_folder / name / "model"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        model_data.fetch(source, folder)
    except model_data.ModelFetchError as error:
        shutil.rmtree(folder.parent)
        bucket, key = source.location
        if not model_data.data_exists(source):
            # The sentence is assumed.
            raise refusal(
                f"Failed to download model data(bucket: {bucket}, key: {key}). Please ensure that there is an object located "
                "at the URL and that the role passed to CreateModel has permissions to download the model."
            ) from error
        raise refusal(str(error)) from error
    return container.running.take_model(name, folder)


def _prefix(definition: Mapping[str, Any]) -> model_data.ModelSource:
    source = model_data.model_source(definition)
    if source is None:
        raise refusal("The multi-model container has no ModelDataUrl.")
    return source


def _microseconds(began: float) -> float:
    return (time.perf_counter() - began) * 1e6
