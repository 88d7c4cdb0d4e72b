"""A build that is killed at any call to the registry, or in the middle of a layer: the next try ends where an undisturbed run ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import BuildImageOperator
from airflow_sm_hosting.images.manifests import DOCKER_MANIFEST
from airflow_sm_hosting.images.registry import RegistryClient
from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import login_of
from tests.local_servers import local_server
from tests.operators.conftest import _emptied, dag, run_task, task_id

__all__ = ["dag"]

MEBIBYTE = 1024 * 1024


class Killed(BaseException):
    """The process ended here."""


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    return _emptied(local_server(), monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    app = tmp_path / "app"
    app.mkdir()
    (app / "Dockerfile").write_text("FROM scratch\nCOPY a /a\nCOPY b /b\n")
    # Of no pattern, so that a layer is as large as its file.
    (app / "a").write_bytes(os.urandom(4 * MEBIBYTE))
    (app / "b").write_bytes(os.urandom(MEBIBYTE))
    return app


def building(folder: Path, builder: str = "assembler", **more: Any) -> BuildImageOperator:
    return BuildImageOperator(
        task_id=task_id("build"), directory=str(folder), repository_name="churn", builder=builder, **more
    )


def images(aws: LocalAws) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = aws.client("ecr").describe_images(repositoryName="churn")[
            "imageDetails"
        ]
    except aws.client("ecr").exceptions.RepositoryNotFoundException:
        return []
    return found


def blobs_are_what_they_are_called(aws: LocalAws, uri: str) -> None:
    """Read the image as a host that pulls it would; the client checks each digest."""
    user, password = login_of(aws)
    host, _, rest = uri.partition("/")
    repository, _, digest = rest.partition("@")
    with RegistryClient(host, username=user, password=password) as client:
        manifest = json.loads(client.get_manifest(repository, digest)[1])
        for blob in (manifest["config"], *manifest["layers"]):
            assert len(client.get_blob(repository, blob["digest"])) == blob["size"]


class Kill:
    """Ends the process at one call to the registry.

    :param number: At which, from 1; 0 for never.
    :param after: Whether the registry has answered it.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int, *, after: bool) -> None:
        self.calls = 0
        send = RegistryClient._send

        def counted(client: RegistryClient, *arguments: Any) -> Any:
            self.calls += 1
            if self.calls == number and not after:
                raise Killed
            answer = send(client, *arguments)
            if self.calls == number:
                raise Killed
            return answer

        monkeypatch.setattr(RegistryClient, "_send", counted)


def check_next_try(aws: LocalAws, folder: Path, expected: str) -> None:
    """Try again, and once more: the second try finds what the first one left."""
    ended = run_task(building(folder))
    assert ended.value.partition("@")[2] == expected
    blobs_are_what_they_are_called(aws, ended.value)
    [image] = images(aws)
    assert (image["imageDigest"], image["imageManifestMediaType"]) == (expected, DOCKER_MANIFEST)
    assert image["imageTags"] == ended.details["tags"]
    again = run_task(building(folder))
    assert (again.value, again.details["built"]) == (ended.value, False)


def test_killed_at_any_call_to_the_registry_the_next_try_completes(
    aws: LocalAws, dag: DAG, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        undisturbed = Kill(patch, 0, after=False)
        digest = run_task(building(folder)).value.partition("@")[2]
    assert undisturbed.calls >= 10  # two layers, the configuration, the manifest
    for number in range(1, undisturbed.calls + 1):
        for after in (False, True):
            aws.reset()
            with monkeypatch.context() as patch:
                Kill(patch, number, after=after)
                with pytest.raises(Killed):
                    run_task(building(folder))
            assert all(image["imageDigest"] == digest for image in images(aws)), (number, after)
            check_next_try(aws, folder, digest)


class Breaking:
    """A file that ends the process when so many bytes of it are read."""

    def __init__(self, file: Any, left: int) -> None:
        self._file, self._left = file, left

    def read(self, size: int = -1) -> bytes:
        if self._left <= 0:
            raise Killed
        block: bytes = self._file.read(min(size if size >= 0 else self._left, self._left))
        self._left -= len(block)
        return block

    def __len__(self) -> int:
        return len(self._file)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@pytest.mark.parametrize("sent", [1, 64 * 1024, MEBIBYTE, 2 * MEBIBYTE, 4 * MEBIBYTE])
def test_killed_in_the_middle_of_a_layer_the_next_try_completes(
    aws: LocalAws, dag: DAG, folder: Path, sent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = run_task(building(folder)).value.partition("@")[2]
    aws.reset()
    upload: Callable[..., None] = RegistryClient._upload
    with monkeypatch.context() as patch:
        patch.setattr(
            RegistryClient,
            "_upload",
            lambda client, repository, digest, content: upload(
                client, repository, digest, Breaking(content, sent)
            ),
        )
        with pytest.raises(Killed):
            run_task(building(folder))
    assert images(aws) == []
    check_next_try(aws, folder, expected)


WORKER = """
import json, sys
from airflow.sdk import DAG
from airflow_sm_hosting import BuildImageOperator
from tests.operators.conftest import run_task
folder, builder = sys.argv[1:]
with DAG("killed", schedule=None):
    task = BuildImageOperator(task_id="build", directory=folder, repository_name="churn", builder=builder)
run_task(task)
"""


@pytest.fixture
def engine_images(docker_client: Any) -> Iterator[None]:
    yield
    for image in docker_client.images.list():
        if any("/churn:sm-hosting-" in tag for tag in image.tags):
            docker_client.images.remove(image.id, force=True)


@pytest.mark.engine
@pytest.mark.parametrize("builder", ["docker", "buildah"])
def test_a_worker_that_is_killed_while_its_builder_pushes_does_no_harm(
    aws: LocalAws,
    dag: DAG,
    folder: Path,
    builder: str,
    engine_images: None,
    buildah_storage: None,
) -> None:
    """SIGKILL, as the kernel sends it when memory is short: at the first line that tells of the push."""
    marks = {"docker": b"Preparing", "buildah": b"Copying blob"}
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder), builder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert worker.stdout is not None
    seen = b""
    for line in worker.stdout:
        seen += line
        if marks[builder] in line:
            break
    worker.send_signal(signal.SIGKILL)
    worker.stdout.close()
    assert worker.wait() == -signal.SIGKILL, seen.decode()

    ended = run_task(building(folder, builder))
    blobs_are_what_they_are_called(aws, ended.value)
    again = run_task(building(folder, builder))
    assert again.details["built"] is False
    assert [image["imageManifestMediaType"] for image in images(aws)] == [DOCKER_MANIFEST]
    assert again.value == ended.value
