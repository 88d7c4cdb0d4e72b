"""The values of metrics and the alarms of both types, against the local AWS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_sm_hosting import EndpointMetric, MetricMath, get_metric
from airflow_sm_hosting.exceptions import ConnectionNotFoundError, InvalidSpecError, SageMakerHostingError
from airflow_sm_hosting.hooks import CloudWatchHook
from airflow_sm_hosting.local import LocalAws

NAMES = {"endpoint_name": "churn", "variant_name": "main"}
DIMENSIONS = [{"Name": "EndpointName", "Value": "churn"}, {"Name": "VariantName", "Value": "main"}]


def publish(aws: LocalAws, at: datetime, **values: float) -> None:
    aws.client("cloudwatch").put_metric_data(
        Namespace="AWS/SageMaker",
        MetricData=[
            {"MetricName": name, "Value": value, "Timestamp": at, "Dimensions": DIMENSIONS}
            for name, value in values.items()
        ],
    )


def minutes_ago(minutes: int) -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=minutes)


def test_the_values_of_a_metric_come_oldest_first_without_gaps_filled(aws: LocalAws) -> None:
    for minutes, value in ((9, 1.0), (9, 2.0), (3, 5.0)):
        publish(aws, minutes_ago(minutes), Invocations=value)
    start = minutes_ago(10)
    points = CloudWatchHook().get_metric(
        EndpointMetric.invocations(period=60), "churn", "main", start=start, end=minutes_ago(0)
    )
    assert points == [(minutes_ago(9), 3.0), (minutes_ago(3), 5.0)]


def test_a_task_gets_plain_json(aws: LocalAws) -> None:
    publish(aws, minutes_ago(4), ModelLatency=1500.0)
    publish(aws, minutes_ago(200), ModelLatency=9.0)
    metric = EndpointMetric.model_latency(period=60)
    found = get_metric(metric, **NAMES, region_name="us-east-1")
    assert json.loads(json.dumps(found)) == found
    assert [point["value"] for point in found] == [1500.0]
    assert datetime.fromisoformat(found[0]["timestamp"]) == minutes_ago(4)
    assert get_metric(metric, **NAMES, lookback=timedelta(minutes=2)) == []
    assert len(get_metric(metric, **NAMES, lookback=4 * 3600)) == 2
    assert get_metric(metric, endpoint_name="churn", variant_name="other") == []
    assert get_metric(metric, **NAMES, region_name="eu-west-1") == []
    assert len(get_metric(metric, **NAMES, start=minutes_ago(300).isoformat(), end=minutes_ago(100))) == 1


@contextmanager
def asked(operation: str, *answers: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """Collect the requests of an operation, and give these answers in turn.

    The local AWS answers in one page and does not fail: further pages and failures come from here.
    """
    client = CloudWatchHook().conn
    requests: list[dict[str, Any]] = []
    left = list(answers)

    def collect(params: dict[str, Any], **_: Any) -> None:
        requests.append(dict(params))

    def answer(**_: Any) -> Any:
        metadata = {"HTTPStatusCode": 200, "HTTPHeaders": {}, "RetryAttempts": 0}
        return SimpleNamespace(status_code=200), {"ResponseMetadata": metadata, **left.pop(0)}

    before, call = f"provide-client-params.*.{operation}", f"before-call.*.{operation}"
    client.meta.events.register_first(before, collect)
    client.meta.events.register_first(call, answer)
    try:
        yield requests
    finally:
        client.meta.events.unregister(before, collect)
        client.meta.events.unregister(call, answer)


def test_an_expression_over_metrics_is_worked_out_by_cloudwatch(aws: LocalAws) -> None:
    for minutes, errors, invocations in ((9, 1, 4), (8, 0, 2), (7, 3, 3)):
        publish(aws, minutes_ago(minutes), Invocation5XXErrors=errors, Invocations=invocations)
    publish(aws, minutes_ago(5), Invocation5XXErrors=1)  # of which the rate is not known
    found = get_metric(EndpointMetric.error_rate(period=60), **NAMES)
    assert [(point["timestamp"], point["value"]) for point in found] == [
        (minutes_ago(9).isoformat(), 25.0), (minutes_ago(8).isoformat(), 0.0), (minutes_ago(7).isoformat(), 100.0),
    ]  # fmt: skip


def test_an_expression_inside_another_is_worked_out_too(aws: LocalAws) -> None:
    publish(aws, minutes_ago(3), Invocations=2, ModelLatency=40)
    rate = MetricMath(expression="a + 1", metrics={"a": EndpointMetric.invocations(period=60)})
    both = {"rate": rate, "latency": EndpointMetric.model_latency(period=60)}
    [point] = get_metric(MetricMath(expression="rate * latency", metrics=both), **NAMES)
    assert point["value"] == 120.0


def page(values: dict[int, float], status: str = "Complete", **members: Any) -> dict[str, Any]:
    result = {
        "Id": "expr_1",
        "Label": "ErrorRate",
        "Timestamps": [minutes_ago(minutes) for minutes in values],
        "Values": list(values.values()),
        "StatusCode": status,
    }
    return {"MetricDataResults": [result], "Messages": [], **members}


@pytest.mark.usefixtures("aws")
def test_all_pages_of_an_expression_are_read() -> None:
    pages = (page({9: 1.0, 8: 2.0}, "PartialData", NextToken="more"), page({7: 3.0}))
    with asked("GetMetricData", *pages) as requests:
        found = get_metric(EndpointMetric.error_rate(period=60), **NAMES)
    assert [point["value"] for point in found] == [1.0, 2.0, 3.0]
    assert [request.get("NextToken") for request in requests] == [None, "more"]
    queries = requests[0]["MetricDataQueries"]
    assert [(query["Id"], query["ReturnData"]) for query in queries] == [
        ("server_errors", False), ("invocations", False), ("expr_1", True),
    ]  # fmt: skip
    assert requests[0]["ScanBy"] == "TimestampAscending"
    span = requests[0]["EndTime"] - requests[0]["StartTime"]
    assert timedelta(hours=1) <= span < timedelta(hours=1, minutes=1)
    assert requests[0]["StartTime"].timestamp() % 60 == 0


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("status", ["InternalError", "Forbidden"])
def test_an_answer_that_is_none_is_an_error(status: str) -> None:
    failed = page({}, status, Messages=[{"Code": "x", "Value": "the reason"}])
    with (
        asked("GetMetricData", failed),
        pytest.raises(SageMakerHostingError, match=rf"{status} \(the reason\)"),
    ):
        get_metric(EndpointMetric.error_rate(), **NAMES)


NOW = datetime.now(UTC)

BAD_REQUESTS: dict[str, tuple[dict[str, Any], str]] = {
    "no metric": ({"metric": "Invocations"}, "metric is 'Invocations'; allowed: an EndpointMetric"),
    "a start without a zone": ({"start": datetime(2026, 1, 1)}, "start is .*a datetime with a time zone"),
    "a start that is no time": ({"start": "yesterday"}, "start is 'yesterday'"),
    "an end that is no time": ({"end": 5}, "end is 5"),
    "start and lookback": ({"start": NOW, "lookback": 5}, "start and lookback are both given"),
    "nothing to look back": ({"lookback": 0}, "lookback is 0"),
    "a lookback that is none": ({"lookback": "an hour"}, "lookback is 'an hour'"),
    "the wrong way round": ({"start": NOW + timedelta(days=1)}, "start is .*a time before end"),
    "seconds of yesterday": (
        {"metric": EndpointMetric.invocations(period=30), "lookback": timedelta(days=1)},
        "period is 30; allowed: a multiple of 60, as CloudWatch keeps data of shorter periods for only 3 hours",
    ),
    "minutes of last month": (
        {"metric": EndpointMetric.error_rate(period=60), "lookback": timedelta(days=30)},
        "period is 60; allowed: a multiple of 300",
    ),
    "five minutes of last year": ({"lookback": timedelta(days=100)}, "period is 300; allowed: a multiple of 3600"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "message"), BAD_REQUESTS.values(), ids=BAD_REQUESTS)
def test_what_has_no_values_is_refused_before_the_call(
    aws: LocalAws, options: dict[str, Any], message: str
) -> None:
    given = {"metric": EndpointMetric.invocations(), **NAMES, **options}
    with pytest.raises(InvalidSpecError, match=message):
        get_metric(given.pop("metric"), **given)
    assert aws.requests() == []


def test_a_connection_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ConnectionNotFoundError, match="no_such_connection"):
        get_metric(EndpointMetric.invocations(), **NAMES, aws_conn_id="no_such_connection")


def test_alarms_of_many_names_are_described_in_pages(aws: LocalAws) -> None:
    names = [f"alarm-{number}" for number in range(101)]
    for name in (names[0], names[-1]):
        aws.client("cloudwatch").put_metric_alarm(
            AlarmName=name, Namespace="N", MetricName="M", Statistic="Sum", Period=60, EvaluationPeriods=1,
            Threshold=1, ComparisonOperator="GreaterThanThreshold",
        )  # fmt: skip
    aws.clear_requests()
    found = CloudWatchHook().describe_alarms(names)
    assert set(found) == {names[0], names[-1]}
    assert found[names[0]]["MetricName"] == "M"
    assert [request["operation"] for request in aws.requests()] == ["DescribeAlarms"] * 2
