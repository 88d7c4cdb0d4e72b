"""Upload a model's artifact to S3."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.fields import Boolean, Choice, FilePath, PathAsText, Tags, Text, optional
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.links import ArtifactLink
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.operators.lineage import LineageTask
from airflow_sm_hosting.spec.checks import check_kms_key, check_text, invalid
from airflow_sm_hosting.spec.reference_parts import check_account, check_bucket
from airflow_sm_hosting.spec.s3_location import S3Location

if TYPE_CHECKING:
    from os import PathLike

    from airflow.sdk import Context

    from airflow_sm_hosting.artifacts.packing import PackedArtifact
    from airflow_sm_hosting.artifacts.upload import Storage
    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.lineage import LineageDataset


#: botocore, s3, ServerSideEncryption, without that of FSx.
ENCRYPTIONS = ("AES256", "aws:kms", "aws:kms:dsse")
#: S3 user guide, "Categorizing your objects using tags".
MOST_OBJECT_TAGS = 10
#: Their objects must be restored before anything can read them (S3 user guide, "Understanding S3 Glacier storage classes").
ARCHIVED = ("GLACIER", "DEEP_ARCHIVE")


def check_storage_class(where: str, value: Any) -> None:
    """Check that a storage class is one that SageMaker can read from."""
    if value in ARCHIVED:
        raise invalid(
            where, value, "a storage class that SageMaker can read from at once, e.g. 'STANDARD_IA'"
        )
    check_text(
        where, value, pattern=r"[A-Z][A-Z_]{1,63}", allowed="a storage class of S3, e.g. 'STANDARD_IA'"
    )


def _check_url(where: str, url: str) -> None:
    scheme, _, rest = url.partition("://")
    if not re.fullmatch(r"[a-z][a-z0-9+.\-]*", scheme) or not rest.lower().endswith(".tar.gz"):
        raise invalid(
            where,
            url,
            "a path in the worker's file system, or the URL of a .tar.gz file",
            hint="Files below a prefix of S3 need no upload: give ModelData.from_prefix(…) to the container.",
        )
    if ":" in rest.partition("/")[0].rpartition("@")[0]:
        # Not the URL: it has the password.
        raise InvalidSpecError(
            f"{where} is a URL with a user and a password; allowed: {scheme}://<connection id>@…, with the credentials in an Airflow connection."
        )
    if scheme == "s3" and "@" in rest.partition("/")[0]:
        raise invalid(
            where, url, "an s3:// URL without a connection: the task's own (aws_conn_id) reads and copies it"
        )


def check_key_prefix(where: str, value: str) -> None:
    """Check that the object's key is not longer than S3's 1,024 bytes: two slashes, the digest and the suffix come to the prefix."""
    size = len(value.encode()) if isinstance(value, str) else 0
    if size > _LONGEST_PREFIX:
        raise InvalidSpecError(f"{where} has {size} bytes; allowed: {_LONGEST_PREFIX} at most.")


def check_encryption(where: str, values: Mapping[str, Any]) -> None:
    """Check the KMS key against the encryption."""
    encryption = values.get("server_side_encryption")
    if values.get("kms_key_id") and encryption == "AES256":
        raise invalid(
            f"{where}server_side_encryption", encryption, "'aws:kms' or 'aws:kms:dsse' with a kms_key_id"
        )


#: An object key has 1,024 bytes at most (S3 user guide, "Naming Amazon S3 objects").
_LONGEST_PREFIX = 1024 - len("/") - 64 - len(".tar.gz")


class UploadModelDataFields(AwsFields):
    """The parameters of :class:`UploadModelDataOperator`."""

    path = FilePath(check_url=_check_url)
    bucket_name = Text(check_bucket)
    key_prefix = Text(check_key_prefix, default="")
    kms_key_id = optional(Text(check_kms_key))
    server_side_encryption = optional(Choice(ENCRYPTIONS))
    bucket_owner = optional(Text(check_account))
    tags = Tags(most=MOST_OBJECT_TAGS)
    storage_class = optional(Text(check_storage_class))
    uncompressed = Boolean(default=False)

    def check_together(self, where: str) -> None:
        """Check the KMS key against the encryption, and the path against the form."""
        path = self.values.get("path")
        if self.values.get("uncompressed") is True and isinstance(path, str) and "://" in path:
            raise invalid(
                f"{where}path", path, "a folder in the worker's file system, with uncompressed=True"
            )
        check_encryption(where, self.values)


class UploadModelDataOperator(LineageTask, SageMakerHostingBaseOperator):
    """Upload a ``.tar.gz`` file, or a folder packed into one or as it is, to S3 under a key derived from its content, unless it exists.

    The key contains the SHA-256 of a folder's tar stream before compression, or of the file. So an unchanged artifact is found by its key
    and not sent again, and an artifact of a live endpoint is never overwritten.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#uploadmodeldataoperator

    :param path: The file or folder; a relative path is taken from the folder of the DAG file. Or the URL of a ``.tar.gz`` file: one in S3
        is read once and copied by S3, others (``gs://``, ``abfs://``, …) are read through Airflow's object storage. (templated)
    :param bucket_name: The bucket, in the Region of the model; or an access point of it, as its alias or ARN. (templated)
    :param key_prefix: The prefix of the key (default: none). (templated)
    :param kms_key_id: KMS key that encrypts the object (default: the bucket's setting). (templated)
    :param server_side_encryption: ``AES256``, ``aws:kms`` or ``aws:kms:dsse`` (default: the bucket's setting; ``aws:kms`` with a
        ``kms_key_id``). (templated)
    :param bucket_owner: The account that the bucket must belong to, of 12 digits (default: any). (templated)
    :param tags: Tags of the object, 10 at most, as a dict or as AWS's list (default: none). An object that exists gets those that it lacks.
        (templated)
    :param storage_class: The storage class, e.g. ``INTELLIGENT_TIERING``; none that is archived (default: the bucket's setting). (templated)
    :param uncompressed: Whether the files of a folder are uploaded as they are, below a prefix, instead of an archive (default: False). For
        large models; not for serverless and multi-model endpoints. (templated)
    :raises InvalidSpecError: When the path is neither a ``.tar.gz`` file nor a folder, or the bucket is in another Region.
    :raises ModelDataError: When the folder has content that SageMaker could not unpack, or S3 refuses.
    :raises NotFoundError: When the bucket does not exist.
    :return: The artifact's ``s3://`` URI: ``s3://<bucket>/<prefix>/<SHA-256 of the content>.tar.gz``; uncompressed ``…/<SHA-256>/``.
    """

    fields = UploadModelDataFields
    template_fields: Sequence[str] = UploadModelDataFields.template_fields()
    template_fields_renderers: ClassVar[dict[str, str]] = UploadModelDataFields.template_fields_renderers()
    operator_extra_links = (ArtifactLink(),)

    path = PathAsText()

    def __init__(
        self,
        *,
        path: str | PathLike[str] | Late,
        bucket_name: Late,
        key_prefix: Late = "",
        kms_key_id: Late | None = None,
        server_side_encryption: Late | None = None,
        bucket_owner: Late | None = None,
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Late | None = None,
        storage_class: Late | None = None,
        uncompressed: bool | Late = False,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.path = path
        self.bucket_name = bucket_name
        self.key_prefix = key_prefix
        self.kms_key_id = kms_key_id
        self.server_side_encryption = server_side_encryption
        self.bucket_owner = bucket_owner
        self.tags = tags
        self.storage_class = storage_class
        self.uncompressed = uncompressed

    def _artifact(self, path: str, workdir: Path) -> PackedArtifact:
        """Return the artifact at a path or URL."""
        from airflow_sm_hosting.artifacts.packing import pack
        from airflow_sm_hosting.artifacts.remote import downloaded, object_in_s3

        if "://" not in path:
            return pack(self.path_beside_dag(path), workdir=workdir, log=self.log, cache=self.stat_cache())
        location = S3Location.parse(path) if path.startswith("s3://") else None
        if location is None:
            return downloaded(path, workdir=workdir, log=self.log)
        return object_in_s3(self.model_data_hook.conn, *location, log=self.log)

    def execute(self, context: Context) -> str:
        """Pack, derive the key from the content, and upload unless the object exists."""
        from airflow_sm_hosting.artifacts.upload import Storage, UploadDeniedError
        from airflow_sm_hosting.work_folder import work_folder

        given = UploadModelDataFields.of(self)
        storage = Storage(
            server_side_encryption=given.server_side_encryption,
            kms_key_id=given.kms_key_id,
            storage_class=given.storage_class,
            tags=given.tags,
        )
        try:
            if given.uncompressed:
                uri, details = self._upload_files(given, storage)
            else:
                with work_folder() as workdir:
                    uri, details = self._upload_archive(given, storage, workdir)
        except UploadDeniedError as error:
            raise UploadDeniedError(
                f"{error}. The task runs as {self.model_data_hook.worker}"
            ) from error.__cause__
        self.note_lineage(*self._lineage(uri))
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        for link in self.operator_extra_links:
            link.persist_for(context, self.model_data_hook, bucket=bucket, object_key=key)
        self.push_details(context, details)
        return uri

    def planned_lineage(self) -> tuple[list[LineageDataset], list[LineageDataset]]:
        """Return the artifact that the parameters name; where it goes follows from its content."""
        return self._lineage(None)

    def _lineage(self, uri: str | None) -> tuple[list[LineageDataset], list[LineageDataset]]:
        from airflow_sm_hosting.lineage import model_data_dataset

        path = str(self.path)
        read = model_data_dataset(path if "://" in path else str(self.path_beside_dag(path)))
        made = model_data_dataset(uri) if uri else None
        return [read] if read else [], [made] if made else []

    def _upload_archive(
        self, given: UploadModelDataFields, storage: Storage, workdir: Path
    ) -> tuple[str, dict[str, Any]]:
        from airflow_sm_hosting.artifacts.upload import content_key, upload_if_absent

        artifact = self._artifact(given.path, workdir)
        key = content_key(given.key_prefix, "", artifact.sha256)
        hook = self.model_data_hook
        result = upload_if_absent(
            hook.conn,
            artifact,
            bucket=given.bucket_name,
            key=key,
            storage=storage,
            log=self.log,
            expected_bucket_owner=given.bucket_owner,
            check_answer=partial(hook.check_region, f"s3://{given.bucket_name}/{key}"),
        )
        return result.uri, {
            "uploaded": result.uploaded,
            "sha256": artifact.sha256,
            "bytes": result.size,
            "version_id": result.version_id,
        }

    def _upload_files(self, given: UploadModelDataFields, storage: Storage) -> tuple[str, dict[str, Any]]:
        from airflow_sm_hosting.artifacts.prefix import hash_folder, upload_files_if_absent
        from airflow_sm_hosting.artifacts.upload import content_key

        folder = hash_folder(self.path_beside_dag(given.path), self.log)
        prefix = content_key(given.key_prefix, "", folder.sha256, "")
        hook = self.model_data_hook
        result = upload_files_if_absent(
            hook.conn,
            folder,
            bucket=given.bucket_name,
            prefix=prefix,
            storage=storage,
            log=self.log,
            expected_bucket_owner=given.bucket_owner,
            check_answer=partial(hook.check_region, f"s3://{given.bucket_name}/{prefix}/"),
        )
        return result.uri, {
            "uploaded": result.uploaded,
            "sha256": folder.sha256,
            "bytes": folder.size,
            "version_id": None,
            "files": len(folder.files),
        }
