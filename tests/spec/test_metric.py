"""Metrics and expressions over them: what is sent, and what is refused while it is written."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_hosting import EndpointMetric, MetricMath
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.service_model.request import validated_request
from airflow_sm_hosting.service_model.shapes import service_model
from airflow_sm_hosting.spec.alarm import alarm_request
from airflow_sm_hosting.spec.metric import (
    QUEUE_METRICS,
    UNITS,
    WEEK,
    check_period,
    check_statistic,
    completed_metric,
    metric_queries,
)
from airflow_sm_hosting.spec.reference import MARK

INVOCATIONS, UTILIZATION = "AWS/SageMaker", "/aws/sagemaker/Endpoints"
DIMENSIONS = [{"Name": "EndpointName", "Value": "churn"}, {"Name": "VariantName", "Value": "main"}]
#: The metric helpers of the CDK's endpoint variants: namespace, name, statistic.
HELPERS = [
    ("invocations", INVOCATIONS, "Invocations", "Sum"),
    ("invocations_per_instance", INVOCATIONS, "InvocationsPerInstance", "Sum"),
    ("model_latency", INVOCATIONS, "ModelLatency", "Average"),
    ("overhead_latency", INVOCATIONS, "OverheadLatency", "Average"),
    ("invocation_4xx_errors", INVOCATIONS, "Invocation4XXErrors", "Sum"),
    ("invocation_5xx_errors", INVOCATIONS, "Invocation5XXErrors", "Sum"),
    ("cpu_utilization", UTILIZATION, "CPUUtilization", "Average"),
    ("memory_utilization", UTILIZATION, "MemoryUtilization", "Average"),
    ("disk_utilization", UTILIZATION, "DiskUtilization", "Average"),
    ("gpu_utilization", UTILIZATION, "GPUUtilization", "Average"),
    ("gpu_memory_utilization", UTILIZATION, "GPUMemoryUtilization", "Average"),
]


def put(metric: Any, threshold: Any = 1) -> dict[str, Any]:
    """Return what PutMetricAlarm gets of a metric."""
    return alarm_request(completed_metric(metric, "churn", "main"), threshold=threshold)


@pytest.mark.parametrize(
    ("helper", "namespace", "name", "statistic"), HELPERS, ids=[helper[0] for helper in HELPERS]
)
def test_each_metric_is_the_cdks(helper: str, namespace: str, name: str, statistic: str) -> None:
    metric = getattr(EndpointMetric, helper)()
    assert metric == {
        MARK: "EndpointMetric",
        "Namespace": namespace,
        "MetricName": name,
        "Period": 300,
        "Statistic": statistic,
    }
    assert put(metric) == {
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": DIMENSIONS,
        "Period": 300,
        "Statistic": statistic,
        "Threshold": 1.0,
    }


@pytest.mark.parametrize("helper", [helper[0] for helper in HELPERS])
def test_each_option_can_be_given(helper: str) -> None:
    dimensions = {"EndpointName": "churn", "VariantName": "main", "EndpointConfigName": "new"}
    unit = {"Latency": "Microseconds", "ization": "Percent"}.get(
        getattr(EndpointMetric, helper)()["MetricName"][-7:], "None"
    )
    metric = getattr(EndpointMetric, helper)(
        period=timedelta(minutes=1), statistic="p99", dimensions=dimensions, unit=unit
    )
    request = put(metric)
    assert request == {
        "Namespace": metric["Namespace"],
        "MetricName": metric["MetricName"],
        "Dimensions": [*DIMENSIONS, {"Name": "EndpointConfigName", "Value": "new"}],
        "Period": 60,
        "ExtendedStatistic": "p99",
        "Unit": unit,
        "Threshold": 1.0,
    }
    validated_request(
        "cloudwatch",
        "PutMetricAlarm",
        {
            "AlarmName": "a",
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            **request,
        },
    )


def test_any_other_metric_is_a_sum_by_default() -> None:
    metric = EndpointMetric.custom("Team", "Rows")
    assert (metric["Namespace"], metric["MetricName"], metric["Statistic"]) == ("Team", "Rows", "Sum")


def test_a_label_or_an_account_gives_the_metrics_array_as_the_cdk_has_it() -> None:
    metric = EndpointMetric.model_latency(
        label="slow", account_id="210987654321", unit="Microseconds", statistic="p90"
    )
    assert put(metric) == {
        "Metrics": [
            {
                "Id": "m1",
                "Label": "slow",
                "AccountId": "210987654321",
                "MetricStat": {
                    "Metric": {
                        "Namespace": INVOCATIONS,
                        "MetricName": "ModelLatency",
                        "Dimensions": DIMENSIONS,
                    },
                    "Period": 300,
                    "Stat": "p90",
                    "Unit": "Microseconds",
                },
                "ReturnData": True,
            }
        ],
        "Threshold": 1.0,
    }


@pytest.mark.parametrize("name", QUEUE_METRICS)
def test_the_metrics_of_an_asynchronous_queue_have_the_endpoint_alone(name: str) -> None:
    assert put(EndpointMetric.custom(INVOCATIONS, name, statistic="Average"))["Dimensions"] == DIMENSIONS[:1]
    assert put(EndpointMetric.custom("Team", name))["Dimensions"] == DIMENSIONS


@pytest.mark.parametrize(
    "period", [10, 20, 30, 60, 120, 300, 24 * 3600, WEEK, timedelta(seconds=10), timedelta(days=7)], ids=str
)
def test_periods_that_cloudwatch_takes_are_taken(period: Any) -> None:
    check_period("p", period)


@pytest.mark.parametrize(
    "period",
    [0, 1, 5, 9, 11, 15, 40, 59, 61, 90, -60, WEEK + 60, 60.0, "60", True, None, timedelta(seconds=61)],
    ids=str,
)
def test_periods_that_cloudwatch_refuses_are_refused(period: Any) -> None:
    with pytest.raises(
        InvalidSpecError, match=r"p is .*10, 20 or 30 seconds, or a multiple of 60 up to 604800"
    ):
        check_period("p", period)


def test_a_period_is_never_rounded() -> None:
    for late in (
        EndpointMetric.invocations,
        lambda period: MetricMath(expression="a", metrics={}, period=period),
    ):
        with pytest.raises(InvalidSpecError, match=r"period is"):
            late(period=timedelta(seconds=60, milliseconds=900))


@pytest.mark.parametrize(
    "statistic",
    ["SampleCount", "Average", "Sum", "Minimum", "Maximum", "p99", "p99.9", "p0", "p100", "p100.0", "tm90", "iqm", "IQM", "TM(10%:90%)", "PR(:300)"],
)  # fmt: skip
def test_statistics_that_cloudwatch_takes_are_taken(statistic: str) -> None:
    check_statistic("s", statistic)
    request = put(EndpointMetric.model_latency(statistic=statistic))
    kind = "Statistic" if statistic[0] in "SAM" and statistic[1].islower() else "ExtendedStatistic"
    assert request[kind] == statistic
    assert len({"Statistic", "ExtendedStatistic"} & set(request)) == 1


#: What is refused while the DAG file is parsed: the options of ModelLatency, and the message.
BAD_OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "no statistic of that name": ({"statistic": "Mean"}, "EndpointMetric: statistic is 'Mean'; allowed: SampleCount, .*'p99'"),
    "lower case": ({"statistic": "average"}, "statistic is 'average'"),
    "a percentile over 100": ({"statistic": "p101"}, "statistic is 'p101'"),
    "a percentile just over 100": ({"statistic": "p100.5"}, "statistic is 'p100.5'"),
    "no percentile": ({"statistic": "p"}, "statistic is 'p'"),
    "a number as statistic": ({"statistic": 99}, "statistic is 99"),
    "no statistic": ({"statistic": None}, "statistic is None"),
    "no dimensions": ({"dimensions": {}}, "EndpointMetric: dimensions is an empty dict; allowed: a dict of 1 to 30 dimensions"),
    "31 dimensions": ({"dimensions": {f"d{n}": "v" for n in range(31)}}, "dimensions is .*1 to 30"),
    "a list of dimensions": ({"dimensions": ["EndpointName"]}, r"dimensions is \['EndpointName'\]"),
    "an empty value": ({"dimensions": {"EndpointName": ""}}, r"dimensions\['EndpointName'\] is ''; allowed: 1 to 255 ASCII"),
    "a value of 256": ({"dimensions": {"EndpointName": "x" * 256}}, r"dimensions\['EndpointName'\] is 'x+….*256 characters"),
    "a blank value": ({"dimensions": {"EndpointName": "  "}}, r"dimensions\['EndpointName'\] is '  '"),
    "no value": ({"dimensions": {"EndpointName": None}}, r"dimensions\['EndpointName'\] is None"),
    "a boolean value": ({"dimensions": {"EndpointName": True}}, r"dimensions\['EndpointName'\] is True"),
    "a name with a colon": ({"dimensions": {":a": "v"}}, "a name of EndpointMetric: dimensions is ':a'"),
    "dimensions without an endpoint": ({"dimensions": {"Endpoint": "churn", "Variant": "main"}}, "dimensions is .*EndpointName and VariantName"),
    "dimensions without a variant": ({"dimensions": {"EndpointName": "churn"}}, "dimensions is .*SageMaker publishes ModelLatency"),
    "a unit that is none": ({"unit": "Fortnights"}, "unit is 'Fortnights'; allowed: 'Seconds'"),
    "a unit never published": ({"unit": "Milliseconds"}, "unit is 'Milliseconds'; allowed: 'Microseconds', the unit in which SageMaker publishes"),
    "an empty label": ({"label": ""}, "label is ''; allowed: a string that is not empty"),
    "a label that is none": ({"label": 5}, "label is 5"),
    "a short account": ({"account_id": "123"}, "account_id is '123'; allowed: an account of 12 digits"),
    "an account as number": ({"account_id": 123456789012}, "account_id is 123456789012"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_a_bad_option_is_refused_while_it_is_written_and_once_it_is_rendered(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        EndpointMetric.model_latency(**options)
    rendered = {
        **EndpointMetric.model_latency(),
        **{"".join(word.title() for word in name.split("_")): value for name, value in options.items()},
    }
    if "account_id" in options:
        rendered["AccountId"] = options["account_id"]
    with pytest.raises(InvalidSpecError, match=message):
        completed_metric(rendered, "churn", "main")


@pytest.mark.parametrize(
    ("namespace", "name", "message"),
    [
        (None, "Rows", "namespace is None"),
        ("", "Rows", "namespace is ''"),
        (":Team", "Rows", "namespace is ':Team'"),
        ("x" * 256, "Rows", "namespace is 'x+….*256 characters"),
        ("Team", "", "metric_name is ''"),
        ("Team", None, "metric_name is None"),
        ("Team", 5, "metric_name is 5"),
        ("Team", "a\nb", "metric_name is 'a"),
        (INVOCATIONS, "CPUUtilization", f"namespace is '{INVOCATIONS}'; allowed: '{UTILIZATION}', the namespace in which SageMaker"),
        (UTILIZATION, "ModelLatency", f"namespace is '{UTILIZATION}'; allowed: '{INVOCATIONS}', the namespace in which SageMaker"),
    ],
)  # fmt: skip
def test_a_metric_that_cannot_be_is_refused(namespace: Any, name: Any, message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        EndpointMetric.custom(namespace, name)


def test_a_queue_metric_by_variant_is_refused() -> None:
    with pytest.raises(
        InvalidSpecError,
        match=r"dimensions is \['EndpointName', 'VariantName'\]; allowed: EndpointName alone",
    ):
        EndpointMetric.custom(
            INVOCATIONS, "ApproximateBacklogSize", dimensions={"EndpointName": "a", "VariantName": "b"}
        )  # fmt: skip


def test_the_metrics_of_an_inference_component_have_its_name() -> None:
    metric = EndpointMetric.invocations(dimensions={"InferenceComponentName": "churn-1"})
    assert put(metric)["Dimensions"] == [{"Name": "InferenceComponentName", "Value": "churn-1"}]


def test_the_units_are_those_of_the_service() -> None:
    assert service_model("cloudwatch").shape_for("StandardUnit").enum == UNITS  # type: ignore[attr-defined]


def test_a_number_may_be_a_dimension() -> None:
    metric = EndpointMetric.custom("Team", "Rows", dimensions={"Shard": 3})
    assert put(metric)["Dimensions"] == [{"Name": "Shard", "Value": "3"}]


def test_members_are_checked_once_they_are_rendered() -> None:
    rendered = {**EndpointMetric.invocations(), "Period": "60"}
    assert put(rendered, "5")["Period"] == 60
    with pytest.raises(InvalidSpecError, match=r"EndpointMetric: period is 61"):
        put({**rendered, "Period": "61"})


# Expressions

RATE = {
    "errors": EndpointMetric.invocation_5xx_errors(),
    "invocations": EndpointMetric.invocations(),
}


def test_an_expression_is_sent_with_its_metrics_and_exactly_one_returns_data() -> None:
    request = put(
        MetricMath(expression="errors / invocations * 100", metrics=RATE, label="rate", period=timedelta(minutes=1)),
        5,
    )  # fmt: skip
    assert request["Threshold"] == 5.0
    *metrics, expression = request["Metrics"]
    assert expression == {
        "Id": "expr_1",
        "Expression": "errors / invocations * 100",
        "Label": "rate",
        "ReturnData": True,
    }
    assert [metric["Id"] for metric in metrics] == ["errors", "invocations"]
    assert [metric["ReturnData"] for metric in metrics] == [False, False]
    assert metrics[0]["MetricStat"] == {
        "Metric": {"Namespace": INVOCATIONS, "MetricName": "Invocation5XXErrors", "Dimensions": DIMENSIONS},
        "Period": 60,
        "Stat": "Sum",
    }
    assert RATE["errors"]["Period"] == 300  # not altered
    validated_request(
        "cloudwatch",
        "PutMetricAlarm",
        {"AlarmName": "a", "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold", **request},
    )


def test_expressions_may_stand_in_expressions() -> None:
    rate = MetricMath(expression="errors / invocations", metrics=RATE)
    twice = MetricMath(
        expression="IF(invocations > 10, rate, 0)",
        metrics={"rate": rate, "invocations": RATE["invocations"]},
        period=60,
    )
    queries = metric_queries(completed_metric(twice, "churn", "main"))
    assert [(query["Id"], query["ReturnData"]) for query in queries] == [
        ("errors", False), ("invocations", False), ("rate", False), ("expr_1", True),
    ]  # fmt: skip
    assert {query["MetricStat"]["Period"] for query in queries if "MetricStat" in query} == {60}
    other = MetricMath(
        expression="rate + invocations",
        metrics={"rate": rate, "invocations": EndpointMetric.overhead_latency()},
        label="x",
    )
    with pytest.raises(InvalidSpecError, match=r"metrics has the ID 'invocations' for two different metrics"):
        put(other)


def test_the_expressions_own_id_does_not_meet_another() -> None:
    metric = MetricMath(expression="expr_1 * 2", metrics={"expr_1": EndpointMetric.invocations()})
    assert [query["Id"] for query in put(metric)["Metrics"]] == ["expr_1", "expr_2"]


@pytest.mark.parametrize(
    ("options", "expression", "metrics"),
    [
        ({}, "100 * (server_errors) / invocations", ["Invocation5XXErrors", "Invocations"]),
        ({"server_errors": False, "client_errors": True}, "100 * (client_errors) / invocations", ["Invocation4XXErrors", "Invocations"]),
        ({"client_errors": True, "period": 60}, "100 * (server_errors + client_errors) / invocations", ["Invocation5XXErrors", "Invocation4XXErrors", "Invocations"]),
    ],
)  # fmt: skip
def test_the_error_rate_is_a_percentage(options: dict[str, Any], expression: str, metrics: list[str]) -> None:
    rate = EndpointMetric.error_rate(**options)
    assert (rate["Expression"], rate["Label"]) == (expression, "ErrorRate")
    assert [metric["MetricName"] for metric in rate["Metrics"].values()] == metrics
    assert {metric["Period"] for metric in rate["Metrics"].values()} == {options.get("period", 300)}


def test_an_error_rate_of_no_errors_is_refused() -> None:
    with pytest.raises(InvalidSpecError, match=r"error_rate: server_errors and client_errors are both False"):
        EndpointMetric.error_rate(server_errors=False)


BAD_EXPRESSIONS: dict[str, tuple[dict[str, Any], str]] = {
    "no expression": ({"expression": ""}, "MetricMath: expression is ''; allowed: a metric-math expression of 1 to 2048"),
    "an expression of 2049": ({"expression": "errors + invocations" + " " * 2040}, "expression is .*2060 characters"),
    "a number": ({"expression": 5}, "expression is 5"),
    "an unknown id": ({"expression": "errors / requests + invocations"}, "expression is .*the IDs of metrics: errors, invocations.*Unknown: requests"),
    "a function in lower case": ({"expression": "sum([errors, invocations])"}, "Unknown: sum. Functions are written in upper case"),
    "an id that is not used": ({"expression": "errors * 2"}, "metrics is .*does not use invocations"),
    "SEARCH": ({"expression": "SEARCH('{AWS/SageMaker}', 'Sum')"}, "SEARCH returns several"),
    "a query": ({"expression": "SELECT AVG(errors)"}, "SELECT returns several"),
    "a parenthesis too many": ({"expression": "(errors / invocations"}, "balanced parentheses"),
    "parentheses the wrong way": ({"expression": ")errors( / invocations"}, "balanced parentheses"),
    "no metrics": ({"metrics": {}}, "metrics is an empty dict; allowed: a dict of 1 to 10 metrics"),
    "a list of metrics": ({"metrics": list(RATE.values())}, "metrics is .*a dict of 1 to 10 metrics"),
    "11 metrics": (
        {"metrics": {f"m{n}": EndpointMetric.invocations() for n in range(11)}, "expression": "SUM(METRICS())"},
        "metrics has 11 metrics; allowed: 10 at most",
    ),
    "11 metrics inside": (
        {
            "metrics": {
                "all": MetricMath(expression="SUM(METRICS())", metrics={f"m{n}": EndpointMetric.invocations() for n in range(10)}),
                "errors": RATE["errors"],
            },
            "expression": "all + errors",
        },
        "metrics has 11 metrics",
    ),
    "an id in capitals": ({"metrics": {"Errors": RATE["errors"]}, "expression": "Errors"}, "an id of MetricMath: metrics is 'Errors'"),
    "an id with a hyphen": ({"metrics": {"a-b": RATE["errors"]}, "expression": "a-b"}, "metrics is 'a-b'; allowed: a lower-case letter"),
    "something else as metric": ({"metrics": {"a": "Invocations"}, "expression": "a"}, r"metrics\['a'\] is 'Invocations'; allowed: an EndpointMetric"),
    "several periods": (
        {"metrics": {**RATE, "errors": EndpointMetric.invocation_5xx_errors(period=60)}},
        "of the periods 60, 300'; allowed: metrics with the same period",
    ),
    "an empty label": ({"label": ""}, "MetricMath: label is ''"),
    "a period of 61": ({"period": 61}, "MetricMath: period is 61"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "message"), BAD_EXPRESSIONS.values(), ids=BAD_EXPRESSIONS)
def test_an_expression_that_cannot_be_is_refused_while_it_is_written_and_once_it_is_rendered(
    options: dict[str, Any], message: str
) -> None:
    given = {"expression": "errors / invocations", "metrics": RATE, **options}
    with pytest.raises(InvalidSpecError, match=message):
        MetricMath(**given)
    rendered = {MARK: "MetricMath", **{name.title(): value for name, value in given.items()}}
    with pytest.raises(InvalidSpecError, match=message):
        completed_metric(rendered, "churn", "main")


@pytest.mark.parametrize(
    "expression",
    ["METRICS() / 2", "SUM(METRICS('err'))", "IF(errors > 1e3, errors, 0) * PERIOD(invocations)", "FILL(errors, 0) + [invocations][0]"],
)  # fmt: skip
def test_functions_and_numbers_are_no_ids(expression: str) -> None:
    MetricMath(expression=expression, metrics=RATE)


@pytest.mark.parametrize(
    "metric", ["Invocations", 5, {}, {"Namespace": "a", "MetricName": "b"}, None], ids=repr
)
def test_what_is_no_metric_is_refused(metric: Any) -> None:
    with pytest.raises(InvalidSpecError, match=r"metric is .*; allowed: an EndpointMetric such as"):
        completed_metric(metric, "churn", "main")


@pytest.mark.parametrize(("given", "sent"), [("CHURN-prod", "Churn-Prod"), ("other", "other")])
def test_a_described_name_replaces_a_dimension_that_differs_in_case(given: str, sent: str) -> None:
    metric = EndpointMetric.invocations(dimensions={"EndpointName": given, "VariantName": "main"})
    math = MetricMath(expression="a", metrics={"a": metric})
    for described, expected in ((True, sent), (False, given)):
        completed = completed_metric(math, "Churn-Prod", "main", described=described)
        assert completed["Metrics"]["a"]["Dimensions"] == {"EndpointName": expected, "VariantName": "main"}


def test_a_metric_of_an_inference_component_has_its_dimension() -> None:
    found = completed_metric(EndpointMetric.invocations(), "", "", component="llama")
    assert found["Dimensions"] == {"InferenceComponentName": "llama"}
    given = EndpointMetric.invocations(
        dimensions={"InferenceComponentName": "llama", "InstanceType": "ml.g5.xlarge"}
    )
    assert completed_metric(given, "", "", component="llama")["Dimensions"] == given["Dimensions"]
    math = MetricMath(expression="a", metrics={"a": EndpointMetric.invocations()}, label="a")
    inner = completed_metric(math, "", "", component="llama")["Metrics"]["a"]
    assert inner["Dimensions"] == {"InferenceComponentName": "llama"}


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (EndpointMetric.gpu_utilization(), "GPUUtilizationNormalized"),
        (EndpointMetric.disk_utilization(), "CPUUtilizationNormalized, MemoryUtilizationNormalized"),
        (EndpointMetric.invocations_per_instance(), "InvocationsPerCopy"),
    ],
)
def test_metrics_of_variants_are_none_of_components(metric: EndpointMetric, message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        completed_metric(metric, "", "", component="llama")
