"""Upload a model's artifact to S3."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.fields import FilePath, PathAsText, Text, optional
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.checks import check_kms_key
from airflow_sm_hosting.spec.reference_parts import check_bucket

if TYPE_CHECKING:
    from os import PathLike

    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late


class UploadModelDataFields(AwsFields):
    """The parameters of :class:`UploadModelDataOperator`."""

    path = FilePath(
        instead="Data that is already in S3 needs no upload: pass its URL to ContainerDefinition(model_data=…)."
    )
    bucket_name = Text(check_bucket)
    key_prefix = Text(default="")
    kms_key_id = optional(Text(check_kms_key))


class UploadModelDataOperator(SageMakerHostingBaseOperator):
    """Upload a ``.tar.gz`` file, or a folder packed into one, to S3 under a key derived from its content, unless the object exists.

    The key contains the SHA-256 of a folder's tar stream before compression, or of the file. So an unchanged artifact is found by its key
    and not sent again, and an artifact of a live endpoint is never overwritten.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#uploadmodeldataoperator

    :param path: The file or folder; a relative path is taken from the folder of the DAG file. (templated)
    :param bucket_name: The bucket, in the Region of the model. (templated)
    :param key_prefix: The prefix of the key (default: none). (templated)
    :param kms_key_id: KMS key that encrypts the object (default: the bucket's setting). (templated)
    :raises InvalidSpecError: When the path is neither a ``.tar.gz`` file nor a folder, or the bucket is in another Region.
    :raises ModelDataError: When the folder has content that SageMaker could not unpack, or S3 refuses.
    :raises NotFoundError: When the bucket does not exist.
    :return: The artifact's ``s3://`` URI: ``s3://<bucket>/<prefix>/<SHA-256 of the content>.tar.gz``.
    """

    fields = UploadModelDataFields
    template_fields: Sequence[str] = UploadModelDataFields.template_fields()

    path = PathAsText()

    def __init__(
        self,
        *,
        path: str | PathLike[str] | Late,
        bucket_name: Late,
        key_prefix: Late = "",
        kms_key_id: Late | None = None,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.path = path
        self.bucket_name = bucket_name
        self.key_prefix = key_prefix
        self.kms_key_id = kms_key_id

    def execute(self, context: Context) -> str:
        """Pack, derive the key from the content, and upload unless the object exists."""
        from airflow_sm_hosting.artifacts.packing import pack
        from airflow_sm_hosting.artifacts.upload import UploadDeniedError, content_key, upload_if_absent
        from airflow_sm_hosting.work_folder import work_folder

        given = UploadModelDataFields.of(self)
        path = self.path_beside_dag(given.path)
        with work_folder() as workdir:
            artifact = pack(path, workdir=workdir)
            key = content_key(given.key_prefix, "", artifact.sha256)
            hook = self.model_data_hook
            try:
                result = upload_if_absent(
                    hook.conn,
                    artifact,
                    bucket=given.bucket_name,
                    key=key,
                    kms_key_id=given.kms_key_id,
                    log=self.log,
                    check_answer=partial(hook.check_region, f"s3://{given.bucket_name}/{key}"),
                )
            except UploadDeniedError as error:
                raise UploadDeniedError(f"{error}. The task runs as {hook.worker}") from error.__cause__
        self.push_details(
            context,
            {
                "uploaded": result.uploaded,
                "sha256": artifact.sha256,
                "bytes": result.size,
                "version_id": result.version_id,
            },
        )
        return result.uri
