"""Build a container image and push it to ECR."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.configuration import conf  # only in airflow.sdk 3.2 and newer

from airflow_sm_hosting.exceptions import ImageBuildError, InvalidSpecError
from airflow_sm_hosting.fields import (
    Boolean,
    Choice,
    FilePath,
    ListOf,
    PathAsText,
    Seconds,
    Structure,
    Text,
    optional,
)
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.links import RepositoryLink
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.operators.lineage import LineageTask
from airflow_sm_hosting.spec.checks import check_text, invalid, is_rendered_later
from airflow_sm_hosting.spec.codebuild import LONGEST_TIMEOUT, REQUIRED, SHORTEST_TIMEOUT, check_codebuild
from airflow_sm_hosting.spec.container import PLATFORMS
from airflow_sm_hosting.spec.reference_parts import check_image_tag, check_repository
from airflow_sm_hosting.spec.rendered import as_seconds, is_absent
from airflow_sm_hosting.spec.repository_settings import check_settings
from airflow_sm_hosting.spec.secret import HidesValues, hidden_values, hide_values, reveal_environments
from airflow_sm_hosting.spec.tags import OURS

if TYPE_CHECKING:
    from datetime import timedelta
    from os import PathLike

    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.hooks.ecr import EcrRepositoryHook
    from airflow_sm_hosting.images.builders import Destination, PushedImage
    from airflow_sm_hosting.images.codebuild.project import BuildPlace
    from airflow_sm_hosting.images.recipe import BuildRecipe, Login
    from airflow_sm_hosting.spec.codebuild import CodeBuildSettings

BUILDERS = ("auto", "docker", "buildx", "buildah", "assembler", "codebuild")
#: A value of ``build_contexts`` that is an image and no folder, as of ``docker buildx build --build-context``.
_IMAGE = "docker-image://"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")
#: Seconds between two looks at a build of CodeBuild.
DEFAULT_POLL_INTERVAL = 15
SHORTEST_POLL_INTERVAL = 0.1
#: The tag that identifies a built image by the digest of its sources.
FINGERPRINT_TAG = "sm-hosting-{fingerprint:.32}"


class Named(Structure):
    """Values by names that are parts of options of the builders."""

    def check(self, where: str, value: Any) -> None:
        """Check the names, which are known before the values."""
        if isinstance(value, Mapping):
            _check_names(where, value)
        super().check(where, value)

    def value(self, where: str, given: Any) -> dict[str, Any]:
        """Return the values; up to here those of secrets are hidden."""
        values = super().value(where, reveal_environments(given))
        _check_names(where, values)
        for name, value in values.items():
            if value is None:
                raise InvalidSpecError(
                    f"{where}[{name!r}] is None; allowed: a string (did the task that it comes from return nothing?)."
                )
        return values


def _check_names(where: str, values: Mapping[Any, Any]) -> None:
    for name in values:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise invalid(f"{where}: the name", name, "letters, digits, and the characters _ . - /")


class Strings(Structure):
    """A dict of strings; numbers and booleans are written as text."""

    def value(self, where: str, given: Any) -> dict[str, Any]:
        """Return the dict."""
        values = super().value(where, given)
        for name, value in values.items():
            if value is None:
                raise InvalidSpecError(
                    f"{where}[{name!r}] is None; allowed: a string (did the task that it comes from return nothing?)."
                )
        return values


def _check_references(where: str, references: Any) -> None:
    """Check the names of caches, which are parts of options of the builders."""
    for index, reference in enumerate(references):
        check_text(
            f"{where}[{index}]",
            reference,
            pattern=r"[^\s,=]+",
            allowed="the reference of an image, without spaces, ',' and '='",
        )


def check_repository_request(repository_name: str, settings: Mapping[str, Any]) -> None:
    """Validate the request that would create a repository, before the first call.

    :raises InvalidSpecError: ``CreateRepository`` would be rejected.
    """
    from airflow_sm_hosting.service_model.request import validated_request

    if settings:
        # These are requests of their own.
        own = ("pullPrincipals", "lifecyclePolicyText")
        members = {name: value for name, value in settings.items() if name not in own}
        validated_request("ecr", "CreateRepository", {"repositoryName": repository_name, **members})


class RepositorySettingsField(Structure):
    """The settings of a repository."""

    def value(self, where: str, given: Any) -> dict[str, Any]:
        """Return the settings, with what was rendered checked."""
        settings = dict(super().value(where, given))
        if isinstance(settings.get("pullPrincipals"), list | tuple):
            # With native rendering, an account is a number.
            settings["pullPrincipals"] = [
                str(one) if isinstance(one, int) else one for one in settings["pullPrincipals"]
            ]
        check_settings(where, settings)
        return settings


class CodeBuildField(Structure):
    """The settings of builds by CodeBuild: :class:`~airflow_sm_hosting.spec.codebuild.CodeBuildSettings`."""

    def check(self, where: str, value: Any) -> None:
        """Check literal settings."""
        if not is_rendered_later(value):
            check_codebuild(where, super().value(where, value))

    def value(self, where: str, given: Any) -> dict[str, Any]:
        """Return the settings that are given, checked."""
        settings = {name: one for name, one in super().value(where, given).items() if not is_absent(one)}
        if "timeout" in settings:
            limits = (SHORTEST_TIMEOUT, LONGEST_TIMEOUT)
            settings["timeout"] = int(as_seconds(f"{where}[timeout]", settings["timeout"], *limits))
        check_codebuild(where, settings)
        return settings


class BuildImageFields(AwsFields):
    """The parameters of :class:`BuildImageOperator`."""

    directory = FilePath()
    repository_name = Text(check_repository)
    dockerfile = FilePath(default="Dockerfile")
    build_args = Strings(words="a dict of strings", default={})
    target = optional(Text())
    platform = Choice(PLATFORMS, default="linux/amd64")
    labels = Strings(words="a dict of strings", default={})
    cache_from = ListOf(check=_check_references)
    cache_to = ListOf(check=_check_references)
    secrets = Named(words="a dict of strings", default={})
    build_contexts = Named(words="a dict of folders and images", default={})
    resolve_base = Boolean(default=False, templated=False)
    image_tag = optional(Text(check_image_tag))
    create_repository = Boolean(default=True, templated=False)
    repository_settings = RepositorySettingsField(words="a RepositorySettings", default={})
    builder = Choice(BUILDERS, default="auto", templated=False)
    codebuild = optional(CodeBuildField(words="a dict with service_role, bucket_name, …"))
    deferrable = Boolean(default=False, templated=False)
    poll_interval = Seconds(low=SHORTEST_POLL_INTERVAL, default=DEFAULT_POLL_INTERVAL)

    def check_together(self, where: str) -> None:
        """Check that a build by CodeBuild has its settings."""
        if self.builder == "codebuild" and self.codebuild is None:
            raise InvalidSpecError(
                f"{where}builder is 'codebuild', but codebuild is not given; allowed: a dict with {' and '.join(REQUIRED)}."
            )
        if self.builder in ("docker", "assembler"):
            for name in ("secrets", "build_contexts"):
                if getattr(self, name):
                    raise InvalidSpecError(
                        f"{where}{name} is given, which builder {self.builder!r} does not support; allowed: 'buildx' and 'buildah'."
                    )
        if self.builder == "codebuild":
            for name in ("secrets", "build_contexts", "cache_to"):
                if getattr(self, name):
                    instead = (
                        " Give codebuild['secrets'], which CodeBuild reads itself."
                        if name == "secrets"
                        else ""
                    )
                    raise InvalidSpecError(
                        f"{where}{name} is given, which builder 'codebuild' does not support; allowed: 'buildx' and 'buildah'.{instead}"
                    )


class BuildImageOperator(LineageTask, SageMakerHostingBaseOperator):
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
        (``docker buildx``), ``buildah`` (no daemon), ``assembler`` (no engine: Dockerfiles without RUN), ``codebuild`` (AWS CodeBuild, for
        workers without an engine), or ``auto`` (the first of the four before that works on the worker and can do what the build needs);
        default: ``[sm_hosting] image_builder`` of Airflow's configuration, else ``auto``.
    :param codebuild: The settings of CodeBuild, needed with ``builder="codebuild"``: a dict with ``service_role`` and ``bucket_name``, and
        as far as wanted ``key_prefix``, ``project_name``, ``compute_type``, ``image``, ``timeout``, ``vpc_config``, ``kms_key_id`` and
        ``secrets``; see :class:`~airflow_sm_hosting.spec.codebuild.CodeBuildSettings`. (templated)
    :param deferrable: Whether the task waits for CodeBuild in the triggerer (default: ``[operators] default_deferrable``).
    :param poll_interval: Seconds, or a timedelta, between two looks at a build of CodeBuild, 0.1 or more (default: 15). (templated)
    :raises InvalidSpecError: When the folder or the Dockerfile does not exist, or a value can never work.
    :raises ImageBuildError: When the image cannot be built or pushed.
    :raises NotFoundError: When the repository does not exist and ``create_repository`` is False.
    :raises ConflictError: When the repository has another encryption than ``repository_settings``.
    :return: The image's URI, pinned by digest: ``…/repository@sha256:…``.
    """

    fields = BuildImageFields
    template_fields: Sequence[str] = BuildImageFields.template_fields()
    template_fields_renderers: ClassVar[dict[str, str]] = BuildImageFields.template_fields_renderers()
    operator_extra_links = (RepositoryLink(),)

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
        builder: Literal["auto", "docker", "buildx", "buildah", "assembler", "codebuild"] | str = conf.get(
            "sm_hosting", "image_builder", fallback="auto"
        ),
        codebuild: CodeBuildSettings | Late | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta | Late = DEFAULT_POLL_INTERVAL,
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
        self.codebuild = codebuild
        self.deferrable = deferrable
        self.poll_interval = poll_interval

    def hidden_values(self) -> set[str]:
        """Return the values of the secrets."""
        return hidden_values(self.secrets)

    def execute(self, context: Context) -> str:
        """Look up the image of this content; build and push it if it does not exist."""
        from airflow_sm_hosting.images.manifests import docker_tag

        given = BuildImageFields.of(self)
        self._check_before_asking(given)
        recipe = self._recipe(given)
        repository = given.repository_name

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
        if found is not None:
            self.log.info("%s already has an image with this content; nothing to build", uri)
            digest = self._settled(hook, given.platform, uri, tag, found)
            return self._report(context, hook, given, uri, tag, digest, built=False)
        if given.builder == "codebuild":
            return self._build_by_codebuild(context, given, recipe, uri, tag)
        digest = self._build(hook, recipe, uri, tag, builder=given.builder).digest
        return self._report(context, hook, given, uri, tag, digest, built=True)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:
        """Continue after the deferred wait for CodeBuild.

        :raises ImageBuildError: The build failed, or the triggerer could not look at it.
        """
        if event.get("error"):
            raise ImageBuildError(event["error"])
        return self._finish(context, BuildImageFields.of(self), event["carried"], event["build_id"])

    def on_kill(self) -> None:
        """Log that a build by CodeBuild continues: the next try joins it."""
        if self.builder == "codebuild":
            self.log.warning(
                "This task was killed; a build by CodeBuild that it has started continues. Run the task again to join it."
            )
        super().on_kill()

    def _report(
        self,
        context: Context,
        hook: EcrRepositoryHook,
        given: BuildImageFields,
        uri: str,
        tag: str,
        digest: str,
        *,
        built: bool,
        build_id: str | None = None,
    ) -> str:
        """Tag the image as wanted, push the details, and return the image's URI."""
        from airflow_sm_hosting.lineage import image_dataset

        repository, wanted_tag = given.repository_name, given.image_tag
        if wanted_tag and hook.image_digest(repository, wanted_tag) != digest:
            image = hook.image_of_digest(repository, digest)
            if image is None:
                raise ImageBuildError(f"{uri}@{digest} was pushed, but cannot be found in ECR.")
            hook.tag_image(repository, image, wanted_tag)
        self.note_lineage([], [image_dataset(f"{uri}@{digest}")])
        for link in self.operator_extra_links:
            link.persist_for(context, hook, registry_id=uri.partition(".")[0], repository_name=repository)
        tags = [tag, *([wanted_tag] if wanted_tag else [])]
        details = {"built": built, "digest": digest, "repository_uri": uri, "tags": tags}
        self.push_details(context, {**details, "build_id": build_id} if build_id else details)
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

    # CodeBuild

    def _build_by_codebuild(
        self, context: Context, given: BuildImageFields, recipe: BuildRecipe, uri: str, tag: str
    ) -> str:
        """Begin or join a build, and wait for it in this process or in the triggerer."""
        from airflow_sm_hosting.deployer.image_build import ImageBuild
        from airflow_sm_hosting.images.codebuild.request import public_arguments

        self._warn_of_scripts(recipe)
        role_arn = str(self.sagemaker_hook.role_arn((given.codebuild or {})["service_role"]))
        build = ImageBuild(self.codebuild_hook, self._place(given, role_arn), f"{uri}:{tag}", self.log)
        build_id = build.begin(recipe, self.model_data_hook)
        carried = {"uri": uri, "tag": tag, "public_arguments": public_arguments(recipe)}
        if self.deferrable:
            from airflow_sm_hosting.triggers.image_build import ImageBuildTrigger

            self.defer(
                trigger=ImageBuildTrigger(
                    build_id=build_id,
                    poll_interval=given.poll_interval,
                    carried=carried,
                    **self.aws_parameters,
                ),
                method_name="execute_complete",
            )
        return self._finish(context, given, carried, build_id)

    def _finish(
        self, context: Context, given: BuildImageFields, carried: Mapping[str, Any], build_id: str
    ) -> str:
        """Wait until the build has ended, which it has after a deferral; report its image, or raise its error."""
        from airflow_sm_hosting.deployer.image_build import BuildLog, BuildPolls, check_success, wait
        from airflow_sm_hosting.images.manifests import docker_tag
        from airflow_sm_hosting.spec.masking import masker

        uri, tag, public = carried["uri"], carried["tag"], carried["public_arguments"]
        mask = masker([str(value) for name, value in given.build_args.items() if name not in public])
        polls = BuildPolls(lambda: self.codebuild_hook, self.log)
        copied = BuildLog(polls.hook, self.log, mask)
        build = wait(polls, build_id, copied, self.log, poll_interval=given.poll_interval)
        check_success(build, copied, mask)
        hook = self.ecr_hook()
        found = hook.image(given.repository_name, docker_tag(tag), tag)
        if found is None:
            raise ImageBuildError(f"The build {build_id} succeeded, but ECR has no image {uri}:{tag}.")
        digest = self._settled(hook, given.platform, uri, tag, found)
        return self._report(context, hook, given, uri, tag, digest, built=True, build_id=build_id)

    def _check_before_asking(self, given: BuildImageFields) -> None:
        """Validate the requests of a repository and of a project before the first call."""
        from airflow_sm_hosting.service_model.request import validated_request

        check_repository_request(given.repository_name, given.repository_settings)
        if given.builder != "codebuild":
            return
        from airflow_sm_hosting.images.codebuild.project import project_definition

        definition = project_definition(self._place(given, "role"))
        validated_request("codebuild", "CreateProject", definition)

    @staticmethod
    def _place(given: BuildImageFields, role_arn: str) -> BuildPlace:
        from airflow_sm_hosting.images.codebuild.project import BuildPlace

        settings = {name: value for name, value in (given.codebuild or {}).items() if name != "service_role"}
        return BuildPlace(
            service_role_arn=role_arn,
            bucket=settings.pop("bucket_name"),
            platform=given.platform,
            secrets=tuple(settings.pop("secrets", ())),
            **settings,
        )

    # The other builders

    def _settled(
        self, hook: EcrRepositoryHook, platform: str, uri: str, tag: str, found: Mapping[str, Any]
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
            return settle_manifest(registry, destination, digest, platform=platform, log=self.log).digest

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
        self._warn_of_scripts(recipe)
        began = time.monotonic()
        pushed = select_builder(builder, recipe, log=self.log).build_and_push(recipe, destination, self.log)
        self.log.info("Built and pushed in %.0f s", time.monotonic() - began)
        return pushed

    def _warn_of_scripts(self, recipe: BuildRecipe) -> None:
        for script in recipe.context.scripts_with_carriage_return:
            self.log.warning(
                "The first line of %s ends with a carriage return (Windows line ends, CRLF): a container cannot run it ('no such file or "
                "directory'). Save it with LF, e.g. with a .gitattributes file that says '* text eol=lf'",
                script,
            )
