from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.images.assembler import ImageAssembler
from airflow_sm_hosting.images.builders import Destination
from airflow_sm_hosting.images.context import BuildContext
from airflow_sm_hosting.images.docker_builder import DockerBuilder
from airflow_sm_hosting.images.recipe import BuildRecipe, Login
from tests.images.conftest import manifest_digest

Write = Callable[..., Path]


@pytest.mark.engine
class TestEngine:
    @pytest.fixture
    def builder(self, engine: docker.DockerClient) -> DockerBuilder:
        return DockerBuilder.connect()

    @pytest.fixture
    def destination(self, registry: Any, engine: docker.DockerClient) -> Iterator[Destination]:
        destination = registry.destination()
        yield destination
        for image in engine.images.list(name=destination.repository_uri):
            engine.images.remove(image.id, force=True)

    @pytest.fixture
    def unique(self, engine: docker.DockerClient) -> Iterator[str]:
        """Return a line for a Dockerfile that keeps the engine's cache out, and by which leftovers are found."""
        label = f"sm-hosting-test={uuid.uuid4().hex}"
        yield f"LABEL {label}\n"
        for image in engine.images.list(filters={"label": label}):
            engine.images.remove(image.id, force=True)

    def test_it_builds_pushes_and_runs(
        self,
        builder: DockerBuilder,
        destination: Destination,
        engine: docker.DockerClient,
        run_container: Callable[..., bytes],
        write: Write,
        cat: bytes,
        unique: str,
        log: Any,
    ) -> None:
        dockerfile = (
            f"FROM scratch AS one\n{unique}ARG WHO=nobody\nENV WHO=$WHO\nCOPY cat hello /\n"
            'RUN ["/cat", "/hello"]\nENTRYPOINT ["/cat"]\nFROM one AS two\nLABEL second=yes\n'
        )
        folder = write({"docker/Dockerfile": dockerfile, "x cat": cat, "hello": "hello from the build\n"})
        recipe = BuildRecipe(
            BuildContext(folder, dockerfile="docker/Dockerfile"),
            build_args={"WHO": "someone"},
            target="one",
            labels={"team": "ml"},
        )
        pushed = builder.build_and_push(recipe, destination, log)
        assert "hello from the build" in log.text
        with destination.registry() as client:
            assert manifest_digest(client, destination.repository, "v1") == pushed.digest
        reference = f"{destination.repository_uri}@{pushed.digest}"
        assert reference in engine.images.get(f"{destination.repository_uri}:v1").attrs["RepoDigests"]
        image = engine.images.get(reference)
        assert image.labels["team"] == "ml"
        assert "second" not in image.labels
        assert "WHO=someone" in image.attrs["Config"]["Env"]
        assert run_container(reference, "/hello") == b"hello from the build\n"
        assert builder.build_and_push(recipe, destination, log).digest == pushed.digest

    def test_a_failed_build_is_an_error_with_the_last_lines(
        self,
        builder: DockerBuilder,
        destination: Destination,
        engine: docker.DockerClient,
        write: Write,
        cat: bytes,
        unique: str,
        log: Any,
    ) -> None:
        folder = write(
            {
                "Dockerfile": f'FROM scratch\n{unique}COPY cat said /\nRUN ["/cat", "/said"]\nRUN ["/none"]\n',
                "x cat": cat,
                "said": "said before\n",
            }
        )
        containers = {container.id for container in engine.containers.list(all=True, ignore_removed=True)}
        with pytest.raises(ImageBuildError, match=r"(?s)could not be built.*/none.*said before"):
            builder.build_and_push(BuildRecipe(BuildContext(folder)), destination, log)
        assert {
            container.id for container in engine.containers.list(all=True, ignore_removed=True)
        } <= containers

    def test_a_malformed_dockerfile_is_an_error(
        self, builder: DockerBuilder, destination: Destination, write: Write, log: Any
    ) -> None:
        folder = write({"Dockerfile": "FROM scratch\nNONSENSE\n"})
        with pytest.raises(ImageBuildError, match=r"(?i)unknown instruction"):
            builder.build_and_push(BuildRecipe(BuildContext(folder)), destination, log)

    def test_secrets_are_not_in_the_log_nor_in_the_error(
        self,
        builder: DockerBuilder,
        destination: Destination,
        write: Write,
        cat: bytes,
        unique: str,
        log: Any,
    ) -> None:
        dockerfile = f'FROM scratch\n{unique}ARG TOKEN\nCOPY cat /\nRUN ["/cat", "/proc/self/environ"]\nCOPY $TOKEN /\n'
        folder = write({"Dockerfile": dockerfile, "x cat": cat})
        recipe = BuildRecipe(BuildContext(folder), build_args={"TOKEN": "hunter2-is-secret"})
        with pytest.raises(ImageBuildError, match="could not be built") as caught:
            builder.build_and_push(recipe, destination, log)
        assert "TOKEN=***" in log.text
        assert "hunter2" not in log.text + str(caught.value)
        assert destination.password not in log.text + str(caught.value)

    def test_a_private_base_is_pulled_with_its_credentials(
        self,
        builder: DockerBuilder,
        destination: Destination,
        engine: docker.DockerClient,
        write: Write,
        unique: str,
        log: Any,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        """Nobody has logged the worker in, and nothing of it is left on its disk."""
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
        base = write({"Dockerfile": "FROM scratch\nCOPY Dockerfile /base\n"})
        pushed = ImageAssembler().build_and_push(BuildRecipe(BuildContext(base)), destination, log)
        child = tmp_path / "child"
        child.mkdir()
        (child / "Dockerfile").write_text(
            f"FROM {destination.repository_uri}@{pushed.digest}\n{unique}COPY Dockerfile /child\n"
        )
        recipe = BuildRecipe(BuildContext(child))
        with pytest.raises(ImageBuildError, match=r"basic auth|denied|unauthorized|authentication"):
            DockerBuilder.connect().build_and_push(recipe, destination, log)
        login = Login(destination.username, destination.password)
        built = DockerBuilder.connect().build_and_push(
            replace(recipe, logins={destination.host: login}), destination, log
        )
        assert built.digest != pushed.digest
        assert not (tmp_path / "docker").exists()
        assert destination.password not in log.text

    def test_a_refusal_by_the_engine_is_in_its_own_words(
        self, builder: DockerBuilder, destination: Destination, write: Write, log: Any
    ) -> None:
        folder = write({"Dockerfile": "FROM scratch\nCOPY --link Dockerfile /f\n"})
        with pytest.raises(ImageBuildError, match="BuildKit") as caught:
            builder.build_and_push(BuildRecipe(BuildContext(folder)), destination, log)
        assert "http+docker" not in str(caught.value)
        assert str(folder) in str(caught.value)

    def test_a_missing_base_is_named(
        self, builder: DockerBuilder, destination: Destination, registry: Any, write: Write, log: Any
    ) -> None:
        folder = write({"Dockerfile": "ARG BASE\nFROM ${BASE}\nLABEL a=b\n"})
        base = f"{registry.host}/base/missing:9"
        with pytest.raises(ImageBuildError, match="base/missing"):
            builder.build_and_push(
                BuildRecipe(BuildContext(folder), build_args={"BASE": base}), destination, log
            )

    def test_a_refused_push_is_an_error_without_the_password(
        self, builder: DockerBuilder, destination: Destination, write: Write, log: Any
    ) -> None:
        refused = Destination(destination.repository_uri, "v1", "AWS", "no-such-password")
        recipe = BuildRecipe(BuildContext(write({"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})))
        with pytest.raises(ImageBuildError, match="could not be pushed") as caught:
            builder.build_and_push(recipe, refused, log)
        assert "no-such-password" not in log.text + str(caught.value)

    def test_an_image_of_another_platform_is_not_pushed(
        self,
        builder: DockerBuilder,
        destination: Destination,
        engine: docker.DockerClient,
        base_image: str,
        write: Write,
        log: Any,
    ) -> None:
        folder = write({"Dockerfile": f"FROM {base_image}\nLABEL a=b\n"})
        recipe = BuildRecipe(BuildContext(folder), platform="linux/arm64")
        with pytest.raises(ImageBuildError):
            builder.build_and_push(recipe, destination, log)
        with destination.registry() as client:
            assert manifest_digest(client, destination.repository, "v1") is None
