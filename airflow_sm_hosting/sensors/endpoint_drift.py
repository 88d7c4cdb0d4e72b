"""Wait until an endpoint is not as it was deployed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf  # in airflow.sdk from 3.2 on only

from airflow_sm_hosting.exceptions import DeploymentFailedError
from airflow_sm_hosting.fields import Boolean, InstanceCounts, ListOf, Resource, Weights, optional
from airflow_sm_hosting.hooks.parameters import DEFAULT_CONNECTION, AwsFields
from airflow_sm_hosting.links import EndpointLink
from airflow_sm_hosting.sensors.endpoint import DOUBT_INTERVAL, EndpointSensorBase
from airflow_sm_hosting.spec.arn import ENDPOINT, ENDPOINT_CONFIG

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from airflow.sdk import Context, PokeReturnValue

    from airflow_sm_hosting.deployment.drift import Drift, Expected
    from airflow_sm_hosting.fields import Late


class EndpointDriftFields(AwsFields):
    """What :class:`EndpointDriftSensor` takes."""

    endpoint_name = Resource(ENDPOINT)
    endpoint_config_name = optional(Resource(ENDPOINT_CONFIG))
    weights = optional(Weights(json=True))
    instance_counts = optional(InstanceCounts(json=True))
    scaled_variants = ListOf()
    alarms = ListOf()
    deferrable = Boolean(default=False, templated=False)


class EndpointDriftSensor(EndpointSensorBase):
    """Wait until what serves is not what was deployed: somebody has changed the endpoint, or it has failed or was deleted.

    It compares with what the last deployment or rollback of this package recorded in the endpoint's tags, so that deployments meanwhile are
    no drift, or with what is given. An endpoint in transition is waited for, and drift is looked at for 90 seconds before it counts, as reads
    of AWS may lag.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#endpointdriftsensor
        API: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html

    :param endpoint_name: Name of the endpoint, or its ARN. (templated)
    :param endpoint_config_name: The config that should serve, by name or ARN (default: the one that the endpoint's tags record). (templated)
    :param weights: Weights that variants should have: ``{"main": 9, "challenger": 1}`` (default: weights are not compared). (templated)
    :param instance_counts: Instance counts that variants should have: ``{"main": 2}`` (default: counts are not compared). (templated)
    :param scaled_variants: Variants whose scaling is compared with what ``ConfigureAutoscalingOperator`` recorded: capacities, and whether
        its policies and schedules are there (default: none). (templated)
    :param alarms: Alarms that should exist with their actions switched on (default: none). (templated)
    :param deferrable: Whether it waits in the triggerer (default: ``[operators] default_deferrable``).
    :param poke_interval: Seconds, or a timedelta, between two polls (default: 300).
    :param timeout: Time budget in seconds, or as a timedelta (default: Airflow's ``[sensors] default_timeout``, 7 days).
    :param aws_conn_id: The Airflow connection used for AWS credentials (default: ``aws_default``). (templated)
    :param region_name: AWS Region (default: the connection's). (templated)
    :param verify: Whether to verify TLS certificates, or the path of a CA bundle. (templated)
    :param botocore_config: Configuration of the botocore clients as a dict.
    :raises DeploymentFailedError: When the endpoint cannot be described.
    :raises AirflowSensorTimeout: When the time budget ended without drift, as with every sensor; ``soft_fail=True`` makes that a skip.
    :return: The drift as plain JSON: endpoint_name, endpoint_config_name (that should serve, if known), drift (sentences).
    """

    fields = EndpointDriftFields
    template_fields: Sequence[str] = EndpointDriftFields.template_fields()
    template_fields_renderers = EndpointDriftFields.template_fields_renderers()
    operator_extra_links = (EndpointLink(),)

    def __init__(
        self,
        *,
        endpoint_name: Late,
        endpoint_config_name: Late | None = None,
        weights: Mapping[str, Any] | Late | None = None,
        instance_counts: Mapping[str, Any] | Late | None = None,
        scaled_variants: Sequence[Any] | Late = (),
        alarms: Sequence[Any] | Late = (),
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: float | timedelta = 300,
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
        self.weights = weights
        self.instance_counts = instance_counts
        self.scaled_variants = scaled_variants
        self.alarms = alarms
        self.deferrable = deferrable
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        self._seen_at: dict[str, float] = {}

    def execute(self, context: Context) -> Any:
        """Wait in this process, or give the wait to the triggerer."""
        EndpointDriftFields.of(self)  # checks the values, before the first call
        self.begin(context)
        if not self.deferrable:
            return super().execute(context)
        self._defer_until(time.time() + self.timeout, self._compare())
        return None

    def poke(self, context: Context) -> PokeReturnValue | bool:
        """Look once, or, while it sees drift, until that is proven or gone; a rescheduled task would forget what it has seen."""
        from airflow.sdk import PokeReturnValue

        while not (found := self._proven(self._compare())):
            if not self._seen_at:
                return False
            time.sleep(min(self.poke_interval, DOUBT_INTERVAL))
        return PokeReturnValue(is_done=True, xcom_value=self._told(found))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any] | None:
        """Go on where the deferred wait ended: with drift, or to look at what a description of the endpoint does not show."""
        from airflow.providers.common.compat.sdk import AirflowSensorTimeout  # moved between 3.1 and 3.2

        from airflow_sm_hosting.deployment.wait import Outcome, WaitResult

        result = WaitResult.deserialize(event["sighting"])
        if result.outcome == Outcome.UNKNOWN:
            raise DeploymentFailedError(result.message)
        carried = event.get("carried") or {}
        drift = self._compare()
        # A deployment of ours may have changed what is expected since; and one look proves nothing.
        seen = set(carried.get("seen", ()))
        proven = result.outcome == Outcome.DEPLOYED or (drift and seen & set(drift.found))
        if drift and drift.found and proven:
            return self._told(drift)
        if time.time() >= carried.get("deadline", 0):
            raise AirflowSensorTimeout(
                f"Endpoint {self.endpoint_name}: no drift was proven within {self.timeout:g} s."
            )
        self._defer_until(carried["deadline"], drift)
        return None

    def _compare(self) -> Drift | None:
        """Read what serves, and compare it; None when AWS did not answer this time."""
        from airflow_sm_hosting.deployer.drift import find_drift
        from airflow_sm_hosting.exceptions import SideReadError
        from airflow_sm_hosting.hooks.errors import is_passing

        try:
            return find_drift(self, self._expected())
        except Exception as error:
            if not (is_passing(error) or isinstance(error, SideReadError)):
                raise
            self.log.info("The endpoint could not be described (%s); looking again", error)
            return None

    def _expected(self) -> Expected:
        from airflow_sm_hosting.deployment.drift import Expected

        given = EndpointDriftFields.of(self)
        return Expected(
            given.endpoint_name,
            given.endpoint_config_name,
            weights=given.weights or {},
            instance_counts=given.instance_counts or {},
            scaled_variants=tuple(map(str, given.scaled_variants)),
            alarms=tuple(map(str, given.alarms)),
        )

    def _proven(self, drift: Drift | None) -> Drift | None:
        """Return the drift if some of it has been there for longer than reads may lag."""
        from airflow_sm_hosting.deployment import evidence

        if drift is None:
            return None
        now = time.monotonic()
        self._seen_at = {one: self._seen_at.get(one, now) for one in drift.found}
        for one, seen_at in self._seen_at.items():
            if seen_at == now:
                self.log.info("Endpoint %s: %s; looking again before it counts", self.endpoint_name, one)
        proven = any(now - seen_at > evidence.READS_LAG for seen_at in self._seen_at.values())
        return drift if proven else None

    def _defer_until(self, deadline: float, drift: Drift | None) -> None:
        """Give the wait to the triggerer, until the next look at what a description of the endpoint does not show."""
        from airflow_sm_hosting.deployment import evidence
        from airflow_sm_hosting.deployment.wait import WaitCondition, WaitFor
        from airflow_sm_hosting.triggers.endpoint import EndpointTrigger

        now, expected = time.time(), self._expected()
        config = drift.endpoint_config_name if drift else expected.endpoint_config_name
        give_up_at = None
        until = deadline
        if drift and drift.found:
            # What was seen is proven or gone then, also if the time budget ends first.
            give_up_at = now + max(evidence.READS_LAG, 0) + 1
            until = max(deadline, give_up_at)
        elif config is None or expected.scaled_variants or expected.alarms:
            give_up_at = now + self.poke_interval
        condition = WaitCondition(
            WaitFor.DRIFTED,
            expected.endpoint_name,
            config,
            weights=expected.weights,
            instance_counts=expected.instance_counts,
            give_up_at=give_up_at,
        )
        self.defer(
            trigger=EndpointTrigger(
                awaited=condition.serialize(),
                deadline=until,
                started_at=now,
                poll_interval=self.poke_interval,
                carried={"deadline": deadline, "seen": list(drift.found) if drift else []},
                **self.aws_parameters,
            ),
            method_name="execute_complete",
        )

    def _told(self, drift: Drift) -> dict[str, Any]:
        """Return the drift as plain JSON, and log it."""
        name = EndpointDriftFields.of(self).endpoint_name
        self.log.warning("Endpoint %s has drifted: %s", name, "; ".join(drift.found))
        return {
            "endpoint_name": name,
            "endpoint_config_name": drift.endpoint_config_name,
            "drift": list(drift.found),
        }

    def _names(self) -> dict[str, str]:
        return {"endpoint_name": EndpointDriftFields.of(self).endpoint_name}

    def _named_by_arn(self) -> tuple[str, ...]:
        return ("endpoint_name", "endpoint_config_name")
