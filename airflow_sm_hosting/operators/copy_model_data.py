"""Copy a model's artifact to a bucket in another account or Region."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_hosting.fields import Choice, Tags, Text, optional
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.operators.upload_model_data import (
    ENCRYPTIONS,
    MOST_OBJECT_TAGS,
    check_encryption,
    check_key_prefix,
    check_storage_class,
)
from airflow_sm_hosting.spec.checks import check_kms_key, invalid, is_rendered_later
from airflow_sm_hosting.spec.reference_parts import check_account, check_bucket
from airflow_sm_hosting.spec.s3_location import S3Location

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late


ALLOWED = "the s3:// URL of a .tar.gz file, as UploadModelDataOperator returns it"


def _check_model_data(where: str, value: Any) -> None:
    if is_rendered_later(value):
        return
    if not isinstance(value, str) or not re.fullmatch(r"s3://[^/@]+/.+", value):
        raise invalid(where, value, ALLOWED)
    if not value.lower().endswith(".tar.gz"):
        raise invalid(
            where,
            value,
            ALLOWED,
            hint="The files of uncompressed model data are not copied: upload them to a bucket of each Region.",
        )


class CopyModelDataFields(AwsFields):
    """The parameters of :class:`CopyModelDataOperator`."""

    model_data = Text(_check_model_data)
    bucket_name = Text(check_bucket)
    key_prefix = Text(check_key_prefix, default="")
    kms_key_id = optional(Text(check_kms_key))
    server_side_encryption = optional(Choice(ENCRYPTIONS))
    bucket_owner = optional(Text(check_account))
    tags = Tags(most=MOST_OBJECT_TAGS)
    storage_class = optional(Text(check_storage_class))
    source_aws_conn_id = optional(Text())

    def check_together(self, where: str) -> None:
        """Check the KMS key against the encryption."""
        check_encryption(where, self.values)


class CopyModelDataOperator(SageMakerHostingBaseOperator):
    """Copy a ``.tar.gz`` file in S3 to a bucket in the task's Region, in this account or another, unless the same content is there.

    SageMaker takes model data from its own Region only. The copy's key is derived from the content, as that of
    :class:`UploadModelDataOperator`. S3 copies the object by itself if the task's own connection may read it, in parts if it is larger than
    5 GiB; otherwise the worker downloads it with ``source_aws_conn_id`` and uploads it.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#copymodeldataoperator
        AWS: https://docs.aws.amazon.com/AmazonS3/latest/userguide/copy-object.html

    :param model_data: The artifact: the ``s3://`` URL of a ``.tar.gz`` file, in any Region. (templated)
    :param bucket_name: The bucket of the copy, in the Region of the model; or an access point of it, as its alias or ARN. (templated)
    :param key_prefix: The prefix of the key (default: none). (templated)
    :param kms_key_id: KMS key of the bucket's Region that encrypts the copy (default: the bucket's setting). (templated)
    :param server_side_encryption: ``AES256``, ``aws:kms`` or ``aws:kms:dsse`` (default: the bucket's setting; ``aws:kms`` with a
        ``kms_key_id``). (templated)
    :param bucket_owner: The account that the bucket must belong to, of 12 digits (default: any). (templated)
    :param tags: Tags of the copy, 10 at most, as a dict or as AWS's list (default: none). (templated)
    :param storage_class: The storage class, e.g. ``INTELLIGENT_TIERING``; none that is archived (default: the bucket's setting). (templated)
    :param source_aws_conn_id: The connection that may read the artifact (default: the task's own, whose account the bucket's policy must
        then allow). (templated)
    :raises InvalidSpecError: When the artifact is no ``.tar.gz`` file, or the bucket is in another Region.
    :raises ModelDataError: When the archive is damaged, or S3 refuses.
    :raises NotFoundError: When the artifact or the bucket does not exist.
    :return: The copy's ``s3://`` URI: ``s3://<bucket>/<prefix>/<SHA-256 of the content>.tar.gz``.
    """

    fields = CopyModelDataFields
    template_fields: Sequence[str] = CopyModelDataFields.template_fields()
    template_fields_renderers: ClassVar[dict[str, str]] = CopyModelDataFields.template_fields_renderers()

    def __init__(
        self,
        *,
        model_data: Late,
        bucket_name: Late,
        key_prefix: Late = "",
        kms_key_id: Late | None = None,
        server_side_encryption: Late | None = None,
        bucket_owner: Late | None = None,
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Late | None = None,
        storage_class: Late | None = None,
        source_aws_conn_id: Late | None = None,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.model_data = model_data
        self.bucket_name = bucket_name
        self.key_prefix = key_prefix
        self.kms_key_id = kms_key_id
        self.server_side_encryption = server_side_encryption
        self.bucket_owner = bucket_owner
        self.tags = tags
        self.storage_class = storage_class
        self.source_aws_conn_id = source_aws_conn_id

    def execute(self, context: Context) -> str:
        """Derive the key from the content, and copy unless the object exists."""
        from airflow_sm_hosting.artifacts.remote import object_to_copy
        from airflow_sm_hosting.artifacts.upload import (
            Storage,
            UploadDeniedError,
            content_key,
            upload_if_absent,
        )
        from airflow_sm_hosting.work_folder import work_folder

        given = CopyModelDataFields.of(self)
        storage = Storage(
            server_side_encryption=given.server_side_encryption,
            kms_key_id=given.kms_key_id,
            storage_class=given.storage_class,
            tags=given.tags,
        )
        hook = self.model_data_hook
        source = self.model_data_hook_of(given.source_aws_conn_id)
        location = S3Location.parse(given.model_data)
        if location is None:
            raise invalid("model_data", given.model_data, ALLOWED)
        with work_folder() as workdir:
            artifact = object_to_copy(source.conn, *location, copier=hook.conn, workdir=workdir, log=self.log)
            to = content_key(given.key_prefix, "", artifact.sha256)
            try:
                result = upload_if_absent(
                    hook.conn,
                    artifact,
                    bucket=given.bucket_name,
                    key=to,
                    storage=storage,
                    log=self.log,
                    expected_bucket_owner=given.bucket_owner,
                    check_answer=partial(hook.check_region, f"s3://{given.bucket_name}/{to}"),
                )
            except UploadDeniedError as error:
                raise UploadDeniedError(f"{error}. The task runs as {hook.worker}") from error.__cause__
        self.push_details(
            context,
            {
                "copied": result.uploaded,
                "sha256": artifact.sha256,
                "bytes": result.size,
                "version_id": result.version_id,
            },
        )
        return result.uri
