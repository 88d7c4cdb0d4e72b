"""What an AWS error means. SageMaker models almost none: it answers ``ValidationException`` and a text with a stable beginning."""

from __future__ import annotations

from botocore.exceptions import (
    ClientError,
    ConnectionError as BotocoreConnectionError,
    HTTPClientError,
)

#: Codes with which AWS services say "not now" (botocore, retries/standard.py; sagemaker, application-autoscaling).
THROTTLING_CODES = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottledException",
        "RequestThrottled",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "SlowDown",
        "PriorRequestNotComplete",
        "TransactionInProgressException",
    }
)
SERVER_ERROR = 500


def error_code(error: ClientError) -> str:
    """Return the service's error code."""
    return str(error.response.get("Error", {}).get("Code", ""))


def error_message(error: ClientError) -> str:
    """Return the service's own words."""
    return str(error.response.get("Error", {}).get("Message", error))


def is_absent(error: ClientError) -> bool:
    """Tell whether SageMaker says that what was named does not exist (there is no 404 and no code for it)."""
    return error_code(error) == "ValidationException" and error_message(error).startswith("Could not find")


def already_exists(error: ClientError) -> bool:
    """Tell whether SageMaker says that the name is taken."""
    return error_code(error) == "ValidationException" and error_message(error).startswith(
        "Cannot create already existing"
    )


def is_in_progress(error: ClientError) -> bool:
    """Tell whether SageMaker refuses because the endpoint is being changed (the text is the same for a delete)."""
    return error_code(error) == "ValidationException" and error_message(error).startswith(
        "Cannot update in-progress"
    )


def is_unregistered(error: ClientError) -> bool:
    """Tell whether Application Auto Scaling says that there is no such scalable target (ObjectNotFoundException)."""
    return error_code(error) == "ObjectNotFoundException"


def is_denied(error: Exception) -> bool:
    """Tell whether the credentials lack the permission for a call (IAM user guide, "troubleshoot_access-denied")."""
    return isinstance(error, ClientError) and error_code(error) in ("AccessDeniedException", "AccessDenied")


#: What CreateModel says of a role that SageMaker cannot use: it was made or changed just before, or it lacks something.
ROLE_REFUSALS = (
    # awslabs/predictive-maintenance-using-machine-learning#3
    "Could not assume role",
    # philschmid/llm-sagemaker-sample#2: "Could not access model data at …. Please ensure that the role … exists and that its …"
    "its trust relationship policy allows the action",
)


def is_role_refused(error: Exception) -> bool:
    """Tell whether SageMaker could not use the execution role: asking again helps if the role was made or changed just before."""
    return (
        isinstance(error, ClientError)
        and error_code(error) == "ValidationException"
        and any(words in error_message(error) for words in ROLE_REFUSALS)
    )


def is_passing(error: Exception) -> bool:
    """Tell whether asking again later may help: throttling, a fault of the service, or of the connection."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return error_code(error) in THROTTLING_CODES or status >= SERVER_ERROR
    return isinstance(error, BotocoreConnectionError | HTTPClientError)
