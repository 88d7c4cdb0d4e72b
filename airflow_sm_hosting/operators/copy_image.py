"""Copy a container image to a repository of ECR in another account or Region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.fields import Boolean, Choice, Text, optional
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.operators.build_image import (
    FINGERPRINT_TAG,
    RepositorySettingsField,
    check_repository_request,
)
from airflow_sm_hosting.spec.checks import check_text
from airflow_sm_hosting.spec.container import PLATFORMS
from airflow_sm_hosting.spec.reference_parts import check_image_tag, check_repository
from airflow_sm_hosting.spec.tags import OURS

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.hooks.ecr import EcrRepositoryHook
    from airflow_sm_hosting.images.builders import Destination
    from airflow_sm_hosting.images.registry import RegistryClient


def _check_image(where: str, value: Any) -> None:
    check_text(
        where,
        value,
        pattern=r"\S+",
        max_length=1024,
        allowed="the URI of an image: <registry>/<repository>@sha256:…, or with a tag",
    )


class CopyImageFields(AwsFields):
    """The parameters of :class:`CopyImageOperator`."""

    image = Text(_check_image)
    repository_name = Text(check_repository)
    platform = Choice(PLATFORMS, default="linux/amd64")
    image_tag = optional(Text(check_image_tag))
    create_repository = Boolean(default=True, templated=False)
    repository_settings = RepositorySettingsField(words="a RepositorySettings", default={})
    source_aws_conn_id = optional(Text())


class CopyImageOperator(SageMakerHostingBaseOperator):
    """Copy an image to a repository of ECR in the task's account and Region, registry to registry, unless it is there.

    SageMaker takes an image from its own Region only. The copy has the digest of the original, unless that is a list of manifests of several
    platforms, or has a manifest that SageMaker rejects; then it has a Docker manifest, and a digest of its own.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#copyimageoperator
        AWS: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ContainerDefinition.html

    :param image: The image: a URI by digest, as :class:`BuildImageOperator` returns it, or by tag; in ECR or any other registry. (templated)
    :param repository_name: The ECR repository to copy to, without the registry's host. (templated)
    :param platform: Which image of a list of manifests: ``linux/amd64`` (default) or ``linux/arm64``. (templated)
    :param image_tag: A tag for the copy in addition to ours (default: none). (templated)
    :param create_repository: Whether to create the repository when it does not exist (default: True).
    :param repository_settings: Its settings, as :class:`RepositorySettings` (default: AWS's own). (templated)
    :param source_aws_conn_id: The connection that may pull from the registry of ECR that has the image (default: the task's own, whose
        account the repository's policy must then allow). (templated)
    :raises ImageBuildError: When a registry refuses, or SageMaker could never take the image.
    :raises NotFoundError: When the repository does not exist and ``create_repository`` is False.
    :return: The copy's URI, pinned by digest: ``…/repository@sha256:…``.
    """

    fields = CopyImageFields
    template_fields: Sequence[str] = CopyImageFields.template_fields()
    template_fields_renderers: ClassVar[dict[str, str]] = CopyImageFields.template_fields_renderers()

    def __init__(
        self,
        *,
        image: Late,
        repository_name: Late,
        platform: Literal["linux/amd64", "linux/arm64"] | Late = "linux/amd64",
        image_tag: Late | None = None,
        create_repository: bool = True,
        repository_settings: Mapping[str, Any] | Late | None = None,
        source_aws_conn_id: Late | None = None,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.image = image
        self.repository_name = repository_name
        self.platform = platform
        self.image_tag = image_tag
        self.create_repository = create_repository
        self.repository_settings = repository_settings
        self.source_aws_conn_id = source_aws_conn_id

    def execute(self, context: Context) -> str:
        """Look for the image in the repository; copy it if it is not there."""
        from airflow_sm_hosting.images.copying import copy_image, read_manifest
        from airflow_sm_hosting.images.manifests import DOCKER_MANIFEST, digest_of
        from airflow_sm_hosting.images.registry import parse_image_name

        given = CopyImageFields.of(self)
        host, repository, reference = parse_image_name(given.image)
        check_repository_request(given.repository_name, given.repository_settings)
        hook = self.ecr_hook()
        if given.create_repository:
            uri = hook.ensure_repository(given.repository_name, OURS, given.repository_settings)
        else:
            uri = hook.repository_uri(given.repository_name)
        copied, sent, digest = False, 0, reference
        image = hook.image_of_digest(given.repository_name, digest) if digest.startswith("sha256:") else None
        # A list of manifests, or another type than Docker's, may be there by other hands: SageMaker does not take it.
        if image is None or image.get("imageManifestMediaType", DOCKER_MANIFEST) != DOCKER_MANIFEST:
            with self._source(host, uri, given.source_aws_conn_id) as source:
                content = read_manifest(source, repository, reference, platform=given.platform, log=self.log)
                digest = digest_of(content)
                image = hook.image_of_digest(given.repository_name, digest)
                if image is None:
                    destination = self._destination(hook, uri, digest)
                    sent = copy_image(source, repository, content, destination, log=self.log)
                    copied = True
        if not copied:
            self.log.info("%s already has %s; nothing to copy", uri, digest)
        if given.image_tag and hook.image_digest(given.repository_name, given.image_tag) != digest:
            image = image or hook.image_of_digest(given.repository_name, digest)
            if image is None:
                raise ImageBuildError(f"{uri}@{digest} was copied, but cannot be found in ECR.")
            hook.tag_image(given.repository_name, image, given.image_tag)
        self.push_details(context, {"copied": copied, "digest": digest, "bytes": sent, "repository_uri": uri})
        return f"{uri}@{digest}"

    @staticmethod
    def _destination(hook: EcrRepositoryHook, uri: str, digest: str) -> Destination:
        """Return the destination; the copy gets a tag, as many a life cycle deletes an image without one."""
        from airflow_sm_hosting.images.builders import Destination

        tag = FINGERPRINT_TAG.format(fingerprint=digest.removeprefix("sha256:"))
        credentials = hook.get_temporary_credentials()[0]
        return Destination(uri, tag, credentials.username, credentials.password)

    def _source(self, host: str, uri: str, aws_conn_id: str | None) -> RegistryClient:
        """Return a client of the registry that has the image.

        Of ECR with the credentials of the connection, of another one with those by which somebody has logged the worker in, if any. A
        registry on this machine is that of a local AWS; the task's own, or another one's for which a connection is given.
        """
        from airflow_sm_hosting.deployer.references import ECR_HOST
        from airflow_sm_hosting.images.bases import registry_of_worker
        from airflow_sm_hosting.images.registry import RegistryClient, is_loopback

        ecr = ECR_HOST.fullmatch(host)
        is_local = host == uri.partition("/")[0] or (aws_conn_id is not None and is_loopback(host))
        if ecr is None and not is_local:
            return registry_of_worker(host)
        region = (ecr["region"] or ecr["dual_stack_region"]) if ecr else None
        credentials = self.ecr_hook(region, aws_conn_id).get_temporary_credentials()[0]
        return RegistryClient(host, username=credentials.username, password=credentials.password)
