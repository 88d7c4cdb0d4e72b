"""Model data from a folder, an archive or S3, as the archive that a container gets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_sm_hosting.artifacts.archive_check import ARCHIVE_SUFFIX
from airflow_sm_hosting.artifacts.packing import pack
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.prefix_layout import layout_problem
from airflow_sm_hosting.spec.s3_location import S3Location

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client


def model_archive(source: str | Path, *, folder: Path, s3: Callable[[], S3Client]) -> Path:
    """Return model data as an archive on this computer that was checked, as UploadModelDataOperator would upload it.

    :param source: A folder, a ``.tar.gz`` file, or an S3 URL; one that ends with ``/`` is a prefix.
    :param folder: An existing folder for what is made.
    :param s3: Makes a client of S3.
    :raises InvalidSpecError: It is none of these, or not there.
    :raises ModelDataError: SageMaker could not unpack it.
    """
    location = S3Location.parse(source) if isinstance(source, str) and "://" in source else None
    if location is None:
        return pack(source, workdir=folder).path
    if location.key.endswith("/") or not location.key:
        return pack(_download_prefix(location, folder / "model", s3()), workdir=folder).path
    archive = folder / f"model{ARCHIVE_SUFFIX}"
    s3().download_file(location.bucket, location.key, str(archive))
    return pack(archive, workdir=folder).path


def _download_prefix(location: S3Location, folder: Path, client: S3Client) -> Path:
    """Download the objects below a prefix, laid out as SageMaker lays out uncompressed model data."""
    folder.mkdir()
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=location.bucket, Prefix=location.key)
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    if not keys:
        raise InvalidSpecError(f"There is no model data below {location.url}.")
    if problem := layout_problem(location.key, keys):
        raise InvalidSpecError(f"Model data below {location.url}: {problem}.")
    for key in keys:
        path = folder / key.removeprefix(location.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        client.download_file(location.bucket, key, str(path))
    return folder
