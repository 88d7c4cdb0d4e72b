"""Upload a model's artifact to S3."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.hooks.parameters import AWS_FIELDS
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.checks import check_text, invalid, is_rendered_later
from airflow_sm_hosting.spec.container import BUCKET_PATTERN
from airflow_sm_hosting.spec.rendered import as_string

if TYPE_CHECKING:
    from airflow.sdk import Context


class UploadModelDataOperator(SageMakerHostingBaseOperator):
    """Upload a ``.tar.gz`` file, or a folder packed into one, to S3 under a key made of its content, unless it is there.

    A folder is named by the SHA-256 of its tar stream before compression, a file by its own, so an unchanged artifact is found by its key
    and not sent again, and nothing that a live endpoint uses is ever overwritten.

    .. seealso::
        For more information on how to use this operator, take a look at the guide:
        :ref:`howto/operator:UploadModelDataOperator`

    :param path: The file or folder; a relative path is taken from the folder of the DAG file. (templated)
    :param bucket_name: The bucket, in the Region of the model. (templated)
    :param key_prefix: What the key begins with (default: nothing). (templated)
    :param kms_key_id: KMS key that encrypts the object (default: as the bucket is set). (templated)
    :raises InvalidSpecError: When the path is neither a ``.tar.gz`` file nor a folder.
    :raises ModelDataError: When the folder holds what SageMaker could not unpack, or S3 refuses.
    :raises NotFoundError: When the bucket does not exist.
    :return: The artifact's ``s3://`` URI: ``s3://<bucket>/<prefix>/<SHA-256 of the content>.tar.gz``.
    """

    template_fields: Sequence[str] = (*AWS_FIELDS, "path", "bucket_name", "key_prefix", "kms_key_id")

    def __init__(
        self,
        *,
        path: str,
        bucket_name: str,
        key_prefix: str = "",
        kms_key_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_text(
            "UploadModelDataOperator: bucket_name",
            bucket_name,
            pattern=BUCKET_PATTERN,
            allowed="a bucket's name",
        )
        if not is_rendered_later(key_prefix) and not isinstance(key_prefix, str):
            raise invalid("UploadModelDataOperator: key_prefix", key_prefix, "a string")
        super().__init__(**kwargs)
        self.path = path
        self.bucket_name = bucket_name
        self.key_prefix = key_prefix
        self.kms_key_id = kms_key_id

    def execute(self, context: Context) -> str:
        """Pack, name by content, and send what is not there."""
        from airflow_sm_hosting.artifacts.packing import pack
        from airflow_sm_hosting.artifacts.upload import content_key, upload_if_absent

        path = self.path_beside_dag(as_string("path", self.path))
        bucket = as_string("bucket_name", self.bucket_name)
        check_text("bucket_name", bucket, pattern=BUCKET_PATTERN, allowed="a bucket's name")
        key_id = self.kms_key_id if self.kms_key_id not in ("", "None") else None
        with tempfile.TemporaryDirectory(prefix="sm-hosting-") as workdir:
            artifact = pack(path, workdir=workdir)
            key = content_key(self.key_prefix or "", "", artifact.sha256)
            result = upload_if_absent(
                self.model_data_hook.conn,
                artifact,
                bucket=bucket,
                key=key,
                kms_key_id=key_id,
                log=self.log,
            )
        self.tell_details(
            context,
            {
                "uploaded": result.uploaded,
                "sha256": artifact.sha256,
                "bytes": result.size,
                "version_id": result.version_id,
            },
        )
        return result.uri
