"""Wait until a version of a model package group is approved."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf  # in airflow.sdk from 3.2 on only
from airflow.sdk import BaseSensorOperator

from airflow_sm_hosting.exceptions import ModelPackageError
from airflow_sm_hosting.fields import Boolean, HasFields, Text
from airflow_sm_hosting.guarded_task import GuardedTask
from airflow_sm_hosting.hooks.parameters import DEFAULT_CONNECTION, AwsFields, AwsParameters
from airflow_sm_hosting.retries import RETRIES
from airflow_sm_hosting.spec.arn import is_arn
from airflow_sm_hosting.spec.reference_parts import check_package_version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from os import PathLike

    from airflow.sdk import Context

    from airflow_sm_hosting.deployment.approval import ApprovalResult
    from airflow_sm_hosting.fields import Late


class ModelPackageApprovedFields(AwsFields):
    """What :class:`ModelPackageApprovedSensor` takes."""

    model_package = Text(check_package_version)
    deferrable = Boolean(default=False, templated=False)


class ModelPackageApprovedSensor(GuardedTask, AwsParameters, HasFields, BaseSensorOperator):
    """Wait until a version of a model package group is ``Approved`` and ``Completed``.

    A version that does not exist yet is waited for. One that is Rejected, or has failed, is an error, with its reason.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#modelpackageapprovedsensor
        API: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeModelPackage.html

    :param model_package: The version: its ARN, such as the output of a ``RegisterModelOperator``, or ``<group>/<version>``. (templated)
    :param deferrable: Whether it waits in the triggerer (default: ``[operators] default_deferrable``).
    :param poke_interval: Seconds, or a timedelta, between two polls (default: 60).
    :param timeout: Time budget in seconds, or as a timedelta (default: Airflow's ``[sensors] default_timeout``, 7 days).
    :param aws_conn_id: The Airflow connection used for AWS credentials (default: ``aws_default``). (templated)
    :param region_name: AWS Region (default: the connection's). (templated)
    :param verify: Whether to verify TLS certificates, or the path of a CA bundle. (templated)
    :param botocore_config: Configuration of the botocore clients as a dict.
    :raises ModelPackageError: When the version was rejected, or has failed.
    :raises AirflowSensorTimeout: When the time budget ended first, as with every sensor.
    """

    fields = ModelPackageApprovedFields
    template_fields: Sequence[str] = ModelPackageApprovedFields.template_fields()
    ui_color = "#e8f0fb"

    def __init__(
        self,
        *,
        model_package: Late,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: float | timedelta = 60,
        aws_conn_id: Late | None = DEFAULT_CONNECTION,
        region_name: Late | None = None,
        verify: bool | PathLike[str] | Late | None = None,
        botocore_config: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.model_package = model_package
        self.deferrable = deferrable
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        if getattr(self, "retry_policy", None) is None:
            self.retry_policy = RETRIES  # type: ignore[assignment]  # see there
        self._status = ""

    def execute(self, context: Context) -> Any:
        """Wait in this process, or give the wait to the triggerer."""
        ModelPackageApprovedFields.of(self)  # checks the values, before the first call
        if not self.deferrable:
            return super().execute(context)
        self._defer_until(time.time() + self.timeout)
        return None

    def poke(self, context: Context) -> bool:
        """Poll once. Airflow's own timeout is the time budget here."""
        result = self._look()
        if result is None:
            return False
        self._conclude(result)
        return True

    def execute_complete(self, context: Context, event: dict[str, Any]) -> None:
        """Go on where the deferred wait ended: look once more, as the decision may have changed since."""
        if event.get("error"):
            raise ModelPackageError(event["error"])
        result = self._look()
        if result is not None:
            self._conclude(result)
            return
        deadline = float(event["deadline"])
        if time.time() >= deadline:
            from airflow.providers.common.compat.sdk import AirflowSensorTimeout  # moved between 3.1 and 3.2

            raise AirflowSensorTimeout(
                f"Model package {self.model_package} is not approved within {self.timeout:g} s: {self._status}."
            )
        self._defer_until(deadline)

    def _look(self) -> ApprovalResult | None:
        from airflow_sm_hosting.deployment.approval import approval_result, status_line
        from airflow_sm_hosting.hooks.errors import is_passing

        given = ModelPackageApprovedFields.of(self)
        try:
            found = self.model_registry_hook.describe_package(given.model_package)
        except Exception as error:
            if not is_passing(error):
                raise
            self.log.info("DescribeModelPackage failed (%s); retrying", error)
            return None
        if self._status != status_line(found):
            self._status = status_line(found)
            self.log.info("Model package %s: %s", given.model_package, self._status)
        return approval_result(found)

    def _defer_until(self, deadline: float) -> None:
        from airflow_sm_hosting.triggers.model_package import ModelPackageTrigger

        self.defer(
            trigger=ModelPackageTrigger(
                model_package=self._arn(),
                deadline=deadline,
                poll_interval=self.poke_interval,
                **self.aws_parameters,
            ),
            method_name="execute_complete",
        )

    def _arn(self) -> str:
        """Return the version's ARN, which BatchDescribeModelPackage demands; the account is read if none is given."""
        name = ModelPackageApprovedFields.of(self).model_package
        if is_arn(name):
            return name
        hook = self.model_registry_hook
        return f"arn:{hook.conn_partition}:sagemaker:{hook.conn_region_name}:{hook.account_id}:model-package/{name}"

    def _conclude(self, result: ApprovalResult) -> None:
        if not result.is_approved:
            raise ModelPackageError(result.message)
        self.log.info("%s", result.message)
