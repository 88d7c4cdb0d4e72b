"""The description of a build, for all builders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_sm_hosting.images.context import BuildContext


@dataclass(frozen=True)
class BuildRecipe:
    """A build.

    :param context: the folder, with its Dockerfile
    :param build_args: values of the Dockerfile's ARG instructions. They may be secrets: no builder logs them.
    :param target: stage to stop at, in a Dockerfile of several
    :param platform: what the image must run on; SageMaker's Graviton instances need ``linux/arm64``
    :param labels: of the image, besides those of the Dockerfile
    :param cache_from: images to take layers from
    """

    context: BuildContext
    build_args: Mapping[str, str] = field(default_factory=dict, repr=False)
    target: str | None = None
    platform: str = "linux/amd64"
    labels: Mapping[str, str] = field(default_factory=dict)
    cache_from: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """Return the SHA-256, in hex, of everything that determines the image (``cache_from`` only affects the speed)."""
        return self.context.fingerprint(
            build_args=self.build_args, target=self.target, platform=self.platform, labels=self.labels
        )
