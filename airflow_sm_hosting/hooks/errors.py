"""Classify AWS errors. SageMaker models almost none: it answers ``ValidationException`` and a text with a stable beginning."""

from __future__ import annotations

import re

from botocore.exceptions import (
    ClientError,
    ConnectionError as BotocoreConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    SSOError,
    TokenRetrievalError,
)

#: Codes of temporary errors of AWS services (botocore, retries/standard.py; sagemaker, application-autoscaling).
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

#: Codes for credentials that AWS does not accept, or not any more: the Common Errors of each service
#: (https://docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html), the error responses of S3 and of the query APIs.
REFUSED_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "TokenRefreshRequired",
        "InvalidToken",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "InvalidAccessKeyId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "AuthFailure",
    }
)


def error_code(error: ClientError) -> str:
    """Return the service's error code."""
    return str(error.response.get("Error", {}).get("Code", ""))


def error_message(error: ClientError) -> str:
    """Return the service's error message."""
    return str(error.response.get("Error", {}).get("Message", error))


def is_absent(error: ClientError) -> bool:
    """Return whether SageMaker reports that a resource does not exist (there is no 404 and no code for it)."""
    return error_code(error) == "ValidationException" and error_message(error).startswith("Could not find")


def is_package_absent(error: ClientError) -> bool:
    """Return whether SageMaker reports that a model package or its group does not exist.

    The texts differ by operation: "ModelPackage … does not exist." and "ModelPackageGroup … does not exist." are those that AWS's handlers
    of CloudFormation expect (aws-cloudformation/aws-cloudformation-resource-providers-sagemaker), "Could not find" is that of other resources.
    """
    message = error_message(error)
    return error_code(error) in ("ValidationException", "ResourceNotFound") and (
        "does not exist" in message or message.startswith(("Could not find", "Cannot find"))
    )


def is_package_conflict(error: ClientError) -> bool:
    """Return whether SageMaker reports that another call has changed a package meanwhile, or has used the ``ClientToken``.

    ConflictException is the error of CreateModelPackage and UpdateModelPackage (botocore); that a token used for another request is a
    ValidationException that names it is assumed.
    """
    code = error_code(error)
    return code == "ConflictException" or (
        code == "ValidationException" and "ClientToken" in error_message(error)
    )


def is_taken(error: ClientError) -> bool:
    """Return whether SageMaker reports that there is a model package group of this name ("Model Package Group already exists: …")."""
    return error_code(error) == "ValidationException" and "already exists" in error_message(error)


def is_queue_absent(error: ClientError) -> bool:
    """Return whether SQS reports that a queue does not exist (botocore, sqs QueueDoesNotExist: its codes in JSON and in queries)."""
    return error_code(error) in ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")


def already_exists(error: ClientError) -> bool:
    """Return whether SageMaker reports that the name is taken."""
    return error_code(error) == "ValidationException" and error_message(error).startswith(
        "Cannot create already existing"
    )


def is_in_progress(error: ClientError) -> bool:
    """Return whether SageMaker refuses because a change of the endpoint is in progress (the text is the same for a delete).

    Inference components: "Cannot update inference component … while it is in state UPDATE_RC_IN_PROGRESS", and the same for a delete, as
    measured by Hugging Face's skill hf-cloud-sagemaker-production-defaults.
    """
    message = error_message(error)
    component = re.match(r"Cannot \w+ inference component .* while it is in state \w+_IN_PROGRESS", message)
    return error_code(error) == "ValidationException" and (
        message.startswith("Cannot update in-progress") or component is not None
    )


def is_unregistered(error: ClientError) -> bool:
    """Return whether Application Auto Scaling reports that a scalable target does not exist (ObjectNotFoundException)."""
    return error_code(error) == "ObjectNotFoundException"


def is_tagged_again(error: ClientError) -> bool:
    """Return whether RegisterScalableTarget refuses tags because the target exists (terraform-aws-modules/terraform-aws-rds-aurora#420)."""
    return error_code(error) == "ValidationException" and "TagResource" in error_message(error)


def is_denied(error: Exception) -> bool:
    """Return whether the credentials lack the permission for a call (IAM user guide, "troubleshoot_access-denied")."""
    return isinstance(error, ClientError) and error_code(error) in ("AccessDeniedException", "AccessDenied")


def are_credentials_refused(error: Exception) -> bool:
    """Return whether AWS does not accept the credentials, or there are none: others may be found by now."""
    if isinstance(error, ClientError):
        return error_code(error) in REFUSED_CREDENTIALS
    return isinstance(error, NoCredentialsError | CredentialRetrievalError | SSOError | TokenRetrievalError)


#: Messages of CreateModel and CreateProject about a role that SageMaker or CodeBuild cannot use: the role was just created or changed, or
#: it lacks a permission.
ROLE_REFUSALS = (
    # awslabs/predictive-maintenance-using-machine-learning#3
    "Could not assume role",
    # philschmid/llm-sagemaker-sample#2: "Could not access model data at …. Please ensure that the role … exists and that its …"
    "its trust relationship policy allows the action",
    # hashicorp/terraform-provider-aws#4233: "CodeBuild is not authorized to perform: sts:AssumeRole on …"
    "CodeBuild is not authorized to perform: sts:AssumeRole",
)


def is_role_refused(error: Exception) -> bool:
    """Return whether SageMaker or CodeBuild could not use a role: a retry helps if the role was just created or changed."""
    return (
        isinstance(error, ClientError)
        and error_code(error) in ("ValidationException", "InvalidInputException")
        and any(words in error_message(error) for words in ROLE_REFUSALS)
    )


def is_passing(error: Exception) -> bool:
    """Return whether a later retry may help: throttling, a fault of the service, or of the connection."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return error_code(error) in THROTTLING_CODES or status >= SERVER_ERROR
    return isinstance(error, BotocoreConnectionError | HTTPClientError)
