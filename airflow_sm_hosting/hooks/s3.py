"""S3: the objects of model data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from botocore.exceptions import ClientError

from airflow_sm_hosting.exceptions import AccessError, InvalidSpecError, NotFoundError
from airflow_sm_hosting.hooks.clients import SharedClients
from airflow_sm_hosting.hooks.errors import error_code, error_message, is_denied
from airflow_sm_hosting.policies.document import merged
from airflow_sm_hosting.spec.prefix_layout import layout_problem

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client
    from types_boto3_s3.type_defs import HeadObjectOutputTypeDef, ObjectTypeDef

#: Entry of an answer's ``ResponseMetadata``: the Region of the bucket.
BUCKET_REGION = "BucketRegion"


def _note_region(parsed: dict[str, Any], context: Mapping[str, Any], **_: Any) -> None:
    """Note the bucket's Region in an answer: as its header says, or that of the request, which botocore redirects to it."""
    metadata = parsed.get("ResponseMetadata", {})
    said = metadata.get("HTTPHeaders", {}).get("x-amz-bucket-region")
    metadata[BUCKET_REGION] = said or context.get("signing", {}).get("region")


class ModelDataHook(SharedClients, S3Hook):
    """Interact with the S3 objects of model data: the Amazon provider's S3Hook with shared clients.

    .. seealso:: :class:`airflow_sm_hosting.hooks.clients.SharedClients` for the parameters.
    """

    @cached_property
    def conn(self) -> S3Client:
        """Return the client; its answers tell the Region of the bucket."""
        client: S3Client = self.client("s3")
        for operation in ("HeadObject", "ListObjectsV2"):
            client.meta.events.register(
                f"after-call.s3.{operation}", _note_region, unique_id=f"region-of-bucket-{operation}"
            )
        return client

    def check_region(self, url: str, answer: Mapping[str, Any]) -> None:
        """Check that a bucket is in the Region of the connection, where SageMaker reads it from.

        :param url: The model data.
        :param answer: S3's answer.
        :raises InvalidSpecError: When it is in another one (API_ContainerDefinition, ``ModelDataUrl``).
        """
        found, own = answer.get("ResponseMetadata", {}).get(BUCKET_REGION), self.conn_region_name
        if found and found != own:
            raise InvalidSpecError(
                f"Model data {url} is in Region {found}, and the model in {own}; SageMaker needs both in one Region: copy the data to a "
                f"bucket in {own}."
            )

    def head(self, bucket: str, key: str) -> HeadObjectOutputTypeDef | None:
        """Return HeadObject's answer; None when there is no such object (``s3:HeadObject``).

        :raises AccessError: When the worker may not read it.
        """
        try:
            return self.conn.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error_code(error) in ("404", "NoSuchKey", "NotFound", "NoSuchBucket"):
                return None
            # A HEAD answer has no body, so its code is the status, and there is no message (S3, API_HeadObject).
            if error_code(error) != "403" and not is_denied(error):
                raise
            raise AccessError(
                self._denied(
                    "read",
                    f"s3://{bucket}/{key}",
                    f"s3:GetObject on it. Or the object does not exist, and s3:ListBucket on the bucket {bucket} is "
                    "lacking: without it S3 does not say so",
                    error,
                )
            ) from None

    def put(self, bucket: str, key: str, content: bytes, content_type: str | None = None) -> None:
        """Write an object (``s3:PutObject``)."""
        request: dict[str, Any] = {"ContentType": content_type} if content_type else {}
        self.conn.put_object(Bucket=bucket, Key=key, Body=content, **request)

    def objects(self, bucket: str, prefix: str) -> Iterator[ObjectTypeDef]:
        """Yield the objects below a prefix (``s3:ListObjectsV2``).

        :raises InvalidSpecError: When the bucket is in another Region.
        :raises AccessError: When the worker may not list them.
        """
        try:
            for page in self.conn.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                self.check_region(f"s3://{bucket}/{prefix}", page)
                yield from page.get("Contents", [])
        except ClientError as error:
            if not is_denied(error):
                raise
            raise AccessError(
                self._denied(
                    "list",
                    f"s3://{bucket}/{prefix}",
                    f"s3:ListBucket on the bucket {bucket} for this prefix",
                    error,
                )
            ) from None

    def grant(self, bucket: str, statements: Sequence[Mapping[str, Any]], sid: str) -> bool:
        """Give a bucket's policy our statements (``s3:GetBucketPolicy``, ``s3:PutBucketPolicy``); those of others stay.

        :param bucket: The bucket.
        :param statements: The statements.
        :param sid: Their id.
        :return: Whether the policy has changed.
        :raises NotFoundError: When the bucket does not exist.
        """
        try:
            found = json.loads(self.conn.get_bucket_policy(Bucket=bucket)["Policy"])
        except ClientError as error:
            if error_code(error) == "NoSuchBucket":
                raise NotFoundError(f"The bucket {bucket!r} does not exist.") from None
            if error_code(error) != "NoSuchBucketPolicy":
                raise
            found = None
        wanted = merged(found, statements, sid)
        if wanted is None:
            return False
        self.conn.put_bucket_policy(Bucket=bucket, Policy=json.dumps(wanted))
        return True

    def _denied(self, verb: str, url: str, permission: str, error: ClientError) -> str:
        worker = self.worker
        return (
            f"{worker[0].upper()}{worker[1:]} may not {verb} {url} ({error_message(error)}). Its own IAM policy, or the policy of a "
            f"bucket of another account, lacks {permission}. airflow_sm_hosting.policies.worker(model_data=[…]) prints the policy."
        )

    def object_version(self, bucket: str, key: str) -> dict[str, str]:
        """Return an id of an object's content: its version in a versioned bucket, else its ETag.

        :raises NotFoundError: When there is no such object (``s3:HeadObject``).
        :raises InvalidSpecError: When the bucket is in another Region.
        :raises AccessError: When the worker may not read it.
        """
        head = self.head(bucket, key)
        if head is None:
            raise NotFoundError(f"There is no model data at s3://{bucket}/{key}.")
        self.check_region(f"s3://{bucket}/{key}", head)
        version = head.get("VersionId")
        return {"VersionId": version} if version and version != "null" else {"ETag": head["ETag"].strip('"')}

    def listing_digest(self, bucket: str, prefix: str) -> str:
        """Return the SHA-256 over the keys and ETags below a prefix (``s3:ListObjectsV2``).

        :raises NotFoundError: When there are no objects.
        :raises InvalidSpecError: When SageMaker cannot lay them out as files.
        :raises AccessError: When the worker may not list them.
        """
        found = list(self.objects(bucket, prefix))
        if not found:
            raise NotFoundError(f"There is no model data below s3://{bucket}/{prefix}.")
        if problem := layout_problem(prefix, (item["Key"] for item in found)):
            raise InvalidSpecError(f"Model data below s3://{bucket}/{prefix}: {problem}.")
        lines = sorted(f"{item['Key']}\n{item['ETag']}\n{item['Size']}" for item in found)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()
