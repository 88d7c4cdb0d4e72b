"""What can go wrong, one small hierarchy: each class says what a person or a retry policy would do about it."""

from __future__ import annotations

from typing import Any

#: The page with the cause and the way out of each error.
TROUBLESHOOTING = (
    "https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/troubleshooting.md"
)


class SageMakerHostingError(Exception):
    """Root of all errors that this package raises by itself. A note of each error links to its entry in the documentation."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.add_note(f"How to resolve it: {self.docs_url}")

    @property
    def docs_url(self) -> str:
        """The entry in the documentation: of the error's class, or of the nearest class above it that has one."""
        documented = next(one for one in type(self).__mro__ if one.__module__ == __name__)
        return f"{TROUBLESHOOTING}#{documented.__name__.lower()}"


class InvalidSpecError(SageMakerHostingError, ValueError):
    """The specification can never work: the message names the field, what was found and what is allowed.

    Raised while the DAG file is parsed for literal values, and before the first AWS call for rendered ones.
    Retrying does not help.
    """


class ConflictError(SageMakerHostingError):
    """A resource of that name exists with different content, or is not managed by this package."""


class AlarmGoingOffError(SageMakerHostingError):
    """An alarm that would roll a deployment back is in ALARM already; once it is over, the deployment may begin."""


class NotFoundError(SageMakerHostingError):
    """A referenced resource does not exist."""

    def __init__(self, message: str, *, is_proven: bool = False) -> None:
        super().__init__(message)
        #: Whether this follows from what AWS shows, and not from what it may not show yet.
        self.is_proven = is_proven


class ModelPackageError(SageMakerHostingError):
    """A model package cannot be deployed or approved as it is: it is not approved, not complete, or has no inference specification."""


class AccessError(SageMakerHostingError):
    """AWS refused to read something, and a policy must change; the message names object, action, worker, and whose policy it is."""


class ConnectionNotFoundError(NotFoundError):
    """The Airflow connection that the user named does not exist."""


class ImageBuildError(SageMakerHostingError):
    """An image could not be built or pushed; the message carries the builder's last lines."""


class ContainerCheckError(SageMakerHostingError):
    """A container breaks SageMaker's contract, or could not be checked; the message has the checks that failed, and how to mend each."""

    def __init__(self, message: str, *, failed: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        #: The names of the checks that failed; none where no check could be made.
        self.failed = failed


class ModelDataError(SageMakerHostingError):
    """An artifact could not be packed or uploaded, or could never be unpacked by SageMaker."""


class DeploymentError(SageMakerHostingError):
    """A deployment ended, and the requested config does not serve."""

    def __init__(
        self,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        cause: str | None = None,
        reason: str | None = None,
    ) -> None:
        self.details = details or {}
        #: SageMaker's FailureReason, if it gives one.
        self.reason = reason
        #: What went wrong, where SageMaker's reason is a known one (``airflow_sm_hosting.deployment.remedies.Cause``).
        self.cause = cause
        super().__init__(message)

    @property
    def docs_url(self) -> str:
        """The entry in the documentation: of the cause, where it is known."""
        return f"{TROUBLESHOOTING}#{self.cause.replace(' ', '-')}" if self.cause else super().docs_url


class DeploymentRolledBackError(DeploymentError):
    """SageMaker went back to the former endpoint config, which serves now."""


class DeploymentFailedError(DeploymentError):
    """The endpoint is in a state in which it does not serve the requested config, or does not serve at all."""


class DeploymentTimeoutError(DeploymentError):
    """The time budget ended before the deployment did; it continues in AWS, and the next try joins it."""


class SmokeTestFailedError(DeploymentError):
    """What was deployed serves, and does not answer as it should; the message says what serves now."""


class InvocationError(SageMakerHostingError):
    """An endpoint did not answer, or did not answer what was expected."""

    def __init__(
        self, message: str, *, code: str | None = None, refused: bool = False, no_capacity: bool = False
    ) -> None:
        super().__init__(message)
        #: AWS's error code, where AWS refused.
        self.code = code
        #: Whether SageMaker refused the request itself, so that the model was not asked.
        self.refused = refused
        #: Whether nothing was there to answer yet: a component scaled to zero, or a model that is being loaded.
        self.no_capacity = no_capacity


class SideReadError(SageMakerHostingError):
    """Something beside the endpoint (tags, scaling, alarms) could not be read for minutes; another try goes on from what AWS has."""
