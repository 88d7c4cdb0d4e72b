"""Map a FailureReason to its cause, the remedy and the AWS page about it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum


class Cause(StrEnum):
    """The known causes of a failed deployment."""

    PING = "ping health check"
    START = "start of the container"
    MODEL_DATA = "model data"
    ARCHITECTURE = "image architecture"
    MANIFEST = "image manifest"
    IMAGE_ACCESS = "access to the image"
    ROLE = "execution role"
    CAPACITY = "capacity"
    QUOTA = "quota"
    ALARM = "rollback alarm"
    SERVERLESS_IMAGE = "image of a serverless endpoint"
    SERVERLESS_STARTUP = "start of a serverless endpoint"
    ROOM = "room for copies"
    SERVICE = "failure of the service"


_AWS = "https://docs.aws.amazon.com/sagemaker/latest"
_GUIDE = f"{_AWS}/dg"

#: Cause, pattern of its text, and remedy. The first match is the cause; capacity, quota and the start of serverless endpoints stand before
#: the ping and the model data, as their reasons name those, too. Sources of the texts: issues named in the rules (aws/sagemaker-python-sdk
#: 155, 787, 4115, 4064; mlflow 13834; aws/deep-learning-containers 569, 5657, 6711; aws/amazon-sagemaker-examples 275, 307;
#: aws-samples/comfyui-on-amazon-sagemaker 2; aws-solutions-library-samples/qnabot-on-aws 691; plantonhq/planton;
#: aws-samples/amazon-sagemaker-custom-container 3; Hugging Face's skill hf-cloud-sagemaker-production-defaults).
_KNOWN: tuple[tuple[Cause, str, str], ...] = (
    (
        Cause.SERVERLESS_STARTUP,
        r"stand up your model|within the allotted \d+ second",
        "A serverless endpoint must download its model, start its container and answer the ping within 3 minutes: make image and model "
        "smaller, give more memory_size_in_mb, which gives more CPU, too, or deploy on instances, whose limits are longer "
        f"({_GUIDE}/serverless-endpoints-invoke.html).",
    ),
    (
        Cause.SERVERLESS_IMAGE,
        r"image size \S+ (is|exceeds)|greater than supported size",
        "The image of a serverless endpoint can have at most 10 GB: use a smaller base image, leave out what only training needs, or deploy on "
        f"instances ({_GUIDE}/serverless-endpoints.html).",
    ),
    (
        Cause.ROOM,
        r"not enough hardware resources",
        "The instances have no room for a copy of the inference component: lower MinMemoryRequiredInMb or the accelerators of its "
        "ComputeResourceRequirements (much less memory than the instance has can be reserved), or give the variant more instances, or larger "
        f"ones ({_GUIDE}/realtime-endpoints-deploy-models.html).",
    ),
    (
        Cause.START,
        r"CannotStartContainer|starts? correctly when invoked|failed to start the container",
        "The container ended before it could be pinged: SageMaker runs 'docker run <image> serve', so the image needs an executable called "
        "serve in its PATH, or an ENTRYPOINT that takes that argument in exec form "
        f"({_GUIDE}/your-algorithms-inference-code.html#your-algorithms-inference-code-run-image).",
    ),
    (
        Cause.CAPACITY,
        r"insufficient\s*(instance)?\s*capacity|InsufficientInstanceCapacity|unable to provision|capacity (error|.*not available)",
        "AWS has no capacity for this instance type now: retry later, give fallback_endpoint_config_names "
        "with another instance type, or list InstancePools in the variant "
        f"({_GUIDE}/endpoint-instance-pools.html).",
    ),
    (
        Cause.QUOTA,
        r"ResourceLimitExceeded|service limit|account-level service limit|quota",
        "The account's quota is exhausted (an update needs quota for both fleets): request an increase in "
        f"Service Quotas, or use a rolling update, which needs less ({_GUIDE}/regions-quotas.html).",
    ),
    (
        Cause.MANIFEST,
        r"manifest (media )?type|unsupported manifest|vnd\.oci\.image",
        "SageMaker accepts Docker image manifests, not OCI manifests: build with BuildImageOperator, or with "
        f"--provenance=false and oci-mediatypes=false ({_GUIDE}/your-algorithms-inference-code.html).",
    ),
    (
        Cause.ARCHITECTURE,
        r"exec format error|architecture",
        "The image is built for another CPU architecture than the instance's: build it with "
        "platform='linux/amd64', or 'linux/arm64' for Graviton types "
        f"({_GUIDE}/realtime-endpoints-graviton.html).",
    ),
    (
        Cause.IMAGE_ACCESS,
        r"ecr:(GetDownloadUrlForLayer|BatchGetImage|BatchCheckLayerAvailability)|Requested image .* not found|pull.*image|"
        r"image.*(not exist|not found)|all images included in the model|CannotPullContainer",
        "The image cannot be pulled: the execution role needs ecr:BatchGetImage, GetDownloadUrlForLayer and "
        "BatchCheckLayerAvailability on its repository. AWS's own images need no more; the policy of a repository in any "
        f"other account must also allow the role ({_GUIDE}/your-algorithms-containers-inference-private.html).",
    ),
    (
        Cause.ROLE,
        r"assume role|AssumeRole|is not authorized to perform|AccessDenied|role .* (invalid|not exist|cannot)",
        "The execution role cannot be assumed, or lacks a permission: see EnsureExecutionRoleOperator and "
        f"{_GUIDE}/sagemaker-roles.html.",
    ),
    (
        Cause.MODEL_DATA,
        r"model (data|artifact)|ModelDataUrl|untar|decompress|extract|Could not find.*s3|s3://",
        "The model data cannot be downloaded or unpacked: it must be one .tar.gz in the model's Region that "
        "the execution role may read, without links to paths outside of it "
        f"({_GUIDE}/your-algorithms-inference-code.html#your-algorithms-inference-code-load-artifacts).",
    ),
    (
        Cause.SERVICE,
        r"Request to service failed|contact customer support",
        "SageMaker itself failed: run the task again, which replaces a Failed endpoint; if that does not help, open a case with AWS Support "
        f"({_AWS}/APIReference/CommonErrors.html).",
    ),
    (
        Cause.ALARM,
        r"alarm",
        "An alarm of auto_rollback_alarms went off while traffic was shifted: check its metric before you "
        f"deploy this config again ({_GUIDE}/deployment-guardrails-configuration.html).",
    ),
    (
        Cause.PING,
        r"ping health check|health check|/ping",
        "The container must answer GET /ping on port 8080 with 200 within 2 seconds, and for the first time "
        "within container_startup_health_check_timeout: check its log, and run the image with the argument "
        f"'serve' ({_GUIDE}/your-algorithms-inference-code.html#your-algorithms-inference-algo-ping-requests).",
    ),
)


def cause_of(reason: str | None) -> Cause | None:
    """Return the known cause in a FailureReason or an error's text; None when the cause is unknown."""
    return next((cause for cause, text, _ in _KNOWN if re.search(text, reason or "", re.IGNORECASE)), None)


#: A container's log line when the kernel or the shell finds no interpreter of a script (aws/amazon-sagemaker-examples 571, 969).
_NO_INTERPRETER = re.compile(
    r"exec \S+: no such file or directory|bad interpreter|env: [‘'\"]?\S+\\r|\^M: (bad|no such)|exec: \"[^\"]+\": .*no such file",
    re.IGNORECASE,
)


def hint_of_log(lines: Iterable[str]) -> str:
    """Return a sentence on what the container's last log lines mean; empty where they say enough.

    :param lines: The lines.
    """
    if any(_NO_INTERPRETER.search(line) for line in lines):
        return (
            "If the script is in the image, its interpreter is not found: the interpreter in its first line is missing, or that line ends "
            "with a carriage return (Windows line ends, CRLF). In the second case, save the script with LF and build the image again."
        )
    return ""


def remedy(cause: Cause | None) -> str:
    """Return one sentence with the remedy and the AWS page; an empty text for an unknown cause."""
    return next((sentence for known, _, sentence in _KNOWN if known is cause), "")


def advice(reason: str | None) -> str:
    """Return what to say after a FailureReason: the remedy, or that the reason is not known; an empty text where there is no reason."""
    cause = cause_of(reason)
    if cause is None and reason and reason.strip():
        return (
            "The cause of this reason is not known: look at the container's log, at the status of the resources that the endpoint config names, "
            "and at CloudTrail's events of the endpoint."
        )
    return remedy(cause)
