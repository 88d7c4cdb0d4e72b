from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.images import manifests
from airflow_sm_hosting.images.assembler import ALLOW_MISSING_BASE, ImageAssembler
from airflow_sm_hosting.images.builders import Destination, PushedImage
from airflow_sm_hosting.images.context import BuildContext
from airflow_sm_hosting.images.recipe import BuildRecipe
from airflow_sm_hosting.images.registry import parse_image_name

Write = Callable[..., Path]
NOWHERE = Destination("127.0.0.1:1/a", "v1", "AWS", "password")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("python", ("registry-1.docker.io", "library/python", "latest")),
        ("python:3.12-slim", ("registry-1.docker.io", "library/python", "3.12-slim")),
        ("docker.io/python", ("registry-1.docker.io", "library/python", "latest")),
        ("team/app:1", ("registry-1.docker.io", "team/app", "1")),
        ("127.0.0.1:5000/a/b:1", ("127.0.0.1:5000", "a/b", "1")),
        ("ghcr.io/a/b@sha256:0", ("ghcr.io", "a/b", "sha256:0")),
        ("ghcr.io/a/b:1@sha256:0", ("ghcr.io", "a/b", "sha256:0")),
    ],
)
def test_names_of_images_are_read_as_docker_reads_them(name: str, parts: tuple[str, str, str]) -> None:
    assert parse_image_name(name) == parts


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        ("RUN pip install flask", 2, "RUN needs a Docker Engine"),
        ("ENV A=1\n\n# why\nRUN \\\n  make", 5, "RUN needs a Docker Engine"),
        ("VOLUME /data", 2, "VOLUME needs a Docker Engine"),
        ("HEALTHCHECK NONE", 2, "HEALTHCHECK needs a Docker Engine"),
        ("FROM scratch", 2, "several stages"),
        ("COPY --from=other a /", 2, "--from needs a Docker Engine"),
        ("COPY --chown=app:app a /", 2, "give numbers"),
        ("COPY --chmod=u+x a /", 2, "octal"),
        ("COPY a", 2, "at least one source"),
        ("COPY missing /", 2, "'missing' is not in the build context"),
        ("COPY ignored /", 2, r"\.dockerignore excludes it"),
        ("COPY a b /c", 2, "must end with /"),
        ("COPY <<EOF /x", 2, "here-document"),
        ("ADD https://example.com/x /", 2, "ADD of a URL"),
        ("ADD x.tar.gz /", 2, "ADD would unpack"),
        ("EXPOSE http", 2, "is not a port"),
        ("ENV A", 2, "needs a value"),
        ("COPY dangling /", 2, "not in the build context"),
    ],
)
def test_what_needs_an_engine_is_refused_with_its_line(
    write: Write, log: Any, body: str, line: int, message: str
) -> None:
    folder = write(
        {
            "Dockerfile": f"FROM scratch\n{body}\n",
            ".dockerignore": "ignored",
            "a": "",
            "b": "",
            "ignored": "",
            "x.tar.gz": "",
        }
    )
    (folder / "dangling").symlink_to("nothing")
    with pytest.raises(
        ImageBuildError, match=rf"(?s)^{folder}/Dockerfile, line {line}: .*{message}"
    ) as caught:
        ImageAssembler().build_and_push(BuildRecipe(BuildContext(folder)), NOWHERE, log)
    assert body.replace("#", "\n").split("\n")[-1].split()[-1] in str(caught.value)


@pytest.mark.parametrize(
    ("dockerfile", "message"),
    [
        ("ENV A=1\nFROM scratch", "Only ARG is allowed before FROM"),
        ("ARG A=1", "has no FROM"),
        ("ARG BASE\nFROM ${BASE}", "name is empty"),
        ("FROM scratch as", "FROM needs an image"),
    ],
)
def test_a_dockerfile_without_a_proper_from_is_refused(
    write: Write, log: Any, dockerfile: str, message: str
) -> None:
    recipe = BuildRecipe(BuildContext(write({"Dockerfile": dockerfile})))
    with pytest.raises(ImageBuildError, match=message):
        ImageAssembler().build_and_push(recipe, NOWHERE, log)


@pytest.mark.usefixtures("short_pauses")
def test_a_base_that_cannot_be_had_is_an_error(write: Write, log: Any) -> None:
    recipe = BuildRecipe(BuildContext(write({"Dockerfile": "FROM 127.0.0.1:1/base:1\n"})))
    with pytest.raises(
        ImageBuildError, match=r"(?s)line 1: FROM.*base image cannot be pulled.*127\.0\.0\.1:1"
    ):
        ImageAssembler(allow_missing_base=False).build_and_push(recipe, NOWHERE, log)


def test_the_environment_can_allow_a_missing_base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ALLOW_MISSING_BASE, raising=False)
    assert not ImageAssembler().allow_missing_base
    monkeypatch.setenv(ALLOW_MISSING_BASE, "1")
    assert ImageAssembler().allow_missing_base
    assert not ImageAssembler(allow_missing_base=False).allow_missing_base


@pytest.mark.engine
class TestAssembled:
    """With a real registry, and a real engine that runs what was assembled."""

    @pytest.fixture
    def destination(self, registry: Any) -> Destination:
        destination: Destination = registry.destination()
        return destination

    @pytest.fixture
    def run(
        self, engine: docker.DockerClient, run_container: Callable[..., bytes], destination: Destination
    ) -> Iterator[Callable[..., bytes]]:
        def run_image(pushed: PushedImage, *command: str) -> bytes:
            reference = f"{destination.repository_uri}@{pushed.digest}"
            engine.images.pull(
                reference, auth_config={"username": destination.username, "password": destination.password}
            )
            return run_container(reference, *command)

        yield run_image
        for image in engine.images.list():
            if any(
                name.startswith(destination.repository_uri) for name in image.attrs.get("RepoDigests") or []
            ):
                engine.images.remove(image.id, force=True)

    @staticmethod
    def _config(destination: Destination) -> dict[str, Any]:
        with destination.registry() as client:
            manifest = json.loads(client.get_manifest(destination.repository, destination.tag)[1])
            config: dict[str, Any] = json.loads(
                client.get_blob(destination.repository, manifest["config"]["digest"])
            )
        return config

    def test_it_runs(
        self, destination: Destination, run: Callable[..., bytes], write: Write, cat: bytes, log: Any
    ) -> None:
        dockerfile = (
            "ARG BASE=scratch\nFROM --platform=$BUILDPLATFORM ${BASE} AS serving\nARG NAME=x\nARG PORT=8080\n"
            'LABEL name="$NAME" other=1\nENV MODEL=/opt/ml/model GREETING="hello $NAME"\nWORKDIR /app\n'
            "COPY cat /bin/\nCOPY *.txt ./\nCOPY --chown=1000 code /app/code\nCOPY --chmod=700 one.txt renamed\n"
            "ADD link /linked\nEXPOSE ${PORT} 9000/udp\nUSER 0\nSTOPSIGNAL SIGINT\n"
            'ENTRYPOINT ["/bin/cat"]\nCMD ["/app/one.txt"]\n'
        )
        folder = write(
            {
                "Dockerfile": dockerfile,
                "x cat": cat,
                "one.txt": "1",
                "two.txt": "2",
                "code/a/b.py": "b",
                "x code/run": "r",
            }
        )
        (folder / "link").symlink_to("two.txt")
        (folder / "code" / "inner").symlink_to("a/b.py")
        recipe = BuildRecipe(
            BuildContext(folder),
            build_args={"NAME": "churn", "TYPO": "1"},
            target="serving",
            labels={"team": "ml"},
        )
        pushed = ImageAssembler().build_and_push(recipe, destination, log)
        assert run(pushed) == b"1"
        for path, content in (
            ("/app/two.txt", b"2"),
            ("/app/code/a/b.py", b"b"),
            ("/app/code/inner", b"b"),
            ("/app/renamed", b"1"),
            ("/linked", b"2"),
        ):
            assert run(pushed, path) == content
        config = self._config(destination)
        assert config["created"] == "1970-01-01T00:00:00Z"
        assert config["config"] == {
            "Env": [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "MODEL=/opt/ml/model",
                "GREETING=hello churn",
            ],
            "Labels": {"name": "churn", "other": "1", "team": "ml"},
            "WorkingDir": "/app",
            "ExposedPorts": {"8080/tcp": {}, "9000/udp": {}},
            "User": "0",
            "StopSignal": "SIGINT",
            "Entrypoint": ["/bin/cat"],
            "Cmd": ["/app/one.txt"],
        }
        assert len(log.warnings) == 1
        assert "TYPO" in log.warnings[0]

    def test_equal_folders_give_equal_digests_and_nothing_is_sent_twice(
        self, destination: Destination, write: Write, registry: Any, log: Any, tmp_path: Path
    ) -> None:
        folder = write({"Dockerfile": "FROM scratch\nCOPY . /app/\nENV A=1\n", "b": "b", "d/a": "a"})
        first = ImageAssembler().build_and_push(BuildRecipe(BuildContext(folder)), destination, log)
        copied = shutil.copytree(folder, tmp_path / "elsewhere", copy_function=shutil.copyfile)
        log.lines.clear()
        second = ImageAssembler().build_and_push(BuildRecipe(BuildContext(copied)), destination, log)
        assert second == first
        assert first.media_type == manifests.DOCKER_MANIFEST
        assert "layer already exists" in log.text
        (copied / "b").write_text("c")
        assert ImageAssembler().build_and_push(BuildRecipe(BuildContext(copied)), destination, log) != first

    def test_a_base_of_the_registry_is_built_upon(
        self,
        destination: Destination,
        run: Callable[..., bytes],
        write: Write,
        engine: docker.DockerClient,
        base_image: str,
        log: Any,
    ) -> None:
        dockerfile = f'FROM {base_image}\nCOPY one /bin\nCOPY two /tmp/\nCOPY three /opt/model\nENTRYPOINT ["/bin/cat"]\n'
        folder = write({"Dockerfile": dockerfile, "one": "1", "two": "2", "three": "3"})
        pushed = ImageAssembler().build_and_push(BuildRecipe(BuildContext(folder)), destination, log)
        # /bin is a link in the base: /bin/cat is only there if the layer did not put a folder in its place.
        assert run(pushed, "/usr/bin/one") == b"1"
        assert run(pushed, "/tmp/two") == b"2"
        assert run(pushed, "/opt/model/three") == b"3"
        container = engine.containers.create(f"{destination.repository_uri}@{pushed.digest}", ["/bin/one"])
        try:
            modes = {path: container.get_archive(path)[1]["mode"] & 0o777 for path in ("/tmp", "/opt/model")}
            sticky = container.get_archive("/tmp")[1]["mode"] & (1 << 20)  # Go's os.ModeSticky
        finally:
            container.remove()
        assert modes == {"/tmp": 0o777, "/opt/model": 0o750}
        assert sticky
        config = self._config(destination)["config"]
        assert "BASE=yes" in config["Env"]
        assert "Cmd" not in config  # it was the arguments of another entry point

    def test_a_base_of_another_platform_is_refused(
        self, destination: Destination, write: Write, base_image: str, log: Any
    ) -> None:
        recipe = BuildRecipe(
            BuildContext(write({"Dockerfile": f"FROM {base_image}\n"})), platform="linux/arm64"
        )
        with pytest.raises(ImageBuildError, match="exec format error"):
            ImageAssembler().build_and_push(recipe, destination, log)

    def test_a_missing_base_is_left_out_only_if_allowed_and_loudly(
        self, destination: Destination, write: Write, registry: Any, log: Any
    ) -> None:
        folder = write({"Dockerfile": f"FROM {registry.host}/none:1\nCOPY a /\n", "a": "a"})
        recipe = BuildRecipe(BuildContext(folder))
        ImageAssembler(allow_missing_base=True).build_and_push(recipe, destination, log)
        assert len(log.warnings) == 1
        assert "IS LEFT OUT" in log.warnings[0]
        assert len(self._config(destination)["rootfs"]["diff_ids"]) == 1
