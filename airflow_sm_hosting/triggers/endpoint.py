"""Waits for an endpoint in the triggerer."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_sm_hosting.hooks.parameters import DEFAULT_CONNECTION, AwsParameters
from airflow_sm_hosting.triggers.poller import in_thread, wait_for_endpoint
from airflow_sm_hosting.triggers.quiet_event import quiet_event
from airflow_sm_hosting.triggers.timeline import Timeline

if TYPE_CHECKING:
    from airflow_sm_hosting.deployment.wait import WaitResult

#: What continues in AWS after a waiting task is killed, by the goal of the wait.
GOES_ON = {
    "deployed": "The deployment continues in AWS, which has no call to stop it. Run the task again to join it. To roll "
    "back, deploy the previous {content}{previous} after it has ended.",
    "counted": "The change of instance counts continues in AWS. Run the task again to join it.",
    "gone": "The deletion continues in AWS and cannot be stopped. Run the task again to continue.",
    "settled": "The current change of the {kind} continues in AWS; this task had not changed it yet. Run "
    "the task again to continue.",
    "in_service": "This task only waited and changed nothing in AWS.",
    "drifted": "This task only waited and changed nothing in AWS.",
}


class EndpointTrigger(AwsParameters, BaseTrigger):
    """Wait until an endpoint meets a condition; all triggers that use the same connection share one poller.

    Yields one event: ``sighting``, the result of the wait (a :class:`airflow_sm_hosting.deployment.wait.WaitResult`, also for a permanent
    error), ``carried``, the values that the task saved in the trigger, and ``observed``, what the task notes of it. The class path, the names of the arguments and of the event's
    members are those of version 0.1.0: tasks may wait during an upgrade, and workers and triggerers are upgraded at different times.

    :param awaited: The condition that ends the wait, as ``WaitCondition.serialize`` writes it.
    :param deadline: When the time budget ends, in seconds since the epoch (default: never).
    :param started_at: When the wait began, in seconds since the epoch (default: now).
    :param poll_interval: Maximum seconds between two polls (default: 30), as far as the options ``[sm_hosting] calls_per_second`` and
        ``lists_per_second`` allow.
    :param carried: Values that the task gets back with the event. They are saved here and not in ``defer(kwargs=…)``, which
        ``dag.test()`` drops (Airflow 3.3.2, airflow/sdk/definitions/dag.py, ``_run_task``).
    :param watched_by: Identifies the task whose XCom ``timeline`` shows the changes (default: none).
    :param aws_conn_id: The Airflow connection used for AWS credentials.
    :param region_name: AWS Region.
    :param verify: Whether to verify TLS certificates, or the path of a CA bundle.
    :param botocore_config: Configuration of the botocore clients.
    :param unknown: Arguments that another version of the package has written; they are ignored.
    """

    def __init__(
        self,
        *,
        awaited: dict[str, Any],
        deadline: float | None = None,
        started_at: float | None = None,
        poll_interval: float = 30,
        carried: dict[str, Any] | None = None,
        watched_by: dict[str, Any] | None = None,
        aws_conn_id: str | None = DEFAULT_CONNECTION,
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.awaited = awaited
        self.deadline = math.inf if deadline is None else deadline
        self.started_at = time.time() if started_at is None else started_at
        self.poll_interval = poll_interval
        self.carried = carried
        self.watched_by = watched_by
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that recreate this trigger."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "awaited": self.awaited,
                "deadline": self.deadline,
                "started_at": self.started_at,
                "poll_interval": self.poll_interval,
                "carried": self.carried,
                "watched_by": self.watched_by,
                **self.aws_parameters,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, together with all other triggers that use the same connection."""
        async with Timeline(self.watched_by, (self.carried or {}).get("notes")) as timeline:
            result = await self._wait(timeline)
        payload = {"sighting": result.serialize(), "carried": self.carried}
        if timeline.observed:
            payload["observed"] = timeline.observed
        self.logger().debug("The result of the wait: %s", payload)
        yield quiet_event(payload, result.outcome)

    async def on_kill(self) -> None:
        """Log what continues in AWS when a user ends the deferred task (called from Airflow 3.3 on); nothing is changed."""
        carried = (self.carried or {}).get("progress") or {}
        previous = carried.get("previous_endpoint_config_name")
        goes_on = GOES_ON.get(self.awaited["until"], "The operation in progress continues in AWS.")
        kind = self.awaited.get("kind", "endpoint")
        self.log.warning(
            "The task that waited for %s %s was killed. %s",
            kind,
            self.awaited["endpoint_name"],
            goes_on.format(
                previous=f" {previous}" if previous else "",
                content="endpoint config" if kind == "endpoint" else "specification",
                kind=kind,
            ),
        )

    async def _wait(self, timeline: Timeline) -> WaitResult:
        try:
            return await wait_for_endpoint(
                lambda: self.sagemaker_hook,
                self.aws_parameters,
                awaited=self.awaited,
                deadline=self.deadline,
                started_at=self.started_at,
                poll_interval=self.poll_interval,
                # All triggers share one logger: making one takes longer than the rest of a wait's start.
                log_status=self.logger().info,
                observe_status=timeline.observe,
            )
        except Exception as error:
            result_of_error = await in_thread(_result_of_error)()
            return result_of_error(error, self.awaited["endpoint_name"])


def _result_of_error() -> Callable[[Exception, str], WaitResult]:
    from airflow_sm_hosting.deployer.waiting import result_of_error

    return result_of_error
