"""Shift the traffic of an endpoint between its production variants."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.configuration import conf  # only in airflow.sdk 3.2 and newer

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.fields import (
    Boolean,
    ByVariant,
    InstanceCounts,
    Resource,
    Seconds,
    Structure,
    Weights,
    optional,
)
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.links import EndpointLink
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.operators.recorded import RecordedTask, task_instance_key
from airflow_sm_hosting.spec.arn import ENDPOINT
from airflow_sm_hosting.spec.checks import invalid, is_rendered_later
from airflow_sm_hosting.spec.members import check_plain
from airflow_sm_hosting.spec.rendered import whole_number
from airflow_sm_hosting.spec.serverless_update import SERVERLESS_UPDATE

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.deployer.traffic import TrafficShifter
    from airflow_sm_hosting.deployment.traffic import Shift
    from airflow_sm_hosting.deployment.wait import WaitCondition, WaitResult
    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.spec.serverless_update import ServerlessUpdate


class ServerlessUpdates(ByVariant):
    """A :class:`~airflow_sm_hosting.ServerlessUpdate` by serverless variant."""

    words = "a dict of ServerlessUpdates by variant, e.g. {'main': ServerlessUpdate(max_concurrency=20)}"

    def check_number(self, where: str, number: Any) -> None:
        """Check a literal update."""
        if not is_rendered_later(number):
            self.number(where, number)

    def number(self, where: str, number: Any) -> dict[str, Any]:
        """Return an update with its numbers."""
        if not isinstance(number, dict):
            raise invalid(where, number, self.words)
        check_plain(where, number, SERVERLESS_UPDATE.structure)
        SERVERLESS_UPDATE.check(where, number)
        return {member: whole_number(value) for member, value in number.items()}


class ShiftTrafficFields(AwsFields):
    """The parameters of :class:`ShiftTrafficOperator`."""

    endpoint_name = Resource(ENDPOINT)
    weights = optional(Weights(json=True))
    instance_counts = optional(InstanceCounts(json=True))
    serverless_updates = optional(ServerlessUpdates(json=True))
    undo = optional(Structure(words="details of a ShiftTrafficOperator, or what they have under 'before'"))
    adopt = Boolean(default=False)
    deferrable = Boolean(default=False, templated=False)
    poll_interval = Seconds(low=0.1, default=15)
    timeout = Seconds(low=1, default=3600)

    def check_together(self, where: str) -> None:
        """Check that something is to be shifted, or undone."""
        shifts = any(one is not None for one in (self.weights, self.instance_counts, self.serverless_updates))
        if shifts == (self.undo is not None):
            raise InvalidSpecError(
                f"{where}weights or instance_counts, and undo, are {'both' if shifts else 'not'} given; allowed: weights, "
                "instance_counts and serverless_updates, or undo."
            )


class ShiftTrafficOperator(RecordedTask, SageMakerHostingBaseOperator):
    """Set weights and instance counts of an endpoint's production variants, in one call, and verify that they are in effect.

    Uses ``sagemaker:UpdateEndpointWeightsAndCapacities``; nothing is called if the endpoint has the traffic already. Another change of the
    endpoint is awaited first. What the variants had before is in ``details``, and in the endpoint's tags for a retry. If the task is killed,
    the change continues in AWS, and the next try joins it.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#shifttrafficoperator
        API: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpointWeightsAndCapacities.html

    :param endpoint_name: Name of the endpoint, or its ARN. (templated)
    :param weights: Weights by variant, each 0 or more; a variant's share is its weight divided by the sum of all weights. Variants that are
        not named keep theirs. (templated)
    :param instance_counts: Instance counts by variant; of variants that autoscaling does not scale. (templated)
    :param serverless_updates: A :class:`~airflow_sm_hosting.ServerlessUpdate` by serverless variant: its new concurrency. (templated)
    :param undo: ``details`` of an earlier shift: its variants get back what they had before it. In place of ``weights`` and
        ``instance_counts``. (templated)
    :param adopt: Whether the task may change an endpoint without this package's tags (default: False). (templated)
    :param deferrable: Whether the task waits in the triggerer (default: ``[operators] default_deferrable``).
    :param poll_interval: Seconds, or a timedelta, between two polls, 0.1 or more (default: 15). (templated)
    :param timeout: Time budget of one try, in seconds or as a timedelta, 1 or more (default: 3600). (templated)
    :raises NotFoundError: When the endpoint or a variant does not exist.
    :raises ConflictError: When the endpoint is not ours, is out of service, or autoscaling sets an instance count.
    :raises DeploymentRolledBackError: When the endpoint went back to other weights or counts.
    :raises DeploymentTimeoutError: When the time budget ended first.
    :raises DeploymentFailedError: When the endpoint failed, or cannot be described.
    :return: The endpoint's name; ``details`` (XCom): action (``shift`` or ``unchanged``), weights, instance_counts, serverless_updates if
        there are any, before, seconds.
    """

    fields = ShiftTrafficFields
    template_fields: Sequence[str] = ShiftTrafficFields.template_fields()
    template_fields_renderers: ClassVar[dict[str, str]] = ShiftTrafficFields.template_fields_renderers()
    operator_extra_links = (EndpointLink(),)

    def __init__(
        self,
        *,
        endpoint_name: Late,
        weights: Mapping[str, float | Late] | Late | None = None,
        instance_counts: Mapping[str, int | Late] | Late | None = None,
        serverless_updates: Mapping[str, ServerlessUpdate | Mapping[str, Any] | Late] | Late | None = None,
        undo: Mapping[str, Any] | Late | None = None,
        adopt: bool | Late = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta | Late = 15,
        timeout: float | timedelta | Late = 3600,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.endpoint_name = endpoint_name
        self.weights = weights
        self.instance_counts = instance_counts
        self.serverless_updates = serverless_updates
        self.undo = undo
        self.adopt = adopt
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.timeout = timeout

    def execute(self, context: Context) -> str:
        """Check the parameters, then observe, plan, apply and wait until the traffic is shifted."""
        from airflow_sm_hosting.deployer.traffic import TrafficShifter

        given = ShiftTrafficFields.of(self)
        shift = self._wanted(context, given)
        self.check_arns("endpoint_name")
        hook, started_at = self.sagemaker_hook, time.time()
        for link in self.operator_extra_links:
            link.persist_for(context, hook, endpoint_name=given.endpoint_name)
        self.note_deployment(region=hook.conn_region_name, action="shift")
        shifter = TrafficShifter(shift, self, deadline=started_at + given.timeout)
        return self._shift(context, given, shifter, started_at)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:
        """Continue after the deferred wait."""
        from airflow_sm_hosting.deployer.traffic import TrafficShifter
        from airflow_sm_hosting.deployment.traffic import Traffic
        from airflow_sm_hosting.deployment.wait import WaitCondition, WaitResult, known_fields

        given, carried = ShiftTrafficFields.of(self), event["carried"]
        before = Traffic(**known_fields(Traffic, carried["before"])) if carried["before"] else None
        started_at = float(carried["started_at"])
        shifter = TrafficShifter(
            self._wanted(context, given), self, deadline=started_at + given.timeout, before=before
        )
        self.note_wait(context, event)
        condition = WaitCondition.deserialize(carried["awaited"])
        if shifter.after_wait(condition, WaitResult.deserialize(event["sighting"])):
            return self._report(context, given, shifter, started_at)
        return self._shift(context, given, shifter, started_at)

    def on_kill(self) -> None:
        """Log what continues in AWS: no operation stops a change of traffic."""
        self.log.warning(
            "This task was killed; a change of the traffic of endpoint %s that has begun continues in AWS. Run the task again to join it.",
            self.endpoint_name,
        )
        super().on_kill()

    def _wanted(self, context: Context, given: ShiftTrafficFields) -> Shift:
        from airflow_sm_hosting.deployment.traffic import Shift
        from airflow_sm_hosting.spec.tags import digest

        weights, counts = given.weights or {}, given.instance_counts or {}
        concurrency = given.serverless_updates or {}
        if given.undo is not None:
            before = given.undo.get("before", given.undo)
            if not isinstance(before, Mapping) or not {"weights", "instance_counts"} & before.keys():
                raise invalid("undo", given.undo, "details of a ShiftTrafficOperator")
            weights = _given("weights", before, Weights())
            counts = _given("instance_counts", before, InstanceCounts())
            concurrency = _given("serverless_updates", before, ServerlessUpdates())
            if not (weights or counts or concurrency):
                raise invalid(
                    "undo", given.undo, "details of a ShiftTrafficOperator that has shifted something"
                )
        run = getattr(context.get("dag_run"), "run_id", "")
        index = getattr(context["ti"], "map_index", -1)
        return Shift(
            given.endpoint_name,
            weights,
            counts,
            concurrency,
            adopt=given.adopt,
            task=digest(f"{self.dag_id}/{self.task_id}/{run}/{index}"),
        )

    def _shift(
        self, context: Context, given: ShiftTrafficFields, shifter: TrafficShifter, started_at: float
    ) -> str:
        while (condition := self._advance(context, shifter)) is not None:
            result = self._wait(context, given, shifter, condition, started_at)
            if shifter.after_wait(condition, result):
                break
        return self._report(context, given, shifter, started_at)

    def recorded_name(self) -> dict[str, Any]:
        """Return the endpoint's name."""
        return {"name": self.resource_name("endpoint_name", ENDPOINT)}

    def _advance(self, context: Context, shifter: TrafficShifter) -> WaitCondition | None:
        """Observe, plan and apply until the next wait; note what is known by then, also if this fails."""
        from airflow_sm_hosting.deployment.record import observed_members

        try:
            return shifter.advance()
        finally:
            described = shifter.take_description()
            self.note_deployment(**observed_members(described, shifter.known))
            if described:
                self.observe_status(context, described)

    def _wait(
        self,
        context: Context,
        given: ShiftTrafficFields,
        shifter: TrafficShifter,
        condition: WaitCondition,
        started_at: float,
    ) -> WaitResult:
        """Wait in this process, or defer the wait to the triggerer and never return."""
        from airflow_sm_hosting.deployer.waiting import PollingWait

        deadline = started_at + given.timeout
        if self.deferrable:
            from airflow_sm_hosting.triggers.endpoint import EndpointTrigger

            self.defer(
                trigger=EndpointTrigger(
                    awaited=condition.serialize(),
                    deadline=deadline,
                    started_at=started_at,
                    poll_interval=given.poll_interval,
                    carried={
                        "before": shifter.before.as_json() if shifter.before else None,
                        "awaited": condition.serialize(),
                        "started_at": started_at,
                        "notes": self.deployment_notes,
                    },
                    watched_by=task_instance_key(context),
                    **self.aws_parameters,
                ),
                method_name="execute_complete",
            )
        wait = PollingWait(
            self.sagemaker_hook,
            condition,
            deadline=deadline,
            started_at=started_at,
            log_status=self.log.info,
            observe_status=partial(self.observe_status, context),
        )
        while (result := wait.poll()) is None:
            time.sleep(wait.pause(given.poll_interval))
        return result

    def _after_shift(self, shift: Shift) -> list[dict[str, Any]]:
        """Return the noted variants with the weights and counts that are in effect now: the wait has verified them."""
        return [
            {
                **variant,
                **({"weight": shift.weights[name]} if (name := variant["name"]) in shift.weights else {}),
                **(
                    {"current": shift.instance_counts[name], "desired": shift.instance_counts[name]}
                    if name in shift.instance_counts
                    else {}
                ),
            }
            for variant in self.deployment_notes.get("described_variants") or ()
        ]

    def _report(
        self, context: Context, given: ShiftTrafficFields, shifter: TrafficShifter, started_at: float
    ) -> str:
        """Log and push what the variants have and had; return the endpoint's name."""
        wanted = shifter.shift
        self.log.info(
            "Endpoint %s %s: weights %s, instance counts %s, concurrency %s",
            given.endpoint_name,
            "has its new traffic" if shifter.has_shifted else "has this traffic already; nothing to do",
            dict(wanted.weights),
            dict(wanted.instance_counts),
            dict(wanted.serverless_updates),
        )
        self.note_deployment(
            action="shift" if shifter.has_shifted else "unchanged",
            seconds=round(time.time() - started_at, 1),
            described_variants=self._after_shift(wanted),
        )
        self.push_details(
            context,
            {
                "action": "shift" if shifter.has_shifted else "unchanged",
                "weights": dict(wanted.weights),
                "instance_counts": dict(wanted.instance_counts),
                **(
                    {"serverless_updates": dict(wanted.serverless_updates)}
                    if wanted.serverless_updates
                    else {}
                ),
                "before": shifter.before.as_json() if shifter.before else None,
                "seconds": round(time.time() - started_at, 1),
            },
        )
        return given.endpoint_name


def _given(name: str, before: Mapping[str, Any], field: ByVariant) -> dict[str, Any]:
    """Return what the details of an earlier shift have under a name."""
    return field.value(f"undo: {name}", before[name]) if before.get(name) else {}
