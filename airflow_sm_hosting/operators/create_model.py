"""Create a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_hosting.hooks.parameters import AWS_FIELDS
from airflow_sm_hosting.operators.base import MOST_TAGS, SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.checks import check_boolean, check_model_name, check_role, check_tags
from airflow_sm_hosting.spec.container import ContainerDefinition
from airflow_sm_hosting.spec.model import check_model, model_request
from airflow_sm_hosting.spec.reference import kind_of
from airflow_sm_hosting.spec.rendered import as_boolean, as_list, as_string, as_tags
from airflow_sm_hosting.spec.secret import HidesEnvironments, hide_environments, reveal_environments

if TYPE_CHECKING:
    from airflow.sdk import Context


class CreateModelOperator(SageMakerHostingBaseOperator):
    """Create a SageMaker model, unless one with the same content exists (``sagemaker:CreateModel``).

    Mutable references are resolved first: an image tag to its digest (which is also what is sent), model data to its version or
    ETag, a role name to its ARN. The model's name ends with a digest of the content, so the same content is the same model, and
    a retrain that overwrites the artifact is a new one.

    .. seealso::
        For more information on how to use this operator, take a look at the guide:
        :ref:`howto/operator:CreateModelOperator`, and the API:
        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModel.html

    :param model_name: Name of the model; ``-<10 hex digits of the content>`` is added. (templated)
    :param containers: One :class:`~airflow_sm_hosting.ContainerDefinition`, or 2 to 15 for an inference pipeline; dicts in the AWS
        shape are taken too. Values of their environments are shown as ``***``. (templated)
    :param execution_role: IAM role that SageMaker assumes, as name or ARN (default: none is sent). (templated)
    :param subnets: Subnets of the VPC, 1 to 16, with ``security_group_ids`` (default: no VPC). (templated)
    :param security_group_ids: Security groups, 1 to 5, with ``subnets``. (templated)
    :param enable_network_isolation: Whether the containers have no network (default: AWS's, False). (templated)
    :param inference_execution_mode: ``Serial`` (AWS's default) or ``Direct``, for more than one container. (templated)
    :param tags: Tags, as a dict; on a model that exists they are reconciled, other people's tags are left alone. (templated)
    :param unique_name: Whether the name ends with the digest of the content (default: True). With False the name is exact:
        a model of that name with the same content is reused, one with other content is an error.
    :raises InvalidSpecError: For what SageMaker would refuse, before the first call that changes anything.
    :raises NotFoundError: When an image or an artifact does not exist.
    :raises ConflictError: When a model of that exact name has other content.
    :return: The model's name.
    """

    template_fields: Sequence[str] = (
        *AWS_FIELDS,
        "model_name",
        "containers",
        "execution_role",
        "subnets",
        "security_group_ids",
        "enable_network_isolation",
        "inference_execution_mode",
        "tags",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"containers": "json", "tags": "json"}

    containers = HidesEnvironments()

    def __init__(
        self,
        *,
        model_name: str,
        containers: Any,
        execution_role: str | None = None,
        subnets: Any = None,
        security_group_ids: Any = None,
        enable_network_isolation: bool | None = None,
        inference_execution_mode: str | None = None,
        tags: Any = None,
        unique_name: bool = True,
        **kwargs: Any,
    ) -> None:
        check_model_name("CreateModelOperator: model_name", model_name)
        check_boolean("CreateModelOperator: unique_name", unique_name)
        check_role("CreateModelOperator: execution_role", execution_role)
        check_tags("CreateModelOperator: tags", tags, most=MOST_TAGS)
        if enable_network_isolation is not None:
            check_boolean("CreateModelOperator: enable_network_isolation", enable_network_isolation)
        check_model(
            containers=containers,
            subnets=subnets,
            security_group_ids=security_group_ids,
            inference_execution_mode=inference_execution_mode,
        )
        super().__init__(**kwargs)
        self.model_name = model_name
        # What is no spec object may have come from upstream to a mapped task, and is left as it is: see HidesEnvironments.
        literal = isinstance(containers, list | tuple) and any(
            isinstance(container, ContainerDefinition) for container in containers
        )
        self.containers = hide_environments(containers) if literal else containers
        self.execution_role = execution_role
        self.subnets = subnets
        self.security_group_ids = security_group_ids
        self.enable_network_isolation = enable_network_isolation
        self.inference_execution_mode = inference_execution_mode
        self.tags = tags
        self.unique_name = unique_name

    def execute(self, context: Context) -> str:
        """Resolve references, name the content, and create it if it is not there."""
        from airflow_sm_hosting.hooks.references import ReferenceResolver
        from airflow_sm_hosting.operators.immutable import MODEL, make_once

        containers = reveal_environments(as_list("containers", self.containers))
        subnets, security_group_ids = (
            None if ids is None else as_list(field, ids)
            for field, ids in (("subnets", self.subnets), ("security_group_ids", self.security_group_ids))
        )
        check_model_name("model_name", as_string("model_name", self.model_name))
        check_model(
            containers=containers,
            subnets=subnets,
            security_group_ids=security_group_ids,
            inference_execution_mode=self.inference_execution_mode,
        )
        isolation = self.enable_network_isolation
        options: dict[str, Any] = {
            "subnets": subnets,
            "security_group_ids": security_group_ids,
            "enable_network_isolation": None
            if isolation is None
            else as_boolean("enable_network_isolation", isolation),
            "inference_execution_mode": self.inference_execution_mode,
        }
        role = None if self.execution_role in (None, "") else as_string("execution_role", self.execution_role)
        tags = as_tags("tags", self.tags, most=MOST_TAGS)
        self._check_before_asking(containers, role, tags, options)

        hook = self.sagemaker_hook
        resolver = ReferenceResolver(
            ecr=self.ecr_hook, s3=lambda: self.model_data_hook, region=lambda: hook.conn_region_name
        )
        completed = [resolver.container(container) for container in containers]
        made = make_once(
            hook,
            MODEL,
            self.model_name,
            model_request(
                containers=[container for container, _ in completed],
                execution_role_arn=hook.role_arn(role),
                **options,
            ),
            resolved={"ModelData": [resolved for _, resolved in completed]},
            tags=tags,
            unique_name=self.unique_name,
        )
        self.tell_details(
            context,
            {
                "model_arn": made.arn,
                "created": made.created,
                "images": [container.get("Image") for container, _ in completed],
            },
        )
        return made.name

    def _check_before_asking(
        self,
        containers: list[dict[str, Any]],
        role: str | None,
        tags: dict[str, str],
        options: dict[str, Any],
    ) -> None:
        """Hold what is known already against the service's model: all but what references resolve to."""
        from airflow_sm_hosting.hooks.requests import prepared
        from airflow_sm_hosting.hooks.sagemaker import tag_list

        check_role("execution_role", role)
        known = [
            {name: value for name, value in container.items() if kind_of(value) is None}
            for container in containers
        ]
        prepared(
            "sagemaker",
            "CreateModel",
            {
                "ModelName": self.model_name,
                "Tags": tag_list(tags),
                **model_request(
                    containers=known,
                    execution_role_arn=role if role and role.startswith("arn:") else None,
                    **options,
                ),
            },
        )
