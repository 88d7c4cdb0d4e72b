"""Upload model data to S3 under the name of its content, once."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import urlencode

from botocore.exceptions import BotoCoreError, ClientError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from airflow_sm_hosting.artifacts.archive_check import ARCHIVE_SUFFIX
from airflow_sm_hosting.artifacts.checksums import base64_of
from airflow_sm_hosting.artifacts.packing import PackedArtifact, sha256_of_tar
from airflow_sm_hosting.artifacts.transfer import (
    LARGEST_COPY,
    FileChangedError,
    FileToSend,
    OvertakenError,
    UploadTarget,
    error_code,
    send,
)
from airflow_sm_hosting.byte_progress import ByteProgress, Log, size_of
from airflow_sm_hosting.exceptions import InvalidSpecError, ModelDataError, NotFoundError
from airflow_sm_hosting.stat_cache import state_of

#: Metadata of an object: the digest in its key, the CRC-32 of the bytes that were sent, and the KMS key as it was asked for.
_SHA256_METADATA, _CRC32_METADATA, _KMS_METADATA = "sha256", "crc32", "kms-key-id"
_BLOCK = 1024 * 1024
#: How often an upload begins anew that another run of the same content has overtaken.
_MOST_OVERTAKEN = 5
#: S3 user guide, "Object key naming".
LONGEST_KEY = 1024


class UploadDeniedError(ModelDataError):
    """S3 denied a call; the message has the permissions that the upload needs."""


@dataclass(frozen=True)
class Storage:
    """How an object is stored; what is not given is as the bucket has it.

    :param server_side_encryption: ``AES256``, ``aws:kms`` or ``aws:kms:dsse``; a KMS key alone means ``aws:kms``.
    :param kms_key_id: The KMS key; without one, ``aws:kms`` takes the AWS managed key.
    :param storage_class: The storage class.
    :param tags: The object's tags.
    """

    server_side_encryption: str | None = None
    kms_key_id: str | None = None
    storage_class: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def members(self) -> dict[str, str]:
        """The members of PutObject, CreateMultipartUpload and CopyObject."""
        encryption = self.server_side_encryption or ("aws:kms" if self.kms_key_id else None)
        given = {
            "ServerSideEncryption": encryption,
            "SSEKMSKeyId": self.kms_key_id,
            "StorageClass": self.storage_class,
            "Tagging": urlencode(self.tags),
        }
        return {name: value for name, value in given.items() if value}

    def difference(self, held: Mapping[str, Any]) -> str | None:
        """Return what an object has otherwise, in words; None if it is stored as it should be. Tags are compared by themselves.

        :param held: HeadObject's answer.
        """
        encryption = held.get(
            "ServerSideEncryption", "AES256"
        )  # every object is (S3 user guide, "default-encryption-faq")
        if self.server_side_encryption and encryption != self.server_side_encryption:
            return f"is encrypted with {encryption}, not with {self.server_side_encryption}"
        if self.kms_key_id and not _has_key(held, self.kms_key_id):
            return f"is not encrypted with {self.kms_key_id}"
        found = held.get("StorageClass", "STANDARD")  # API_HeadObject: not returned for STANDARD
        if self.storage_class and found != self.storage_class:
            return f"is of the storage class {found}, not {self.storage_class}"
        return None


@dataclass(frozen=True)
class UploadResult:
    """The location of the artifact.

    :param uri: its ``s3://`` URI
    :param uploaded: False if S3 had it already
    :param size: bytes of the object
    :param etag: the object's ETag, without quotes
    :param version_id: the object's version, if the bucket keeps versions
    """

    uri: str
    uploaded: bool
    size: int
    etag: str
    version_id: str | None = None


def content_key(prefix: str, name: str, sha256: str, suffix: str = ARCHIVE_SUFFIX) -> str:
    """Return the object key of an artifact: ``<prefix>/<name>/<sha256>.tar.gz``; empty parts are left out.

    :param prefix: folder in the bucket; slashes around it do not matter
    :param name: the owner of the artifact, e.g. the model's name
    :param sha256: of the content, in hex
    :param suffix: what the key ends with
    :raises InvalidSpecError: the key is longer than S3 allows, or ``sha256`` is none
    """
    if len(sha256) != hashlib.sha256().digest_size * 2 or not set(sha256) <= set("0123456789abcdef"):
        raise InvalidSpecError(f"{sha256!r} is not a SHA-256 in lower-case hex")
    parts = [part.strip("/") for part in (prefix, name)]
    key = "/".join([*(part for part in parts if part), f"{sha256}{suffix}"])
    if len(key.encode()) > LONGEST_KEY:
        raise InvalidSpecError(
            f"The object key {key[:80]}… has {len(key.encode())} bytes; S3 allows {LONGEST_KEY}: shorten the prefix"
        )
    return key


def upload_if_absent(
    s3_client: Any,
    artifact: PackedArtifact,
    *,
    bucket: str,
    key: str,
    storage: Storage | None = None,
    log: Log,
    expected_bucket_owner: str | None = None,
    check_answer: Callable[[Mapping[str, Any]], None] = lambda answer: None,
) -> UploadResult:
    """Upload the artifact, unless the bucket has it under this key.

    An object counts as the artifact only by a checksum that S3 has computed from its bytes ("Checking object integrity in Amazon S3"), never
    by its key or metadata alone. An object without such a checksum is read once, and then gets one.

    API operations: HeadObject, and PutObject or the multipart upload's operations; once GetObject and CopyObject. Before an upload in
    parts, ListMultipartUploads and ListParts, for one that was interrupted and can be resumed, and AbortMultipartUpload for others.

    :param s3_client: a boto3 client of S3 in the bucket's Region
    :param artifact: the artifact from :func:`~airflow_sm_hosting.artifacts.packing.pack`
    :param bucket: name of the bucket
    :param key: object key, as of :func:`content_key`
    :param storage: how the object is stored; default: as the bucket has it
    :param log: logger of the task
    :param expected_bucket_owner: account id that the bucket must belong to
    :param check_answer: called with S3's first answer, before anything is sent; raises where the bucket is in another Region
    :raises NotFoundError: the bucket does not exist
    :raises ModelDataError: S3 refused, or its object after the upload differs from the artifact
    """
    owner = {"ExpectedBucketOwner": expected_bucket_owner} if expected_bucket_owner else {}
    place = _Place(s3_client, bucket, key, owner, check_answer)
    tries = Retrying(
        retry=retry_if_exception_type(OvertakenError), stop=stop_after_attempt(_MOST_OVERTAKEN), reraise=True
    )
    try:
        return tries(_upload_if_absent, place, artifact, storage or Storage(), log)
    except OvertakenError as error:
        raise ModelDataError(
            f"{place.uri} could not be uploaded: {error}, {_MOST_OVERTAKEN} times; does something abort the uploads of this bucket?"
        ) from error


def _upload_if_absent(place: _Place, artifact: PackedArtifact, storage: Storage, log: Log) -> UploadResult:
    held = place.head()
    if held is not None and _is_artifact(held, artifact):
        difference = storage.difference(held)
        if not difference and (full_crc32(held) or place.prove(held, artifact, storage, log)):
            log.info("%s already exists: nothing to upload", place.uri)
            if not full_crc32(held):
                held = place.head() or held  # the copy has another version
            place.add_tags(storage.tags, log)
            return _result(place.uri, held, uploaded=False)
        if difference:
            log.info("%s exists, but %s; uploading it again", place.uri, difference)
    elif held is not None:
        log.info("%s exists, but its content does not match its name; uploading it again", place.uri)
    artifact = artifact.made()
    verb = "Copying" if artifact.source else "Uploading"
    log.info("%s %s (%s) to %s", verb, artifact.path, size_of(artifact.size), place.uri)
    resumed = place.upload(artifact, storage, log)
    held = place.checked(artifact)
    if resumed and (storage.difference(held) or not _is_artifact(held, artifact)):
        # An upload is encrypted and described as it was begun, and S3 does not say how that was until it is complete.
        log.info("The upload was begun with other parameters than those of this task; uploading it again")
        resumed = place.upload(artifact, storage, log, resume=False)
        held = place.checked(artifact)
    if resumed:
        place.add_tags(storage.tags, log)
    return _result(place.uri, held, uploaded=True)


def said_sha256(held: Mapping[str, Any]) -> str | None:
    """Return the digest that an object of ours has in its metadata, if these also have the CRC-32 that S3 has computed."""
    metadata: Mapping[str, str] = held.get("Metadata", {})
    crc32 = full_crc32(held)
    return metadata.get(_SHA256_METADATA) if crc32 and metadata.get(_CRC32_METADATA) == crc32 else None


def full_crc32(held: Mapping[str, Any]) -> str | None:
    """Return the CRC-32 that S3 has computed over all bytes of an object; None if it has none, or one over the parts."""
    found = held.get("ChecksumCRC32")
    return (
        found
        if found and "-" not in found and held.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
        else None
    )


def _is_artifact(held: dict[str, Any], artifact: PackedArtifact) -> bool:
    """Return whether an object may be the artifact: by its checksum, or, if it has none, by what was said of it."""
    found, metadata = full_crc32(held), held.get("Metadata", {})
    if not artifact.temporary:
        said = metadata.get(_SHA256_METADATA) == artifact.sha256
        return held["ContentLength"] == artifact.size and (
            found == base64_of(artifact.checksums.crc32) if found else said
        )
    # The same folder compressed by another version of the compressor has other bytes: they must be those that were sent then.
    if metadata.get(_SHA256_METADATA) != artifact.sha256:
        return False
    return not found or found == metadata.get(_CRC32_METADATA, base64_of(artifact.checksums.crc32))


def _has_key(held: Mapping[str, Any], kms_key_id: str) -> bool:
    """Return whether an object is encrypted with a key: S3 answers the key's ARN, which an alias does not show."""
    if held.get("ServerSideEncryption") not in ("aws:kms", "aws:kms:dsse"):
        return False
    found = str(held.get("SSEKMSKeyId", ""))
    return (
        found == kms_key_id
        or found.endswith(f":key/{kms_key_id}")
        or held.get("Metadata", {}).get(_KMS_METADATA) == kms_key_id
    )


def _result(uri: str, held: dict[str, Any], *, uploaded: bool) -> UploadResult:
    return UploadResult(
        uri=uri,
        uploaded=uploaded,
        size=held["ContentLength"],
        etag=held["ETag"].strip('"'),
        version_id=held.get("VersionId"),
    )


@dataclass(frozen=True)
class _Place:
    """An object's place in S3."""

    client: Any
    bucket: str
    key: str
    owner: dict[str, str]
    check_answer: Callable[[Mapping[str, Any]], None]

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def head(self) -> dict[str, Any] | None:
        """Return HeadObject's answer with the checksum; None for no object."""
        try:
            answer: dict[str, Any] = self.client.head_object(
                Bucket=self.bucket, Key=self.key, ChecksumMode="ENABLED", **self.owner
            )
        except ClientError as error:
            # A HEAD answer has no body, so the status is all there is to go by.
            if _status(error) == 404:
                self.check_answer(error.response)
                return None
            refused(error, self.bucket, self.key)
        self.check_answer(answer)
        return answer

    def prove(self, held: dict[str, Any], artifact: PackedArtifact, storage: Storage, log: Log) -> bool:
        """Read an object that has no checksum; if it is the artifact, have S3 compute one, so that it is read only once."""
        if held["ContentLength"] > LARGEST_COPY:
            return False
        log.info("%s has no checksum; reading it once", self.uri)
        try:
            answer = self.client.get_object(
                Bucket=self.bucket, Key=self.key, IfMatch=held["ETag"], **self.owner
            )
            blocks = _CheckedBlocks(iter(lambda: answer["Body"].read(_BLOCK), b""))
            with closing(answer["Body"]):
                if not _is_content(blocks, artifact):
                    return False
            source = {"Bucket": self.bucket, "Key": self.key}
            self.client.copy_object(
                Bucket=self.bucket,
                Key=self.key,
                CopySource=source,
                CopySourceIfMatch=held["ETag"],
                ChecksumAlgorithm="CRC32",
                MetadataDirective="REPLACE",
                **self._described(artifact, storage, crc32=blocks.crc32),
                **_stored_as(held),
                **self.owner,
            )
        except (ClientError, BotoCoreError) as error:
            log.info("%s cannot be read or copied (%s); uploading it again", self.uri, error)
            return False
        return True

    def checked(self, artifact: PackedArtifact) -> dict[str, Any]:
        """Return HeadObject's answer for an artifact that was just uploaded.

        :raises ModelDataError: When the object is another one.
        """
        held, expected = self.head(), base64_of(artifact.checksums.crc32)
        if held is None or full_crc32(held) != expected or held["ContentLength"] != artifact.size:
            found = (
                "nothing" if held is None else f"{held['ContentLength']} bytes with CRC-32 {full_crc32(held)}"
            )
            raise ModelDataError(
                f"{self.uri} was uploaded, but the object in S3 differs (found {found}, expected {artifact.size} bytes with CRC-32 "
                f"{expected}); does something else write to this key?"
            )
        return held

    def upload(self, artifact: PackedArtifact, storage: Storage, log: Log, *, resume: bool = True) -> bool:
        """Upload the artifact with its checksum: S3 stores only bytes that have it. Return whether an upload was resumed."""
        changed = f"{artifact.path} was written anew while it was uploaded; nothing is stored. Upload it when it is complete"
        members = {
            **self._described(artifact, storage, crc32=artifact.checksums.crc32),
            **storage.members,
        }
        verb = "Copying" if artifact.source else "Uploading"
        progress = ByteProgress(log, f"{verb} {artifact.path.name} to {self.uri}", artifact.size)
        target = UploadTarget(self.client, {"Bucket": self.bucket, "Key": self.key, **self.owner}, log)
        try:
            if artifact.source:
                resumed = send(target, artifact.source, members, resume=resume, on_sent=progress.add)
                progress.end()
                return resumed
            with artifact.path.open("rb", buffering=0) as file:
                if artifact.state and state_of(os.fstat(file.fileno())) != artifact.state:
                    raise ModelDataError(changed)
                to_send = FileToSend(file.fileno(), artifact.size, artifact.checksums)
                resumed = send(target, to_send, members, resume=resume, on_sent=progress.add)
            progress.end()
            return resumed
        except FileChangedError as error:
            raise ModelDataError(changed) from error
        except ClientError as error:
            refused(error, self.bucket, self.key)
        except BotoCoreError as error:
            raise ModelDataError(f"{self.uri} could not be uploaded: {error}") from error
        except OSError as error:
            raise ModelDataError(f"{artifact.path} could not be read for the upload: {error}") from error

    def add_tags(self, tags: Mapping[str, str], log: Log) -> None:
        """Add the tags that an object lacks; its other tags stay."""
        if not tags:
            return
        where = {"Bucket": self.bucket, "Key": self.key, **self.owner}
        try:
            found = self.client.get_object_tagging(**where)["TagSet"]
            there = {tag["Key"]: tag["Value"] for tag in found}
            wanted = {**there, **tags}
            if wanted == there:
                return
            log.info("Adding tags to %s", self.uri)
            all_tags = [{"Key": key, "Value": value} for key, value in wanted.items()]
            self.client.put_object_tagging(Tagging={"TagSet": all_tags}, **where)
        except ClientError as error:
            refused(error, self.bucket, self.key)

    def _described(self, artifact: PackedArtifact, storage: Storage, *, crc32: int) -> dict[str, Any]:
        metadata = {
            _SHA256_METADATA: artifact.sha256,
            _CRC32_METADATA: base64_of(crc32),
            _KMS_METADATA: storage.kms_key_id,
        }
        return {
            "Metadata": {name: value for name, value in metadata.items() if value},
            "ContentType": artifact.content_type,
        }


class _CheckedBlocks:
    """Yields blocks, and computes their CRC-32."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = blocks
        self.crc32 = 0

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            self.crc32 = zlib.crc32(block, self.crc32)
            yield block


def _is_content(blocks: Iterable[bytes], artifact: PackedArtifact) -> bool:
    """Return whether bytes have the digest in the artifact's name."""
    if artifact.temporary:
        return sha256_of_tar(blocks) == artifact.sha256
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest() == artifact.sha256


def _stored_as(held: dict[str, Any]) -> dict[str, str]:
    """Return the members of CopyObject that keep an object's encryption and storage class."""
    members = ("ServerSideEncryption", "SSEKMSKeyId", "StorageClass")
    return {member: held[member] for member in members if held.get(member)}


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def refused(error: ClientError, bucket: str, key: str) -> NoReturn:
    """Raise an error that explains S3's.

    :param error: S3's error.
    :param bucket: The bucket.
    :param key: The key.
    :raises NotFoundError: For a bucket that does not exist.
    :raises UploadDeniedError: For a denied call.
    :raises ModelDataError: For others.
    """
    code, status = error_code(error), _status(error)
    uri = f"s3://{bucket}/{key}"
    if code == "NoSuchBucket":
        raise NotFoundError(
            f"The bucket {bucket!r} does not exist in this account and partition; create it, or correct bucket_name"
        ) from error
    if status == 403:
        raise UploadDeniedError(
            f"S3 denied {error.operation_name} on {uri} ({code}). The task needs s3:GetObject and "
            "s3:PutObject on the key (with tags, s3:GetObjectTagging and s3:PutObjectTagging, too), and s3:ListBucket on the bucket: without "
            "it S3 returns 403 instead of 404 for an object that does not exist. The bucket policy and the KMS key policy can also deny "
            "access, and so does a bucket of another account than bucket_owner"
        ) from error
    if status in {301, 307}:
        raise ModelDataError(
            f"The bucket {bucket!r} is not in the task's Region; SageMaker needs model data in the Region of "
            "the model: give region_name, or a bucket in that Region"
        ) from error
    raise ModelDataError(f"S3 rejected {error.operation_name} on {uri}: {error}") from error
