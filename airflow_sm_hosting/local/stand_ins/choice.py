"""What runs in place of an image of another registry: the same image of the local registry, the user's choice, or a stand-in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Generic, TypeVar

from airflow_sm_hosting.local.stand_ins.families import Family, aws_image, local_name

#: An image of the local registry.
Stored = TypeVar("Stored")

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


@dataclass(frozen=True)
class Replacement(Generic[Stored]):
    """What runs in place of an image.

    :param image: Its name.
    :param stored: The image of the local registry that it is; None for one that is elsewhere, and for a stand-in.
    :param family: The family of the stand-in, if it is one.
    :param is_chosen: Whether the user chose it.
    """

    image: str
    stored: Stored | None = None
    family: Family | None = None
    is_chosen: bool = False


@dataclass(frozen=True)
class StandIns:
    """What the local AWS runs in place of images that it does not have.

    :param enabled: Whether AWS's own images are stood in for.
    :param images: Images of the user's, by name or pattern of what they stand in for: ``*``, ``?`` and ``[…]``, of the whole name or of
        ``repository:tag``. The longest pattern that matches counts.
    :param startup_seconds: How long a stand-in takes to start, as if it loaded a model.
    """

    enabled: bool = True
    images: Mapping[str, str] = field(default_factory=dict)
    startup_seconds: float = 0.0
    # Names with tags of images that are named by digest since ECR was asked for it.
    _tagged: dict[str, str] = field(default_factory=dict)

    def replacement(
        self, image: str, find: Callable[[str], Stored | None], registry: str
    ) -> Replacement[Stored] | None:
        """Return what runs in place of an image, or None: nothing does for AWS's own image with the account of another Region.

        :param find: Finds an image of the local registry by its name.
        :param registry: The local registry.
        """
        of_aws = aws_image(image)
        if of_aws and of_aws.elsewhere:
            return None
        own = f"{registry}/{local_name(image)}"
        if stored := find(own):
            return Replacement(own, stored)
        named = self.tagged(image)
        if chosen := self._chosen(named):
            return Replacement(chosen, find(chosen) or find(f"{registry}/{chosen}"), is_chosen=True)
        family = self.family(named)
        return Replacement(image, family=family) if family else None

    def pin(self, image: str, digest: str) -> None:
        """Remember an image that will be named by digest."""
        self._tagged[_pinned(image, digest)] = image

    def tagged(self, image: str) -> str:
        """Return an image's name with the tag that ECR was asked for, if it is named by the digest that ECR answered."""
        return self._tagged.get(_pinned(image, image.partition("@")[2]), image)

    def family(self, image: str) -> Family | None:
        """Return the family whose stand-in runs in place of an image, or None."""
        found = aws_image(image) if self.enabled else None
        return found.family if found and not found.wrong else None

    def _chosen(self, image: str) -> str | None:
        names = {image, local_name(image)}
        # The tag of a digest is not known any more after a restart: then any pattern of the repository counts.
        untagged = {without_tag(name) for name in names} if "@" in image else set()
        matching = [
            pattern
            for pattern in self.images
            if any(fnmatchcase(name, pattern) for name in names)
            or any(fnmatchcase(name, without_tag(pattern)) for name in untagged)
        ]
        return self.images[max(matching, key=len)] if matching else None


def _pinned(image: str, digest: str) -> str:
    return f"{local_name(without_tag(image))}@{digest}"


def without_tag(image: str) -> str:
    """Return an image's name without its tag and digest."""
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def stand_in_manifest(image: str) -> tuple[bytes, str]:
    """Return the manifest of an image that is stood in for, and its digest: made of the image's name without its registry.

    Nothing of it can be pulled.
    """
    name = hashlib.sha256(local_name(image).encode()).hexdigest()
    config = {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "size": 0,
        "digest": f"sha256:{name}",
    }
    manifest = json.dumps(
        {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": []}
    ).encode()
    return manifest, f"sha256:{hashlib.sha256(manifest).hexdigest()}"
