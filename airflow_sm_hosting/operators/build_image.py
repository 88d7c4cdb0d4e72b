"""Build a container image and push it to ECR."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.configuration import conf  # only in airflow.sdk 3.2 and newer

from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.fields import Boolean, Choice, FilePath, ListOf, PathAsText, Structure, Text, optional
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.checks import invalid
from airflow_sm_hosting.spec.container import PLATFORMS
from airflow_sm_hosting.spec.reference_parts import check_image_tag, check_repository
from airflow_sm_hosting.spec.repository_settings import check_principals
from airflow_sm_hosting.spec.secret import HidesValues, hidden_values, hide_values, reveal_environments
from airflow_sm_hosting.spec.tags import OURS

if TYPE_CHECKING:
    from os import PathLike

    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.hooks.ecr import EcrRepositoryHook
    from airflow_sm_hosting.images.builders import Destination, PushedImage
    from airflow_sm_hosting.images.recipe import BuildRecipe, Login

BUILDERS = ("auto", "docker", "buildx", "buildah", "assembler")
#: A value of ``build_contexts`` that is an image and no folder, as of ``docker buildx build --build-context``.
_IMAGE = "docker-image://"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")
#: The tag that identifies a built image by the digest of its sources.
FINGERPRINT_TAG = "sm-hosting-{fingerprint:.32}"


class Named(Structure):
    """Values by names that are parts of options of the builders."""

    def check(self, where: str, value: Any) -> None:
        """Check the names, which are known before the values."""
        if isinstance(value, Mapping):
            for name in value:
                if not isinstance(name, str) or not _NAME.fullmatch(name):
                    raise invalid(f"{where}: the name", name, "letters, digits, and the characters _ . - /")
        super().check(where, value)

    def value(self, where: str, given: Any) -> dict[str, Any]:
        """Return the values; up to here those of secrets are hidden."""
        return super().value(where, reveal_environments(given))


class RepositorySettingsField(Structure):
    """The settings of a repository."""

    def value(self, where: str, given: Any) -> dict[str, Any]:
        """Return the settings, with what was rendered checked."""
        settings = super().value(where, given)
        check_principals(f"{where}: pull_principals", settings.get("pullPrincipals") or ())
        return settings


class BuildImageFields(AwsFields):
    """The parameters of :class:`BuildImageOperator`."""

    directory = FilePath()
    repository_name = Text(check_repository)
    dockerfile = FilePath(default="Dockerfile")
    build_args = Structure(words="a dict of strings", default={})
    target = optional(Text())
    platform = Choice(PLATFORMS, default="linux/amd64")
    labels = Structure(words="a dict of strings", default={})
    cache_from = ListOf()
    cache_to = ListOf()
    secrets = Named(words="a dict of strings", default={})
    build_contexts = Named(words="a dict of folders and images", default={})
    resolve_base = Boolean(default=False, templated=False)
    image_tag = optional(Text(check_image_tag))
    create_repository = Boolean(default=True, templated=False)
    repository_settings = RepositorySettingsField(words="a RepositorySettings", default={})
    builder = Choice(BUILDERS, default="auto", templated=False)


class BuildImageOperator(SageMakerHostingBaseOperator):
    """Build an image from a folder with a Dockerfile and push it to ECR, unless the same image exists.

    Images are compared by the content of the folder (after ``.dockerignore``) and the parameters of the build: the image has
    their digest as a tag, and a rerun that finds the tag builds and pushes nothing. A changed base image is noticed with
    ``resolve_base=True``, or pin it by digest in the Dockerfile. SageMaker refuses OCI manifests; an image pushed with one is pushed again with Docker's.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#buildimageoperator
        AWS: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html

    :param directory: The folder; a relative path starts at the folder of the DAG file. (templated)
    :param repository_name: The ECR repository, without the registry's host. (templated)
    :param dockerfile: The Dockerfile, relative to the folder (default: ``Dockerfile``). (templated)
    :param build_args: Values of the Dockerfile's ``ARG`` instructions; shown as they are, so no place for secrets. (templated)
    :param target: The stage of a multi-stage Dockerfile to build (default: the last). (templated)
    :param platform: ``linux/amd64`` (default), or ``linux/arm64`` for Graviton instances. (templated)
    :param labels: Labels of the image. (templated)
    :param cache_from: Images whose layers may be reused. (templated)
    :param cache_to: Images in whose registries the layers are kept, for the ``cache_from`` of other workers: one reference each, of a
        repository that exists. (templated)
    :param secrets: Values by the ids by which ``RUN --mount=type=secret,id=…`` mounts them; in no layer, argument or log. A literal stands
        readable in the DAG's source: give a template such as ``{{ conn.pypi.password }}``. Their values do not count for the rerun, their
        ids do. Needs ``buildx`` or ``buildah``. (templated)
    :param build_contexts: Folders, or ``docker-image://…`` references, by the names that ``FROM`` and ``COPY --from`` of the Dockerfile
        use; a relative path starts at the folder of the DAG file. Needs ``buildx`` or ``buildah``. (templated)
    :param resolve_base: Whether a base image whose tag has moved makes another image: one call to its registry for each (default: False).
    :param image_tag: A tag for the image in addition to ours (default: none). (templated)
    :param create_repository: Whether to create the repository when it does not exist (default: True).
    :param repository_settings: Scanning, immutability, encryption, life cycle and readers of the repository, as
        :class:`RepositorySettings`; with ``create_repository=True`` only (default: a new repository has AWS's own settings). (templated)
    :param builder: ``docker`` (the Docker Engine; with BuildKit where the engine prefers it, or the Dockerfile needs it), ``buildx``
        (``docker buildx``), ``buildah`` (no daemon), ``assembler`` (no engine: Dockerfiles without RUN), or ``auto`` (the first of these
        that works on the worker and can do what the build needs); default: ``[sm_hosting] image_builder`` of Airflow's configuration, else ``auto``.
    :raises InvalidSpecError: When the folder or the Dockerfile does not exist, or a value can never work.
    :raises ImageBuildError: When the image cannot be built or pushed.
    :raises NotFoundError: When the repository does not exist and ``create_repository`` is False.
    :raises ConflictError: When the repository has another encryption than ``repository_settings``.
    :return: The image's URI, pinned by digest: ``…/repository@sha256:…``.
    """

    fields = BuildImageFields
    template_fields: Sequence[str] = BuildImageFields.template_fields()
    template_fields_renderers: ClassVar[dict[str, str]] = BuildImageFields.template_fields_renderers()

    directory = PathAsText()
    dockerfile = PathAsText()
    secrets = HidesValues()

    def __init__(
        self,
        *,
        directory: str | PathLike[str] | Late,
        repository_name: Late,
        dockerfile: str | PathLike[str] | Late = "Dockerfile",
        build_args: Mapping[str, Any] | Late | None = None,
        target: Late | None = None,
        platform: Literal["linux/amd64", "linux/arm64"] | Late = "linux/amd64",
        labels: Mapping[str, Any] | Late | None = None,
        cache_from: Sequence[Any] | Late | None = None,
        cache_to: Sequence[Any] | Late | None = None,
        secrets: Mapping[str, Any] | Late | None = None,
        build_contexts: Mapping[str, Any] | Late | None = None,
        resolve_base: bool = False,
        image_tag: Late | None = None,
        create_repository: bool = True,
        repository_settings: Mapping[str, Any] | Late | None = None,
        builder: Literal["auto", "docker", "buildx", "buildah", "assembler"] | str = conf.get(
            "sm_hosting", "image_builder", fallback="auto"
        ),
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.directory = directory
        self.repository_name = repository_name
        self.dockerfile = dockerfile
        self.build_args = build_args
        self.target = target
        self.platform = platform
        self.labels = labels
        self.cache_from = cache_from
        self.cache_to = cache_to
        self.secrets = hide_values(secrets)
        self.build_contexts = build_contexts
        self.resolve_base = resolve_base
        self.image_tag = image_tag
        self.create_repository = create_repository
        self.repository_settings = repository_settings
        self.builder = builder

    def hidden_values(self) -> set[str]:
        """Return the values of the secrets."""
        return hidden_values(self.secrets)

    def execute(self, context: Context) -> str:
        """Look up the image of this content; build and push it if it does not exist."""
        from airflow_sm_hosting.images.manifests import docker_tag

        given = BuildImageFields.of(self)
        recipe = self._recipe(given)
        repository, wanted_tag = given.repository_name, given.image_tag

        hook = self.ecr_hook()
        if given.create_repository:
            uri = hook.ensure_repository(repository, OURS, given.repository_settings)
        else:
            uri = hook.repository_uri(repository)
        if given.resolve_base:
            recipe = self._with_bases(hook, recipe, uri)
        tag = FINGERPRINT_TAG.format(fingerprint=recipe.fingerprint())
        # With immutable tags, the manifest that SageMaker takes has a tag of its own.
        found = hook.image(repository, docker_tag(tag), tag)
        built = found is None
        if found is None:
            digest = self._build(hook, recipe, uri, tag, builder=given.builder).digest
        else:
            self.log.info("%s already has an image with this content; nothing to build", uri)
            digest = self._settled(hook, recipe, uri, tag, found)
        if wanted_tag and hook.image_digest(repository, wanted_tag) != digest:
            image = hook.image_of_digest(repository, digest)
            if image is None:
                raise ImageBuildError(f"{uri}@{digest} was pushed, but cannot be found in ECR.")
            hook.tag_image(repository, image, wanted_tag)
        tags = [tag, *([wanted_tag] if wanted_tag else [])]
        self.push_details(context, {"built": built, "digest": digest, "repository_uri": uri, "tags": tags})
        return f"{uri}@{digest}"

    def _recipe(self, given: BuildImageFields) -> BuildRecipe:
        from airflow_sm_hosting.images.context import BuildContext
        from airflow_sm_hosting.images.recipe import BuildRecipe

        cache = self.stat_cache()
        return BuildRecipe(
            context=BuildContext(
                self.path_beside_dag(given.directory), dockerfile=given.dockerfile, cache=cache
            ),
            build_args={str(key): str(value) for key, value in given.build_args.items()},
            target=given.target,
            platform=given.platform,
            labels={str(key): str(value) for key, value in given.labels.items()},
            cache_from=tuple(given.cache_from),
            cache_to=tuple(given.cache_to),
            secrets={str(key): str(value) for key, value in given.secrets.items()},
            build_contexts={
                name: place.removeprefix(_IMAGE)
                if str(place).startswith(_IMAGE)
                else BuildContext(self.path_beside_dag(str(place)), dockerfile=None, cache=cache)
                for name, place in given.build_contexts.items()
            },
        )

    def _with_bases(self, hook: EcrRepositoryHook, recipe: BuildRecipe, uri: str) -> BuildRecipe:
        """Return a build with the current digests of its bases."""
        from airflow_sm_hosting.images.bases import resolve_bases

        recipe = replace(recipe, logins=self._logins(recipe, self._destination(hook, uri, "")))
        return replace(recipe, bases=resolve_bases(recipe, self.log))

    def _settled(
        self, hook: EcrRepositoryHook, recipe: BuildRecipe, uri: str, tag: str, found: Mapping[str, Any]
    ) -> str:
        """Return the digest of the existing image, with a manifest that SageMaker accepts.

        The tag may name a manifest that SageMaker refuses: after a kill between push and conversion, or with immutable tags.
        """
        from airflow_sm_hosting.images.builders import settle_manifest
        from airflow_sm_hosting.images.manifests import DOCKER_MANIFEST

        digest = str(found["imageId"]["imageDigest"])
        if found.get("imageManifestMediaType", DOCKER_MANIFEST) == DOCKER_MANIFEST:
            return digest
        destination = self._destination(hook, uri, tag)
        with destination.registry() as registry:
            return settle_manifest(
                registry, destination, digest, platform=recipe.platform, log=self.log
            ).digest

    @staticmethod
    def _destination(hook: EcrRepositoryHook, uri: str, tag: str) -> Destination:
        from airflow_sm_hosting.images.builders import Destination

        credentials = hook.get_temporary_credentials()[0]
        return Destination(
            repository_uri=uri, tag=tag, username=credentials.username, password=credentials.password
        )

    def _logins(self, recipe: BuildRecipe, destination: Destination) -> dict[str, Login]:
        """Return the credentials of the registries of ECR that the build uses, and of the destination."""
        from botocore.exceptions import ClientError

        from airflow_sm_hosting.deployer.references import ECR_HOST
        from airflow_sm_hosting.images.recipe import Login

        logins: dict[str, Login] = {}
        for host in recipe.registries():
            if host == destination.host:
                logins[host] = Login(destination.username, destination.password)
            elif ecr := ECR_HOST.fullmatch(host):
                region = ecr["region"] or ecr["dual_stack_region"]
                try:
                    found = self.ecr_hook(region).get_temporary_credentials()[0]
                except ClientError as error:
                    # The engine may have the image, or credentials of its own.
                    self.log.info("There are no credentials for %s: %s", host, error)
                    continue
                logins[host] = Login(found.username, found.password)
        return logins

    def _build(
        self, hook: EcrRepositoryHook, recipe: BuildRecipe, uri: str, tag: str, *, builder: str
    ) -> PushedImage:
        from airflow_sm_hosting.images.builder_selection import select_builder

        destination = self._destination(hook, uri, tag)
        recipe = replace(recipe, logins=self._logins(recipe, destination))
        for script in recipe.context.scripts_with_carriage_return:
            self.log.warning(
                "The first line of %s ends with a carriage return (Windows line ends, CRLF): a container cannot run it ('no such file or "
                "directory'). Save it with LF, e.g. with a .gitattributes file that says '* text eol=lf'",
                script,
            )
        return select_builder(builder, recipe, log=self.log).build_and_push(recipe, destination, self.log)
