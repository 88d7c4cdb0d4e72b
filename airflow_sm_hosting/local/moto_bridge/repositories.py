"""Repositories and images in moto's ECR."""

from __future__ import annotations

from collections.abc import Sequence

from moto.ecr.models import ECRBackend, Image, Repository, ecr_backends

from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID

__all__ = ["Image", "Repository", "add_image", "ecr", "find_repository"]


def ecr(region: str) -> ECRBackend:
    """Return moto's ECR of a Region: its ``repositories``."""
    return ecr_backends[ACCOUNT_ID][region]


def find_repository(name: str, regions: Sequence[str]) -> Repository | None:
    """Return the ECR repository of that name in the first of the Regions that has it."""
    for region in regions:
        if name in ecr(region).repositories:
            return ecr(region).repositories[name]
    return None


def add_image(repository: Repository, manifest: str, media_type: str, digest: str) -> Image:
    """Add an image to a repository, and return it."""
    image = Image(repository.account_id, None, manifest, repository.name, media_type, digest)  # type: ignore[arg-type]
    repository.images.append(image)
    return image
