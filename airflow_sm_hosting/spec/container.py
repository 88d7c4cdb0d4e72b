"""Container images, model data, and the container definition with both."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any, Literal, TypeAlias

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.checks import (
    Problems,
    check_boolean,
    check_environment,
    check_name,
    check_one_of,
    check_structure,
    check_text,
    invalid,
    is_rendered_later,
)
from airflow_sm_hosting.spec.described_shape import check_described
from airflow_sm_hosting.spec.members import check_given_once, check_member_names, check_members, check_plain
from airflow_sm_hosting.spec.model_package import check_model_package
from airflow_sm_hosting.spec.reference import Reference, kind_of, present
from airflow_sm_hosting.spec.reference_parts import (
    check_bucket_of_url,
    check_repository,
    check_tag_or_digest,
    checked_reference,
)
from airflow_sm_hosting.spec.templated import RenderedLater, TemplatedDict, TemplatedStr

Platform: TypeAlias = Literal["linux/amd64", "linux/arm64"]
PLATFORMS = ("linux/amd64", "linux/arm64")
Mode: TypeAlias = Literal["SingleModel", "MultiModel"]
MODES = ("SingleModel", "MultiModel")  # ContainerDefinition, Mode
MAX_ADDITIONAL_DATA_SOURCES = 5  # ContainerDefinition, AdditionalModelDataSources


class ContainerImage:
    """The source of a container's image: a folder to build, an ECR repository, or an AWS Deep Learning Container."""

    @staticmethod
    def from_asset(
        directory: TemplatedStr | PathLike[str],
        *,
        dockerfile: str = "Dockerfile",
        build_args: dict[str, str] | None = None,
        target: str | None = None,
        platform: Platform = "linux/amd64",
        labels: dict[str, str] | None = None,
        cache_from: list[str] | None = None,
        cache_to: list[str] | None = None,
        build_contexts: dict[str, str] | None = None,
        repository_name: str | None = None,
    ) -> Reference:
        """Return an image to build from a folder with a Dockerfile.

        ``ModelHostingTaskGroup`` lays out the ``BuildImageOperator`` that builds it; ``CreateModelOperator`` by itself refuses it.

        :param directory: The folder; a relative path is taken from the folder of the DAG file. (templated)
        :param dockerfile: The Dockerfile, relative to the folder (default: ``Dockerfile``).
        :param build_args: Values of the Dockerfile's ``ARG`` instructions.
        :param target: The stage of a multi-stage Dockerfile to build (default: the last).
        :param platform: ``linux/amd64`` (default), or ``linux/arm64`` for Graviton instances.
        :param labels: Labels of the image.
        :param cache_from: Images whose layers may be reused.
        :param cache_to: Images in whose registries the layers are kept, for the ``cache_from`` of other workers.
        :param build_contexts: Folders, or ``docker-image://…`` references, by the names that the Dockerfile uses.
        :param repository_name: The ECR repository to push to (default: the task group's).
        :raises InvalidSpecError: When a literal value can never work.
        """
        check_one_of("ContainerImage.from_asset: platform", platform, PLATFORMS)
        if not is_rendered_later(directory) and not str(directory):
            raise invalid("ContainerImage.from_asset: directory", directory, "a folder with a Dockerfile")
        if repository_name is not None:
            check_repository("ContainerImage.from_asset: repository_name", repository_name)
        return Reference(
            "ImageAsset",
            Directory=directory if is_rendered_later(directory) else str(directory),
            Dockerfile=dockerfile,
            BuildArgs=build_args,
            Target=target,
            Platform=platform,
            Labels=labels,
            CacheFrom=cache_from,
            CacheTo=cache_to,
            BuildContexts=build_contexts,
            RepositoryName=repository_name,
        )

    @staticmethod
    def from_ecr_repository(
        repository_name: TemplatedStr,
        tag: TemplatedStr = "latest",
        *,
        digest: TemplatedStr | None = None,
        registry_id: TemplatedStr | None = None,
        region_name: TemplatedStr | None = None,
    ) -> Reference:
        """Return an image of an ECR repository; a tag is resolved to its digest when the model is made.

        :param repository_name: The repository, without the registry's host. (templated)
        :param tag: The tag (default: ``latest``). A tag may move: the request contains the digest that the tag has when
            the task runs, and this digest is part of the model's name. (templated)
        :param digest: ``sha256:…``, in place of a tag. (templated)
        :param registry_id: Account of the registry (default: the connection's). (templated)
        :param region_name: Region of the registry (default: the connection's). SageMaker wants the image in the model's own Region
            (ContainerDefinition documentation); another one is a warning when the task runs. (templated)
        :raises InvalidSpecError: When a literal value can never work.

        .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ContainerDefinition.html
        """
        check_tag_or_digest("ContainerImage.from_ecr_repository: tag", tag)
        return checked_reference(
            Reference(
                "EcrImage",
                RepositoryName=repository_name,
                Tag=None if digest is not None else tag,
                Digest=digest,
                RegistryId=registry_id,
                RegionName=region_name,
            )
        )

    @staticmethod
    def from_dlc(
        repository_name: TemplatedStr, tag: TemplatedStr, *, account_id: TemplatedStr | None = None
    ) -> Reference:
        """Return an AWS Deep Learning Container of the model's Region.

        :param repository_name: The repository in AWS's account, e.g. ``pytorch-inference``. (templated)
        :param tag: The tag, e.g. ``2.6.0-cpu-py312-ubuntu22.04-sagemaker``. (templated)
        :param account_id: The registry's account (default: AWS's account in the Region). (templated)
        :raises InvalidSpecError: When a literal value can never work.

        .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/dg-ecr-paths/sagemaker-algo-docker-registry-paths.html
        """
        return checked_reference(
            Reference("DlcImage", RepositoryName=repository_name, Tag=tag, AccountId=account_id)
        )


class ModelData:
    """The source of a model's artifact: a local file or folder, an S3 object, or an S3 prefix."""

    @staticmethod
    def from_asset(path: TemplatedStr | PathLike[str], *, uncompressed: bool = False) -> Reference:
        """Return an artifact to upload: a ``.tar.gz`` file, or a folder to pack or to upload as it is.

        ``ModelHostingTaskGroup`` lays out the ``UploadModelDataOperator``; ``CreateModelOperator`` by itself refuses it.

        :param path: The file or folder; a relative path is taken from the folder of the DAG file. (templated)
        :param uncompressed: Whether the folder's files are uploaded as they are, for large models (default: False).
        """
        if not is_rendered_later(path) and not str(path):
            raise invalid("ModelData.from_asset: path", path, "a .tar.gz file or a folder")
        check_boolean("ModelData.from_asset: uncompressed", uncompressed)
        form = {"Uncompressed": True} if uncompressed else {}
        return Reference("ModelDataAsset", Path=path if is_rendered_later(path) else str(path), **form)

    @staticmethod
    def from_bucket(bucket_name: TemplatedStr, object_key: TemplatedStr) -> Reference:
        """Return the artifact ``s3://bucket/key``, a gzipped tar archive.

        :param bucket_name: The bucket. (templated)
        :param object_key: The object's key; AWS documents one that ends with ``.tar.gz``. (templated)
        :raises InvalidSpecError: When a literal value can never work.
        """
        return checked_reference(Reference("S3Object", Bucket=bucket_name, Key=object_key))

    @staticmethod
    def from_prefix(bucket_name: TemplatedStr, prefix: TemplatedStr) -> Reference:
        """Return the uncompressed artifact below ``s3://bucket/prefix/``.

        :param bucket_name: The bucket. (templated)
        :param prefix: The prefix; SageMaker wants it to end with ``/``, which is added where it is missing. (templated)
        :raises InvalidSpecError: When a literal value can never work.
        """
        return checked_reference(Reference("S3Prefix", Bucket=bucket_name, Prefix=prefix))


class ContainerDefinition(dict[str, Any]):
    """A container of a model, in the shape of the ``ContainerDefinition`` of CreateModel.

    :param image: The image: a URI, the output of a ``BuildImageOperator``, or a :class:`ContainerImage`; None only with
        ``model_package``. (templated)
    :param model_data: The artifact: an ``s3://`` or ``https://`` URL of S3 (one that ends with ``/`` is an uncompressed prefix, or with
        ``mode="MultiModel"`` the prefix of the archives), the output of an ``UploadModelDataOperator``, a :class:`ModelData`, or a dict in
        the shape of ``ModelDataSource`` (default: none). (templated)
    :param model_package: A model package in place of image and model data: a :class:`~airflow_sm_hosting.ModelPackage`, which is resolved
        to its ARN before the model is named; or a name or an ARN, which is sent unchanged. ``InferenceSpecificationName="…"`` selects one
        of its additional specifications. (templated)
    :param environment: Environment variables, 100 at most, keys and values of 1024 characters. Shown as ``***`` wherever Airflow
        shows fields; but a literal stands readable in the DAG's source, so let the container read secrets from Secrets
        Manager by an ARN given here. (templated)
    :param container_hostname: DNS name of the container; in a pipeline all containers have one or none. (templated)
    :param mode: ``SingleModel`` (AWS's default) or ``MultiModel``.
    :param multi_model: A :class:`~airflow_sm_hosting.MultiModel`, for ``mode="MultiModel"``, which then is the default (default: none). (templated)
    :param image_access: An :class:`~airflow_sm_hosting.ImageAccess`, for a registry in the VPC (default: Amazon ECR). (templated)
    :param members: Further members of the AWS shape as they are: ``AdditionalModelDataSources=[…]`` (5 at most),
        ``ContainerMetricsConfig={…}``, and whatever AWS adds; ``ImageConfig`` and ``MultiModelConfig`` are accepted, too.
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ContainerDefinition.html
    """

    def __init__(
        self,
        *,
        image: Reference | TemplatedStr | None = None,
        model_data: TemplatedStr | TemplatedDict | None = None,
        model_package: Reference | TemplatedStr | None = None,
        environment: Mapping[str, TemplatedStr | int | float | bool] | RenderedLater | None = None,
        container_hostname: TemplatedStr | None = None,
        mode: Mode | None = None,
        multi_model: TemplatedDict | None = None,
        image_access: TemplatedDict | None = None,
        **members: Any,
    ) -> None:
        where, problems = "ContainerDefinition", Problems()
        named = present(MultiModelConfig=multi_model, ImageConfig=image_access)
        if members:
            with problems:
                check_member_names(where, members, CONTAINER_PARAMETERS, either=CONTAINER_EITHER_SPELLING)
                check_members(where, members, "ContainerDefinition", CONTAINER_PARAMETERS)
            with problems:
                check_given_once(where, members, named, CONTAINER_EITHER_SPELLING)
        for member, value in named.items():
            with problems:
                check_plain(f"{where}: {CONTAINER_EITHER_SPELLING[member]}", value, member)
        if model_package is not None and "ModelPackageName" in members:
            with problems:
                raise InvalidSpecError(
                    f"{where} has model_package and ModelPackageName; allowed: one of them."
                )
        if image is not None or (model_package is None and "ModelPackageName" not in members):
            with problems:
                check_image(f"{where}: image", image)
        with problems:
            check_model_data(f"{where}: model_data", model_data)
            check_plain(f"{where}: model_data", model_data, "ModelDataSource")
        with problems:
            check_environment(f"{where}: environment", environment)
        if container_hostname is not None:
            with problems:
                check_name(f"{where}: container_hostname", container_hostname)
        if mode is not None:
            with problems:
                check_one_of(f"{where}: mode", mode, MODES)
        in_aws_shape = isinstance(model_data, dict) and kind_of(model_data) is None
        if in_aws_shape and "ModelDataSource" in members:
            with problems:
                raise InvalidSpecError(f"{where} has model_data and ModelDataSource; allowed: one of them.")
        problems.tell()
        container = present(
            ContainerHostname=container_hostname,
            Image=image,
            Mode=mode or (None if multi_model is None else "MultiModel"),
            ModelDataUrl=None if in_aws_shape else model_data,
            ModelDataSource=model_data if in_aws_shape else None,
            ModelPackageName=model_package,
            Environment=environment,
        )
        container |= {**named, **members}
        check_container_members(where, container)
        super().__init__(container)


#: Members that have a parameter, and may be given in AWS's spelling, too, as they could before they had one.
CONTAINER_EITHER_SPELLING = {"MultiModelConfig": "multi_model", "ImageConfig": "image_access"}
#: Members of ContainerDefinition that have a parameter.
CONTAINER_PARAMETERS = {
    "ContainerHostname": "container_hostname",
    "Image": "image",
    "Mode": "mode",
    "ModelDataUrl": "model_data",
    "Environment": "environment",
}


def check_container_members(where: str, container: dict[str, Any]) -> None:
    """Check the rules between the members of a container, and members that have no parameter of ours.

    :raises InvalidSpecError: When AWS would refuse it (ContainerDefinition documentation).
    """
    mode, source = container.get("Mode"), container.get("ModelDataSource")
    if mode is not None:
        check_one_of(f"{where}: Mode", mode, MODES)
    if container.get("ContainerHostname") is not None:
        check_name(f"{where}: ContainerHostname", container["ContainerHostname"])
    _check_package_members(where, container)
    if source is not None and container.get("ModelDataUrl") is not None:
        raise InvalidSpecError(f"{where} has both ModelDataUrl and ModelDataSource; allowed: one of them.")
    if source is not None and mode == "MultiModel":
        raise InvalidSpecError(
            f"{where} has ModelDataSource and Mode 'MultiModel'; allowed: model_data='s3://bucket/prefix/' with MultiModel."
        )
    check_data_source(f"{where}: ModelDataSource", source)
    for member in ("ImageConfig", "MultiModelConfig"):
        check_described(f"{where}: {member}", container.get(member), member)
    if container.get("MultiModelConfig") is not None and mode == "SingleModel":
        # botocore, MultiModelConfig: "for hosting multi-model endpoints"; that AWS refuses it for other containers is assumed.
        raise InvalidSpecError(
            f"{where} has multi_model (MultiModelConfig) and mode (Mode) 'SingleModel'; allowed: only with 'MultiModel'."
        )
    additional = container.get("AdditionalModelDataSources")
    if additional is None or is_rendered_later(additional):
        return
    if not isinstance(additional, list | tuple) or len(additional) > MAX_ADDITIONAL_DATA_SOURCES:
        raise InvalidSpecError(
            f"{where}: AdditionalModelDataSources is a {type(additional).__name__}"
            + (f" of {len(additional)}" if isinstance(additional, list | tuple) else "")
            + f"; allowed: a list of {MAX_ADDITIONAL_DATA_SOURCES} AdditionalModelDataSource at most."
        )
    for index, one in enumerate(additional):
        check_data_source(f"{where}: AdditionalModelDataSources[{index}]", one)


def _check_package_members(where: str, container: dict[str, Any]) -> None:
    """Check what may stand beside a model package.

    A package has its own image and model data: "Specify one of either Image and Model Data URL or ModelPackageName in container definition"
    (recorded:model-package-and-image). API_ContainerDefinition.html: an inference specification is "in the model package version".
    """
    package = container.get("ModelPackageName")
    if package is None:
        if container.get("InferenceSpecificationName") is not None:
            raise InvalidSpecError(
                f"{where} has InferenceSpecificationName and no model package; allowed: with model_package (ModelPackageName)."
            )
        return
    check_model_package(f"{where}: model_package", package)
    beside = [
        name
        for member, name in (
            ("Image", "image"),
            ("ModelDataUrl", "model_data"),
            ("ModelDataSource", "ModelDataSource"),
        )
        if container.get(member) is not None
    ]
    if beside:
        raise InvalidSpecError(
            f"{where} has model_package and {' and '.join(beside)}; allowed: a model package alone, which has its own image and model "
            "data, or image and model_data."
        )


def check_data_source(where: str, source: Any) -> None:
    """Check a ``ModelDataSource``, or the part of an ``AdditionalModelDataSource`` that is like one.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3ModelDataSource.html
    """
    check_structure(where, source)
    if source is None or is_rendered_later(source):
        return
    place = source.get("S3DataSource")
    check_structure(f"{where}.S3DataSource", place)
    if not isinstance(place, dict):
        return
    uri, data_type = place.get("S3Uri"), place.get("S3DataType")
    if uri is not None:
        check_url(f"{where}.S3DataSource.S3Uri", uri)
    if is_rendered_later(uri) or is_rendered_later(data_type) or not isinstance(uri, str):
        return
    if data_type == "S3Prefix" and not uri.endswith("/"):
        raise invalid(
            f"{where}.S3DataSource.S3Uri", uri, "with S3DataType 'S3Prefix' a prefix that ends with '/'"
        )
    if data_type == "S3Prefix" and place.get("CompressionType") == "Gzip":
        raise invalid(
            f"{where}.S3DataSource.CompressionType", "Gzip", "with S3DataType 'S3Prefix' only 'None'"
        )


def check_image(where: str, image: Any) -> None:
    """Check the value of an image."""
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
    """Check the value of model data."""
    if model_data is None or is_rendered_later(model_data):
        return
    if isinstance(model_data, dict):
        in_aws_shape = kind_of(model_data) is None and "S3DataSource" in model_data
        if kind_of(model_data) not in ("ModelDataAsset", "S3Object", "S3Prefix") and not in_aws_shape:
            raise invalid(where, model_data, MODEL_DATA_IN_WORDS)
        return
    check_url(where, model_data)


MODEL_DATA_IN_WORDS = "an s3:// or https:// URL of 1024 characters at most, an UploadModelDataOperator's output, a ModelData, or a ModelDataSource"


def check_url(where: str, url: Any) -> None:
    """Check the URL of model data (botocore, Url); its query is hidden, as it may be the signature of a presigned URL."""
    if isinstance(url, str) and url.startswith("https://") and "?" in url and not is_rendered_later(url):
        raise invalid(
            where,
            f"{url.partition('?')[0]}?***",
            "a URL without a query string: SageMaker reads the object with the model's role",
        )
    check_text(
        where, url, pattern=r"(https|s3)://([^/]+)/?(.*)", max_length=1024, allowed=MODEL_DATA_IN_WORDS
    )
    if isinstance(url, str) and url.startswith("s3://") and not is_rendered_later(url):
        check_bucket_of_url(f"{where}: the bucket", url.removeprefix("s3://").partition("/")[0])
