"""S3: the objects of model data."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from botocore.exceptions import ClientError

from airflow_sm_hosting.exceptions import NotFoundError
from airflow_sm_hosting.hooks.clients import SharedClients
from airflow_sm_hosting.hooks.errors import error_code

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client


class ModelDataHook(SharedClients, S3Hook):
    """Interact with the S3 objects of model data: the Amazon provider's S3Hook with shared clients.

    .. seealso:: :class:`airflow_sm_hosting.hooks.clients.SharedClients` for the parameters.
    """

    conn: S3Client

    def object_version(self, bucket: str, key: str) -> dict[str, str]:
        """Return an id of an object's content: its version in a versioned bucket, else its ETag.

        :raises NotFoundError: When there is no such object (``s3:HeadObject``).
        """
        try:
            head = self.conn.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error_code(error) not in ("404", "NoSuchKey", "NotFound", "NoSuchBucket"):
                raise
            raise NotFoundError(f"There is no model data at s3://{bucket}/{key}.") from None
        version = head.get("VersionId")
        return {"VersionId": version} if version and version != "null" else {"ETag": head["ETag"].strip('"')}

    def listing_digest(self, bucket: str, prefix: str) -> str:
        """Return the SHA-256 over the keys and ETags below a prefix (``s3:ListObjectsV2``).

        :raises NotFoundError: When there are no objects.
        """
        pages = self.conn.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        found = [item for page in pages for item in page.get("Contents", [])]
        if not found:
            raise NotFoundError(f"There is no model data below s3://{bucket}/{prefix}.")
        lines = sorted(f"{item['Key']}\n{item['ETag']}\n{item['Size']}" for item in found)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()
