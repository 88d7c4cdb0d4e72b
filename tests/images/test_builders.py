"""Every builder builds, pushes, and is held to the same: on a real engine, a real registry, and a real buildah."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from airflow_sm_hosting.exceptions import ImageBuildError, InvalidSpecError
from airflow_sm_hosting.images.assembler import ImageAssembler
from airflow_sm_hosting.images.bases import resolve_bases
from airflow_sm_hosting.images.buildah_builder import BuildahBuilder
from airflow_sm_hosting.images.builder_selection import select_builder
from airflow_sm_hosting.images.builders import Destination, ImageBuilder
from airflow_sm_hosting.images.buildx_builder import BuildxBuilder
from airflow_sm_hosting.images.command import with_logins
from airflow_sm_hosting.images.context import BuildContext
from airflow_sm_hosting.images.docker_builder import DockerBuilder
from airflow_sm_hosting.images.manifests import DOCKER_MANIFEST
from airflow_sm_hosting.images.recipe import BuildRecipe, Login
from tests.images.conftest import PASSWORD, USERNAME, Registry, manifest_digest

Write = Callable[..., Path]
SECRET = "correct-horse-battery-staple"


class TestSelection:
    """Where no engine answers, and no command is installed."""

    @pytest.fixture(autouse=True)
    def bare_worker(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
        monkeypatch.setenv("PATH", str(tmp_path))

    @pytest.fixture
    def recipe(self, write: Write) -> BuildRecipe:
        return BuildRecipe(BuildContext(write({"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})))

    def test_without_any_engine_auto_assembles_and_says_why_once(self, recipe: BuildRecipe, log: Any) -> None:
        assert isinstance(select_builder("auto", recipe, log=log), ImageAssembler)
        assert len(log.lines) == 1
        assert "No Docker Engine answers" in log.warnings[0]
        assert "buildah is not installed" in log.warnings[0]

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("docker", "No Docker Engine answers"),
            ("buildx", "docker"),
            ("buildah", "buildah is not installed"),
        ],
    )
    def test_a_builder_that_is_named_has_to_work(
        self, name: str, why: str, recipe: BuildRecipe, log: Any
    ) -> None:
        with pytest.raises(ImageBuildError, match=why):
            select_builder(name, recipe, log=log)

    def test_the_names_are_known(self, recipe: BuildRecipe, log: Any) -> None:
        with pytest.raises(InvalidSpecError, match="allowed: auto, docker, buildx, buildah, assembler"):
            select_builder("kaniko", recipe, log=log)
        assert select_builder("assembler", recipe, log=log).name == "assembler"

    @pytest.mark.parametrize("more", [{"secrets": {"token": SECRET}}, {"build_contexts": {"other": "a:1"}}])
    def test_what_no_builder_here_can_do_is_an_error_and_shows_no_secret(
        self, more: dict[str, Any], recipe: BuildRecipe, log: Any
    ) -> None:
        with pytest.raises(
            ImageBuildError, match=r"No builder can build .*assembler: it does not support"
        ) as caught:
            select_builder("auto", replace(recipe, **more), log=log)
        assert SECRET not in str(caught.value)
        with pytest.raises(InvalidSpecError, match=r"does not support .*; use buildx or buildah"):
            select_builder("assembler", replace(recipe, **more), log=log)


CONNECT: dict[str, Callable[[], ImageBuilder]] = {
    "docker-classic": lambda: _docker(prefers_buildkit=False),
    "docker-buildkit": lambda: _docker(prefers_buildkit=True),
    "buildx": BuildxBuilder.connect,
    "buildah": BuildahBuilder.connect,
    "assembler": ImageAssembler,
}


def _docker(*, prefers_buildkit: bool) -> DockerBuilder:
    found = DockerBuilder.connect()
    return DockerBuilder(found._client, prefers_buildkit=prefers_buildkit)


@pytest.fixture(params=CONNECT)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def builder(
    kind: str,
    engine: docker.DockerClient,
    docker_config: Path,
    buildah_storage: None,
    monkeypatch: pytest.MonkeyPatch,
) -> ImageBuilder:
    monkeypatch.setenv("DOCKER_CONFIG", str(docker_config))
    return CONNECT[kind]()


@pytest.fixture
def destination(registry: Registry, engine: docker.DockerClient) -> Iterator[Destination]:
    destination = registry.destination()
    yield destination
    for image in engine.images.list(name=destination.repository_uri):
        forget(engine, image.id)


def logged_in(registry: Registry) -> dict[str, Login]:
    return {registry.host: Login(USERNAME, PASSWORD)}


def forget(engine: docker.DockerClient, reference: str) -> None:
    """Take an image from the engine, so that it has to be pulled."""
    with suppress(docker.errors.ImageNotFound):
        engine.images.remove(reference, force=True)


def contents(where: Destination, reference: str) -> list[str]:
    """Return the digests of an image's layers before compression."""
    with where.registry() as client:
        manifest = json.loads(client.get_manifest(where.repository, reference)[1])
        config = json.loads(client.get_blob(where.repository, manifest["config"]["digest"]))
    found: list[str] = config["rootfs"]["diff_ids"]
    return found


def run(engine: docker.DockerClient, reference: str) -> bytes:
    output: bytes = engine.containers.run(reference, remove=True)
    return output


@pytest.mark.engine
class TestEachBuilder:
    def test_it_builds_on_a_private_base_and_pushes_what_sagemaker_takes(
        self,
        kind: str,
        builder: ImageBuilder,
        destination: Destination,
        registry: Registry,
        engine: docker.DockerClient,
        base_image: str,
        write: Write,
        log: Any,
    ) -> None:
        """Nobody has logged the worker in, and nothing of the credentials is left on its disk."""
        forget(engine, base_image)
        folder = write(
            {
                "docker/Dockerfile": f"ARG BASE\nFROM ${{BASE}}\nARG WHO=nobody\nENV WHO=$WHO\n"
                f'LABEL unique={uuid.uuid4().hex}\nCOPY x /opt/said\nCMD ["/bin/cat", "/opt/said"]\n',
                "x": "said by the image\n",
                ".dockerignore": "secret.txt\n",
                "secret.txt": "not for the image",
            }
        )
        recipe = BuildRecipe(
            BuildContext(folder, dockerfile="docker/Dockerfile"),
            build_args={"BASE": base_image, "WHO": "someone"},
            labels={"team": "ml"},
            logins=logged_in(registry),
        )
        pushed = builder.build_and_push(recipe, destination, log)

        reference = f"{destination.repository_uri}@{pushed.digest}"
        with destination.registry() as client:
            media_type, content = client.get_manifest(destination.repository, pushed.digest)
            assert manifest_digest(client, destination.repository, destination.tag) == pushed.digest
            assert media_type == DOCKER_MANIFEST
            config = json.loads(
                client.get_blob(destination.repository, json.loads(content)["config"]["digest"])
            )["config"]
        assert config["Labels"]["team"] == "ml"
        assert "WHO=someone" in config["Env"]
        assert log.lines[-1].startswith(f"Pushed {reference} (")
        engine.api.pull(reference, auth_config={"username": USERNAME, "password": PASSWORD})
        assert run(engine, reference) == b"said by the image\n"
        assert PASSWORD not in log.text
        left = [path.read_text() for path in Path(os.environ["DOCKER_CONFIG"]).glob("*.json")]
        assert not any(PASSWORD in text for text in left)
        forget(engine, reference)

    def test_without_credentials_a_private_base_is_refused(
        self,
        builder: ImageBuilder,
        destination: Destination,
        engine: docker.DockerClient,
        base_image: str,
        write: Write,
        log: Any,
    ) -> None:
        if isinstance(builder, ImageAssembler | BuildahBuilder | BuildxBuilder):
            # These get the credentials of the destination anyway: a registry of its own is needed.
            destination = Destination("127.0.0.1:1/none", "v1", USERNAME, PASSWORD)
        forget(engine, base_image)
        with pytest.raises(ImageBuildError):
            builder.build_and_push(
                BuildRecipe(BuildContext(write({"Dockerfile": f"FROM {base_image}\nCOPY Dockerfile /x\n"}))),
                destination,
                log,
            )

    def test_a_failing_instruction_is_an_error_with_the_last_lines(
        self,
        kind: str,
        builder: ImageBuilder,
        destination: Destination,
        registry: Registry,
        debian_base_image: str,
        write: Write,
        log: Any,
        private_debian: str,
    ) -> None:
        dockerfile = f"FROM {private_debian}\nRUN echo said before && echo {uuid.uuid4().hex} && exit 7\n"
        recipe = BuildRecipe(BuildContext(write({"Dockerfile": dockerfile})), logins=logged_in(registry))
        with pytest.raises(ImageBuildError) as caught:
            builder.build_and_push(recipe, destination, log)
        told = str(caught.value)
        if kind == "assembler":
            assert "RUN" in told
            return
        assert "could not be built" in told
        assert "said before" in told
        assert "7" in told
        with destination.registry() as client:
            assert manifest_digest(client, destination.repository, destination.tag) is None

    def test_a_refused_push_is_an_error_without_the_password(
        self, builder: ImageBuilder, destination: Destination, write: Write, log: Any
    ) -> None:
        refused = Destination(destination.repository_uri, "v1", USERNAME, "no-such-password")
        recipe = BuildRecipe(BuildContext(write({"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})))
        with pytest.raises(ImageBuildError) as caught:
            builder.build_and_push(recipe, refused, log)
        assert "no-such-password" not in log.text + str(caught.value)


@pytest.fixture(scope="session")
def private_debian(registry: Registry, engine: docker.DockerClient, debian_base_image: str) -> Iterator[str]:
    """A base with a shell, in the registry."""
    name = f"{registry.host}/base/debian"
    engine.api.tag(debian_base_image, name, "1")
    credentials = {"username": USERNAME, "password": PASSWORD}
    for event in engine.api.push(name, tag="1", stream=True, decode=True, auth_config=credentials):
        assert "error" not in event, event
    yield f"{name}:1"
    forget(engine, f"{name}:1")


@pytest.mark.engine
@pytest.mark.parametrize("kind", ["buildx", "buildah"], indirect=True)
def test_a_secret_is_mounted_and_in_no_layer_argument_or_log(
    builder: ImageBuilder,
    destination: Destination,
    registry: Registry,
    engine: docker.DockerClient,
    private_debian: str,
    write: Write,
    log: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commands: list[str] = []
    popen = subprocess.Popen

    def recorded(arguments: Any, *more: Any, **options: Any) -> Any:
        commands.append(" ".join(map(str, arguments)))
        return popen(arguments, *more, **options)

    monkeypatch.setattr(subprocess, "Popen", recorded)
    dockerfile = (
        f"FROM {private_debian}\n"
        "RUN --mount=type=secret,id=token cat /run/secrets/token; wc -c < /run/secrets/token > /length\n"
        'CMD ["cat", "/length"]\n'
    )
    recipe = BuildRecipe(
        BuildContext(write({"Dockerfile": dockerfile})),
        secrets={"token": SECRET},
        logins=logged_in(registry),
    )
    pushed = builder.build_and_push(recipe, destination, log)
    reference = f"{destination.repository_uri}@{pushed.digest}"
    engine.api.pull(reference, auth_config={"username": USERNAME, "password": PASSWORD})
    assert run(engine, reference).split() == [str(len(SECRET)).encode()]
    assert "***" in log.text
    assert SECRET not in log.text + "".join(commands)
    archive = b"".join(engine.images.get(reference).save())
    assert SECRET.encode() not in archive
    forget(engine, reference)


@pytest.mark.engine
@pytest.mark.parametrize("kind", ["buildah"], indirect=True)
def test_a_build_reads_other_folders_and_images_by_name(
    builder: ImageBuilder,
    destination: Destination,
    registry: Registry,
    engine: docker.DockerClient,
    base_image: str,
    write: Write,
    log: Any,
) -> None:
    shared = write(
        {"a.txt": "from another folder\n", ".dockerignore": "b.txt\n", "b.txt": "left out\n"}, "shared"
    )
    folder = write(
        {"Dockerfile": 'FROM base\nCOPY --from=shared . /shared/\nCMD ["/bin/cat", "/shared/a.txt"]\n'}
    )
    contexts: dict[str, BuildContext | str] = {
        "shared": BuildContext(shared, dockerfile=None),
        "base": base_image,
    }
    recipe = BuildRecipe(BuildContext(folder), build_contexts=contexts, logins=logged_in(registry))
    before = recipe.fingerprint()
    pushed = builder.build_and_push(recipe, destination, log)
    reference = f"{destination.repository_uri}@{pushed.digest}"
    engine.api.pull(reference, auth_config={"username": USERNAME, "password": PASSWORD})
    assert run(engine, reference) == b"from another folder\n"
    (shared / "b.txt").write_text("changed, but left out")
    assert (
        replace(
            recipe, build_contexts={**contexts, "shared": BuildContext(shared, dockerfile=None)}
        ).fingerprint()
        == before
    )
    (shared / "a.txt").write_text("changed")
    assert (
        replace(
            recipe, build_contexts={**contexts, "shared": BuildContext(shared, dockerfile=None)}
        ).fingerprint()
        != before
    )
    forget(engine, reference)


@pytest.mark.engine
@pytest.mark.parametrize("kind", ["docker-classic", "docker-buildkit", "buildah"], indirect=True)
def test_layers_that_another_worker_has_kept_are_not_built_again(
    kind: str,
    builder: ImageBuilder,
    destination: Destination,
    registry: Registry,
    engine: docker.DockerClient,
    private_debian: str,
    write: Write,
    log: Any,
) -> None:
    """The second worker has none of the first one's layers: they are taken out of the engine, and of buildah's store."""
    cache = f"{destination.repository_uri}-cache:layers"
    dockerfile = (
        f"FROM {private_debian}\nRUN echo built {uuid.uuid4().hex} > /built && cat /built\nCOPY x /x\n"
    )
    folder = write({"Dockerfile": dockerfile, "x": "1"})
    recipe = BuildRecipe(
        BuildContext(folder), cache_to=(cache,), cache_from=(cache,), logins=logged_in(registry)
    )
    first = builder.build_and_push(recipe, destination, log)
    for image in engine.images.list(name=destination.repository_uri) + engine.images.list(
        name=cache.rpartition(":")[0]
    ):
        forget(engine, image.id)
    if kind == "docker-buildkit":
        engine.api.prune_builds()
    if kind == "buildah":
        subprocess.run(["buildah", "rmi", "--all", "--force"], check=True, capture_output=True)
    (folder / "x").write_text("2")
    log.lines.clear()
    second = builder.build_and_push(replace(recipe, context=BuildContext(folder)), destination, log)
    assert second.digest != first.digest
    layers = [contents(destination, one.digest) for one in (first, second)]
    assert layers[0][:-1] == layers[1][:-1], log.text
    assert layers[0][-1] != layers[1][-1]


@pytest.mark.engine
def test_a_base_that_cannot_be_read_is_told(registry: Registry, write: Write, log: Any) -> None:
    missing = f"{registry.destination().repository_uri}:latest"
    context = BuildContext(write({"Dockerfile": f"FROM {missing}\n"}))
    assert resolve_bases(BuildRecipe(context, logins=logged_in(registry)), log) == {}
    assert missing in log.warnings[0]
    with pytest.raises(ImageBuildError, match="without other credentials"):
        resolve_bases(BuildRecipe(context), log)


@pytest.mark.engine
@pytest.mark.parametrize("kind", ["docker-classic", "docker-buildkit", "buildah", "assembler"], indirect=True)
def test_a_base_that_has_moved_makes_another_image(
    builder: ImageBuilder,
    destination: Destination,
    registry: Registry,
    engine: docker.DockerClient,
    write: Write,
    log: Any,
) -> None:
    base = replace(registry.destination(), tag="latest")
    reference = f"{base.repository_uri}:latest"
    folder = write({"Dockerfile": f"FROM {reference}\nCOPY Dockerfile /child\n"}, "child")
    seen = []
    for version in ("1", "2"):
        ImageAssembler().build_and_push(
            BuildRecipe(
                BuildContext(write({"Dockerfile": "FROM scratch\nCOPY v /v\n", "v": version}, "base"))
            ),
            base,
            log,
        )
        recipe = BuildRecipe(BuildContext(folder), logins=logged_in(registry))
        recipe = replace(recipe, bases=resolve_bases(recipe, log))
        with base.registry() as client:
            assert recipe.bases == {reference: manifest_digest(client, base.repository, "latest")}
        pushed = builder.build_and_push(recipe, destination, log)
        seen.append((recipe.fingerprint(), pushed.digest))
        assert recipe.fingerprint() == replace(recipe, bases=resolve_bases(recipe, log)).fingerprint()
    (first, one), (second, two) = seen
    assert first != second
    assert one != two
    # By what is in them: an engine may compress a layer anew.
    assert contents(destination, two)[0] == contents(base, "latest")[0]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, ({"h": "fresh"}, {})),
        ({"auths": {"h": {"auth": "old"}, "o": {"auth": "own"}}}, ({"h": "fresh", "o": "own"}, {})),
        ({"credHelpers": {"h": "ecr-login"}}, ({}, {"h": "ecr-login"})),
        ({"credsStore": "desktop"}, ({"h": "fresh"}, {"h": ""})),
    ],
    ids=["none", "an old token", "a helper", "a store"],
)
def test_fresh_credentials_replace_a_token_that_docker_login_has_left(
    config: dict[str, Any], expected: tuple[dict[str, str], dict[str, str]]
) -> None:
    found = with_logins(config, {"h": Login("AWS", "fresh")})
    fresh = base64.b64encode(b"AWS:fresh").decode()
    auths = {
        host: "fresh" if entry["auth"] == fresh else entry["auth"] for host, entry in found["auths"].items()
    }
    assert (auths, found["credHelpers"]) == expected


@pytest.mark.engine
def test_buildah_works_without_the_privileges_of_root(
    registry: Registry, write: Write, buildah_storage: None, log: Any
) -> None:
    """It goes into a user namespace then, as for every other user, from which another process's files in memory cannot be read."""
    folder = write({"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})
    script = (
        "import logging, sys; logging.basicConfig(level=20)\n"
        "from airflow_sm_hosting.images.buildah_builder import BuildahBuilder\n"
        "from airflow_sm_hosting.images.builders import Destination\n"
        "from airflow_sm_hosting.images.context import BuildContext\n"
        "from airflow_sm_hosting.images.recipe import BuildRecipe\n"
        "destination = Destination(sys.argv[2], 'v1', sys.argv[3], sys.argv[4])\n"
        "recipe = BuildRecipe(BuildContext(sys.argv[1]))\n"
        "print(BuildahBuilder.connect().build_and_push(recipe, destination, logging.getLogger()).digest)\n"
    )
    drop = ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"]
    place = registry.destination().repository_uri
    done = subprocess.run(
        [*drop, sys.executable, "-c", script, str(folder), place, USERNAME, PASSWORD],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sha256:" in done.stdout
    assert PASSWORD not in done.stdout + done.stderr
