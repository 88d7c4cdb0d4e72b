"""Which errors a retry can mend: Airflow 3.3 and newer asks before it tries again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.exceptions import (
    ConflictError,
    ConnectionNotFoundError,
    ContainerCheckError,
    DeploymentError,
    ImageBuildError,
    InvalidSpecError,
    ModelDataError,
    SmokeTestFailedError,
)

if TYPE_CHECKING:
    from airflow.sdk.definitions.retry_policy import RetryDecision

#: What another try would meet again.
HOPELESS = (ConflictError, ConnectionNotFoundError, InvalidSpecError, SmokeTestFailedError)
#: Causes of a failed deployment that time mends: AWS finds instances, IAM learns of a role.
PASSING_CAUSES = ("capacity", "execution role")


class RetryWhatMayPass:
    """Fail at once what cannot be mended by trying again; leave everything else to the task's ``retries``.

    Airflow calls :meth:`evaluate` of whatever a task's ``retry_policy`` is; not a subclass of its ``RetryPolicy``, whose import costs
    every DAG file 2 ms. Airflow 3.1 and 3.2 know no such policy, and retry everything.
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,
        context: Any = None,
    ) -> RetryDecision:
        """Return what becomes of the task."""
        from airflow.sdk.definitions.retry_policy import RetryDecision

        reason = why_hopeless(exception)
        return RetryDecision.fail(reason) if reason else RetryDecision.default()


def why_hopeless(exception: BaseException) -> str | None:
    """Return why trying again cannot help; None when it may."""
    name = type(exception).__name__
    if isinstance(exception, HOPELESS):
        return f"{name}: a retry would fail in the same way"
    # An image may be missing because a registry was out of reach.
    if isinstance(exception, ContainerCheckError) and set(exception.failed) - {"image"}:
        return f"{name}: a retry would check the same container"
    if isinstance(exception, ImageBuildError | ModelDataError):
        return None  # a registry or S3 may have been out of reach
    if isinstance(exception, DeploymentError) and exception.cause not in (None, *PASSING_CAUSES):
        return f"{name} ({exception.cause}): a retry would deploy the same config and fail in the same way"
    response = getattr(exception, "response", None)
    code = response.get("Error", {}).get("Code", "") if isinstance(response, dict) else ""
    if code in ("ValidationException", "ValidationError", "InvalidParameterValue") or "AccessDenied" in code:
        return f"{code}: a retry would send the same request and be rejected again"
    return None


RETRIES = RetryWhatMayPass()
