"""Model data: from S3 into the folder that a container sees as ``/opt/ml/model``."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from airflow_sm_hosting.local.archives import ArchiveError, unpack_model_archive
from airflow_sm_hosting.local.moto_bridge import s3
from airflow_sm_hosting.spec.prefix_layout import layout_problem
from airflow_sm_hosting.spec.s3_location import S3Location


class ModelFetchError(Exception):
    """The model data is absent, broken or hostile."""


@dataclass(frozen=True)
class ModelSource:
    """Where a container's model data comes from.

    :param uri: The S3 URI, as in the request.
    :param kind: ``archive`` (one ``.tar.gz``), ``object`` (one file), ``prefix`` (files as they are), or
        ``on_demand`` (a multi-model container's prefix, of which nothing is loaded beforehand).
    """

    uri: str
    kind: str

    @property
    def location(self) -> S3Location:
        """Bucket and key."""
        return location_of(self.uri)


def location_of(uri: str) -> S3Location:
    """Return bucket and key of a URL of S3; of another URL, a location that does not exist."""
    return S3Location.parse(uri) or S3Location("", "")


def model_source(container: Mapping[str, Any]) -> ModelSource | None:
    """Return the source that a container definition names, or None where it has no model data."""
    if url := container.get("ModelDataUrl"):
        return ModelSource(url, "on_demand" if container.get("Mode") == "MultiModel" else "archive")
    s3 = container.get("ModelDataSource", {}).get("S3DataSource")
    if not s3:
        return None
    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3ModelDataSource.html
    if s3["CompressionType"] == "Gzip":
        return ModelSource(s3["S3Uri"], "archive")
    return ModelSource(s3["S3Uri"], "object" if s3["S3DataType"] == "S3Object" else "prefix")


def below(prefix: ModelSource, target: str) -> ModelSource:
    """Return the archive that ``TargetModel`` names, from a multi-model container's prefix on.

    "SageMaker constructs the absolute path of the model by combining the prefix … with the relative path":
    https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html
    """
    # Only the prefix may be a URL in which characters are encoded.
    bucket, key = prefix.location
    parts = (key.rstrip("/"), target.lstrip("/"))
    return ModelSource(S3Location(bucket, "/".join(filter(None, parts))).url, "archive")


def data_exists(source: ModelSource) -> bool:
    """Return whether there is anything at the source."""
    bucket, key = source.location
    if source.kind in ("prefix", "on_demand"):
        return bool(s3.keys(bucket, key))
    return s3.exists(bucket, key)


def other_region(source: ModelSource, region: str) -> str | None:
    """Return the Region of the source's bucket if it is another one."""
    found = s3.region_of(source.location.bucket)
    return found if found and found != region else None


def fetch(source: ModelSource, folder: Path, container: str = "container_1") -> None:
    """Put the model data into a folder, unpacked.

    :param container: The container as SageMaker names it: by its place.
    :raises ModelFetchError: With the reason, for the endpoint's ``FailureReason``.
    """
    bucket, key = source.location
    match source.kind:
        case "archive":
            data = _object(bucket, key, container)
            try:
                unpack_model_archive(io.BytesIO(data), folder)
            except ArchiveError as error:
                # aws/deep-learning-containers#569; what is wrong with it, AWS does not tell.
                raise ModelFetchError(
                    f'Failed to extract model data archive for container "{container}" from URL "{source.uri}". Please ensure that '
                    f"the object located at the URL is a valid tar.gz archive. ({error})"
                ) from error
        case "object":
            (folder / PurePosixPath(key).name).write_bytes(_object(bucket, key, container))
        case "prefix":
            names = s3.keys(bucket, key)
            if problem := layout_problem(key, names):
                raise ModelFetchError(f"The model data at {source.uri} cannot be written as files: {problem}")
            for name in names:
                _write_below(folder, name.removeprefix(key).lstrip("/"), _object(bucket, name, container))


def _object(bucket: str, key: str, container: str) -> bytes:
    data = s3.read(bucket, key)
    if data is None:
        # aws-solutions-library-samples/fraud-detection-using-machine-learning#9
        raise ModelFetchError(
            f'Failed to download model data for container "{container}" from URL: "s3://{bucket}/{key}". Please ensure that there is an '
            "object located at the URL and that the role passed to CreateModel has permissions to download the object."
        )
    return data


def _write_below(folder: Path, name: str, data: bytes) -> None:
    # S3 keys are arbitrary strings: "../x" is one.
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ModelFetchError(f"The model data has an object outside of its prefix: {name!r}")
    try:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    except OSError as error:
        # A file and a folder of one name: documented as not supported for uncompressed model data.
        raise ModelFetchError(f"The model data cannot be written as files at {name!r}: {error}") from error
