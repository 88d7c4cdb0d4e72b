"""Register a model as a version of a model package group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.fields import Boolean, Choice, ListOf, Structure, Tags, Text, optional
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.operators.base import MOST_TAGS, SageMakerHostingBaseOperator
from airflow_sm_hosting.operators.create_model import Containers
from airflow_sm_hosting.spec.checks import is_rendered_later
from airflow_sm_hosting.spec.container import ContainerDefinition
from airflow_sm_hosting.spec.model import check_model
from airflow_sm_hosting.spec.reference import kind_of, present
from airflow_sm_hosting.spec.reference_parts import check_package_group
from airflow_sm_hosting.spec.secret import HidesEnvironments, environment_values, hide_environments

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.deployer.registration import Registration
    from airflow_sm_hosting.fields import Late

#: CreateModelPackage, CustomerMetadataProperties (botocore, CustomerMetadataMap), less the one of this package.
MOST_METADATA = 49

#: Members of a model's container that a package's container does not have (botocore, ModelPackageContainerDefinition).
_OF_MODELS_ONLY = (
    "ModelPackageName",
    "InferenceSpecificationName",
    "Mode",
    "MultiModelConfig",
    "ImageConfig",
)


class RegisterModelFields(AwsFields):
    """The parameters of :class:`RegisterModelOperator`."""

    model_package_group_name = Text(check_package_group)
    containers = Containers(of="ModelPackageContainerDefinition", default=None, json=True)
    approval_status = Choice(
        ("PendingManualApproval", "Approved", "Rejected"), default="PendingManualApproval"
    )
    description = optional(Text())
    content_types = ListOf()
    response_types = ListOf()
    instance_types = ListOf()
    transform_instance_types = ListOf()
    metadata = Tags(most=MOST_METADATA)
    model_metrics = optional(Structure(of="ModelMetrics"))
    commit_id = optional(Text())
    source_repository = optional(Text())
    request_members = optional(Structure(of="CreateModelPackageInput"))
    create_group = Boolean(default=False)
    group_description = optional(Text())
    tags = Tags(most=MOST_TAGS)

    def check_together(self, where: str) -> None:
        """Check the containers, and what was given twice."""
        check_model(containers=self.containers)
        if isinstance(self.containers, list | tuple):
            for index, container in enumerate(self.containers):
                _check_container(f"{where}containers[{index}]", container)
        own = {
            "ModelPackageGroupName": "model_package_group_name",
            "ModelPackageName": "model_package_group_name",
            "InferenceSpecification": "containers",
            "ModelApprovalStatus": "approval_status",
            "ModelPackageDescription": "description",
            "CustomerMetadataProperties": "metadata",
            "ModelMetrics": "model_metrics",
            "MetadataProperties": "commit_id and source_repository",
            "Tags": "tags, which are set on the group",
        }
        members = self.request_members
        for member in members if isinstance(members, dict) else ():
            if member in own or member == "ClientToken":
                raise InvalidSpecError(
                    f"{where}request_members has {member}; allowed: "
                    + (f"{own[member]}." if member in own else "other members; this package makes the token.")
                )
        group = self.model_package_group_name
        if self.create_group is True and isinstance(group, str) and group.startswith("arn:"):
            raise InvalidSpecError(
                f"{where}create_group is True and model_package_group_name is an ARN; allowed: a name, as a group is created in the "
                "connection's account."
            )


class RegisterModelOperator(SageMakerHostingBaseOperator):
    """Register a version of a model package group, unless one with the same content exists (``sagemaker:CreateModelPackage``).

    The content is the inference specification: images by digest, model data with its version, environments, types. A task that runs again,
    or is killed and tries again, finds its version; approval, metrics and metadata of a version that exists are not changed.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#registermodeloperator
        API: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html

    :param model_package_group_name: Name of the group, or its ARN if it is of another account. (templated)
    :param containers: One :class:`~airflow_sm_hosting.ContainerDefinition`, or 2 to 15 for an inference pipeline; dicts in the shape of
        ``ModelPackageContainerDefinition`` are accepted too. Values of their environments are shown as ``***``. (templated)
    :param approval_status: ``PendingManualApproval`` (default), ``Approved`` or ``Rejected``, of a new version. (templated)
    :param description: Description of a new version, 1024 characters at most (default: none). (templated)
    :param content_types: MIME types of requests that the model takes (default: none are named). (templated)
    :param response_types: MIME types of its answers (default: none are named). (templated)
    :param instance_types: Instance types on which it may be deployed (default: none are named). (templated)
    :param transform_instance_types: Instance types of batch transform jobs (default: none are named). (templated)
    :param metadata: Values about a new version, such as its accuracy, as a dict: 49 at most, keys of 128 and values of 256 letters, digits,
        spaces and ``_ . : / = + - @``. (templated)
    :param model_metrics: Places of reports in S3, in the shape of ``ModelMetrics`` (default: none). (templated)
    :param commit_id: Commit of the training code (default: none). (templated)
    :param source_repository: Repository of the training code (default: none). (templated)
    :param request_members: Further members of CreateModelPackage in the AWS shape, e.g. ``{"Domain": "MACHINE_LEARNING"}``. (templated)
    :param create_group: Whether a group that does not exist is created (default: False, it is an error). (templated)
    :param group_description: Description of a group that is created (default: none). (templated)
    :param tags: Tags of the group, as versions have none; on an existing group they are reconciled, other people's tags stay
        unchanged. (templated)
    :raises InvalidSpecError: Before the first changing call, when SageMaker would refuse the request.
    :raises NotFoundError: When the group, an image or an artifact does not exist.
    :return: The version's ARN; ``details`` (XCom): model_package_arn, version, created, group_created, approval_status, images.
    """

    fields = RegisterModelFields
    template_fields: Sequence[str] = RegisterModelFields.template_fields()
    template_fields_renderers: ClassVar[dict[str, str]] = RegisterModelFields.template_fields_renderers()

    containers = HidesEnvironments()

    def __init__(
        self,
        *,
        model_package_group_name: Late,
        containers: Sequence[ContainerDefinition | Mapping[str, Any] | Late] | Late,
        approval_status: Literal["PendingManualApproval", "Approved", "Rejected"]
        | Late = "PendingManualApproval",
        description: Late | None = None,
        content_types: Sequence[Late] | Late = (),
        response_types: Sequence[Late] | Late = (),
        instance_types: Sequence[Late] | Late = (),
        transform_instance_types: Sequence[Late] | Late = (),
        metadata: Mapping[str, Any] | Late | None = None,
        model_metrics: Mapping[str, Any] | Late | None = None,
        commit_id: Late | None = None,
        source_repository: Late | None = None,
        request_members: Mapping[str, Any] | Late | None = None,
        create_group: bool | Late = False,
        group_description: Late | None = None,
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Late | None = None,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.model_package_group_name = model_package_group_name
        # A value that is not a spec object may come from upstream to a mapped task, and stays unchanged: see HidesEnvironments.
        literal = isinstance(containers, list | tuple) and any(
            isinstance(container, ContainerDefinition) for container in containers
        )
        self.containers = hide_environments(containers) if literal else containers
        self.approval_status = approval_status
        self.description = description
        self.content_types = content_types
        self.response_types = response_types
        self.instance_types = instance_types
        self.transform_instance_types = transform_instance_types
        self.metadata = metadata
        self.model_metrics = model_metrics
        self.commit_id = commit_id
        self.source_repository = source_repository
        self.request_members = request_members
        self.create_group = create_group
        self.group_description = group_description
        self.tags = tags

    def hidden_values(self) -> set[str]:
        """Return the values of the containers' environments."""
        return environment_values(self.containers)

    def execute(self, context: Context) -> str:
        """Resolve references, look for a version with this content, and create one if there is none."""
        from airflow_sm_hosting.deployer.references import ReferenceResolver
        from airflow_sm_hosting.deployer.registration import Registration
        from airflow_sm_hosting.deployment.registration import client_token, fingerprint
        from airflow_sm_hosting.service_model.request import validated_request
        from airflow_sm_hosting.spec.tags import CONTENT_DIGEST

        given = RegisterModelFields.of(self)
        known = [
            {name: value for name, value in container.items() if kind_of(value) is None}
            for container in given.containers
        ]
        validated_request("sagemaker", "CreateModelPackage", self._request(given, known, context))

        hook = self.model_registry_hook
        resolver = ReferenceResolver(
            ecr=self.ecr_hook, s3=lambda: self.model_data_hook, region=lambda: hook.conn_region_name
        )
        completed = [resolver.container(container) for container in given.containers]
        request = validated_request(
            "sagemaker",
            "CreateModelPackage",
            self._request(given, [container for container, _ in completed], context),
        )
        digest = fingerprint(request, [resolved for _, resolved in completed])
        request["CustomerMetadataProperties"] = {**given.metadata, CONTENT_DIGEST: digest}
        request["ClientToken"] = client_token(given.model_package_group_name, digest)

        registration = Registration(hook, given.model_package_group_name)
        group_created = self._ensure_group(registration, given)
        found = registration.find(request, digest)
        if found is not None:
            arn, created = str(found["ModelPackageArn"]), False
        else:
            arn, created = registration.register(request, digest)
        if created:
            self.log.info("Registered model package %s, %s", arn, given.approval_status)
        else:
            self.log.info("Model package %s has this content; nothing to do", arn)
            status = (found or {}).get("ModelApprovalStatus", given.approval_status)
            if status != given.approval_status:
                self.log.warning(
                    "It is %s, not %s: the approval of a version that exists is changed by ApproveModelOperator.",
                    status,
                    given.approval_status,
                )
        self.push_details(
            context,
            {
                "model_package_arn": arn,
                "version": int(arn.rpartition("/")[2]),
                "created": created,
                "group_created": group_created,
                "approval_status": (found or {}).get("ModelApprovalStatus", given.approval_status),
                "images": [container.get("Image") for container, _ in completed],
            },
        )
        return arn

    def _request(
        self, given: RegisterModelFields, containers: Sequence[Mapping[str, Any]], context: Context
    ) -> dict[str, Any]:
        from airflow_sm_hosting.deployment.registration import inference_specification, source_of

        run: Any = context["dag_run"]
        return present(
            **(given.request_members or {}),
            ModelPackageGroupName=given.model_package_group_name,
            ModelPackageDescription=given.description,
            InferenceSpecification=inference_specification(
                containers=containers,
                content_types=given.content_types,
                response_types=given.response_types,
                instance_types=given.instance_types,
                transform_instance_types=given.transform_instance_types,
            ),
            ModelApprovalStatus=given.approval_status,
            CustomerMetadataProperties=given.metadata or None,
            ModelMetrics=given.model_metrics,
            MetadataProperties=present(
                CommitId=given.commit_id,
                Repository=given.source_repository,
                GeneratedBy=source_of(
                    dag_id=run.dag_id,
                    run_id=run.run_id,
                    task_id=self.task_id,
                    url=getattr(context["ti"], "log_url", None),
                ),
            ),
        )

    def _ensure_group(self, registration: Registration, given: RegisterModelFields) -> bool:
        if not given.create_group and not given.tags:
            return False
        return registration.ensure_group(
            self.sagemaker_hook,
            create=given.create_group,
            description=given.group_description,
            tags=given.tags,
        )


def _check_container(where: str, container: Any) -> None:
    if not isinstance(container, dict) or is_rendered_later(container):
        return
    for member in _OF_MODELS_ONLY:
        if container.get(member) is not None:
            raise InvalidSpecError(
                f"{where} has {member}, which a container of a model package does not have; allowed: the members of "
                "ModelPackageContainerDefinition."
            )
