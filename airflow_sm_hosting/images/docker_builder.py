"""Build and push through the Docker Engine's API."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import docker
import docker.auth
import docker.errors
import requests
from docker.utils import kwargs_from_env, version_gte

from airflow_sm_hosting.byte_progress import ByteProgress
from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.images.builders import (
    Destination,
    Log,
    PushedImage,
    check_platform,
    log_pushed,
    secrets_of,
    settle_manifest,
)
from airflow_sm_hosting.images.buildkit_progress import TRACE, BuildKitProgress
from airflow_sm_hosting.images.recipe import BuildRecipe, registry_host
from airflow_sm_hosting.images.registry import parse_image_name
from airflow_sm_hosting.spec.masking import masker

_PING_TIMEOUT = 5
# Silence while the registry takes in a large layer; the SDK's default of 60 s is for short calls.
_PUSH_READ_TIMEOUT = 1800
_LAST_LINES = 20
#: The first version of the engine's API that can be asked for BuildKit (ImageBuild, "version").
_FIRST_WITH_BUILDKIT = "1.39"
#: The directive that names a frontend, which only BuildKit reads.
_SYNTAX = re.compile(r"^#\s*syntax\s*=", re.IGNORECASE | re.MULTILINE)
#: How a builder refuses what it does not know.
_UNKNOWN = re.compile(r"buildkit|parse error|unknown flag|unknown instruction|unsupported", re.IGNORECASE)
#: What only BuildKit knows (Dockerfile reference).
_BUILDKIT = re.compile(
    r"^\s*(RUN|COPY|ADD)\s+((--\S+\s+)*--(mount|link|parents|exclude|network|security|checksum|keep-git-dir)\b|[^\n]*<<-?[\"']?[A-Za-z])",
    re.IGNORECASE | re.MULTILINE,
)


class DockerBuilder:
    """Builds with the Docker Engine that ``DOCKER_HOST`` or the default socket leads to.

    With BuildKit where that is the engine's own choice, or where the Dockerfile needs it and the engine has it; else with the classic builder.

    The built image stays in the engine under the name that it was pushed by, because untagging would throw its
    layers, the cache of the next build, away.

    :param client: the docker SDK's low-level client
    :param prefers_buildkit: whether the engine names BuildKit as its builder
    """

    name = "docker"

    def __init__(self, client: docker.APIClient, *, prefers_buildkit: bool = False) -> None:
        self._client = client
        self._prefers_buildkit = prefers_buildkit

    @classmethod
    def connect(cls) -> DockerBuilder:
        """Return a builder on the engine of the environment.

        :raises ImageBuildError: none answers
        """
        try:
            settings = kwargs_from_env()
            with docker.APIClient(version="auto", timeout=_PING_TIMEOUT, **settings) as probe:
                # SystemPing of the engine's API: the builder that it recommends.
                preferred = probe.get(f"{probe.base_url}/_ping").headers.get("Builder-Version")
                version = probe.api_version
            client = docker.APIClient(version=version, timeout=_PUSH_READ_TIMEOUT, **settings)
            return cls(client, prefers_buildkit=preferred == "2")
        except (docker.errors.DockerException, requests.RequestException) as error:
            raise ImageBuildError(
                f"No Docker Engine answers ({_first_line(error)}); start one, or set DOCKER_HOST"
            ) from error

    def lacks(self, recipe: BuildRecipe) -> str | None:
        """Return what a build needs and the engine's API does not have: both come through a session of BuildKit, which only its own client opens."""
        if recipe.secrets:
            return "build secrets"
        return "build contexts" if recipe.build_contexts else None

    def build_and_push(self, recipe: BuildRecipe, destination: Destination, log: Log) -> PushedImage:
        """Build the image, push it, and make sure that SageMaker takes it.

        :raises ImageBuildError: the image could not be built or pushed, or SageMaker could never run it
        """
        mask = masker(secrets_of(recipe, destination))
        reference = f"{destination.repository_uri}:{destination.tag}"
        with _explained(recipe, mask):
            image_id = self._build(recipe, reference, _EngineLog(log, mask, recipe))
            log.info("Built %s", image_id)
            digest = self._push(destination, _EngineLog(log, mask, recipe))
            for cache in recipe.cache_to:
                self._push_cache(recipe, image_id, cache, _EngineLog(log, mask, recipe))
        with destination.registry() as registry:
            # An engine that sends no digest (podman's service) leaves the tag to go by.
            pushed = settle_manifest(
                registry, destination, digest or destination.tag, platform=recipe.platform, log=log
            )
        log_pushed(destination, pushed, log)
        return pushed

    def build(self, recipe: BuildRecipe, reference: str, log: Log) -> str:
        """Build the image under a name in the engine, push nothing, and return its ID.

        The image that had the name before is removed, unless something else uses it.

        :raises ImageBuildError: the image could not be built, or is for another platform
        """
        mask = masker(secrets_of(recipe))
        with _explained(recipe, mask):
            before = self._id_of(reference)
            image_id = self._build(recipe, reference, _EngineLog(log, mask, recipe))
            if before and before != image_id:
                with suppress(docker.errors.APIError):
                    self._client.remove_image(before)
        return image_id

    def _id_of(self, reference: str) -> str | None:
        try:
            found: dict[str, Any] = self._client.inspect_image(reference)  # type: ignore[no-untyped-call]
        except docker.errors.ImageNotFound:
            return None
        return str(found["Id"])

    def _build(self, recipe: BuildRecipe, reference: str, engine_log: _EngineLog) -> str:
        context = recipe.context
        uses_buildkit = self._uses_buildkit(recipe)
        builder = "BuildKit" if uses_buildkit else "the classic builder"
        self._log_in(recipe, engine_log)
        self._pull_bases(recipe, engine_log, with_credentials=uses_buildkit)
        engine_log.own(
            "Building %s for %s with %s, build args %s",
            context.directory,
            recipe.platform,
            builder,
            sorted(recipe.build_args) or "none",
        )
        # Another worker's BuildKit takes layers only from an image that lists them (moby/buildkit, "Inline cache").
        inline = {"BUILDKIT_INLINE_CACHE": "1"} if uses_buildkit and recipe.cache_to else {}
        with context.tar(compressed=uses_buildkit) as tar:
            self._client.params = {"version": "2"} if uses_buildkit else {}
            try:
                events = self._client.build(
                    fileobj=tar,
                    custom_context=True,
                    dockerfile=context.dockerfile,
                    tag=reference,
                    buildargs={**recipe.build_args, **inline},
                    target=recipe.target,
                    platform=recipe.platform,
                    labels=dict(recipe.labels),
                    cache_from=list(recipe.cache_from),
                    rm=True,
                    forcerm=True,
                    timeout=None,  # a RUN may be silent for as long as it takes
                    decode=True,
                )
            finally:
                self._client.params = {}
            image_id = ""
            for event in engine_log.follow(
                events, failed=f"The image of {context.directory} could not be built with {builder}"
            ):
                aux = event.get("aux")
                image_id = aux.get("ID", image_id) if isinstance(aux, dict) else image_id
        if not image_id:
            raise ImageBuildError(
                f"The Docker Engine ended the build of {context.directory} without an image"
            )
        built: dict[str, Any] = self._client.inspect_image(image_id)  # type: ignore[no-untyped-call]
        # The classic builder takes a base of another platform without a word.
        check_platform(
            recipe.platform,
            os_name=built["Os"],
            architecture=built["Architecture"],
            what=f"The image built from {context.directory}",
        )
        return image_id

    def _uses_buildkit(self, recipe: BuildRecipe) -> bool:
        if self._prefers_buildkit:
            return True
        has_it = version_gte(self._client.api_version, _FIRST_WITH_BUILDKIT)
        text = recipe.context.read_dockerfile()
        return bool(has_it and (_BUILDKIT.search(text) or _SYNTAX.search(text)))

    def _log_in(self, recipe: BuildRecipe, engine_log: _EngineLog) -> None:
        helpers = docker.auth.load_config().cred_helpers
        for host, login in recipe.logins.items():
            if helpers.get(host):
                continue  # a helper of the worker's, which gets new credentials each time
            try:
                # Kept in this client only; `docker login` would leave the credentials on the worker's disk.
                self._client.login(login.username, login.password, registry=host, reauth=True)
            except docker.errors.APIError as error:
                # The engine may have the base image already.
                engine_log.own(
                    "The engine cannot log in to %s: %s", host, error.explanation or _first_line(error)
                )

    def _pull_bases(self, recipe: BuildRecipe, engine_log: _EngineLog, *, with_credentials: bool) -> None:
        """Pull what the build would not pull by itself: bases that have moved, caches, and, for BuildKit, bases that need credentials.

        BuildKit asks its client for credentials through a session, which the API does not have; it uses an image that the engine has.
        """
        for name in dict.fromkeys((*recipe.images(), *recipe.cache_from)):
            of_login = with_credentials and registry_host(name) in recipe.logins
            if not (name in recipe.bases or name in recipe.cache_from or of_login):
                continue
            try:
                events = self._client.pull(name, platform=recipe.platform, stream=True, decode=True)
                for _ in engine_log.follow(
                    events, failed=f"{name} could not be pulled", title=f"Pulling {name}"
                ):
                    pass
            except (ImageBuildError, docker.errors.APIError) as error:
                if name in recipe.bases:
                    raise
                # A cache need not be there yet, and the engine may have a base by itself.
                engine_log.own("%s is not pulled: %s", name, _first_line(error))

    def _push_cache(self, recipe: BuildRecipe, image_id: str, reference: str, engine_log: _EngineLog) -> None:
        """Push the image under the name of a cache; that this fails costs time at the next build only."""
        host, repository, tag = parse_image_name(reference)
        name = f"{host}/{repository}"
        login = recipe.logins.get(host)
        credentials = {"username": login.username, "password": login.password} if login else None
        try:
            self._client.tag(image_id, name, tag)
            events = self._client.push(name, tag=tag, auth_config=credentials, stream=True, decode=True)
            for _ in engine_log.follow(events, failed=f"The cache {reference} could not be pushed"):
                pass
        except (ImageBuildError, docker.errors.APIError) as error:
            engine_log.own("%s", _first_line(error))

    def _push(self, destination: Destination, engine_log: _EngineLog) -> str | None:
        # For this push only: `docker login` would leave the credentials on the worker's disk.
        credentials = {"username": destination.username, "password": destination.password}
        events = self._client.push(
            destination.repository_uri, tag=destination.tag, auth_config=credentials, stream=True, decode=True
        )
        digest: str | None = None
        failed = f"The image could not be pushed to {destination.repository_uri}:{destination.tag}"
        title = f"Pushing to {destination.repository_uri}"
        for event in engine_log.follow(events, failed=failed, title=title):
            digest = (event.get("aux") or {}).get("Digest", digest)
        return digest


@contextmanager
def _explained(recipe: BuildRecipe, mask: Callable[[str], str]) -> Iterator[None]:
    """Tell a failure of the engine in its own sentence."""
    try:
        yield
    except docker.errors.APIError as error:
        # Its text has the engine's address and the whole request; the explanation is the engine's own sentence.
        said = mask(str(error.explanation or _first_line(error)).strip())
        raise ImageBuildError(
            _with_hint(
                f"The Docker Engine refused the image of {recipe.context.directory}: {said}", (), recipe
            )
        ) from error
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise ImageBuildError(f"The Docker Engine failed: {mask(str(error))}") from error


class _EngineLog:
    """The engine's events, as lines of the task's log and as errors."""

    def __init__(self, log: Log, mask: Callable[[str], str], recipe: BuildRecipe) -> None:
        self._log = log
        self._recipe = recipe
        self._mask = mask
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._buildkit = BuildKitProgress()

    def own(self, message: str, *args: object) -> None:
        self._log.info(message, *args)

    def _lines(self, event: Mapping[str, Any]) -> list[str]:
        return self._buildkit.lines(event["aux"]) if event.get("id") == TRACE else _lines(event)

    def follow(
        self, events: Iterable[Mapping[str, Any]], *, failed: str, title: str = ""
    ) -> Iterator[Mapping[str, Any]]:
        """Log the events and yield them; the SDK raises nothing for an ``error`` event by itself.

        :param failed: What an error says first.
        :param title: What moves layers, for the lines that say how far it is.
        """
        layers = _Layers(ByteProgress(self._log, title, 0)) if title else None
        for event in events:
            if layers:
                layers.see(event)
            if "error" in event:
                message = self._mask(str(event["error"]).strip())
                raise ImageBuildError(_with_hint(f"{failed}: {message}", self._last, self._recipe))
            for line in self._lines(event):
                shown = self._mask(line)
                self._last.append(shown)
                self._log.info("%s", shown)
            yield event


class _Layers:
    """How much of the layers has been moved: the engine says it of each layer by itself, several times a second."""

    def __init__(self, progress: ByteProgress) -> None:
        self._progress = progress
        self._moved: dict[str, int] = {}

    def see(self, event: Mapping[str, Any]) -> None:
        """Take an event of the engine."""
        detail = event.get("progressDetail") or {}
        # Extracting comes after downloading, with the same members.
        if event.get("status") not in ("Pushing", "Downloading") or "total" not in detail:
            return
        layer, current = str(event.get("id")), int(detail.get("current", 0))
        if layer not in self._moved:
            self._progress.expect(int(detail["total"]))
        self._progress.add(current - self._moved.get(layer, 0))
        self._moved[layer] = current


def _lines(event: Mapping[str, Any]) -> list[str]:
    if "stream" in event:
        return [line for line in str(event["stream"]).splitlines() if line.strip()]
    # Progress bars come several times a second and say nothing in a log.
    if "status" in event and not event.get("progressDetail"):
        return [": ".join(str(event[key]) for key in ("id", "status") if event.get(key))]
    return []


def _with_hint(message: str, last: Iterable[str], recipe: BuildRecipe) -> str:
    if _UNKNOWN.search(message) and _BUILDKIT.search(recipe.context.read_dockerfile()):
        message += (
            " (this needs a newer BuildKit than the engine has: upgrade the engine, begin the Dockerfile with the line "
            "'# syntax=docker/dockerfile:1', or use builder='buildx' or 'buildah')"
        )
    lines = "\n".join(last)
    return f"{message}\nThe last lines of the log:\n{lines}" if lines else message


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
