"""Container images, model data, and the container definition that holds both."""

from __future__ import annotations

from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.reference import Reference, kind_of
from airflow_sm_hosting.spec.rules import (
    check_environment,
    check_name,
    check_one_of,
    check_text,
    invalid,
    is_rendered_later,
    present,
)

#: botocore, ecr RepositoryName.
REPOSITORY_PATTERN = r"(?:[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*/)*[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
TAG_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
DIGEST_PATTERN = r"sha256:[0-9a-f]{64}"
BUCKET_PATTERN = r"[a-zA-Z0-9.\-_]{3,255}|arn:aws[a-z\-]*:s3[a-z\-]*:.+"
PLATFORMS = ("linux/amd64", "linux/arm64")


class ContainerImage:
    """Where a container's image comes from: a folder to build, an ECR repository, or an AWS Deep Learning Container."""

    @staticmethod
    def from_asset(
        directory: Any,
        *,
        dockerfile: str = "Dockerfile",
        build_args: dict[str, str] | None = None,
        target: str | None = None,
        platform: str = "linux/amd64",
        labels: dict[str, str] | None = None,
        cache_from: list[str] | None = None,
        repository_name: str | None = None,
    ) -> Reference:
        """Return an image that is to be built from a folder with a Dockerfile.

        ``ModelHostingTaskGroup`` lays out the ``BuildImageOperator`` that builds it; ``CreateModelOperator`` by itself refuses it.

        :param directory: The folder; a relative path is taken from the folder of the DAG file. (templated)
        :param dockerfile: The Dockerfile, relative to the folder (default: ``Dockerfile``).
        :param build_args: Values of the Dockerfile's ``ARG`` instructions.
        :param target: The stage of a multi-stage Dockerfile to build (default: the last).
        :param platform: ``linux/amd64`` (default), or ``linux/arm64`` for Graviton instances.
        :param labels: Labels of the image.
        :param cache_from: Images whose layers may be reused.
        :param repository_name: The ECR repository to push to (default: the task group's).
        :raises InvalidSpecError: When a literal value can never work.
        """
        check_one_of("ContainerImage.from_asset: platform", platform, PLATFORMS)
        if not is_rendered_later(directory) and not str(directory):
            raise invalid("ContainerImage.from_asset: directory", directory, "a folder with a Dockerfile")
        return Reference(
            "ImageAsset",
            Directory=directory if is_rendered_later(directory) else str(directory),
            Dockerfile=dockerfile,
            BuildArgs=build_args,
            Target=target,
            Platform=platform,
            Labels=labels,
            CacheFrom=cache_from,
            RepositoryName=repository_name,
        )

    @staticmethod
    def from_ecr_repository(
        repository_name: Any,
        tag: Any = "latest",
        *,
        digest: Any = None,
        registry_id: Any = None,
        region_name: Any = None,
    ) -> Reference:
        """Return an image of an ECR repository; a tag is resolved to its digest when the model is made.

        :param repository_name: The repository, without the registry's host. (templated)
        :param tag: The tag (default: ``latest``). A tag may move: the digest that it has when the task runs is part of the
            model's name, and is what is sent. (templated)
        :param digest: ``sha256:…``, in place of a tag. (templated)
        :param registry_id: Account of the registry (default: the connection's). (templated)
        :param region_name: Region of the registry (default: the connection's; SageMaker takes images of the model's
            own Region only). (templated)
        :raises InvalidSpecError: When a literal value can never work.
        """
        where = "ContainerImage.from_ecr_repository"
        check_text(
            f"{where}: repository_name",
            repository_name,
            pattern=REPOSITORY_PATTERN,
            max_length=256,
            allowed="an ECR repository's name, lower case, without host and tag",
        )
        if digest is not None:
            check_text(
                f"{where}: digest",
                digest,
                pattern=DIGEST_PATTERN,
                allowed="'sha256:' and 64 lower-case hex digits",
            )
        check_text(
            f"{where}: tag",
            tag,
            pattern=TAG_PATTERN,
            allowed="an image tag of 1 to 128 letters, digits, '.', '_' and '-'; a digest goes into digest=",
        )
        if registry_id is not None:
            check_text(
                f"{where}: registry_id",
                registry_id,
                pattern=r"\d{12}",
                allowed="an account of 12 digits, as a string",
            )
        return Reference(
            "EcrImage",
            RepositoryName=repository_name,
            Tag=None if digest is not None else tag,
            Digest=digest,
            RegistryId=registry_id,
            RegionName=region_name,
        )

    @staticmethod
    def from_dlc(repository_name: Any, tag: Any, *, account_id: Any = None) -> Reference:
        """Return an AWS Deep Learning Container of the model's Region.

        :param repository_name: The repository in AWS's account, e.g. ``pytorch-inference``. (templated)
        :param tag: The tag, e.g. ``2.6.0-cpu-py312-ubuntu22.04-sagemaker``. (templated)
        :param account_id: The registry's account (default: AWS's account in the Region). (templated)
        :raises InvalidSpecError: When a literal value can never work.

        .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/dg-ecr-paths/sagemaker-algo-docker-registry-paths.html
        """
        check_text(
            "ContainerImage.from_dlc: repository_name",
            repository_name,
            pattern=REPOSITORY_PATTERN,
            max_length=256,
            allowed="a repository's name, lower case, without host and tag",
        )
        check_text(
            "ContainerImage.from_dlc: tag",
            tag,
            pattern=TAG_PATTERN,
            allowed="an image tag of 1 to 128 letters, digits, '.', '_' and '-'",
        )
        if account_id is not None:
            check_text(
                "ContainerImage.from_dlc: account_id",
                account_id,
                pattern=r"\d{12}",
                allowed="an account of 12 digits, as a string",
            )
        return Reference("DlcImage", RepositoryName=repository_name, Tag=tag, AccountId=account_id)


class ModelData:
    """Where a model's artifact comes from: a local file or folder, an S3 object, or an S3 prefix."""

    @staticmethod
    def from_asset(path: Any) -> Reference:
        """Return an artifact that is to be uploaded: a ``.tar.gz`` file, or a folder to pack.

        ``ModelHostingTaskGroup`` lays out the ``UploadModelDataOperator``; ``CreateModelOperator`` by itself refuses it.

        :param path: The file or folder; a relative path is taken from the folder of the DAG file. (templated)
        """
        if not is_rendered_later(path) and not str(path):
            raise invalid("ModelData.from_asset: path", path, "a .tar.gz file or a folder")
        return Reference("ModelDataAsset", Path=path if is_rendered_later(path) else str(path))

    @staticmethod
    def from_bucket(bucket_name: Any, object_key: Any) -> Reference:
        """Return the artifact ``s3://bucket/key``, a gzipped tar archive.

        :param bucket_name: The bucket. (templated)
        :param object_key: The object's key, ending ``.tar.gz``. (templated)
        :raises InvalidSpecError: When a literal value can never work.
        """
        check_text(
            "ModelData.from_bucket: bucket_name",
            bucket_name,
            pattern=BUCKET_PATTERN,
            allowed="a bucket's name",
        )
        if not is_rendered_later(object_key) and (
            not isinstance(object_key, str) or not object_key.strip("/") or object_key.startswith("/")
        ):
            raise invalid(
                "ModelData.from_bucket: object_key", object_key, "an object's key, without a leading '/'"
            )
        return Reference("S3Object", Bucket=bucket_name, Key=object_key)

    @staticmethod
    def from_prefix(bucket_name: Any, prefix: Any) -> Reference:
        """Return the uncompressed artifact below ``s3://bucket/prefix/``.

        :param bucket_name: The bucket. (templated)
        :param prefix: The prefix; SageMaker wants it to end with ``/``, which is added where it is missing. (templated)
        :raises InvalidSpecError: When a literal value can never work.
        """
        check_text(
            "ModelData.from_prefix: bucket_name",
            bucket_name,
            pattern=BUCKET_PATTERN,
            allowed="a bucket's name",
        )
        if not is_rendered_later(prefix) and not isinstance(prefix, str):
            raise invalid("ModelData.from_prefix: prefix", prefix, "a string")
        return Reference("S3Prefix", Bucket=bucket_name, Prefix=prefix)


class ContainerDefinition(dict[str, Any]):
    """A container of a model, in the shape of the ``ContainerDefinition`` of CreateModel.

    :param image: The image: a URI, the output of a ``BuildImageOperator``, or a :class:`ContainerImage`. (templated)
    :param model_data: The artifact: an ``s3://`` or ``https://`` URL (one that ends with ``/`` is an uncompressed prefix), the output of
        an ``UploadModelDataOperator``, or a :class:`ModelData` (default: none). (templated)
    :param environment: Environment variables, 100 at most, keys and values of 1024 characters. Shown as ``***`` wherever Airflow
        shows fields; but a literal stands readable in the DAG's source, so let the container read secrets from Secrets
        Manager by an ARN given here. (templated)
    :param container_hostname: DNS name of the container; in a pipeline all containers have one or none. (templated)
    :param mode: ``SingleModel`` (AWS's default) or ``MultiModel``.
    :param members: Further members of the AWS shape as they are, e.g. ``ImageConfig={…}``, ``MultiModelConfig={…}``.
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ContainerDefinition.html
    """

    def __init__(
        self,
        *,
        image: Any,
        model_data: Any = None,
        environment: Any = None,
        container_hostname: Any = None,
        mode: Any = None,
        **members: Any,
    ) -> None:
        check_image("ContainerDefinition: image", image)
        check_model_data("ContainerDefinition: model_data", model_data)
        check_environment("ContainerDefinition: environment", environment)
        if container_hostname is not None:
            check_name("ContainerDefinition: container_hostname", container_hostname)
        if mode is not None:
            check_one_of("ContainerDefinition: mode", mode, ("SingleModel", "MultiModel"))
        check_member_names("ContainerDefinition", members)
        super().__init__(
            present(
                ContainerHostname=container_hostname,
                Image=image,
                Mode=mode,
                ModelDataUrl=model_data,
                Environment=environment,
                **members,
            )
        )


def check_image(where: str, image: Any) -> None:
    """Check what is given as an image."""
    if is_rendered_later(image):
        return
    if isinstance(image, dict):
        if kind_of(image) not in ("ImageAsset", "EcrImage", "DlcImage"):
            raise invalid(where, image, "an image URI, a BuildImageOperator's output, or a ContainerImage")
        return
    check_text(
        where,
        image,
        pattern=r"\S+",
        max_length=255,
        allowed="an image URI of 1 to 255 characters without spaces, a BuildImageOperator's output, or a ContainerImage",
    )


def check_model_data(where: str, model_data: Any) -> None:
    """Check what is given as model data."""
    if model_data is None or is_rendered_later(model_data):
        return
    if isinstance(model_data, dict):
        if kind_of(model_data) not in ("ModelDataAsset", "S3Object", "S3Prefix"):
            raise invalid(
                where,
                model_data,
                "an s3:// or https:// URL, an UploadModelDataOperator's output, or a ModelData",
            )
        return
    check_text(
        where,
        model_data,
        pattern=r"(https|s3)://([^/]+)/?(.*)",
        max_length=1024,
        allowed="an s3:// or https:// URL of 1024 characters at most, an UploadModelDataOperator's output, or a ModelData",
    )


def check_member_names(where: str, members: dict[str, Any]) -> None:
    """Check that further members are spelt as AWS spells them: a snake_case one would be a misspelt parameter."""
    for name in members:
        if not name[:1].isupper():
            raise InvalidSpecError(
                f"{where} has no parameter {name!r}; members of the AWS shape are written as AWS writes them."
            )
