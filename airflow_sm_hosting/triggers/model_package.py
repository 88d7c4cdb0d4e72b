"""Waits for the approval of a model package in the triggerer."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_sm_hosting.hooks.parameters import DEFAULT_CONNECTION, AwsParameters
from airflow_sm_hosting.triggers.batch_poller import ApprovalPoller, wait_in_batch
from airflow_sm_hosting.triggers.quiet_event import quiet_event


class ModelPackageTrigger(AwsParameters, BaseTrigger):
    """Wait until a version is approved, or cannot be any more; all triggers that use the same connection share one poller.

    Yields one event: ``model_package``, ``deadline``, and ``error``, why the version could not be looked at, or None. How the wait ended is
    read by the task.

    :param model_package: The version's ARN.
    :param deadline: When the time budget ends, in seconds since the epoch (default: never). The task gets it back with the event.
    :param poll_interval: Maximum seconds between two looks (default: 60), as far as the option ``[sm_hosting] calls_per_second`` allows.
    :param aws_conn_id: The Airflow connection used for AWS credentials.
    :param region_name: AWS Region.
    :param verify: Whether to verify TLS certificates, or the path of a CA bundle.
    :param botocore_config: Configuration of the botocore clients.
    :param unknown: Arguments that another version of the package has written; they are ignored.
    """

    def __init__(
        self,
        *,
        model_package: str,
        deadline: float | None = None,
        poll_interval: float = 60,
        aws_conn_id: str | None = DEFAULT_CONNECTION,
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.model_package = model_package
        self.deadline = deadline
        self.poll_interval = poll_interval
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that recreate this trigger."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "model_package": self.model_package,
                "deadline": self.deadline,
                "poll_interval": self.poll_interval,
                **self.aws_parameters,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, together with all other triggers that use the same connection."""
        error: str | None = None
        left = math.inf if self.deadline is None else max(0.0, self.deadline - time.time())
        waiting = wait_in_batch(
            ApprovalPoller,
            lambda: self.model_registry_hook,
            self.aws_parameters,
            id_=self.model_package,
            poll_interval=self.poll_interval,
            # All triggers share one logger: making one takes longer than the rest of a wait's start.
            log_status=self.logger().info,
        )
        try:
            async with asyncio.timeout(None if left == math.inf else left):
                await waiting
        except TimeoutError:
            pass  # the task sees by itself that its time is over
        except Exception as raised:
            from airflow_sm_hosting.spec.masking import without_signatures

            error = without_signatures(str(raised))
        yield quiet_event(
            {"model_package": self.model_package, "deadline": self.deadline, "error": error},
            error or "the wait has ended",
        )
