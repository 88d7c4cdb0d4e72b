"""Archives that are not on this machine: in S3, or wherever Airflow's object storage reaches."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, cast

from airflow.sdk import ObjectStoragePath
from botocore.exceptions import BotoCoreError, ClientError

from airflow_sm_hosting.artifacts.archive_check import ARCHIVE_SUFFIX, check_archive
from airflow_sm_hosting.artifacts.packing import PackedArtifact, pack
from airflow_sm_hosting.artifacts.transfer import ObjectToCopy, error_code
from airflow_sm_hosting.byte_progress import ByteProgress, Log
from airflow_sm_hosting.exceptions import InvalidSpecError, ModelDataError, NotFoundError

_BLOCK = 1024 * 1024
_ALLOWED = f"the URL of model data must name a gzip-compressed tar file with the suffix {ARCHIVE_SUFFIX}"


def object_in_s3(
    client: Any,
    bucket: str,
    key: str,
    *,
    log: Log,
    check_answer: Callable[[Mapping[str, Any]], None] = lambda answer: None,
) -> PackedArtifact:
    """Read an archive in S3 once, to hash and to check it; its bytes are not kept, as S3 copies it by itself.

    It is read even if S3 has its SHA-256: an archive that SageMaker could not unpack must fail here.

    API operation: GetObject.

    :param client: A client of S3.
    :param bucket: Its bucket.
    :param key: Its key.
    :param log: Logger of the task.
    :param check_answer: Called with S3's answer before anything is read.
    :raises NotFoundError: When there is no such object.
    :raises InvalidSpecError: When it is no archive.
    :raises ModelDataError: When S3 refuses, or the archive is damaged.
    """
    url = f"s3://{bucket}/{key}"
    try:
        answer = client.get_object(Bucket=bucket, Key=key)
        check_answer(answer)
        with closing(answer["Body"]) as body:
            progress = ByteProgress(log, f"Reading {url}", answer["ContentLength"])
            found = check_archive(cast("BinaryIO", body), f"Model data {url}", _ALLOWED, progress.add)
            progress.end()
    except ClientError as error:
        if error_code(error) in ("NoSuchKey", "NoSuchBucket"):
            raise NotFoundError(f"Model data {url} does not exist.") from error
        raise ModelDataError(
            f"Model data {url} could not be read: {error}. The task needs s3:GetObject on it"
        ) from error
    except BotoCoreError as error:
        raise ModelDataError(f"Model data {url} could not be read: {error}") from error
    source = ObjectToCopy(
        bucket=bucket,
        key=key,
        etag=answer["ETag"],
        version_id=_version_of(answer),
        size=found.size,
        checksums=found.checksums,
    )
    return PackedArtifact(
        path=Path(key),
        sha256=found.sha256,
        checksums=found.checksums,
        size=found.size,
        temporary=False,
        source=source,
    )


def _version_of(answer: Mapping[str, Any]) -> str | None:
    version = answer.get("VersionId")
    return str(version) if version and version != "null" else None


def downloaded(url: str, *, workdir: Path, log: Log) -> PackedArtifact:
    """Read an archive through Airflow's object storage into a temporary file, which is then like any other.

    Its key is derived from its content, so it must be read before it can be sent, and this is the one read of it.

    :param url: Its URL, e.g. ``gs://bucket/model.tar.gz``; ``scheme://connection@…`` names an Airflow connection.
    :param workdir: An existing folder for the file.
    :param log: Logger of the task.
    :raises InvalidSpecError: When no installed provider knows the scheme, there is no such file, or it is no archive.
    :raises ModelDataError: When it cannot be read, or is damaged.
    """
    target = workdir / f"model{ARCHIVE_SUFFIX}"
    log.info("Reading %s", url)
    try:
        with ObjectStoragePath(url).open("rb") as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, _BLOCK)
    except FileNotFoundError as error:
        raise InvalidSpecError(f"Model data {url} does not exist.") from error
    except (ValueError, ImportError) as error:
        raise InvalidSpecError(
            f"Model data {url} cannot be opened ({error}); install the Airflow provider of this storage"
        ) from error
    except OSError as error:
        raise ModelDataError(f"Model data {url} could not be read: {error}") from error
    return pack(target, workdir=workdir, log=log)
