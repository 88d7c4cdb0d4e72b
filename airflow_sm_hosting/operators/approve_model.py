"""Approve or reject a version of a model package group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_sm_hosting.exceptions import NotFoundError
from airflow_sm_hosting.fields import Boolean, Choice, Text, optional
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.reference_parts import check_package_version

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.hooks.model_registry import ModelRegistryHook


class ApproveModelFields(AwsFields):
    """The parameters of :class:`ApproveModelOperator`."""

    model_package = Text(check_package_version)
    approval_status = Choice(("Approved", "Rejected"), default="Approved")
    description = optional(Text())
    overrule = Boolean(default=False)


class ApproveModelOperator(SageMakerHostingBaseOperator):
    """Approve or reject a version of a model package group (``sagemaker:UpdateModelPackage``).

    A version that is decided so already stays unchanged: no call is made that changes anything, and no event is sent.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#approvemodeloperator
        API: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html

    :param model_package: The version: its ARN, such as the output of a ``RegisterModelOperator``, or ``<group>/<version>``. (templated)
    :param approval_status: ``Approved`` (default) or ``Rejected``. (templated)
    :param description: The reason, 1024 characters at most (default: it stays as it is). (templated)
    :param overrule: Whether the opposite decision, which somebody else may have taken, is replaced (default: False, it is an
        error). (templated)
    :raises InvalidSpecError: Before the first AWS call, for an invalid value.
    :raises NotFoundError: When the version does not exist.
    :raises ModelPackageError: When it is not complete, and so cannot be approved.
    :raises ConflictError: When it is decided the other way.
    :return: The version's ARN; ``details`` (XCom): model_package_arn, approval_status, previous_approval_status, changed.
    """

    fields = ApproveModelFields
    template_fields: Sequence[str] = ApproveModelFields.template_fields()

    def __init__(
        self,
        *,
        model_package: Late,
        approval_status: Literal["Approved", "Rejected"] | Late = "Approved",
        description: Late | None = None,
        overrule: bool | Late = False,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.model_package = model_package
        self.approval_status = approval_status
        self.description = description
        self.overrule = overrule

    def execute(self, context: Context) -> str:
        """Describe the version, and update it unless it is decided so already."""
        from airflow_sm_hosting.service_model.request import validated_request

        given = ApproveModelFields.of(self)
        # The ARN of the request is not known yet if a group and a number were given.
        anything = "arn:aws:sagemaker:us-east-1:000000000000:model-package/group/1"
        validated_request(
            "sagemaker",
            "UpdateModelPackage",
            {"ModelPackageArn": anything, "ApprovalDescription": given.description},
        )
        hook = self.model_registry_hook
        before, request = self._planned(hook, given)
        arn = str(before["ModelPackageArn"])
        if request:
            self._send(hook, given, request)
            self.log.info("Model package %s is %s", arn, given.approval_status)
        else:
            self.log.info("Model package %s is %s already; nothing to do", arn, given.approval_status)
        self.push_details(
            context,
            {
                "model_package_arn": arn,
                "approval_status": given.approval_status,
                "previous_approval_status": before.get("ModelApprovalStatus"),
                "changed": bool(request),
            },
        )
        return arn

    def _send(self, hook: ModelRegistryHook, given: ApproveModelFields, request: dict[str, Any]) -> None:
        from botocore.exceptions import ClientError

        from airflow_sm_hosting.hooks.errors import is_package_conflict

        try:
            hook.update_package(request)
        except ClientError as error:
            if not is_package_conflict(error):
                raise
            # Somebody else changed it at the same time: perhaps to what is wanted.
            _, left = self._planned(hook, given)
            if left:
                raise

    @staticmethod
    def _planned(hook: ModelRegistryHook, given: ApproveModelFields) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the version, and the request that decides on it; an empty one if there is nothing to do."""
        from airflow_sm_hosting.deployment.approval import approval_request

        found = hook.describe_package(given.model_package)
        if found is None:
            raise NotFoundError(
                f"There is no model package {given.model_package} in {hook.conn_region_name}."
            )
        return found, approval_request(
            found, given.approval_status, given.description, overrule=given.overrule
        )
