"""Archives that are not on this machine: in S3, or wherever Airflow's object storage reaches."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from airflow.sdk import ObjectStoragePath
from botocore.exceptions import BotoCoreError, ClientError

from airflow_sm_hosting.artifacts.archive_check import ARCHIVE_SUFFIX, check_archive
from airflow_sm_hosting.artifacts.checksums import Checksums
from airflow_sm_hosting.artifacts.packing import PackedArtifact, pack
from airflow_sm_hosting.artifacts.transfer import ObjectToCopy, error_code
from airflow_sm_hosting.artifacts.upload import full_crc32, said_sha256
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
    with _reading(url):
        answer = client.get_object(Bucket=bucket, Key=key)
        check_answer(answer)
        with closing(answer["Body"]) as body:
            progress = ByteProgress(log, f"Reading {url}", answer["ContentLength"])
            found = check_archive(cast("BinaryIO", body), f"Model data {url}", _ALLOWED, progress.add)
            progress.end()
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


def object_to_copy(
    client: Any, bucket: str, key: str, *, copier: Any, workdir: Path, log: Log
) -> PackedArtifact:
    """Return an archive in S3 that is copied: by S3 itself if the copier may read it, else through this machine, by a temporary file.

    The digest of an artifact of ours is known without reading it: its key and its metadata contain it, and S3 has computed the checksum that
    the metadata have, too. Any other archive is read once, to hash and to check it.

    API operations: HeadObject, GetObject.

    :param client: A client of S3 that may read it.
    :param bucket: Its bucket.
    :param key: Its key.
    :param copier: The client that writes the copy. It is asked whether it may read the object, unless it is the same client.
    :param workdir: An existing folder for the file.
    :param log: Logger of the task.
    :raises NotFoundError: When there is no such object.
    :raises InvalidSpecError: When it is no archive.
    :raises ModelDataError: When S3 refuses, or the archive is damaged.
    """
    url = f"s3://{bucket}/{key}"
    with _reading(url):
        head = client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    known = _artifact_of_ours(bucket, key, head)
    if copier is client:
        return known or object_in_s3(client, bucket, key, log=log)
    if known is None:
        if _may_read(copier, bucket, key):
            return object_in_s3(client, bucket, key, log=log)
        return _streamed(client, bucket, key, head["ETag"], workdir=workdir, log=log)

    def copied_or_streamed() -> PackedArtifact:
        if _may_read(copier, bucket, key):
            return known
        log.info("The identity that writes the copy may not read %s: it is streamed through this worker", url)
        packed = _streamed(client, bucket, key, head["ETag"], workdir=workdir, log=log)
        if (packed.size, packed.checksums.crc32) != (known.size, known.checksums.crc32):
            raise ModelDataError(
                f"Model data {url} arrived with another CRC-32 than S3's; run the task again"
            )
        # The digest of a folder is that of its tar stream, not that of the archive.
        return replace(packed, sha256=known.sha256)

    return replace(known, source=None, remake=copied_or_streamed)


def _artifact_of_ours(bucket: str, key: str, head: Mapping[str, Any]) -> PackedArtifact | None:
    """Return an artifact that UploadModelDataOperator or CopyModelDataOperator has made; None if S3 does not prove that it is one."""
    crc32, sha256 = full_crc32(head), said_sha256(head)
    named = re.search(rf"(?:^|/)([0-9a-f]{{64}}){re.escape(ARCHIVE_SUFFIX)}$", key)
    if crc32 is None or sha256 is None or named is None or named[1] != sha256:
        return None
    checksums = Checksums(int.from_bytes(base64.b64decode(crc32)))
    size = head["ContentLength"]
    source = ObjectToCopy(bucket, key, head["ETag"], _version_of(head), size, checksums)
    return PackedArtifact(Path(key), sha256, checksums, size, temporary=False, source=source)


def _may_read(client: Any, bucket: str, key: str) -> bool:
    """Return whether a client may read an object; with its checksum, for which S3 decrypts it (API_HeadObject)."""
    try:
        client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    except (ClientError, BotoCoreError):
        return False
    return True


def _streamed(client: Any, bucket: str, key: str, etag: str, *, workdir: Path, log: Log) -> PackedArtifact:
    """Download an archive to a file, a block at a time; it is then like any other."""
    url = f"s3://{bucket}/{key}"
    target = workdir / f"model{ARCHIVE_SUFFIX}"
    with _reading(url):
        answer = client.get_object(Bucket=bucket, Key=key, IfMatch=etag)
        progress = ByteProgress(log, f"Reading {url}", answer["ContentLength"])
        with closing(answer["Body"]) as body, target.open("wb") as file:
            for block in iter(partial(body.read, _BLOCK), b""):
                file.write(block)
                progress.add(len(block))
        progress.end()
    return pack(target, workdir=workdir, log=log)


@contextmanager
def _reading(url: str) -> Iterator[None]:
    """Explain S3's refusal to read an object."""
    try:
        yield
    except ClientError as error:
        # A HEAD answer has no body, so its code is the status (API_HeadObject).
        if error_code(error) in ("NoSuchKey", "NoSuchBucket", "404"):
            raise NotFoundError(f"Model data {url} does not exist.") from error
        raise ModelDataError(
            f"Model data {url} could not be read: {error}. The task needs s3:GetObject on it"
        ) from error
    except BotoCoreError as error:
        raise ModelDataError(f"Model data {url} could not be read: {error}") from error


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
