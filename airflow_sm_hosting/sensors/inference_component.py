"""Wait until an inference component is in service."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf  # in airflow.sdk from 3.2 on only

from airflow_sm_hosting.fields import Boolean, Resource
from airflow_sm_hosting.hooks.parameters import DEFAULT_CONNECTION, AwsFields
from airflow_sm_hosting.links import ComponentLogsLink
from airflow_sm_hosting.sensors.endpoint import InServiceBase
from airflow_sm_hosting.spec.arn import INFERENCE_COMPONENT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from airflow_sm_hosting.deployment.wait import WaitCondition
    from airflow_sm_hosting.fields import Late


class InferenceComponentInServiceFields(AwsFields):
    """What :class:`InferenceComponentInServiceSensor` takes."""

    inference_component_name = Resource(INFERENCE_COMPONENT)
    deferrable = Boolean(default=False, templated=False)


class InferenceComponentInServiceSensor(InServiceBase):
    """Wait until an inference component is ``InService`` with all its copies.

    A component that does not exist yet is waited for. One that is Failed is an error, with its reason.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#inferencecomponentinservicesensor
        API: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeInferenceComponent.html

    :param inference_component_name: Name of the component, or its ARN. (templated)
    :param deferrable: Whether it waits in the triggerer (default: ``[operators] default_deferrable``).
    :param poke_interval: Seconds, or a timedelta, between two polls (default: 30).
    :param timeout: Time budget in seconds, or as a timedelta (default: Airflow's ``[sensors] default_timeout``, 7 days).
    :param aws_conn_id: The Airflow connection used for AWS credentials (default: ``aws_default``). (templated)
    :param region_name: AWS Region (default: the connection's). (templated)
    :param verify: Whether to verify TLS certificates, or the path of a CA bundle. (templated)
    :param botocore_config: Configuration of the botocore clients as a dict.
    :raises DeploymentFailedError: When the component failed.
    :raises AirflowSensorTimeout: When the time budget ended first, as with every sensor.
    """

    fields = InferenceComponentInServiceFields
    template_fields: Sequence[str] = InferenceComponentInServiceFields.template_fields()
    operator_extra_links = (ComponentLogsLink(),)

    def __init__(
        self,
        *,
        inference_component_name: Late,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: float | timedelta = 30,
        aws_conn_id: Late | None = DEFAULT_CONNECTION,
        region_name: Late | None = None,
        verify: bool | PathLike[str] | Late | None = None,
        botocore_config: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.inference_component_name = inference_component_name
        self.deferrable = deferrable
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def _condition(self) -> WaitCondition:
        from airflow_sm_hosting.deployment.status import Kind
        from airflow_sm_hosting.deployment.wait import WaitCondition, WaitFor

        given = InferenceComponentInServiceFields.of(self)
        return WaitCondition(WaitFor.IN_SERVICE, given.inference_component_name, kind=Kind.COMPONENT)

    def _names(self) -> dict[str, str]:
        name = InferenceComponentInServiceFields.of(self).inference_component_name
        return {"inference_component_name": name}

    def _named_by_arn(self) -> tuple[str, ...]:
        return ("inference_component_name",)
