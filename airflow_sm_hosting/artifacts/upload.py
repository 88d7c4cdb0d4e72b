"""Upload model data to S3 under the name of its content, once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from airflow_sm_hosting.artifacts.packing import ARCHIVE_SUFFIX, PackedArtifact
from airflow_sm_hosting.exceptions import InvalidSpecError, ModelDataError, NotFoundError

_MEBIBYTE = 1024 * 1024
# Large parts and few threads: 0.65 times the time and 0.7 times the CPU of boto3's defaults (8 MiB, 10 threads).
_TRANSFER = TransferConfig(
    multipart_threshold=64 * _MEBIBYTE, multipart_chunksize=64 * _MEBIBYTE, max_concurrency=4
)
_SHA256_METADATA = "sha256"
_LONGEST_KEY = 1024


class UploadDeniedError(ModelDataError):
    """S3 denied a call; the message has the permissions that the upload needs."""


class Log(Protocol):
    """The methods of a logger that are used here."""

    def info(self, msg: Any, /, *args: Any) -> Any:
        """Log a line, with its arguments apart."""


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


def content_key(prefix: str, name: str, sha256: str) -> str:
    """Return the object key of an artifact: ``<prefix>/<name>/<sha256>.tar.gz``; empty parts are left out.

    :param prefix: folder in the bucket; slashes around it do not matter
    :param name: the owner of the artifact, e.g. the model's name
    :param sha256: of the content, in hex
    :raises InvalidSpecError: the key is longer than S3 allows, or ``sha256`` is none
    """
    if len(sha256) != hashlib.sha256().digest_size * 2 or not set(sha256) <= set("0123456789abcdef"):
        raise InvalidSpecError(f"{sha256!r} is not a SHA-256 in lower-case hex")
    parts = [part.strip("/") for part in (prefix, name)]
    key = "/".join([*(part for part in parts if part), f"{sha256}{ARCHIVE_SUFFIX}"])
    if len(key.encode()) > _LONGEST_KEY:
        raise InvalidSpecError(
            f"The object key {key[:80]}… has {len(key.encode())} bytes; S3 allows {_LONGEST_KEY}: shorten the prefix"
        )
    return key


def upload_if_absent(
    s3_client: Any,
    artifact: PackedArtifact,
    *,
    bucket: str,
    key: str,
    kms_key_id: str | None = None,
    log: Log,
    expected_bucket_owner: str | None = None,
) -> UploadResult:
    """Upload the artifact, unless the bucket has it under this key.

    API operations: HeadObject, and PutObject or the multipart upload's operations.

    :param s3_client: a boto3 client of S3 in the bucket's Region
    :param artifact: the artifact from :func:`~airflow_sm_hosting.artifacts.packing.pack`
    :param bucket: name of the bucket
    :param key: object key, as of :func:`content_key`
    :param kms_key_id: KMS key to encrypt the object with; default: the bucket's setting
    :param log: logger of the task
    :param expected_bucket_owner: account id that the bucket must belong to
    :raises NotFoundError: the bucket does not exist
    :raises ModelDataError: S3 refused, or its object after the upload differs from the artifact
    """
    uri = f"s3://{bucket}/{key}"
    owner = {"ExpectedBucketOwner": expected_bucket_owner} if expected_bucket_owner else {}
    held = _head(s3_client, bucket, key, owner)
    if held is not None and _is_artifact(held, artifact):
        log.info("%s already exists: nothing to upload", uri)
        return _result(uri, held, uploaded=False)
    if held is not None:
        log.info("%s exists, but its content does not match its name; uploading it again", uri)
    log.info("Uploading %s (%.1f MB) to %s", artifact.path, artifact.size / 1e6, uri)
    _upload(s3_client, artifact, bucket, key, kms_key_id, owner)
    held = _head(s3_client, bucket, key, owner)
    if held is None or not _is_artifact(held, artifact) or held["ContentLength"] != artifact.size:
        found = "nothing" if held is None else f"{held['ContentLength']} bytes"
        raise ModelDataError(
            f"{uri} was uploaded, but the object in S3 differs (found {found}, expected {artifact.size} bytes "
            f"with SHA-256 {artifact.sha256}); does something else write to this key?"
        )
    log.info("Uploaded %s", uri)
    return _result(uri, held, uploaded=True)


def _is_artifact(held: dict[str, Any], artifact: PackedArtifact) -> bool:
    if held.get("Metadata", {}).get(_SHA256_METADATA) != artifact.sha256:
        return False
    # The same folder compressed by another version of the compressor has another size.
    return artifact.temporary or held["ContentLength"] == artifact.size


def _result(uri: str, held: dict[str, Any], *, uploaded: bool) -> UploadResult:
    return UploadResult(
        uri=uri,
        uploaded=uploaded,
        size=held["ContentLength"],
        etag=held["ETag"].strip('"'),
        version_id=held.get("VersionId"),
    )


def _head(s3_client: Any, bucket: str, key: str, owner: dict[str, str]) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = s3_client.head_object(Bucket=bucket, Key=key, **owner)
    except ClientError as error:
        # A HEAD answer has no body, so the status is all there is to go by.
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status == 404:
            return None
        _refused(error, status, bucket, key)
    return answer


def _upload(
    s3_client: Any,
    artifact: PackedArtifact,
    bucket: str,
    key: str,
    kms_key_id: str | None,
    owner: dict[str, str],
) -> None:
    arguments: dict[str, Any] = {
        "Metadata": {_SHA256_METADATA: artifact.sha256},
        "ContentType": "application/gzip",
        **owner,
    }
    if kms_key_id:
        arguments |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_id}
    try:
        s3_client.upload_file(str(artifact.path), bucket, key, ExtraArgs=arguments, Config=_TRANSFER)
    except S3UploadFailedError as error:
        # boto3 puts the service's answer into the text of its own exception, and keeps it as the context.
        cause = error.__context__
        if isinstance(cause, ClientError):
            status = cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            _refused(cause, status, bucket, key)
        raise ModelDataError(f"s3://{bucket}/{key} could not be uploaded: {error}") from error
    except OSError as error:
        raise ModelDataError(f"{artifact.path} could not be read for the upload: {error}") from error


def _refused(error: ClientError, status: int | None, bucket: str, key: str) -> NoReturn:
    code = error.response.get("Error", {}).get("Code", "")
    uri = f"s3://{bucket}/{key}"
    if code == "NoSuchBucket":
        raise NotFoundError(
            f"The bucket {bucket!r} does not exist in this account and partition; create it, or correct bucket_name"
        ) from error
    if status == 403:
        raise UploadDeniedError(
            f"S3 denied {error.operation_name} on {uri} ({code}). The task needs s3:GetObject and "
            "s3:PutObject on the key, and s3:ListBucket on the bucket: without it S3 returns 403 instead of "
            "404 for an object that does not exist. The bucket policy and the KMS key policy can also deny "
            "access"
        ) from error
    if status in {301, 307}:
        raise ModelDataError(
            f"The bucket {bucket!r} is not in the task's Region; SageMaker needs model data in the Region of "
            "the model: give region_name, or a bucket in that Region"
        ) from error
    raise ModelDataError(f"S3 rejected {error.operation_name} on {uri}: {error}") from error
