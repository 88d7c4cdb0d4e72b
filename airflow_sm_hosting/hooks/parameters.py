"""The four AWS parameters that every operator, sensor and trigger takes, and the hooks made from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.fields import Field, Fields, PathAsText, Text, Value, optional
from airflow_sm_hosting.spec.arn import is_arn, resource_name
from airflow_sm_hosting.spec.rendered import as_boolean, is_absent

if TYPE_CHECKING:
    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.hooks.application_auto_scaling import ApplicationAutoScalingHook
    from airflow_sm_hosting.hooks.cloudwatch import CloudWatchHook
    from airflow_sm_hosting.hooks.codebuild import CodeBuildHook
    from airflow_sm_hosting.hooks.ecr import EcrRepositoryHook
    from airflow_sm_hosting.hooks.endpoint_logs import EndpointLogsHook
    from airflow_sm_hosting.hooks.iam import IamHook
    from airflow_sm_hosting.hooks.model_registry import ModelRegistryHook, QueueHook
    from airflow_sm_hosting.hooks.s3 import ModelDataHook
    from airflow_sm_hosting.hooks.sagemaker import SageMakerHostingHook, SageMakerRuntimeHook

DEFAULT_CONNECTION = "aws_default"


class ConnectionId(Field[str | None]):
    """Id of an Airflow connection; None means the ambient credentials, not the default connection."""

    takes_none = True

    def __init__(self) -> None:
        super().__init__(default=DEFAULT_CONNECTION)

    def rendered(self, given: Any) -> str | None:
        """Return the id."""
        return None if is_absent(given) else str(given)


class AwsFields(Fields):
    """The AWS parameters that Airflow renders; :class:`AwsParameters` makes hooks from them."""

    aws_conn_id = ConnectionId()
    region_name = optional(Text())
    verify = optional(Value())


class AwsParameters:
    """A holder of ``aws_conn_id``, ``region_name``, ``verify`` and ``botocore_config``; hooks are made when they are used."""

    aws_conn_id: Late | None
    region_name: Late | None
    verify = PathAsText()
    botocore_config: Mapping[str, Any] | None

    @property
    def aws_parameters(self) -> dict[str, Any]:
        """Return the four values as parameters of an operator or a trigger."""
        return {
            "aws_conn_id": self.aws_conn_id,
            "region_name": self.region_name,
            "verify": self.verify,
            "botocore_config": self.botocore_config,
        }

    def resource_name(self, field: str, kind: str) -> str:
        """Return the name in a rendered field that takes a name or an ARN, without a call.

        :param field: The attribute, e.g. ``endpoint_name``.
        :param kind: ``MODEL``, ``ENDPOINT_CONFIG`` or ``ENDPOINT`` of :mod:`airflow_sm_hosting.spec.arn`.
        :raises InvalidSpecError: When the value is neither a name nor an ARN of this kind.
        """
        return resource_name(field, getattr(self, field), kind)

    def check_arns(self, *fields: str) -> None:
        """Check that the ARNs in these fields belong to the connection's Region and account; without ARNs, no call is made.

        :raises InvalidSpecError: When an ARN belongs to another Region or account.
        """
        arns = {field: getattr(self, field) for field in fields if is_arn(getattr(self, field))}
        if arns:
            self.sagemaker_hook.check_arns(arns)

    def name_in_its_case(self, endpoint_name: str) -> str | None:
        """Return the endpoint's name as DescribeEndpoint returns it, if it differs from the given one in case alone; else None.

        The permission ``sagemaker:DescribeEndpoint`` is optional.
        """
        return self._described_name("describe_endpoint", "EndpointName", endpoint_name)

    def component_in_its_case(self, name: str) -> str | None:
        """Return the same of an inference component; the permission ``sagemaker:DescribeInferenceComponent`` is optional."""
        return self._described_name("describe_inference_component", "InferenceComponentName", name)

    def _described_name(self, method: str, member: str, given: str) -> str | None:
        from botocore.exceptions import ClientError

        try:
            described: Mapping[str, Any] = getattr(self.sagemaker_hook, method)(given) or {}
        except ClientError:
            return None
        name = str(described.get(member, given))
        return None if name == given else name

    @property
    def sagemaker_hook(self) -> SageMakerHostingHook:
        """Return the hook of SageMaker's control plane."""
        from airflow_sm_hosting.hooks.sagemaker import SageMakerHostingHook

        return SageMakerHostingHook(**self._hook_parameters())

    @property
    def runtime_hook(self) -> SageMakerRuntimeHook:
        """Return the hook that invokes endpoints."""
        from airflow_sm_hosting.hooks.sagemaker import SageMakerRuntimeHook

        return SageMakerRuntimeHook(**self._hook_parameters())

    @property
    def cloudwatch_hook(self) -> CloudWatchHook:
        """Return the hook of CloudWatch."""
        from airflow_sm_hosting.hooks.cloudwatch import CloudWatchHook

        return CloudWatchHook(**self._hook_parameters())

    @property
    def auto_scaling_hook(self) -> ApplicationAutoScalingHook:
        """Return the hook of Application Auto Scaling."""
        from airflow_sm_hosting.hooks.application_auto_scaling import ApplicationAutoScalingHook

        return ApplicationAutoScalingHook(**self._hook_parameters())

    @property
    def endpoint_logs_hook(self) -> EndpointLogsHook:
        """Return the hook of CloudWatch Logs."""
        from airflow_sm_hosting.hooks.endpoint_logs import EndpointLogsHook

        return EndpointLogsHook(**self._hook_parameters())

    @property
    def model_data_hook(self) -> ModelDataHook:
        """Return the hook of S3."""
        from airflow_sm_hosting.hooks.s3 import ModelDataHook

        return ModelDataHook(**self._hook_parameters())

    def model_data_hook_of(self, aws_conn_id: str | None) -> ModelDataHook:
        """Return the hook of S3 on another connection; on the task's own if none is given."""
        from airflow_sm_hosting.hooks.s3 import ModelDataHook

        other = {"aws_conn_id": aws_conn_id} if aws_conn_id else {}
        return ModelDataHook(**{**self._hook_parameters(), **other})

    @property
    def model_registry_hook(self) -> ModelRegistryHook:
        """Return the hook of SageMaker's model registry."""
        from airflow_sm_hosting.hooks.model_registry import ModelRegistryHook

        return ModelRegistryHook(**self._hook_parameters())

    @property
    def queue_hook(self) -> QueueHook:
        """Return the hook of SQS."""
        from airflow_sm_hosting.hooks.model_registry import QueueHook

        return QueueHook(**self._hook_parameters())

    @property
    def iam_hook(self) -> IamHook:
        """Return the hook of IAM."""
        from airflow_sm_hosting.hooks.iam import IamHook

        return IamHook(**self._hook_parameters())

    @property
    def codebuild_hook(self) -> CodeBuildHook:
        """Return the hook of CodeBuild."""
        from airflow_sm_hosting.hooks.codebuild import CodeBuildHook

        return CodeBuildHook(**self._hook_parameters())

    def ecr_hook(self, region_name: str | None = None, aws_conn_id: str | None = None) -> EcrRepositoryHook:
        """Return the hook of ECR, in another Region or on another connection if one is given."""
        from airflow_sm_hosting.hooks.ecr import EcrRepositoryHook

        parameters = self._hook_parameters()
        others = {"region_name": region_name, "aws_conn_id": aws_conn_id}
        return EcrRepositoryHook(  # type: ignore[no-untyped-call]
            **{**parameters, **{name: value for name, value in others.items() if value}}
        )

    def _hook_parameters(self) -> dict[str, Any]:
        verify = None if is_absent(self.verify) else self.verify
        if isinstance(verify, str) and verify.lower() in ("true", "false"):
            verify = as_boolean("verify", verify)
        return {
            "aws_conn_id": None if is_absent(self.aws_conn_id) else self.aws_conn_id,
            "region_name": None if is_absent(self.region_name) else self.region_name,
            "verify": verify,
            "config": self.botocore_config,
        }
