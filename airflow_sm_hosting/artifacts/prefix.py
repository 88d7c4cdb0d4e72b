"""Upload the files of a folder as they are, below a prefix that is derived from their content.

A manifest beside the prefix is written last. It is not below the prefix, or SageMaker would download it with the model.

.. seealso:: https://docs.aws.amazon.com/sagemaker/latest/dg/large-model-inference-uncompressed.html
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from airflow_sm_hosting.artifacts.archive_check import HashedFile
from airflow_sm_hosting.artifacts.packing import PackedArtifact, members_of
from airflow_sm_hosting.artifacts.transfer import THREADS, THRESHOLD, error_code
from airflow_sm_hosting.artifacts.upload import LONGEST_KEY, Storage, UploadResult, refused, upload_if_absent
from airflow_sm_hosting.byte_progress import ByteProgress, Log
from airflow_sm_hosting.exceptions import InvalidSpecError, ModelDataError
from airflow_sm_hosting.spec.prefix_layout import layout_problem
from airflow_sm_hosting.stat_cache import state_of

MANIFEST_SUFFIX = ".manifest.json"
#: Of the manifest's form.
_VERSION = 1


@dataclass(frozen=True)
class HashedFolder:
    """The files of a folder, by their path below it.

    :param files: The files.
    """

    files: Mapping[str, PackedArtifact]

    @property
    def sha256(self) -> str:
        """The digest of paths and contents, in hex."""
        lines = [[name, file.size, file.sha256] for name, file in sorted(self.files.items())]
        return hashlib.sha256(json.dumps(lines).encode()).hexdigest()

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for file in self.files.values())


@dataclass(frozen=True)
class PrefixResult:
    """The location of uncompressed model data.

    :param uri: Its ``s3://`` URI, which ends with a slash.
    :param uploaded: False if S3 had all of it already.
    """

    uri: str
    uploaded: bool


def hash_folder(path: Path, log: Log) -> HashedFolder:
    """Read the files of a folder. A symbolic link is replaced by what it points to, if that is inside the folder.

    S3 has neither empty folders nor executable bits: both are left out.

    :param path: The folder.
    :param log: Logger of the task.
    :raises InvalidSpecError: When it is no folder.
    :raises ModelDataError: When it has no file, or one that SageMaker could not download.
    """
    where = os.path.abspath(path)
    if not path.is_dir():
        raise InvalidSpecError(
            f"Model data {where} is not a folder; only the files of a folder can be uploaded uncompressed"
        )
    members = {one.name: Path(one.path) for one in members_of(path) if not one.is_directory}
    if not members:
        raise ModelDataError(f"The folder {where} contains no file; there is no model data to upload")
    for name in members:
        if not name.isprintable() or name.encode(errors="surrogateescape") != name.encode(errors="replace"):
            raise ModelDataError(
                f"The file name {name!r} in {where} is not printable UTF-8, as the key of an object must be; rename it"
            )
    if problem := layout_problem("", members):
        raise ModelDataError(f"The files of {where} cannot be objects below a prefix: {problem}")
    progress = ByteProgress(log, f"Reading {where}", sum(file.stat().st_size for file in members.values()))
    found = HashedFolder({name: _hashed(file, progress) for name, file in members.items()})
    progress.end()
    return found


def _hashed(path: Path, progress: ByteProgress) -> PackedArtifact:
    try:
        with path.open("rb", buffering=0) as file:
            state = os.fstat(file.fileno())
            hashed = HashedFile(file, progress.add)
            while hashed.read():
                pass
    except OSError as error:
        raise ModelDataError(f"Model data {path} could not be read: {error}") from error
    return PackedArtifact(
        path=path,
        sha256=hashed.sha256.hexdigest(),
        checksums=hashed.running.checksums,
        size=hashed.size,
        temporary=False,
        state=state_of(state),
        content_type="application/octet-stream",
    )


def upload_files_if_absent(
    s3_client: Any,
    folder: HashedFolder,
    *,
    bucket: str,
    prefix: str,
    storage: Storage,
    log: Log,
    expected_bucket_owner: str | None = None,
    check_answer: Callable[[Mapping[str, Any]], None] = lambda answer: None,
) -> PrefixResult:
    """Upload the files that the bucket does not have below the prefix, and then the manifest.

    The manifest has each object's ETag. If it is there, and the listing of the prefix agrees with it, nothing is sent. Otherwise a file is
    sent unless S3 has it with the checksum that it computed, so an interrupted upload is resumed.

    API operations: GetObject and ListObjectsV2; for an upload those of ``upload_if_absent`` for each file, and PutObject.

    :param s3_client: A client of S3.
    :param folder: The files.
    :param bucket: The bucket.
    :param prefix: The prefix without its last slash, as it is derived from the content.
    :param storage: How the objects are stored.
    :param log: Logger of the task.
    :param expected_bucket_owner: Account that the bucket must belong to.
    :param check_answer: Called with S3's answers.
    :raises NotFoundError: When the bucket does not exist.
    :raises ModelDataError: When S3 refuses, a file changes, or objects of others are below the prefix.
    """
    longest = max((f"{prefix}/{name}" for name in folder.files), key=lambda key: len(key.encode()))
    if len(longest.encode()) > LONGEST_KEY:
        raise InvalidSpecError(
            f"The object key {longest[:80]}… has {len(longest.encode())} bytes; S3 allows {LONGEST_KEY}: shorten the prefix or the file's path"
        )
    owner = {"ExpectedBucketOwner": expected_bucket_owner} if expected_bucket_owner else {}
    place = _Prefix(s3_client, bucket, prefix, owner)
    wanted = {name: file.size for name, file in folder.files.items()}
    stored_as = {**storage.members}
    manifest = place.manifest()
    there = place.listing(check_answer)
    if others := sorted(set(there) - set(wanted)):
        raise ModelDataError(
            f"{place.uri} has objects that are not of this model, such as {others[0]!r}, and SageMaker would download them with it; delete "
            "them"
        )
    if manifest is not None and manifest == _manifest(there, wanted, stored_as):
        log.info("%s already exists with its %d files: nothing to upload", place.uri, len(wanted))
        return PrefixResult(place.uri, uploaded=False)
    progress = ByteProgress(log, f"Uploading {len(wanted)} files to {place.uri}", folder.size)

    def upload(name: str) -> UploadResult:
        result = upload_if_absent(
            s3_client,
            folder.files[name],
            bucket=bucket,
            key=f"{prefix}/{name}",
            storage=storage,
            log=log if wanted[name] >= THRESHOLD else _Quiet(),
            expected_bucket_owner=expected_bucket_owner,
            check_answer=check_answer,
        )
        progress.add(result.size)
        return result

    # A large file uses all connections by itself.
    sent = _in_parallel(upload, [name for name, size in wanted.items() if size < THRESHOLD])
    sent |= {name: upload(name) for name, size in wanted.items() if size >= THRESHOLD}
    progress.end()
    log.info("%d of %d files were there already", sum(not one.uploaded for one in sent.values()), len(sent))
    objects = {name: _Object(one.etag, one.size) for name, one in sent.items()}
    place.write_manifest(_manifest(objects, wanted, stored_as), storage)
    return PrefixResult(place.uri, uploaded=True)


@dataclass(frozen=True)
class _Object:
    etag: str
    size: int


def _manifest(objects: Mapping[str, _Object], wanted: Mapping[str, int], stored_as: Mapping[str, str]) -> Any:
    """Return the manifest of objects; None if they are not the files."""
    if {name: one.size for name, one in objects.items()} != wanted:
        return None
    files = [{"path": name, "size": one.size, "etag": one.etag} for name, one in sorted(objects.items())]
    return {"version": _VERSION, "stored_as": dict(stored_as), "files": files}


def _in_parallel(upload: Callable[[str], UploadResult], names: Sequence[str]) -> dict[str, UploadResult]:
    """Upload files; the first error ends the others."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="upload") as pool:
        futures: dict[str, Future[UploadResult]] = {name: pool.submit(upload, name) for name in names}
        try:
            wait(futures.values(), return_when=FIRST_EXCEPTION)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    for one in futures.values():
        if not one.cancelled() and (error := one.exception()):
            raise error
    return {name: one.result() for name, one in futures.items()}


class _Quiet:
    """Logs nothing: there may be thousands of small files."""

    def info(self, msg: Any, /, *args: Any) -> None:
        """Log nothing."""


@dataclass(frozen=True)
class _Prefix:
    """The place of uncompressed model data in S3."""

    client: Any
    bucket: str
    prefix: str
    owner: Mapping[str, str]

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}/"

    @property
    def _key(self) -> str:
        return f"{self.prefix}{MANIFEST_SUFFIX}"

    def manifest(self) -> Any:
        """Return the manifest; None if there is none, or none of ours."""
        try:
            answer = self.client.get_object(Bucket=self.bucket, Key=self._key, **self.owner)
            return json.loads(answer["Body"].read())
        except ClientError as error:
            if error_code(error) == "NoSuchKey":
                return None
            refused(error, self.bucket, self._key)
        except BotoCoreError as error:
            raise ModelDataError(f"s3://{self.bucket}/{self._key} could not be read: {error}") from error
        except ValueError:
            return None

    def listing(self, check_answer: Callable[[Mapping[str, Any]], None]) -> dict[str, _Object]:
        """Return the objects below the prefix, by their path."""
        start, found = f"{self.prefix}/", dict[str, _Object]()
        try:
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=start, **self.owner
            )
            for page in pages:
                check_answer(page)
                for one in page.get("Contents", []):
                    found[one["Key"].removeprefix(start)] = _Object(one["ETag"].strip('"'), one["Size"])
        except ClientError as error:
            refused(error, self.bucket, start)
        return found

    def write_manifest(self, manifest: Any, storage: Storage) -> None:
        """Write the manifest."""
        try:
            self.client.put_object(
                Bucket=self.bucket,
                Key=self._key,
                Body=json.dumps(manifest, indent=1).encode(),
                ContentType="application/json",
                ChecksumAlgorithm="CRC32",
                **storage.members,
                **self.owner,
            )
        except ClientError as error:
            refused(error, self.bucket, self._key)
