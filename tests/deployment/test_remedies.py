"""What a FailureReason tells, and what to do."""

from __future__ import annotations

import pytest

from airflow_sm_hosting.deployment.remedies import Cause, advice, cause_of, hint_of_log, remedy

REASONS = [
    (
        "The primary container for production variant main did not pass the ping health check. Please check CloudWatch logs for this endpoint.",
        Cause.PING,
    ),
    (
        "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. Please retry using a different ML instance type or after some time.",
        Cause.CAPACITY,
    ),
    ("Insufficient capacity for instance type ml.g5.2xlarge", Cause.CAPACITY),
    ("The account-level service limit 'ml.g5.2xlarge for endpoint usage' is 0 Instances", Cause.QUOTA),
    ("ResourceLimitExceeded", Cause.QUOTA),
    ("Unsupported manifest media type application/vnd.oci.image.manifest.v1+json", Cause.MANIFEST),
    ("exec /usr/bin/serve: exec format error", Cause.ARCHITECTURE),
    ("The role does not grant ecr:GetDownloadUrlForLayer, ecr:BatchGetImage", Cause.IMAGE_ACCESS),
    ("Requested image 1.dkr.ecr.us-east-1.amazonaws.com/churn:1 not found.", Cause.IMAGE_ACCESS),
    ("Could not assume role arn:aws:iam::1:role/churn", Cause.ROLE),
    ("Failed to download model data from URL s3://bucket/model.tar.gz", Cause.MODEL_DATA),
    ("Failed to extract model data archive from URL", Cause.MODEL_DATA),
    ("The deployment was rolled back because alarm latency went to ALARM", Cause.ALARM),
    (
        "CannotStartContainerError. Please ensure the model container for variant v1 starts correctly when invoked with 'docker run <image> serve'",
        Cause.START,
    ),
    (
        "Please make sure all images included in the model for the production variant v1 exist, and that the execution role used to create the model has permissions to access them.",
        Cause.IMAGE_ACCESS,
    ),
    ("Image size 13279248421 is greater than supported size 10737418240", Cause.SERVERLESS_IMAGE),
    (
        "Unable to successfully stand up your model within the allotted 180 second timeout. Please ensure that downloading your model artifacts, starting your model container and passing the ping health checks can be completed within 180 seconds.",
        Cause.SERVERLESS_STARTUP,
    ),
    (
        "Request to service failed. If failure persists after retry, contact customer support.",
        Cause.SERVICE,
    ),
    (
        "There is not enough hardware resources on the instances for this endpoint to create a copy of the inference component.",
        Cause.ROOM,
    ),
    ("Internal error", None),
    ("", None),
    (None, None),
]


@pytest.mark.parametrize(("reason", "cause"), REASONS)
def test_the_known_causes_are_recognised(reason: str | None, cause: Cause | None) -> None:
    assert cause_of(reason) == cause


@pytest.mark.parametrize("cause", Cause)
def test_each_cause_has_one_sentence_with_the_aws_page(cause: Cause) -> None:
    sentence = remedy(cause)

    assert "https://docs.aws.amazon.com/sagemaker/" in sentence
    assert sentence.endswith(").") or sentence.endswith(".html.")


def test_an_unknown_cause_has_no_remedy() -> None:
    assert remedy(None) == ""


def test_advice_says_that_a_reason_is_not_known() -> None:
    assert advice("The model did not pass the ping health check.") == remedy(Cause.PING)
    assert "not known" in advice("Internal error")
    assert advice(None) == advice("") == advice(" ") == ""


@pytest.mark.parametrize(
    ("line", "is_explained"),
    [
        ("exec /app/serve: no such file or directory", True),
        ("/usr/bin/env: ‘python3\\r’: No such file or directory", True),
        ("/bin/sh^M: bad interpreter: No such file or directory", True),
        ("bash: ./serve: /bin/bash^M: bad interpreter", True),
        ('exec: "serve": executable file not found in $PATH: no such file', True),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/opt/ml/model/m.pkl'", False),
        ("exec format error", False),
        ("", False),
    ],
)
def test_a_script_without_its_interpreter_is_explained(line: str, is_explained: bool) -> None:
    assert ("carriage return" in hint_of_log(["starting", line])) is is_explained
    assert hint_of_log([]) == ""
