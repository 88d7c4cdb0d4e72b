"""Waits for a build of CodeBuild in the triggerer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_sm_hosting.hooks.parameters import DEFAULT_CONNECTION, AwsParameters
from airflow_sm_hosting.triggers.batch_poller import BuildPoller, wait_in_batch
from airflow_sm_hosting.triggers.quiet_event import quiet_event


class ImageBuildTrigger(AwsParameters, BaseTrigger):
    """Wait until a build of CodeBuild has ended; all triggers that use the same connection share one poller.

    Yields one event: ``build_id``, ``carried``, the values that the task saved in the trigger, and ``error``, why the build could not be
    looked at, or None. How the build ended is read by the task.

    :param build_id: The build.
    :param poll_interval: Maximum seconds between two looks (default: 15), as far as the option ``[sm_hosting] calls_per_second`` allows.
    :param carried: Values that the task gets back with the event.
    :param aws_conn_id: The Airflow connection used for AWS credentials.
    :param region_name: AWS Region.
    :param verify: Whether to verify TLS certificates, or the path of a CA bundle.
    :param botocore_config: Configuration of the botocore clients.
    :param unknown: Arguments that another version of the package has written; they are ignored.
    """

    def __init__(
        self,
        *,
        build_id: str,
        poll_interval: float = 15,
        carried: dict[str, Any] | None = None,
        aws_conn_id: str | None = DEFAULT_CONNECTION,
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.build_id = build_id
        self.poll_interval = poll_interval
        self.carried = carried
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that recreate this trigger."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "build_id": self.build_id,
                "poll_interval": self.poll_interval,
                "carried": self.carried,
                **self.aws_parameters,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, together with all other triggers that use the same connection."""
        error: str | None = None
        try:
            await wait_in_batch(
                BuildPoller,
                lambda: self.codebuild_hook,
                self.aws_parameters,
                id_=self.build_id,
                poll_interval=self.poll_interval,
                # All triggers share one logger: making one takes longer than the rest of a wait's start.
                log_status=self.logger().info,
            )
        except Exception as raised:
            from airflow_sm_hosting.spec.masking import without_signatures

            error = without_signatures(str(raised))
        yield quiet_event(
            {"build_id": self.build_id, "carried": self.carried, "error": error},
            error or "the build has ended",
        )

    async def on_kill(self) -> None:
        """Log what continues when a user ends the deferred task (called from Airflow 3.3 on); nothing is changed."""
        self.log.warning(
            "The task that waited for build %s was killed; the build continues. Run the task again to join it.",
            self.build_id,
        )
