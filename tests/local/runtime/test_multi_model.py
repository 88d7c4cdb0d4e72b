"""Containers of many models: https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import tar_bytes
from tests.local.data_plane import Answer, Asked, DataPlane, data_plane


@pytest.fixture(scope="module")
def plane_() -> Iterator[DataPlane]:
    with data_plane() as plane:
        yield plane


@pytest.fixture
def plane(plane_: DataPlane) -> DataPlane:
    plane_.reset()
    return plane_


class Server:
    """A container of many models, as the contract says, with room for so many."""

    def __init__(self, room: int = 100, seconds: float = 0.0) -> None:
        self.room, self.seconds = room, seconds
        self.knows_rows = True
        self.loaded: dict[str, str] = {}
        self.calls: list[tuple[str, str]] = []
        self.targets: list[str] = []

    def __call__(self, asked: Asked) -> Any:
        _, _, rest = asked.path.removeprefix("/").partition("/")
        name, _, verb = rest.partition("/")
        self.calls.append((asked.method, verb or ("model" if name else "models")))
        if asked.method == "POST" and not name:
            return self.load(asked)
        if name not in self.loaded:
            return Answer(status=404)
        if asked.method == "DELETE":
            del self.loaded[name]
        elif verb == "invoke":
            if not self.knows_rows:
                return Answer(b"no such row", status=404)
            self.targets.append(asked.headers["X-Amzn-SageMaker-Target-Model"])
            content = (Path(self.loaded[name]) / "weights").read_bytes()
            return Answer(content + b":" + asked.body, content_type="text/plain")
        return Answer(b"{}")

    def load(self, asked: Asked) -> Any:
        request = json.loads(asked.body)
        if request["model_name"] in self.loaded:
            return Answer(status=409)
        if len(self.loaded) >= self.room:
            return Answer(b"no memory", status=507)
        time.sleep(self.seconds)
        self.loaded[request["model_name"]] = request["url"]
        return Answer(b"{}")

    def count(self, *call: Any) -> Any:
        return self.calls.count(call)


def serving(plane: DataPlane, server: Any, models: tuple[Any, ...] = ("a", "b", "c"), **more: Any) -> Any:
    bucket = plane.bucket(
        **{f"models/{name}.tar.gz": tar_bytes({"weights": name.encode()}) for name in models}
    )
    container = plane.container(server, Mode="MultiModel", ModelDataUrl=f"s3://{bucket}/models/", **more)
    model = plane.deployer.name("many")
    plane.sagemaker.create_model(
        ModelName=model,
        ExecutionRoleArn="arn:aws:iam::123456789012:role/sagemaker",
        PrimaryContainer=container,
    )
    return plane.deployer.endpoint(plane.deployer.config(plane.deployer.variant(model)))


def ask(plane: DataPlane, endpoint: str, target: str, **more: Any) -> Any:
    return plane.invoke(endpoint, b"x", TargetModel=target, **more)["Body"]


def test_models_are_loaded_when_they_are_asked_for(plane: DataPlane) -> None:
    """LOAD MODEL API, INVOKE MODEL API; the environment: build-multi-model-build-container.html."""
    server = Server()
    endpoint = serving(plane, server)
    assert server.calls == []
    assert plane.engine.plans[-1].environment["SAGEMAKER_MULTI_MODEL"] == "true"
    assert ask(plane, endpoint, "a.tar.gz") == b"a:x"
    assert ask(plane, endpoint, "b.tar.gz") == b"b:x"
    assert ask(plane, endpoint, "/a.tar.gz") == b"a:x"
    assert ask(plane, endpoint, "a.tar.gz") == b"a:x"
    assert server.targets[0] == "a.tar.gz"
    where = {"EndpointName": endpoint, "VariantName": "main"}
    # monitoring-cloudwatch.html, multi-model endpoint metrics
    assert plane.metric("ModelCacheHit", "SampleCount", **where) == 4
    assert plane.metric("ModelCacheHit", **where) == 1
    assert (plane.metric("ModelDownloadingTime", **where) or 0) > 0
    assert (plane.metric("ModelLoadingTime", **where) or 0) > 0
    plane.clock.advance(60)
    count = plane.metric("LoadedModelCount", "Maximum", namespace="/aws/sagemaker/Endpoints", **where)
    assert count == len(server.loaded)


def test_the_model_used_longest_ago_makes_room(plane: DataPlane) -> None:
    """LOAD MODEL API: 507 "initiates unloading unused models to reclaim"; it stays on the disk (multi-model-endpoints.html)."""
    server = Server(room=2)
    endpoint = serving(plane, server)
    for target in ("a", "b", "a", "c"):
        assert ask(plane, endpoint, f"{target}.tar.gz") == f"{target}:x".encode()
    assert server.count("DELETE", "model") == 1
    where = {"EndpointName": endpoint, "VariantName": "main"}
    downloads = plane.metric("ModelDownloadingTime", "SampleCount", **where)
    # "b" was unloaded, "a" was not.
    loads = server.count("POST", "models")
    ask(plane, endpoint, "a.tar.gz")
    assert server.count("POST", "models") == loads
    ask(plane, endpoint, "b.tar.gz")
    assert server.count("POST", "models") > loads
    assert plane.metric("ModelDownloadingTime", "SampleCount", **where) == downloads == 3


def test_a_model_that_never_fits_is_a_model_error(plane: DataPlane) -> None:
    endpoint = serving(plane, Server(room=0))
    with pytest.raises(ClientError) as caught:
        ask(plane, endpoint, "a.tar.gz")
    assert caught.value.response["OriginalStatusCode"] == 507


def test_a_model_that_the_container_has_lost_is_loaded_again(plane: DataPlane) -> None:
    """INVOKE MODEL API: "If model_name is not loaded, this API should return 404"."""
    server = Server()
    endpoint = serving(plane, server)
    ask(plane, endpoint, "a.tar.gz")
    server.loaded.clear()
    assert ask(plane, endpoint, "a.tar.gz") == b"a:x"


def test_a_404_of_the_model_itself_is_its_answer(plane: DataPlane) -> None:
    server = Server()
    endpoint = serving(plane, server)
    ask(plane, endpoint, "a.tar.gz")
    loads = server.count("POST", "models")
    server.knows_rows = False
    with pytest.raises(ClientError) as caught:
        ask(plane, endpoint, "a.tar.gz")
    assert caught.value.response["OriginalStatusCode"] == 404
    assert server.count("POST", "models") == loads


def test_without_a_cache_each_invocation_loads_and_unloads(plane: DataPlane) -> None:
    """API_MultiModelConfig.html: ModelCacheSetting."""
    server = Server()
    endpoint = serving(plane, server, MultiModelConfig={"ModelCacheSetting": "Disabled"})
    for _ in range(2):
        assert ask(plane, endpoint, "a.tar.gz") == b"a:x"
        assert server.loaded == {}
    assert server.count("DELETE", "model") == 2


def test_callers_at_once_load_a_model_once(plane: DataPlane) -> None:
    server = Server(seconds=0.2)
    endpoint = serving(plane, server)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(ask(plane, endpoint, "a.tar.gz"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [b"a:x"] * 4
    assert server.count("POST", "models") == 1


def test_what_is_refused(plane: DataPlane) -> None:
    """aws/sagemaker-tensorflow-serving-container#166; that of an archive that is not there is assumed."""
    endpoint = serving(plane, Server())
    with pytest.raises(ClientError, match=r"ValidationError.*Request .* is missing a target model header"):
        plane.invoke(endpoint)
    with pytest.raises(
        ClientError, match=r"ValidationError.*Failed to download model data.*key: models/z.tar.gz"
    ):
        ask(plane, endpoint, "z.tar.gz")


@pytest.mark.parametrize(
    "content", [b"not an archive", tar_bytes({"../../evil": b"x"})], ids=["broken", "hostile"]
)
def test_an_archive_that_cannot_be_unpacked_is_refused_and_can_be_put_right(
    plane: DataPlane, content: Any
) -> None:
    endpoint = serving(plane, Server())
    url = plane.sagemaker.describe_model(ModelName=plane.sagemaker.list_models()["Models"][0]["ModelName"])[
        "PrimaryContainer"
    ]["ModelDataUrl"]
    bucket = url.split("/")[2]
    plane.client("s3").put_object(Bucket=bucket, Key="models/n.tar.gz", Body=content)
    with pytest.raises(ClientError, match="Failed to extract model data archive"):
        ask(plane, endpoint, "n.tar.gz")
    (folder,) = plane.engine.plans[-1].model_folder.parent.glob("models")
    assert list(folder.iterdir()) == []
    plane.client("s3").put_object(Bucket=bucket, Key="models/n.tar.gz", Body=tar_bytes({"weights": b"n"}))
    assert ask(plane, endpoint, "n.tar.gz") == b"n:x"
