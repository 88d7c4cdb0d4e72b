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
from docker.utils import kwargs_from_env

from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.images.builders import (
    Destination,
    Log,
    PushedImage,
    check_platform,
    settle_manifest,
)
from airflow_sm_hosting.images.recipe import BuildRecipe
from airflow_sm_hosting.spec.masking import masker

_PING_TIMEOUT = 5
# Silence while the registry takes in a large layer; the SDK's default of 60 s is for short calls.
_PUSH_READ_TIMEOUT = 1800
_LAST_LINES = 20
#: What only BuildKit knows (Dockerfile reference).
_BUILDKIT = re.compile(
    r"^\s*(RUN|COPY|ADD)\s+((--\S+\s+)*--(mount|link|parents|exclude|network|security|checksum|keep-git-dir)\b|[^\n]*<<-?[\"']?[A-Za-z])",
    re.IGNORECASE | re.MULTILINE,
)
_FROM = re.compile(r"^\s*FROM\s.*$", re.IGNORECASE | re.MULTILINE)
_VARIABLE = re.compile(r"\$\{?(\w+)")


class DockerBuilder:
    """Builds with the Docker Engine that ``DOCKER_HOST`` or the default socket leads to.

    The built image stays in the engine under the name that it was pushed by, because untagging would throw its
    layers, the cache of the next build, away.

    :param client: the docker SDK's low-level client
    """

    name = "docker"

    def __init__(self, client: docker.APIClient) -> None:
        self._client = client

    @classmethod
    def connect(cls) -> DockerBuilder:
        """Return a builder on the engine of the environment.

        :raises ImageBuildError: none answers
        """
        try:
            settings = kwargs_from_env()
            with docker.APIClient(version="auto", timeout=_PING_TIMEOUT, **settings) as probe:
                probe.ping()
                version = probe.api_version
            return cls(docker.APIClient(version=version, timeout=_PUSH_READ_TIMEOUT, **settings))
        except (docker.errors.DockerException, requests.RequestException) as error:
            raise ImageBuildError(
                f"No Docker Engine answers ({_first_line(error)}); start one, or set DOCKER_HOST"
            ) from error

    def build_and_push(self, recipe: BuildRecipe, destination: Destination, log: Log) -> PushedImage:
        """Build the image, push it, and make sure that SageMaker takes it.

        :raises ImageBuildError: the image could not be built or pushed, or SageMaker could never run it
        """
        mask = masker(_secrets(recipe, destination))
        reference = f"{destination.repository_uri}:{destination.tag}"
        with _explained(recipe, mask):
            image_id = self._build(recipe, reference, _EngineLog(log, mask, recipe))
            log.info("Built %s", image_id)
            digest = self._push(destination, _EngineLog(log, mask, recipe))
        with destination.registry() as registry:
            # An engine that sends no digest (podman's service) leaves the tag to go by.
            pushed = settle_manifest(
                registry, destination, digest or destination.tag, platform=recipe.platform, log=log
            )
        log.info("Pushed %s@%s (%.1f MB)", destination.repository_uri, pushed.digest, pushed.size / 1e6)
        return pushed

    def build(self, recipe: BuildRecipe, reference: str, log: Log) -> str:
        """Build the image under a name in the engine, push nothing, and return its ID.

        The image that had the name before is removed, unless something else uses it.

        :raises ImageBuildError: the image could not be built, or is for another platform
        """
        mask = masker(_secrets(recipe))
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
        configured = docker.auth.load_config()
        for host, login in recipe.logins.items():
            if docker.auth.resolve_authconfig(configured, host):
                continue  # somebody has logged the worker in
            try:
                # Kept in this client only; `docker login` would leave the credentials on the worker's disk.
                self._client.login(login.username, login.password, registry=host, reauth=True)
            except docker.errors.APIError as error:
                # The engine may have the base image already.
                engine_log.own(
                    "The engine cannot log in to %s: %s", host, error.explanation or _first_line(error)
                )
        engine_log.own(
            "Building %s for %s with build args %s",
            context.directory,
            recipe.platform,
            sorted(recipe.build_args) or "none",
        )
        with context.tar() as tar:
            events = self._client.build(
                fileobj=tar,
                custom_context=True,
                dockerfile=context.dockerfile,
                tag=reference,
                buildargs=dict(recipe.build_args),
                target=recipe.target,
                platform=recipe.platform,
                labels=dict(recipe.labels),
                cache_from=list(recipe.cache_from),
                rm=True,
                forcerm=True,
                timeout=None,  # a RUN may be silent for as long as it takes
                decode=True,
            )
            image_id = ""
            for event in engine_log.follow(
                events, failed=f"The image of {context.directory} could not be built"
            ):
                image_id = (event.get("aux") or {}).get("ID", image_id)
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

    def _push(self, destination: Destination, engine_log: _EngineLog) -> str | None:
        # For this push only: `docker login` would leave the credentials on the worker's disk.
        credentials = {"username": destination.username, "password": destination.password}
        events = self._client.push(
            destination.repository_uri, tag=destination.tag, auth_config=credentials, stream=True, decode=True
        )
        digest: str | None = None
        failed = f"The image could not be pushed to {destination.repository_uri}:{destination.tag}"
        for event in engine_log.follow(events, failed=failed):
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

    def own(self, message: str, *args: object) -> None:
        self._log.info(message, *args)

    def follow(self, events: Iterable[Mapping[str, Any]], *, failed: str) -> Iterator[Mapping[str, Any]]:
        """Log the events and yield them; the SDK raises nothing for an ``error`` event by itself."""
        for event in events:
            if "error" in event:
                message = self._mask(str(event["error"]).strip())
                raise ImageBuildError(_with_hint(f"{failed}: {message}", self._last, self._recipe))
            for line in _lines(event):
                shown = self._mask(line)
                self._last.append(shown)
                self._log.info("%s", shown)
            yield event


def _lines(event: Mapping[str, Any]) -> list[str]:
    if "stream" in event:
        return [line for line in str(event["stream"]).splitlines() if line.strip()]
    # Progress bars come several times a second and say nothing in a log.
    if "status" in event and not event.get("progressDetail"):
        return [": ".join(str(event[key]) for key in ("id", "status") if event.get(key))]
    return []


def _with_hint(message: str, last: Iterable[str], recipe: BuildRecipe) -> str:
    if "buildkit" in message.lower() or _BUILDKIT.search(recipe.context.read_dockerfile()):
        message += (
            " (the image is built through the Docker Engine API, which offers only the classic builder: do "
            "not use BuildKit features such as RUN --mount, COPY --link and here-documents)"
        )
    lines = "\n".join(last)
    return f"{message}\nThe last lines of the log:\n{lines}" if lines else message


def _secrets(recipe: BuildRecipe, destination: Destination | None = None) -> set[str]:
    """Return what no line may show.

    Every build argument may be a secret, but for one in a FROM line: that is the name of an image, which the engine's
    errors have to name.
    """
    public = {
        name for line in _FROM.findall(recipe.context.read_dockerfile()) for name in _VARIABLE.findall(line)
    }
    values = {value for name, value in recipe.build_args.items() if name not in public}
    passwords = {login.password for login in recipe.logins.values()}
    if destination is not None:
        passwords.add(destination.password)
    return values | (passwords - {""})


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
