"""Build and push with ``docker buildx``: all that BuildKit can do."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.images.build_arguments import (
    CONTEXT,
    build_arguments,
    secret_variables,
    write_contexts,
)
from airflow_sm_hosting.images.builders import (
    Destination,
    Log,
    PushedImage,
    log_pushed,
    secrets_of,
    settle_manifest,
)
from airflow_sm_hosting.images.command import answer_of, in_memory, run_command, with_logins
from airflow_sm_hosting.images.recipe import BuildRecipe, Login
from airflow_sm_hosting.spec.masking import masker
from airflow_sm_hosting.work_folder import work_folder

_CONFIG = "config.json"


class BuildxBuilder:
    """Builds with the command ``docker buildx``, on the builder instance that the user has chosen (``BUILDX_BUILDER``)."""

    name = "buildx"

    @classmethod
    def connect(cls) -> BuildxBuilder:
        """Return a builder.

        :raises ImageBuildError: the command or its plugin is not installed, or no engine answers
        """
        answer_of(["docker", "buildx", "version"])
        if "Error:" in answer_of(["docker", "buildx", "inspect"]):  # with exit status 0
            raise ImageBuildError("The builder instance of docker buildx cannot be reached")
        return cls()

    def lacks(self, recipe: BuildRecipe) -> str | None:
        """Return what a build needs and this builder cannot do."""
        return None

    def build_and_push(self, recipe: BuildRecipe, destination: Destination, log: Log) -> PushedImage:
        """Build the image, push it, and make sure that SageMaker takes it.

        :raises ImageBuildError: the image could not be built or pushed, or SageMaker could never run it
        """
        context = recipe.context
        reference = f"{destination.repository_uri}:{destination.tag}"
        log.info("Building %s for %s with docker buildx", context.directory, recipe.platform)
        with work_folder() as folder, _docker_config(recipe, destination, folder) as config:
            run_command(
                [
                    *("docker", "buildx", "build"),
                    *build_arguments(recipe, write_contexts(recipe, folder)),
                    *(f"--cache-from=type=registry,ref={name}" for name in recipe.cache_from),
                    # Amazon ECR takes a cache only as an image: https://aws.amazon.com/blogs/containers/announcing-remote-cache-support-in-amazon-ecr-for-buildkit-clients/
                    *(
                        f"--cache-to=type=registry,ref={name},mode=max,image-manifest=true,oci-mediatypes=true"
                        for name in recipe.cache_to
                    ),
                    *(["--pull"] if recipe.bases else []),
                    # Attestations make an index of the image, which SageMaker does not take.
                    *("--provenance=false", "--sbom=false", "--progress=plain"),
                    f"--output=type=image,name={reference},push=true,oci-mediatypes=false",
                    *("--metadata-file", "metadata.json", CONTEXT),
                ],
                failed=f"The image of {context.directory} could not be built and pushed to {reference}",
                log=log,
                mask=masker(secrets_of(recipe, destination)),
                environment={**secret_variables(recipe), "DOCKER_CONFIG": str(config)},
                folder=folder,
            )
            built = json.loads((folder / "metadata.json").read_bytes())
        if "containerimage.digest" not in built:
            raise ImageBuildError(f"docker buildx ended the build of {context.directory} without an image")
        with destination.registry() as registry:
            pushed = settle_manifest(
                registry, destination, built["containerimage.digest"], platform=recipe.platform, log=log
            )
        log_pushed(destination, pushed, log)
        return pushed


@contextmanager
def _docker_config(recipe: BuildRecipe, destination: Destination, folder: Path) -> Iterator[Path]:
    """Yield a folder like the user's ``~/.docker``, with the credentials of this build in addition to the user's own.

    ``docker login`` would leave them on the worker's disk.
    """
    own = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    config: dict[str, Any] = {}
    if (own / _CONFIG).is_file():
        config = json.loads((own / _CONFIG).read_bytes())
    logins = {**recipe.logins, destination.host: Login(destination.username, destination.password)}
    copy = folder / ".docker"
    copy.mkdir(mode=0o700)
    if own.is_dir():
        for entry in own.iterdir():
            if entry.name != _CONFIG:
                (copy / entry.name).symlink_to(entry)
    with in_memory(with_logins(config, logins)) as place:
        (copy / _CONFIG).symlink_to(place)
        yield copy
