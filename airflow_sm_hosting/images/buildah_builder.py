"""Build and push with buildah: no daemon, and no privileges that a container in Kubernetes does not have."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path

from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.images.build_arguments import build_arguments, secret_variables, write_contexts
from airflow_sm_hosting.images.builders import (
    Destination,
    Log,
    PushedImage,
    log_pushed,
    secrets_of,
    settle_manifest,
)
from airflow_sm_hosting.images.command import answer_of, run_command, with_logins
from airflow_sm_hosting.images.recipe import BuildRecipe, Login
from airflow_sm_hosting.images.registry import is_loopback
from airflow_sm_hosting.spec.masking import masker
from airflow_sm_hosting.work_folder import work_folder

#: containers-registries.conf(5), in the order in which one replaces the other.
_PLACES = ("~/.config/containers/registries.conf", "/etc/containers/registries.conf")
_VARIABLE = "CONTAINERS_REGISTRIES_CONF"
_SEARCH = "unqualified-search-registries"


class BuildahBuilder:
    """Builds with the command ``buildah`` (1.27 or newer, for ``--build-context``).

    Layers stay in its store, as the cache of the next build.
    """

    name = "buildah"

    @classmethod
    def connect(cls) -> BuildahBuilder:
        """Return a builder.

        :raises ImageBuildError: buildah is not installed, or cannot work here
        """
        if shutil.which("buildah") is None:
            raise ImageBuildError("buildah is not installed; install it, or use another builder")
        answer_of(["buildah", "info"])
        return cls()

    def lacks(self, recipe: BuildRecipe) -> str | None:
        """Return what a build needs and this builder cannot do."""
        return None

    def build_and_push(self, recipe: BuildRecipe, destination: Destination, log: Log) -> PushedImage:
        """Build the image, push it, and make sure that SageMaker takes it.

        :raises ImageBuildError: the image could not be built or pushed, or SageMaker could never run it
        """
        context = recipe.context
        mask = masker(secrets_of(recipe, destination))
        reference = f"{destination.repository_uri}:{destination.tag}"
        logins = {**recipe.logins, destination.host: Login(destination.username, destination.password)}
        log.info("Building %s for %s with buildah", context.directory, recipe.platform)
        with work_folder() as folder:
            credentials = _credentials_file(logins, folder)
            environment = {
                **secret_variables(recipe),
                # Other isolations need namespaces, which most containers may not make; the user's own choice holds.
                "BUILDAH_ISOLATION": os.environ.get("BUILDAH_ISOLATION", "chroot"),
                **_registries_conf(recipe, destination, folder),
            }
            run_command(
                ["buildah", "build", *_arguments(recipe, folder, credentials), "--tag", reference, "context"],
                failed=f"The image of {context.directory} could not be built",
                log=log,
                mask=mask,
                environment=environment,
                folder=folder,
            )
            run_command(
                [
                    "buildah",
                    "push",
                    "--format",
                    "v2s2",
                    "--authfile",
                    credentials,
                    "--digestfile",
                    str(folder / "digest"),
                    reference,
                    f"docker://{reference}",
                ],
                failed=f"The image could not be pushed to {reference}",
                log=log,
                mask=mask,
                environment=environment,
                folder=folder,
            )
            digest = (folder / "digest").read_text().strip()
        with destination.registry() as registry:
            pushed = settle_manifest(registry, destination, digest, platform=recipe.platform, log=log)
        log_pushed(destination, pushed, log)
        return pushed


def _credentials_file(logins: Mapping[str, Login], folder: Path) -> str:
    """Write the user's credentials and those of this build to a file in a folder of this user alone, and return its path.

    No file in memory: buildah works in a user namespace of its own, from where it cannot be reached.

    .. seealso:: containers-auth.json(5)
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    own = Path(os.environ.get("REGISTRY_AUTH_FILE") or f"{runtime}/containers/auth.json")
    config = json.loads(own.read_bytes()) if own.is_file() else {}
    place = folder / "auth.json"
    place.touch(mode=0o600)
    place.write_text(json.dumps(with_logins(config, logins)))
    return str(place)


def _arguments(recipe: BuildRecipe, folder: Path, credentials: str) -> list[str]:
    """Return the options of ``buildah build``."""
    options = [
        *build_arguments(recipe, write_contexts(recipe, folder)),
        *(f"--cache-from={_without_tag(name)}" for name in recipe.cache_from),
        *(f"--cache-to={_without_tag(name)}" for name in recipe.cache_to),
    ]
    if recipe.bases:
        options.append("--pull-always")
    return ["--format=docker", "--layers", f"--authfile={credentials}", *options]


def _without_tag(reference: str) -> str:
    """Return an image's reference as buildah wants a cache: a repository, whose tags it makes of the layers' content."""
    host, slash, path = reference.partition("@")[0].rpartition("/")
    return f"{host}{slash}{path.partition(':')[0]}"


def _registries_conf(recipe: BuildRecipe, destination: Destination, folder: Path) -> dict[str, str]:
    """Return the variable that names the settings of registries, if those of this machine do not do.

    A name without a registry means Docker Hub, as for Docker; and registries on this machine are spoken to over plain HTTP.

    .. seealso:: containers-registries.conf(5)
    """
    if os.environ.get(_VARIABLE):
        return {}
    text = next((path.read_text() for name in _PLACES if (path := Path(name).expanduser()).is_file()), "")
    local = sorted(host for host in {*recipe.registries(), destination.host} if is_loopback(host))
    known = _SEARCH in tomllib.loads(text)
    if known and not local:
        return {}
    search = "" if known else f'{_SEARCH} = ["docker.io"]\n'
    insecure = "".join(f"\n[[registry]]\nlocation = {json.dumps(host)}\ninsecure = true\n" for host in local)
    place = folder / "registries.conf"
    place.write_text(f"{search}{text}\n{insecure}")
    return {_VARIABLE: str(place)}
