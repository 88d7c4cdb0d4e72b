"""Check that a container keeps SageMaker's contract, before it is deployed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_hosting.container_check.contract import INVOCATION_SECONDS, STARTUP_SECONDS, STOP_SECONDS
from airflow_sm_hosting.container_check.request_checks import check_requests
from airflow_sm_hosting.exceptions import ContainerCheckError, InvalidSpecError, ModelDataError
from airflow_sm_hosting.fields import (
    Boolean,
    Choice,
    Field,
    FilePath,
    Integer,
    ListOf,
    PathAsText,
    Seconds,
    Structure,
    Text,
    optional,
)
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.checks import check_environment, check_instance_type, invalid
from airflow_sm_hosting.spec.container import check_image, check_model_data
from airflow_sm_hosting.spec.model import ASSET_OPERATORS
from airflow_sm_hosting.spec.reference import kind_of
from airflow_sm_hosting.spec.reference_parts import rendered_reference
from airflow_sm_hosting.spec.rendered import as_string
from airflow_sm_hosting.spec.secret import (
    HidesValues,
    environment_values,
    hide_values,
    reveal_environments,
)
from airflow_sm_hosting.spec.variant import SERVERLESS_MEMORY_SIZES

if TYPE_CHECKING:
    from datetime import timedelta
    from os import PathLike
    from pathlib import Path

    from airflow.sdk import Context

    from airflow_sm_hosting.container_check.wanted import Wanted
    from airflow_sm_hosting.deployer.references import ReferenceResolver
    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.images.recipe import Login


class ImageField(Field[Any]):
    """An image: a name, the output of a BuildImageOperator, or a ContainerImage that is not to be built."""

    def check(self, where: str, value: Any) -> None:
        """Check a literal image."""
        check_image(where, value)
        if (kind := kind_of(value)) in ASSET_OPERATORS:
            raise invalid(
                where,
                value,
                f"an image; let {ASSET_OPERATORS[kind]} build it, and give the task's output here",
            )

    def value(self, where: str, given: Any) -> Any:
        """Return the image, with the parts of a reference checked."""
        self.check(where, as_string(where, given) if isinstance(given, str) else given)
        return rendered_reference(where, given)


_PATH = FilePath()


class ModelDataField(Field[Any]):
    """Model data: a path of the worker, a URL of S3, the output of an UploadModelDataOperator, or a ModelData."""

    def check(self, where: str, value: Any) -> None:
        """Check literal model data."""
        if isinstance(value, dict) or "://" in str(value):
            check_model_data(where, value)
        else:
            _PATH.check(where, value)

    def value(self, where: str, given: Any) -> Any:
        """Return the model data, with the parts of a reference checked."""
        self.check(where, given)
        return rendered_reference(where, given)


class EnvironmentField(Structure):
    """The environment of a container, whose values are hidden up to here."""

    def check(self, where: str, value: Any) -> None:
        """Check a literal environment."""
        check_environment(where, value)

    def value(self, where: str, given: Any) -> dict[str, Any]:
        """Return the environment with its values."""
        revealed = reveal_environments(given)
        self.check(where, revealed)
        return {name: str(value) for name, value in super().value(where, revealed).items()}


class CheckContainerFields(AwsFields):
    """The parameters of :class:`CheckContainerOperator`."""

    image = ImageField()
    model_data = optional(ModelDataField())
    requests = ListOf(check=check_requests, json=True)
    environment = EnvironmentField(words="a dict of strings", default={})
    instance_type = optional(Text(check_instance_type))
    memory_size_in_mb = optional(Choice(SERVERLESS_MEMORY_SIZES))
    memory_limit_in_mb = optional(Integer(low=6))
    startup_timeout = Seconds(low=1, high=3600, default=STARTUP_SECONDS)
    invocation_timeout = Seconds(low=1, high=3600, default=INVOCATION_SECONDS)
    stop_timeout = Seconds(low=1, high=STOP_SECONDS, default=STOP_SECONDS)
    multi_model = Boolean(default=False)
    network_isolation = Boolean(default=False)
    read_only = Boolean(default=False)
    non_root = Boolean(default=False)

    def check_together(self, where: str) -> None:
        """Check that the container is for an instance type or for a serverless endpoint, and that one of many models has data."""
        if self.multi_model is True and self.model_data is None:
            raise InvalidSpecError(
                f"{where}multi_model needs model_data, which is loaded as one of its models."
            )
        if self.instance_type is not None and self.memory_size_in_mb is not None:
            raise InvalidSpecError(
                f"{where}instance_type and memory_size_in_mb are both given; allowed: instance_type for an instance variant, or "
                "memory_size_in_mb for a serverless one."
            )


class CheckContainerOperator(SageMakerHostingBaseOperator):
    """Run a container as SageMaker would (``docker run image serve``), and fail if it breaks SageMaker's contract.

    Each check has a row in the log: its result, what was seen, and how to mend it. The worker needs a Docker Engine. Containers, volumes
    and pulled images are removed at the end; nothing is created in AWS.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#checkcontaineroperator
        AWS: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html

    :param image: The image: a name, the output of a ``BuildImageOperator``, or a :class:`~airflow_sm_hosting.ContainerImage`. (templated)
    :param model_data: The artifact: a folder or ``.tar.gz`` file (a relative path is taken from the folder of the DAG file), an ``s3://``
        URL, or a :class:`~airflow_sm_hosting.ModelData` (default: none). (templated)
    :param requests: Requests that the container must answer with 2xx: dicts with ``body`` (a string as it is, anything else as JSON) and,
        as needed, ``content_type``, ``accept``, ``expect`` (as of ``InvokeEndpointOperator``) and ``name``; or paths of files (default:
        none, so no answer is checked). (templated)
    :param environment: Environment variables of the container; values are shown as ``***`` (default: none). (templated)
    :param instance_type: The instance type, which gives the platform and the memory (default: ``linux/amd64``, no limit). (templated)
    :param memory_size_in_mb: The memory of a serverless endpoint, in place of an instance type. (templated)
    :param memory_limit_in_mb: The memory that the container may use (default: that of the instance type or the serverless
        endpoint). (templated)
    :param startup_timeout: How long it may take until /ping is answered with 200, in seconds or as a timedelta, 1 to 3600 (default: 30;
        SageMaker's own limit is 8 minutes, or what the endpoint config says). (templated)
    :param invocation_timeout: How long an answer may take, in seconds or as a timedelta, 1 to 3600 (default: 60, as in
        SageMaker). (templated)
    :param stop_timeout: How long it may take to end after SIGTERM, in seconds or as a timedelta, 1 to 30 (default: 30, as in
        SageMaker). (templated)
    :param multi_model: Whether to check the operations of a multi-model container, with ``model_data`` as its model (default:
        False). (templated)
    :param network_isolation: Whether to run it without a network, too (default: False). (templated)
    :param read_only: Whether to run it with a read-only root file system, too (default: False). (templated)
    :param non_root: Whether to run it as another user than root, too (default: False). (templated)
    :raises InvalidSpecError: When a value can never work, or a file does not exist.
    :raises NotFoundError: When ECR or S3 do not have the image or the model data.
    :raises ContainerCheckError: When a check fails; the message has the rows of these checks. Or when no Docker Engine answers.
    :return: The image's URI, pinned by digest if it is in ECR; ``details`` (XCom): image, passed, seconds, checks.
    """

    fields = CheckContainerFields
    template_fields: Sequence[str] = CheckContainerFields.template_fields()
    template_fields_renderers: ClassVar[dict[str, str]] = CheckContainerFields.template_fields_renderers()

    model_data = PathAsText()
    environment = HidesValues()

    def __init__(
        self,
        *,
        image: Mapping[str, Any] | Late,
        model_data: str | PathLike[str] | Mapping[str, Any] | Late | None = None,
        requests: Sequence[Mapping[str, Any] | str | Late] | Late | None = None,
        environment: Mapping[str, Any] | Late | None = None,
        instance_type: Late | None = None,
        memory_size_in_mb: int | Late | None = None,
        memory_limit_in_mb: int | Late | None = None,
        startup_timeout: float | timedelta | Late = STARTUP_SECONDS,
        invocation_timeout: float | timedelta | Late = INVOCATION_SECONDS,
        stop_timeout: float | timedelta | Late = STOP_SECONDS,
        multi_model: bool | Late = False,
        network_isolation: bool | Late = False,
        read_only: bool | Late = False,
        non_root: bool | Late = False,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.image = image
        self.model_data = model_data
        self.requests = requests
        self.environment = hide_values(environment)
        self.instance_type = instance_type
        self.memory_size_in_mb = memory_size_in_mb
        self.memory_limit_in_mb = memory_limit_in_mb
        self.startup_timeout = startup_timeout
        self.invocation_timeout = invocation_timeout
        self.stop_timeout = stop_timeout
        self.multi_model = multi_model
        self.network_isolation = network_isolation
        self.read_only = read_only
        self.non_root = non_root

    def hidden_values(self) -> set[str]:
        """Return the values of the container's environment."""
        return environment_values({"Environment": self.environment})

    def execute(self, context: Context) -> str:
        """Resolve image and model data, run the container, and fail if a check does."""
        from airflow_sm_hosting.container_check.checking import check_container
        from airflow_sm_hosting.container_check.report import table
        from airflow_sm_hosting.deployer.references import ReferenceResolver
        from airflow_sm_hosting.work_folder import work_folder

        given = CheckContainerFields.of(self)
        wanted = self._wanted(given)
        resolver = ReferenceResolver(
            ecr=self.ecr_hook,
            s3=lambda: self.model_data_hook,
            region=lambda: self.sagemaker_hook.conn_region_name,
        )
        image = resolver.image(given.image)
        with work_folder() as folder:
            archive, model_error = None, ""
            if given.model_data is not None:
                try:
                    archive = self._archive(resolver, given.model_data, folder)
                except ModelDataError as error:
                    model_error = str(error)
            report = check_container(
                image,
                wanted,
                folder=folder,
                archive=archive,
                model_error=model_error,
                environment=given.environment,
                login=self._login(resolver, image),
            )
        self.push_details(context, report.details())
        self.log.info("%s\n%s", report.summary(), table(report.rows))
        if not report.has_passed:
            raise ContainerCheckError(
                f"{report.summary()}\n{table(report.failed)}",
                failed=tuple(row.check for row in report.failed),
            )
        return image

    def _wanted(self, given: CheckContainerFields) -> Wanted:
        from airflow_sm_hosting.container_check.wanted import Wanted, sample_requests

        return Wanted(
            instance_type=given.instance_type,
            serverless_memory_mb=given.memory_size_in_mb,
            memory_mb=given.memory_limit_in_mb,
            requests=sample_requests(given.requests, self.path_beside_dag),
            has_model_data=given.model_data is not None,
            startup_seconds=given.startup_timeout,
            invocation_seconds=given.invocation_timeout,
            stop_seconds=given.stop_timeout,
            multi_model=given.multi_model,
            network_isolation=given.network_isolation,
            read_only=given.read_only,
            non_root=given.non_root,
        )

    def _archive(self, resolver: ReferenceResolver, model_data: Any, folder: Path) -> Path:
        """Return the model data as a checked archive in a folder."""
        from airflow_sm_hosting.container_check.model_data import model_archive

        source = model_data["Path"] if kind_of(model_data) == "ModelDataAsset" else model_data
        if isinstance(source, str) and "://" not in source:
            return model_archive(
                self.path_beside_dag(source), folder=folder, s3=lambda: self.model_data_hook.conn
            )
        return model_archive(
            resolver.existing_model_data(source), folder=folder, s3=lambda: self.model_data_hook.conn
        )

    def _login(self, resolver: ReferenceResolver, image: str) -> Login | None:
        """Return the credentials of an image's registry, if it is one of ECR."""
        from airflow_sm_hosting.deployer.references import ECR_HOST, ImageName
        from airflow_sm_hosting.images.recipe import Login

        host = ImageName.parse(image).host
        ecr = ECR_HOST.fullmatch(host)
        if not ecr and not resolver.is_local_registry(host):
            return None
        region = (ecr["region"] or ecr["dual_stack_region"]) if ecr else None
        found = self.ecr_hook(region).get_temporary_credentials()[0]
        return Login(found.username, found.password)
