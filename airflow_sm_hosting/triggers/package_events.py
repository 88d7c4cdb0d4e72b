"""Receives the decisions on model packages from a queue, for the watcher of an asset."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_sm_hosting.deployment.package_event import PackageEvent, parse_event
from airflow_sm_hosting.exceptions import InvalidSpecError, NotFoundError
from airflow_sm_hosting.hooks.parameters import DEFAULT_CONNECTION, AwsParameters
from airflow_sm_hosting.spec.checks import check_one_of, invalid
from airflow_sm_hosting.spec.reference_parts import check_package_group
from airflow_sm_hosting.triggers.pace import TokenBucket
from airflow_sm_hosting.triggers.poller import in_thread

APPROVAL_STATUSES = ("Approved", "Rejected", "PendingManualApproval")

#: Seconds after which an event that was yielded counts as saved: the triggerer saves the events of all triggers about once a second
#: (airflow/jobs/triggerer_job_runner.py). A message that is not deleted by then comes again.
SAVED_AFTER = 5.0

#: Seconds that a call waits for a message. More than none, so that all servers of SQS are asked (API_ReceiveMessage.html, "long polling");
#: not more, as it takes a thread of the triggerer meanwhile.
WAIT = 1


class ModelPackageEventTrigger(AwsParameters, BaseEventTrigger):
    """Receive the decisions on versions of model package groups from an SQS queue, to which a rule of EventBridge sends them.

    For the ``AssetWatcher`` of an asset: each decision is an event of the asset, and starts the DAGs that are scheduled on it.
    :meth:`ModelPackage.from_event <airflow_sm_hosting.ModelPackage.from_event>` is then the version. A message is deleted five seconds
    after its event was yielded, when Airflow has saved it, so a decision may come twice. Events of versions that are no decision, or of other
    groups, are deleted, so a queue is for one watcher; anything else in the queue is left there.

    The payload of an event: ``arn``, ``group``, ``version``, ``approval_status``, ``approval_description``, ``modified_at``.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html#eventbridge-model-package

    :param queue: Name of the queue, or its URL.
    :param groups: Names of the groups (default: all).
    :param approval_statuses: The decisions: ``Approved`` (default), ``Rejected``, ``PendingManualApproval``.
    :param poll_interval: Seconds between two looks into an empty queue (default: 20).
    :param aws_conn_id: The Airflow connection used for AWS credentials (default: ``aws_default``).
    :param region_name: AWS Region (default: the connection's).
    :param verify: Whether to verify TLS certificates, or the path of a CA bundle (default: the connection's).
    :param botocore_config: Configuration of the botocore clients as a dict (default: the connection's ``config_kwargs``).
    :raises InvalidSpecError: When a value can never work.
    """

    def __init__(
        self,
        *,
        queue: str,
        groups: Sequence[str] = (),
        approval_statuses: Sequence[str] = ("Approved",),
        poll_interval: float = 20,
        aws_conn_id: str | None = DEFAULT_CONNECTION,
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        where = type(self).__name__
        if not isinstance(queue, str) or not queue:
            raise invalid(f"{where}: queue", queue, "the name or the URL of a queue")
        for name, given in (("groups", groups), ("approval_statuses", approval_statuses)):
            if isinstance(given, str):
                raise invalid(f"{where}: {name}", given, "a list")
        for group in groups:
            check_package_group(f"{where}: groups", group)
        for status in approval_statuses:
            check_one_of(f"{where}: approval_statuses", status, APPROVAL_STATUSES)
        if not approval_statuses:
            raise InvalidSpecError(f"{where}: approval_statuses is empty; allowed: one or more.")
        self.queue_name = queue
        self.groups = list(groups)
        self.approval_statuses = list(approval_statuses)
        self.poll_interval = poll_interval
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        self._told: set[str] = set()

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that recreate this trigger."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "queue": self.queue_name,
                "groups": self.groups,
                "approval_statuses": self.approval_statuses,
                "poll_interval": self.poll_interval,
                **self.aws_parameters,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Receive messages for as long as the triggerer runs: nothing that goes wrong ends the watch."""
        loop = asyncio.get_running_loop()
        trouble = TokenBucket(1.0, 1.0, loop.time())
        url: str | None = None
        while True:
            try:
                url = url or await in_thread(self._url)()
                received = await in_thread(lambda at: self.queue_hook.receive(at, wait=WAIT))(url)
            except Exception as error:
                url = None
                await self._pause(trouble, error)
                continue
            trouble.succeeded()
            if not received:
                await asyncio.sleep(self.poll_interval)
                continue
            done = []
            for message in received:
                event = parse_event(message["Body"])
                if event is None:
                    self._warn_of(message)
                    continue
                done.append(message)
                if self._is_wanted(event):
                    self.logger().info("Model package %s is %s", event.arn, event.approval_status)
                    yield TriggerEvent(event.payload())
            if not done:
                await asyncio.sleep(self.poll_interval)
                continue
            # Not before the triggerer has saved the events: if it ends first, the messages come again.
            await asyncio.sleep(SAVED_AFTER)
            try:
                failed = await in_thread(self.queue_hook.delete)(url, done)
            except Exception as error:
                await self._pause(trouble, error)
                continue
            if failed:
                self.logger().warning("Messages are not deleted, and come again: %s", "; ".join(failed))

    def _is_wanted(self, event: PackageEvent) -> bool:
        names = [group.rpartition("/")[2] for group in self.groups]
        return event.is_decision(names, self.approval_statuses)

    def _url(self) -> str:
        hook = self.queue_hook
        url = hook.url(self.queue_name)
        if url is None:
            raise NotFoundError(f"There is no queue {self.queue_name} in {hook.conn_region_name}.")
        return url

    def _warn_of(self, message: Mapping[str, Any]) -> None:
        """Tell once that a message is none of the model registry's; its text may be anything, and is not shown."""
        if message["MessageId"] not in self._told:
            self._told.add(message["MessageId"])
            self.logger().warning(
                "Message %s of queue %s is no event of a model package; it is left there",
                message["MessageId"],
                self.queue_name,
            )

    async def _pause(self, trouble: TokenBucket, error: Exception) -> None:
        """Wait after something went wrong, longer each time, and look up refused credentials again."""
        from airflow_sm_hosting.hooks.errors import are_credentials_refused
        from airflow_sm_hosting.spec.masking import without_signatures

        now = asyncio.get_running_loop().time()
        trouble.failed(now, random.random())  # noqa: S311
        pause = trouble.wait(now)
        self.logger().warning(
            "Queue %s cannot be read, trying again in %.0f s: %s: %s",
            self.queue_name,
            pause,
            type(error).__name__,
            without_signatures(str(error)),
        )
        if are_credentials_refused(error):
            await in_thread(lambda: self.queue_hook.look_up_again())()
        await asyncio.sleep(pause)
