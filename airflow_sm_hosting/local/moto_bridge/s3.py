"""Objects in moto's S3."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket, s3_backends

from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID

if TYPE_CHECKING:
    from moto.s3.models import S3Backend


def _backend(bucket: str) -> S3Backend:
    """Return the S3 of the partition that has a bucket; that of ``aws`` if none has it."""
    partitions = s3_backends[ACCOUNT_ID]
    return next((one for one in list(partitions.values()) if bucket in one.buckets), partitions["aws"])


def read(bucket: str, key: str) -> bytes | None:
    """Return the content of an S3 object, or None where it does not exist."""
    found = exists(bucket, key) and _backend(bucket).get_object(bucket, key)
    return found.value if found else None


def exists(bucket: str, key: str) -> bool:
    """Return whether an S3 object exists."""
    backend = _backend(bucket)
    return bucket in backend.buckets and backend.get_object(bucket, key) is not None


def etag_of(bucket: str, key: str) -> str | None:
    """Return the ETag of an object, without quotes, or None where it does not exist."""
    found = exists(bucket, key) and _backend(bucket).get_object(bucket, key)
    return str(found.etag).strip('"') if found else None


def region_of(bucket: str) -> str | None:
    """Return the Region of a bucket, or None where it does not exist."""
    found = _backend(bucket).buckets.get(bucket)
    return found.region_name if found else None


def kms_key_of(bucket: str, key: str) -> str | None:
    """Return the KMS key of an object, or None for no such object or none encrypted with KMS."""
    found = exists(bucket, key) and _backend(bucket).get_object(bucket, key)
    return found.kms_key_id if found and found.encryption in ("aws:kms", "aws:kms:dsse") else None


def has_upload(bucket: str, key: str, upload_id: str) -> bool:
    """Return whether a multipart upload of an object exists."""
    backend = _backend(bucket)
    upload = backend.buckets[bucket].multiparts.get(upload_id) if bucket in backend.buckets else None
    return upload is not None and upload.key_name == key


def is_completed(bucket: str, key: str, upload_id: str) -> bool:
    """Return whether an object is that of a multipart upload."""
    found = exists(bucket, key) and _backend(bucket).get_object(bucket, key)
    return bool(found and found.multipart and found.multipart.id == upload_id)


def uploaded_parts(bucket: str, key: str, upload_id: str) -> bytes | None:
    """Return the bytes of all parts of a multipart upload, or None where there is no such upload."""
    backend = _backend(bucket)
    if not has_upload(bucket, key, upload_id):
        return None
    parts = backend.buckets[bucket].multiparts[upload_id].parts
    return b"".join(part.value for _, part in sorted(parts.items()))


def write(bucket: str, key: str, data: bytes) -> bool:
    """Write an S3 object, and tell whether there is such a bucket."""
    backend = _backend(bucket)
    if bucket not in backend.buckets:
        return False
    backend.put_object(bucket, key, data)
    return True


def keys(bucket: str, prefix: str) -> list[str]:
    """Return the keys under a prefix, sorted; none where the bucket does not exist."""
    backend = _backend(bucket)
    if bucket not in backend.buckets:
        return []
    found, _, _, _ = backend.list_objects(backend.get_bucket(bucket), prefix, None, None, None)
    return [key.name for key in found]


def skip_conditional_statements() -> None:
    """Have moto skip the statements of bucket policies that have conditions.

    It knows no values of their keys, and would deny everything where there is one: also the requests that a policy denies only
    without TLS (``aws:SecureTransport``), as the bucket of the CDK does.
    """

    def get_permission(self: FakeBucket, action: str, resource: str) -> Any:
        if self.policy is None:
            return PermissionResult.NEUTRAL
        policy = json.loads(self.policy)
        statements = policy.get("Statement", [])
        statements = [statements] if isinstance(statements, Mapping) else statements
        kept = [one for one in statements if "Condition" not in one]
        if not kept:
            return PermissionResult.NEUTRAL
        return IAMPolicy(json.dumps({**policy, "Statement": kept})).is_action_permitted(action, resource)

    FakeBucket.get_permission = get_permission  # type: ignore[method-assign]
