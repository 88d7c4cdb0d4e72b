"""One poller for all builds that a triggerer waits for under the same connection: one BatchGetBuilds for up to 100 of them."""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.triggers.batch_poller import BatchPoller, BatchWaiter
from airflow_sm_hosting.triggers.pace import TokenBucket
from airflow_sm_hosting.triggers.poller import pollers
from airflow_sm_hosting.triggers.rate_limits import RateLimits

if TYPE_CHECKING:
    from airflow_sm_hosting.deployer.image_build import BuildPolls
    from airflow_sm_hosting.hooks.codebuild import CodeBuildHook

log = logging.getLogger(__name__)

#: https://docs.aws.amazon.com/codebuild/latest/APIReference/API_BatchGetBuilds.html
IDS_OF_A_CALL = 100


async def wait_for_build(
    make_hook: Callable[[], CodeBuildHook],
    aws_parameters: Mapping[str, Any],
    *,
    build_id: str,
    poll_interval: float,
    log_status: Callable[[str], None],
) -> None:
    """Wait in the poller of the connection until a build has ended.

    :param make_hook: Makes the hook from the AWS parameters.
    :param aws_parameters: The four AWS parameters. Waits with equal parameters share a poller.
    :param build_id: The build.
    :param poll_interval: Maximum seconds between two looks, as far as the rates allow.
    :param log_status: Takes a status line; called in the caller's context, so that the line goes to the caller's log.
    :raises ImageBuildError: There is no such build.
    """
    poller = pollers().of(BuildPoller, make_hook, aws_parameters)
    context = contextvars.copy_context()
    waiter = BuildWaiter(build_id, poll_interval, lambda line: context.run(log_status, line))
    poller.join(waiter)
    try:
        await waiter.ended
    finally:
        poller.leave(waiter)


class BuildWaiter(BatchWaiter[str]):
    """One wait for a build.

    :param build_id: The build.
    :param interval: Maximum seconds between two looks.
    :param log_status: Takes a status line.
    """

    def __init__(self, build_id: str, interval: float, log_status: Callable[[str], None]) -> None:
        super().__init__(build_id, interval)
        self._log_status = log_status
        self._status = ""

    def observe(self, found: Mapping[str, Mapping[str, Any]], now: float) -> None:
        """Process an answer: log a new status, and end the wait if the build has ended.

        :param found: Builds by id.
        :param now: The time of the call.
        """
        from airflow_sm_hosting.deployer.image_build import existing
        from airflow_sm_hosting.images.codebuild.outcome import is_complete, status_line

        try:
            build = existing(found, self.key, waited=now - self.joined_at)
        except Exception as error:
            self.fail(error)
            return
        # A cancelled trigger has also cancelled its future.
        if build is None or self.ended.done():
            return
        if self._status != status_line(build):
            self._status = status_line(build)
            self._log_status(f"Build {self.key}: {self._status}")
        if is_complete(build):
            self.end()


class BuildPoller(BatchPoller["CodeBuildHook"]):
    """Looks at all awaited builds of one connection."""

    keys_of_a_call = IDS_OF_A_CALL
    name = "build-poller"

    @staticmethod
    def make_polls(make_hook: Callable[[], CodeBuildHook]) -> BuildPolls:
        """Return what calls CodeBuild."""
        from airflow_sm_hosting.deployer.image_build import BuildPolls

        return BuildPolls(make_hook, log)

    @staticmethod
    def bucket(limits: RateLimits, account: Hashable) -> TokenBucket:
        """Return the limiter of BatchGetBuilds."""
        return limits.of_builds(account)
