"""Wait until an endpoint is in service."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf  # in airflow.sdk from 3.2 on only
from airflow.sdk import BaseSensorOperator

from airflow_sm_hosting.exceptions import DeploymentFailedError
from airflow_sm_hosting.fields import Boolean, HasFields, Resource, optional
from airflow_sm_hosting.guarded_task import GuardedTask
from airflow_sm_hosting.hooks.parameters import DEFAULT_CONNECTION, AwsFields, AwsParameters
from airflow_sm_hosting.links import ConsoleLink, EndpointLink
from airflow_sm_hosting.retries import RETRIES
from airflow_sm_hosting.spec.arn import ENDPOINT, ENDPOINT_CONFIG

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from airflow.sdk import Context

    from airflow_sm_hosting.deployer.waiting import PollingWait
    from airflow_sm_hosting.deployment.wait import WaitCondition, WaitResult
    from airflow_sm_hosting.fields import Late


#: Maximum seconds between two polls of a rescheduled task that is in doubt, as it holds its worker meanwhile.
DOUBT_INTERVAL = 15.0


class EndpointInServiceFields(AwsFields):
    """What :class:`EndpointInServiceSensor` takes."""

    endpoint_name = Resource(ENDPOINT)
    endpoint_config_name = optional(Resource(ENDPOINT_CONFIG))
    deferrable = Boolean(default=False, templated=False)


class EndpointSensorBase(GuardedTask, AwsParameters, HasFields, BaseSensorOperator):
    """Base of the sensors that look at an endpoint or an inference component."""

    operator_extra_links: tuple[ConsoleLink, ...] = ()
    ui_color = "#e8f0fb"
    deferrable: bool

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if getattr(self, "retry_policy", None) is None:
            self.retry_policy = RETRIES  # type: ignore[assignment]  # see there

    def begin(self, context: Context) -> None:
        """Check the ARNs, and store the links."""
        self.check_arns(*self._named_by_arn())
        hook = self.sagemaker_hook
        for link in self.operator_extra_links:
            link.persist_for(context, hook, **self._names())

    # What each sensor has of its own.

    def _names(self) -> dict[str, str]:
        """Return the names for the links."""
        raise NotImplementedError

    def _named_by_arn(self) -> tuple[str, ...]:
        """Return the fields that take an ARN."""
        raise NotImplementedError


class InServiceBase(EndpointSensorBase):
    """Base of the sensors that wait until an endpoint or an inference component is in service."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._polling: PollingWait | None = None

    def execute(self, context: Context) -> Any:
        """Wait in this process, or give the wait to the triggerer."""
        condition = self._condition()  # checks the names, before the first call
        self.begin(context)
        if not self.deferrable:
            return super().execute(context)
        from airflow_sm_hosting.triggers.endpoint import EndpointTrigger

        now = time.time()
        self.defer(
            trigger=EndpointTrigger(
                awaited=condition.serialize(),
                deadline=now + self.timeout,
                started_at=now,
                poll_interval=self.poke_interval,
                **self.aws_parameters,
            ),
            method_name="execute_complete",
        )
        return None

    def poke(self, context: Context) -> bool:
        """Poll once. Airflow's own timeout is the time budget here."""
        from airflow_sm_hosting.deployer.waiting import PollingWait

        if self._polling is None:
            self._polling = PollingWait(
                self.sagemaker_hook,
                self._condition(),
                deadline=math.inf,
                started_at=time.time(),
                log_status=self.log.info,
            )
        while (result := self._polling.poll()) is None:
            if not (self.reschedule and self._polling.is_in_doubt):
                return False
            # A rescheduled task forgets its answers, and a failure is proven by several that agree.
            time.sleep(min(self._polling.pause(self.poke_interval), DOUBT_INTERVAL))
        self._conclude(result)
        return True

    def execute_complete(self, context: Context, event: dict[str, Any]) -> None:
        """Go on where the deferred wait ended."""
        from airflow_sm_hosting.deployment.wait import WaitResult

        self._conclude(WaitResult.deserialize(event["sighting"]))

    def _conclude(self, result: WaitResult) -> None:
        if result.outcome == "timed_out":
            from airflow.providers.common.compat.sdk import AirflowSensorTimeout  # moved between 3.1 and 3.2

            raise AirflowSensorTimeout(result.message)
        if result.outcome != "deployed":
            raise DeploymentFailedError(result.message)
        self.log.info("%s", result.message)

    def _condition(self) -> WaitCondition:
        """Return the condition that ends the wait, from the rendered parameters."""
        raise NotImplementedError


class EndpointInServiceSensor(InServiceBase):
    """Wait until an endpoint is ``InService``, on a certain endpoint config if one is named, with no deployment pending.

    An endpoint that does not exist yet is waited for. One that is Failed, OutOfService or UpdateRollbackFailed is an error, with
    its reason.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#endpointinservicesensor
        API: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html

    :param endpoint_name: Name of the endpoint, or its ARN. (templated)
    :param endpoint_config_name: The config that must serve, by name or ARN (default: whichever). (templated)
    :param deferrable: Whether it waits in the triggerer (default: ``[operators] default_deferrable``).
    :param poke_interval: Seconds, or a timedelta, between two polls (default: 30).
    :param timeout: Time budget in seconds, or as a timedelta (default: Airflow's ``[sensors] default_timeout``, 7 days).
    :param aws_conn_id: The Airflow connection used for AWS credentials (default: ``aws_default``). (templated)
    :param region_name: AWS Region (default: the connection's). (templated)
    :param verify: Whether to verify TLS certificates, or the path of a CA bundle. (templated)
    :param botocore_config: Configuration of the botocore clients as a dict.
    :raises DeploymentFailedError: When the endpoint failed.
    :raises AirflowSensorTimeout: When the time budget ended first, as with every sensor.
    """

    fields = EndpointInServiceFields
    template_fields: Sequence[str] = EndpointInServiceFields.template_fields()
    operator_extra_links = (EndpointLink(),)

    def __init__(
        self,
        *,
        endpoint_name: Late,
        endpoint_config_name: Late | None = None,
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
        self.endpoint_name = endpoint_name
        self.endpoint_config_name = endpoint_config_name
        self.deferrable = deferrable
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def _condition(self) -> WaitCondition:
        from airflow_sm_hosting.deployment.wait import WaitCondition, WaitFor

        given = EndpointInServiceFields.of(self)
        return WaitCondition(WaitFor.IN_SERVICE, given.endpoint_name, given.endpoint_config_name)

    def _names(self) -> dict[str, str]:
        return {"endpoint_name": EndpointInServiceFields.of(self).endpoint_name}

    def _named_by_arn(self) -> tuple[str, ...]:
        return ("endpoint_name", "endpoint_config_name")
