"""Create a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_sm_hosting.fields import Boolean, Choice, ListOf, Structure, Tags, Text, optional
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.links import ModelLink
from airflow_sm_hosting.operators.base import MOST_TAGS, SageMakerHostingBaseOperator
from airflow_sm_hosting.operators.lineage import LineageTask
from airflow_sm_hosting.spec.checks import check_model_name, check_role
from airflow_sm_hosting.spec.container import ContainerDefinition
from airflow_sm_hosting.spec.model import check_model, model_request
from airflow_sm_hosting.spec.naming import warn_of_cut_base
from airflow_sm_hosting.spec.reference import kind_of
from airflow_sm_hosting.spec.reference_parts import rendered_reference
from airflow_sm_hosting.spec.secret import (
    HidesEnvironments,
    environment_values,
    hide_environments,
    reveal_environments,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late


class Containers(ListOf):
    """The containers of a model; up to here the values of their environments are hidden."""

    def value(self, where: str, given: Any) -> list[Any]:
        """Return the containers with their environments, and with the parts of their references checked."""
        containers: list[Any] = reveal_environments(super().value(where, given))
        return [
            {
                member: rendered_reference(f"{where}[{index}].{member}", value)
                for member, value in container.items()
            }
            if isinstance(container, dict)
            else container
            for index, container in enumerate(containers)
        ]


class CreateModelFields(AwsFields):
    """The parameters of :class:`CreateModelOperator`."""

    model_name = Text(check_model_name)
    containers = Containers(of="ContainerDefinition", default=None, json=True)
    execution_role = optional(Text(check_role))
    subnets = optional(ListOf(default=None))
    security_group_ids = optional(ListOf(default=None))
    enable_network_isolation = optional(Boolean())
    inference_execution_mode = optional(Choice(("Serial", "Direct")))
    vpc_config = optional(Structure(of="VpcConfig"))
    tags = Tags(most=MOST_TAGS)
    unique_name = Boolean(default=True, templated=False)

    def check_together(self, where: str) -> None:
        """Check the containers, and the VPC."""
        if self.unique_name:
            warn_of_cut_base(f"{where}model_name", self.model_name)
        check_model(
            containers=self.containers,
            subnets=self.subnets,
            security_group_ids=self.security_group_ids,
            inference_execution_mode=self.inference_execution_mode,
            vpc_config=self.vpc_config,
        )


class CreateModelOperator(LineageTask, SageMakerHostingBaseOperator):
    """Create a SageMaker model, unless one with the same content exists (``sagemaker:CreateModel``).

    Mutable references are resolved first: an image tag to its digest (also in the request), model data to its version or
    ETag, a role name to its ARN, a :class:`~airflow_sm_hosting.ModelPackage` to the ARN of an approved version. The model's name ends with a digest of the content, so the same content is the same model, and
    a retraining that overwrites the artifact leads to a new model.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#createmodeloperator
        API: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModel.html

    :param model_name: Name of the model; ``-<10 hex digits of the content>`` is added. (templated)
    :param containers: One :class:`~airflow_sm_hosting.ContainerDefinition`, or 2 to 15 for an inference pipeline; dicts in the AWS
        shape are accepted too. Values of their environments are shown as ``***``. (templated)
    :param execution_role: IAM role that SageMaker assumes, as name or ARN (default: none is sent). (templated)
    :param subnets: Subnets of the VPC, 1 to 16, with ``security_group_ids`` (default: no VPC). (templated)
    :param security_group_ids: Security groups, 1 to 5, with ``subnets``. (templated)
    :param enable_network_isolation: Whether the containers have no network (default: AWS's, False). (templated)
    :param inference_execution_mode: ``Serial`` (AWS's default) or ``Direct``, for more than one container. (templated)
    :param vpc_config: A :class:`~airflow_sm_hosting.VpcConfig`, in place of ``subnets`` and ``security_group_ids`` (default: no VPC). (templated)
    :param tags: Tags, as a dict; on an existing model they are reconciled, other people's tags stay unchanged. (templated)
    :param unique_name: Whether the name ends with the digest of the content (default: True). With False the name is exact:
        a model with this name and the same content is reused, other content is an error.
    :raises InvalidSpecError: Before the first changing call, when SageMaker would refuse the request.
    :raises NotFoundError: When an image, an artifact or a model package does not exist, or a group has no approved version.
    :raises ModelPackageError: When a model package is not approved, not complete, or has no inference specification.
    :raises ConflictError: When a model with this exact name has other content.
    :return: The model's name.
    """

    fields = CreateModelFields
    template_fields: Sequence[str] = CreateModelFields.template_fields()
    template_fields_renderers: ClassVar[dict[str, str]] = CreateModelFields.template_fields_renderers()
    operator_extra_links = (ModelLink(),)

    containers = HidesEnvironments()

    def __init__(
        self,
        *,
        model_name: Late,
        containers: Sequence[ContainerDefinition | Mapping[str, Any] | Late] | Late,
        execution_role: Late | None = None,
        subnets: Sequence[Late] | Late | None = None,
        security_group_ids: Sequence[Late] | Late | None = None,
        enable_network_isolation: bool | Late | None = None,
        inference_execution_mode: Literal["Serial", "Direct"] | Late | None = None,
        vpc_config: Mapping[str, Any] | Late | None = None,
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Late | None = None,
        unique_name: bool = True,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.model_name = model_name
        # A value that is not a spec object may come from upstream to a mapped task, and stays unchanged: see HidesEnvironments.
        literal = isinstance(containers, list | tuple) and any(
            isinstance(container, ContainerDefinition) for container in containers
        )
        self.containers = hide_environments(containers) if literal else containers
        self.execution_role = execution_role
        self.subnets = subnets
        self.security_group_ids = security_group_ids
        self.enable_network_isolation = enable_network_isolation
        self.inference_execution_mode = inference_execution_mode
        self.vpc_config = vpc_config
        self.tags = tags
        self.unique_name = unique_name

    def hidden_values(self) -> set[str]:
        """Return the values of the containers' environments."""
        return environment_values(self.containers)

    def execute(self, context: Context) -> str:
        """Resolve references, derive the name from the content, and create the model if it does not exist."""
        from airflow_sm_hosting.deployer.model_packages import PackageResolver
        from airflow_sm_hosting.deployer.references import ReferenceResolver
        from airflow_sm_hosting.lineage import container_datasets, sagemaker_dataset
        from airflow_sm_hosting.operators.immutable import MODEL, make_once

        given = CreateModelFields.of(self)
        options: dict[str, Any] = {
            "subnets": given.subnets,
            "security_group_ids": given.security_group_ids,
            "enable_network_isolation": given.enable_network_isolation,
            "inference_execution_mode": given.inference_execution_mode,
            "vpc_config": given.vpc_config,
        }
        self._check_before_asking(given, options)

        hook = self.sagemaker_hook
        packages = PackageResolver(lambda: self.model_registry_hook)
        resolver = ReferenceResolver(
            ecr=self.ecr_hook,
            s3=lambda: self.model_data_hook,
            region=lambda: hook.conn_region_name,
            packages=packages,
        )
        completed = [resolver.container(container) for container in given.containers]
        made = make_once(
            hook,
            MODEL,
            given.model_name,
            model_request(
                containers=[container for container, _ in completed],
                execution_role_arn=hook.role_arn(given.execution_role),
                **options,
            ),
            resolved={"ModelData": [resolved for _, resolved in completed]},
            tags=given.tags,
            unique_name=given.unique_name,
        )
        self.note_lineage(
            container_datasets(container for container, _ in completed),
            [sagemaker_dataset(hook.conn_region_name, "model", made.name)],
        )
        for link in self.operator_extra_links:
            link.persist_for(context, hook, model_name=made.name)
        self.push_details(
            context,
            {
                "model_arn": made.arn,
                "created": made.created,
                "images": [container.get("Image") for container, _ in completed],
                **({"model_packages": packages.resolved} if packages.resolved else {}),
            },
        )
        return made.name

    @staticmethod
    def _check_before_asking(given: CreateModelFields, options: dict[str, Any]) -> None:
        """Validate the request as far as it is known before the first call: references are not resolved yet."""
        from airflow_sm_hosting.service_model.request import validated_request
        from airflow_sm_hosting.spec.tags import tag_list

        role = given.execution_role
        known = [
            {name: value for name, value in container.items() if kind_of(value) is None}
            for container in given.containers
        ]
        validated_request(
            "sagemaker",
            "CreateModel",
            {
                "ModelName": given.model_name,
                "Tags": tag_list(given.tags),
                **model_request(
                    containers=known,
                    execution_role_arn=role if role and role.startswith("arn:") else None,
                    **options,
                ),
            },
        )
