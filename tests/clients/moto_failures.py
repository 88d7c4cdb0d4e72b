"""The failures of moto's own tests against the local AWS, each with its reason, and the page of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

REFUSED = "AWS refuses it"
ASSUMED = "moto differs from AWS"
UNKNOWN = "AWS is not documented"
ABSENT = "not part of the local AWS"

#: Kind and sentence of each reason.
REASONS: dict[str, tuple[str, str]] = {
    "data": (REFUSED, "The test does not upload the archive that the model names (`model-data-absent`)."),
    "role": (REFUSED, "The execution role does not exist (`model-role-absent`)."),
    "role-arn": (
        REFUSED,
        "The execution role is not the ARN of a role (botocore, CreateModelInput.ExecutionRoleArn).",
    ),
    "container": (REFUSED, "The model has no container (API_CreateModel.html)."),
    "endpoint": (REFUSED, "The endpoint of the invocation or of the scalable target does not exist."),
    "resolution": (REFUSED, "A storage resolution is neither 1 nor 60 (API_MetricDatum.html)."),
    "statistic": (REFUSED, "The alarm has no statistic (API_PutMetricAlarm.html)."),
    "tags-absent": (
        REFUSED,
        "The alarm whose tags are listed does not exist (API_ListTagsForResource.html, ResourceNotFoundException).",
    ),
    "dimensions": (
        ASSUMED,
        "A metric is found by all of its dimensions only (API_GetMetricStatistics.html).",
    ),
    "each-datum": (ASSUMED, "ListMetrics returns a metric once, not once for each datum."),
    "units": (ASSUMED, "Without a unit, the data of one unit is returned (recorded answer `data-units`)."),
    "first-state": (ASSUMED, "A new alarm is INSUFFICIENT_DATA (recorded answer `alarm-minimal`)."),
    "members": (ASSUMED, "An alarm on one metric has no member Metrics (recorded answer `alarm-minimal`)."),
    "exclusive": (
        ASSUMED,
        "The code is that of API_PutMetricData.html for parameters that exclude each other, InvalidParameterCombination.",
    ),
    "label": (UNKNOWN, "The label of a query without one: its metric's name here; moto adds the statistic."),
    "words": (UNKNOWN, "The code is the same; the sentence says here what is absent."),
    "same-dimensions": (UNKNOWN, "A metric with two dimensions of the same name."),
    "canned": (
        ABSENT,
        "moto's prepared answers of endpoints: here containers answer. The test's address of the server is fixed.",
    ),
    "other-alarms": (ABSENT, "Alarms that moto makes for scaling policies of DynamoDB and ECS."),
    "other-metrics": (ABSENT, "Metrics that moto's S3 has without a request that puts them."),
    "insights": (ABSENT, "Queries of Metrics Insights, which are refused by name."),
}

_ENDPOINT = "test_sagemaker/test_sagemaker_endpoint.py"
_MODELS = "test_sagemaker/test_sagemaker_models.py"
_STACKS = "test_sagemaker/test_sagemaker_cloudformation.py"
_RUNTIME = "test_sagemakerruntime/test_sagemakerruntime.py"
_SCALING = "test_applicationautoscaling/test_applicationautoscaling"
_METRICS = "test_cloudwatch/test_cloudwatch.py"
_ALARMS = "test_cloudwatch/test_cloudwatch_alarms.py"
_TAGS = "test_cloudwatch/test_cloudwatch_tags.py"

_TESTS: dict[tuple[str, str], str] = {}

#: The reason of each test that fails.
FAILURES: dict[str, str] = {
    f"{module}::test_{name}": reason for (module, reason), names in _TESTS.items() for name in names.split()
}


def page(version: str, counts: Mapping[str, int]) -> str:
    """Return the page about a run.

    :param version: The version of moto.
    :param counts: How many tests passed, failed and were skipped.
    """
    kinds = Counter(REASONS[reason][0] for reason in FAILURES.values())
    lines = [
        "# moto's own tests against the local AWS",
        "",
        f"The tests of moto {version} for SageMaker, its runtime, Application Auto Scaling and CloudWatch, in server mode: "
        f"{counts['passed']} pass, {counts['failed']} fail, {counts['skipped']} are skipped by moto. "
        "`tests/clients/test_moto_suite.py` downloads and runs them; a failure that is not in the table, and one that no longer is one, "
        "fails it.",
        "",
        "| why they fail | tests |",
        "|---|---|",
        *(f"| {kind} | {kinds[kind]} |" for kind in (REFUSED, ASSUMED, UNKNOWN, ABSENT)),
        "",
        "| test | why it fails | reason |",
        "|---|---|---|",
        *(f"| `{name}` | {REASONS[reason][0]} | {REASONS[reason][1]} |" for name, reason in FAILURES.items()),
    ]
    return "\n".join(lines) + "\n"
