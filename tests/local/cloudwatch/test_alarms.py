"""CloudWatch alarms: what is refused, what data points say, and what happens then, in virtual time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.local.clock import VirtualClock
from airflow_sm_hosting.local.cloudwatch import composite_alarms
from airflow_sm_hosting.local.cloudwatch.alarm import Breach
from airflow_sm_hosting.local.cloudwatch.alarm_state import alarm_state, is_low_sample
from airflow_sm_hosting.local.cloudwatch.alarms import Alarms
from airflow_sm_hosting.local.cloudwatch.metrics import metric_of
from airflow_sm_hosting.local.cloudwatch.service import CloudWatch
from airflow_sm_hosting.local.wire.errors import AwsError
from tests.local.conftest import refusal_of

NAMESPACE = "AWS/SageMaker"
REGION = "us-east-1"
START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def alarm(**more: Any) -> Any:
    merged = {
        "AlarmName": "slow",
        "Namespace": NAMESPACE,
        "MetricName": "ModelLatency",
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 10.0,
        "ComparisonOperator": "GreaterThanThreshold",
        **more,
    }
    return {key: value for key, value in merged.items() if value is not None}


class Watch:
    """A CloudWatch in this process, whose time is advanced."""

    def __init__(self) -> None:
        self.clock = VirtualClock(START)
        self.cloudwatch = CloudWatch(self.clock)
        self.cloudwatch.start()
        self.alarms = self.cloudwatch.region(REGION).alarms
        self.triggered: list[Any] = []
        self.alarms.on_scaling_action(lambda arn, breach: self.triggered.append((arn, breach)))

    def ask(self, operation: str, **request: Any) -> Any:
        return self.cloudwatch.answer(operation, request, REGION)

    def alarm(self, **more: Any) -> None:
        self.ask("PutMetricAlarm", **alarm(**more))

    def put(self, *values: Any, name: str = "ModelLatency", **more: Any) -> None:
        self.ask(
            "PutMetricData",
            Namespace=NAMESPACE,
            MetricData=[{"MetricName": name, "Value": float(value), **more} for value in values],
        )

    def minutes(self, *values: Any, **more: Any) -> None:
        """Let minutes pass, each with a value or (None) without one."""
        for value in values:
            if value is not None:
                self.put(value, **more)
            self.clock.advance(60)

    def state(self, name: str = "slow") -> Any:
        return self.alarms.state(name)

    def told(self, name: str = "slow") -> Any:
        answer = self.ask("DescribeAlarms", AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        (found,) = answer["MetricAlarms"] + answer["CompositeAlarms"]
        return found

    def history(self, kind: str, name: str = "slow") -> Any:
        return [
            item["HistorySummary"]
            for item in self.ask("DescribeAlarmHistory", AlarmName=name, HistoryItemType=kind)[
                "AlarmHistoryItems"
            ]
        ]


@pytest.fixture
def watch() -> Any:
    return Watch()


# What is refused


def math_alarm(*queries: Any, **more: Any) -> Any:
    return alarm(Namespace=None, MetricName=None, Statistic=None, Period=None, Metrics=list(queries), **more)


def stat(name: str, *, period: int = 60, shown: bool = False, statistic: str = "Sum") -> Any:
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {"Namespace": NAMESPACE, "MetricName": name},
            "Period": period,
            "Stat": statistic,
        },
        "ReturnData": shown,
    }


@pytest.mark.parametrize(
    "request_",
    [
        alarm(DatapointsToAlarm=2),
        alarm(ExtendedStatistic="p99"),
        alarm(Statistic=None),
        alarm(Statistic=None, ExtendedStatistic="x99"),
        alarm(Period=None),
        alarm(Period=3600, EvaluationPeriods=169),
        alarm(EvaluationPeriods=0),
        alarm(TreatMissingData="whatever"),
        alarm(EvaluateLowSampleCountPercentile="whatever"),
        alarm(MetricName=None),
        alarm(Threshold=None),
        alarm(ComparisonOperator=None),
        alarm(ComparisonOperator="Whatever"),
        alarm(AlarmName="x" * 256),
        alarm(Metrics=[stat("m", shown=True)]),
        math_alarm(stat("a"), stat("b")),
        math_alarm(stat("a", shown=True), stat("b", shown=True)),
        math_alarm(stat("a", shown=True), stat("a")),
        math_alarm(stat("a", shown=True), stat("b", period=300)),
        math_alarm(stat("a", shown=True, statistic="x")),
        math_alarm({"Id": "a", "ReturnData": True}),
    ],
)
def test_put_metric_alarm_refuses(watch: Any, request_: Any) -> None:
    with pytest.raises(AwsError) as refused:
        watch.ask("PutMetricAlarm", **request_)
    assert refused.value.code in ("ValidationError", "InvalidParameterValue", "InvalidParameterCombination")
    assert watch.ask("DescribeAlarms")["MetricAlarms"] == []


# What data points say: the tables of
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html

POINTS = {"0": False, "X": True, "-": None}


@pytest.mark.parametrize(
    ("points", "to_alarm", "missing", "ignore", "breaching", "not_breaching"),
    [
        ("0 - X - X", 3, "OK", "OK", "OK", "OK"),
        ("0 - - - -", 3, "OK", "OK", "OK", "OK"),
        ("- - - - -", 3, "INSUFFICIENT_DATA", "before", "ALARM", "OK"),
        ("0 X X - X", 3, "ALARM", "ALARM", "ALARM", "ALARM"),
        ("- - X - -", 3, "ALARM", "before", "ALARM", "OK"),
        # "does not go immediately into ALARM state when the data is either - - - - X or - - - X -"
        ("- - - - X", 3, "INSUFFICIENT_DATA", "before", "ALARM", "OK"),
        ("- - - X -", 3, "INSUFFICIENT_DATA", "before", "ALARM", "OK"),
        ("X - - - -", 3, "ALARM", "before", "ALARM", "OK"),
        ("0 - X - X", 2, "ALARM", "ALARM", "ALARM", "ALARM"),
        ("0 0 X 0 X", 2, "ALARM", "ALARM", "ALARM", "ALARM"),
        ("0 - X - -", 2, "OK", "OK", "ALARM", "OK"),
        ("- - - - 0", 2, "OK", "OK", "ALARM", "OK"),
        ("- - - X -", 2, "ALARM", "before", "ALARM", "OK"),
        ("- - - - X", 2, "INSUFFICIENT_DATA", "before", "ALARM", "OK"),
        ("X X X 0 0", 2, "OK", "OK", "OK", "OK"),
    ],
)
def test_missing_data(
    points: str, to_alarm: int, missing: str, ignore: str, breaching: str, not_breaching: str
) -> None:
    told = {
        treatment: alarm_state(
            [POINTS[point] for point in points.split()],
            periods=3,
            to_alarm=to_alarm,
            missing=treatment,
            before="before",
        )
        for treatment in ("missing", "ignore", "breaching", "notBreaching")
    }
    assert told == {
        "missing": missing,
        "ignore": ignore,
        "breaching": breaching,
        "notBreaching": not_breaching,
    }


@pytest.mark.parametrize(
    ("statistic", "samples", "low"),
    [
        ("p99", 999, True),
        ("p99", 1000, False),
        ("p90", 99, True),
        ("p90", 100, False),
        ("p10", 99, True),
        ("p10", 100, False),
        ("p100", 10**9, True),
        ("tm99", 1, False),
        ("Average", 1, False),
    ],
)
def test_low_samples(statistic: str, samples: Any, low: bool) -> None:
    """Between 0.5 and 1.00: fewer than 10/(1-percentile) data points; below: fewer than 10/percentile."""
    assert is_low_sample(statistic, samples) is low


# In time


def test_an_alarm_begins_without_data_and_is_evaluated_every_minute(watch: Any) -> None:
    watch.alarm()
    assert watch.told()["StateReason"] == "Unchecked: Initial alarm creation"
    assert watch.state() == "INSUFFICIENT_DATA"
    watch.put(1)
    watch.clock.advance(59)
    assert watch.state() == "INSUFFICIENT_DATA"
    watch.clock.advance(1)
    assert watch.state() == "OK"
    watch.minutes(11)
    assert watch.state() == "ALARM"
    told = watch.told()
    assert told["StateReason"] == (
        "Threshold Crossed: 1 datapoint [11.0 (01/01/26 12:01:00)] was greater than the threshold (10.0)."
    )
    data = json.loads(told["StateReasonData"])
    assert (data["recentDatapoints"], data["threshold"], data["period"]) == ([11.0], 10.0, 60)
    assert told["StateTransitionedTimestamp"] == START + timedelta(minutes=2)
    watch.minutes(1)
    assert watch.state() == "OK"
    assert watch.history("StateUpdate") == [
        "Alarm updated from ALARM to OK",
        "Alarm updated from OK to ALARM",
        "Alarm updated from INSUFFICIENT_DATA to OK",
    ]


def test_putting_it_again_is_in_the_history(watch: Any) -> None:
    watch.alarm()
    watch.alarm(Threshold=20.0)
    assert watch.history("ConfigurationUpdate") == ['Alarm "slow" updated', 'Alarm "slow" created']


def test_m_of_n(watch: Any) -> None:
    watch.alarm(EvaluationPeriods=3, DatapointsToAlarm=2)
    watch.minutes(11, 1, 1)
    assert watch.state() == "OK"
    watch.minutes(11, 1, 11)
    assert watch.state() == "ALARM"
    watch.minutes(1, 1)
    assert watch.state() == "OK"


def test_the_latency_alarm_of_the_guide(watch: Any) -> None:
    """ModelLatency Average >= 100000 over 3 x 300 s: a quarter of an hour of slow answers."""
    watch.alarm(
        Period=300,
        EvaluationPeriods=3,
        Threshold=100_000.0,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )
    watch.minutes(*[5_000] * 15)
    assert watch.state() == "OK"
    watch.minutes(*[200_000] * 10)
    assert watch.state() == "OK"
    watch.minutes(*[200_000] * 5)
    assert watch.state() == "ALARM"
    watch.minutes(*[5_000] * 3)
    # Every minute, on a window that slides: three fast minutes bring the newest of its periods below the threshold.
    assert watch.state() == "OK"


def test_a_wall_clock_window_stays_on_full_periods(watch: Any) -> None:
    watch.alarm(Period=300, EvaluationWindow={"WallClockWindow": {}})
    watch.minutes(*[11] * 4)
    assert watch.state() == "INSUFFICIENT_DATA"
    watch.minutes(11)
    assert watch.state() == "ALARM"


def test_missing_data_in_time(watch: Any) -> None:
    for treatment in ("missing", "ignore", "breaching", "notBreaching"):
        watch.alarm(AlarmName=treatment, TreatMissingData=treatment)
    watch.minutes(11)
    assert {watch.state(name) for name in ("missing", "ignore", "breaching", "notBreaching")} == {"ALARM"}
    watch.minutes(None, None, None)
    assert watch.state("missing") == "INSUFFICIENT_DATA"
    assert watch.told("missing")["StateReason"] == "Insufficient Data: 1 datapoint was unknown."
    assert watch.state("ignore") == "ALARM"
    assert watch.state("breaching") == "ALARM"
    assert watch.state("notBreaching") == "OK"
    assert watch.told("notBreaching")["StateReason"] == (
        "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as [NonBreaching]."
    )


def test_short_periods_are_evaluated_every_ten_seconds(watch: Any) -> None:
    watch.alarm(Period=10)
    watch.put(11, StorageResolution=1)
    watch.clock.advance(10)
    assert watch.state() == "ALARM"
    watch.put(1, StorageResolution=1)
    watch.clock.advance(9)
    assert watch.state() == "ALARM"
    watch.clock.advance(1)
    assert watch.state() == "OK"


def test_percentiles_dimensions_and_units_are_looked_at(watch: Any) -> None:
    here = [{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": "v"}]
    for name, part in (
        ("p99", {"Statistic": None, "ExtendedStatistic": "p99"}),
        ("p10", {"Statistic": None, "ExtendedStatistic": "p10"}),
        ("tm50", {"Statistic": None, "ExtendedStatistic": "tm50"}),
        ("other-unit", {"Unit": "Seconds"}),
    ):
        watch.alarm(AlarmName=name, Dimensions=here, **part)
    watch.alarm(AlarmName="elsewhere")
    watch.put(1, 1, 5000, Dimensions=here, Unit="Microseconds")
    watch.clock.advance(60)
    assert {name: watch.state(name) for name in ("p99", "p10", "tm50", "other-unit", "elsewhere")} == {
        "p99": "ALARM",
        "p10": "OK",
        "tm50": "OK",
        "other-unit": "INSUFFICIENT_DATA",
        "elsewhere": "INSUFFICIENT_DATA",
    }


def test_too_few_samples_for_a_percentile_change_nothing_where_they_are_ignored(watch: Any) -> None:
    percentile = {"Statistic": None, "ExtendedStatistic": "p90"}
    watch.alarm(AlarmName="ignoring", EvaluateLowSampleCountPercentile="ignore", **percentile)
    watch.alarm(AlarmName="evaluating", **percentile)
    watch.put(*[11] * 99)
    watch.clock.advance(60)
    assert (watch.state("ignoring"), watch.state("evaluating")) == ("INSUFFICIENT_DATA", "ALARM")
    watch.put(*[11] * 100)
    watch.clock.advance(60)
    assert watch.state("ignoring") == "ALARM"


ERROR_RATE = (
    {"Id": "rate", "Expression": "100 * errors / invocations", "ReturnData": True},
    stat("errors"),
    stat("invocations"),
)


def test_an_alarm_on_an_expression(watch: Any) -> None:
    watch.ask("PutMetricAlarm", **math_alarm(*ERROR_RATE, Threshold=5.0))
    watch.put(*[1] * 100, name="invocations")
    watch.put(*[1] * 5, name="errors")
    watch.clock.advance(60)
    assert watch.state() == "OK"
    watch.put(*[1] * 100, name="invocations")
    watch.put(*[1] * 6, name="errors")
    watch.clock.advance(60)
    assert watch.state() == "ALARM"
    assert "[6.0 (" in watch.told()["StateReason"]
    # Nothing is invoked: a division by zero is no data.
    watch.minutes(None, None, None)
    assert watch.state() == "INSUFFICIENT_DATA"


def test_an_expression_that_is_not_done_says_so(watch: Any) -> None:
    band = {"Id": "band", "Expression": "ANOMALY_DETECTION_BAND(m)", "ReturnData": True}
    watch.ask("PutMetricAlarm", **math_alarm(band, stat("m")))
    watch.minutes(1)
    told = watch.told()
    assert told["StateValue"] == "INSUFFICIENT_DATA"
    assert told["EvaluationState"] == "EVALUATION_ERROR"
    assert "does not know the function ANOMALY_DETECTION_BAND" in told["StateReason"]


def test_a_state_that_is_set_lasts_until_the_next_evaluation(watch: Any) -> None:
    watch.alarm()
    watch.minutes(1)
    watch.ask("SetAlarmState", AlarmName="slow", StateValue="ALARM", StateReason="a test")
    assert (watch.state(), watch.told()["StateReason"]) == ("ALARM", "a test")
    watch.minutes(1)
    assert watch.state() == "OK"
    with pytest.raises(AwsError) as absent:
        watch.ask("SetAlarmState", AlarmName="absent", StateValue="OK", StateReason="")
    assert (absent.value.code, absent.value.message, absent.value.status) == ("ResourceNotFound", "", 404)


def test_many_alarms_on_much_data(watch: Any) -> None:
    """Two hours of 100 alarms on a metric with a hundred values a minute, evaluated in well under a second."""
    for number in range(100):
        watch.alarm(AlarmName=f"a{number}", EvaluationPeriods=3, Statistic=None, ExtendedStatistic="p99")
    metrics, latency = watch.cloudwatch.region(REGION).metrics, metric_of(NAMESPACE, "ModelLatency")
    for minute in range(120):
        for value in range(100):
            metrics.put(latency, value + minute / 1000, at=watch.clock.now())
        watch.clock.advance(60)
    assert {one.state for one in watch.alarms.all()} == {"ALARM"}


# What an alarm does

POLICY = "arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:1:resource/sagemaker/x:policyName/p"


def test_a_scaling_policy_is_triggered_every_minute_for_as_long_as_the_state_lasts(watch: Any) -> None:
    watch.alarm(AlarmActions=[POLICY])
    watch.minutes(1, 11, 12, 13, 1, 1)
    assert watch.triggered == [
        (POLICY, Breach("slow", "ALARM", 10.0, (value,))) for value in (11.0, 12.0, 13.0)
    ]
    assert watch.history("Action") == [f"Successfully executed action {POLICY}"]


def test_actions_that_are_not_enabled_are_not_done(watch: Any) -> None:
    watch.alarm(AlarmActions=[POLICY], ActionsEnabled=False)
    watch.minutes(11)
    assert watch.triggered == []
    watch.ask("EnableAlarmActions", AlarmNames=["slow"])
    watch.minutes(11)
    assert len(watch.triggered) == 1
    watch.ask("DisableAlarmActions", AlarmNames=["slow"])
    watch.minutes(11)
    assert len(watch.triggered) == 1


def test_an_action_that_fails_stands_in_the_history(watch: Any) -> None:
    def fail(arn: str, breach: Breach) -> None:
        raise AwsError("ObjectNotFoundException", "There is no such policy.")

    watch.alarms.on_scaling_action(fail)
    watch.alarm(AlarmActions=[POLICY], OKActions=["arn:aws:automate:us-east-1:ec2:stop"])
    watch.minutes(11, 1)
    assert watch.history("Action") == [
        "The local AWS does not execute the action arn:aws:automate:us-east-1:ec2:stop",
        f"Failed to execute action {POLICY}. Received error: There is no such policy.",
    ]


def test_the_history_has_every_change(watch: Any) -> None:
    watch.alarm()
    watch.minutes(11, 11, 1)
    assert watch.history("StateUpdate") == [
        "Alarm updated from ALARM to OK",
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
    ]


# Composite alarms


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ("ALARM(a)", True),
        ('ALARM("a")', True),
        ("ALARM(arn:aws:cloudwatch:us-east-1:1:alarm:a)", True),
        ("OK(a)", False),
        ("INSUFFICIENT_DATA(c)", True),
        ("ALARM(a) AND ALARM(b)", False),
        ("ALARM(a) AND NOT ALARM(b)", True),
        ("NOT NOT ALARM(a)", True),
        ("NOT (ALARM(a) AND OK(b))", False),
        ("ALARM(b) OR ALARM(a) AND OK(b)", True),
        ("(ALARM(b) OR ALARM(a)) AND ALARM(b)", False),
        ("TRUE", True),
        ("FALSE OR NOT FALSE", True),
        ("ALARM(absent)", False),
        ("ALARM(with spaces in it) OR TRUE", True),
    ],
)
def test_rules(rule: str, holds: bool) -> None:
    states = {"a": "ALARM", "b": "OK", "c": "INSUFFICIENT_DATA"}
    assert composite_alarms.parse(rule).holds(lambda name: states.get(name.rpartition(":")[2])) is holds


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "ALARM()",
        "ALARM(a",
        "ALARM(a) ALARM(b)",
        "AND ALARM(a)",
        "ALARM(a) XOR OK(b)",
        "MAYBE(a)",
        "(TRUE",
        "NOT",
        "ALARM(a))",
        " OR ".join(f"ALARM(a{number})" for number in range(101)),
    ],
)
def test_what_is_no_rule(rule: Any) -> None:
    with pytest.raises(composite_alarms.RuleError):
        composite_alarms.parse(rule)


def test_a_composite_alarm_follows_its_alarms(watch: Any) -> None:
    watch.alarm(AlarmName="slow")
    watch.alarm(AlarmName="failing", MetricName="Errors")
    watch.ask("PutCompositeAlarm", AlarmName="ill", AlarmRule="ALARM(slow) AND ALARM(failing)")
    watch.ask("PutCompositeAlarm", AlarmName="worse", AlarmRule="ALARM(ill)")
    assert watch.state("ill") == "OK"
    watch.put(11)
    watch.put(11, name="Errors")
    watch.clock.advance(60)
    assert (watch.state("ill"), watch.state("worse")) == ("ALARM", "ALARM")
    watch.put(11)
    watch.put(1, name="Errors")
    watch.clock.advance(60)
    assert (watch.state("ill"), watch.state("worse")) == ("OK", "OK")
    assert watch.told("ill")["AlarmRule"] == "ALARM(slow) AND ALARM(failing)"
    for name, rule in (("x", "ALARM(absent)"), ("ill", "ALARM(worse)"), ("x", "ALARM(")):
        with pytest.raises(AwsError):
            watch.ask("PutCompositeAlarm", AlarmName=name, AlarmRule=rule)
    with pytest.raises(AwsError, match="part of the composite alarm"):
        watch.ask("DeleteAlarms", AlarmNames=["slow"])
    watch.ask("DeleteAlarms", AlarmNames=["slow", "failing", "ill", "worse"])
    assert watch.alarms.all() == []


def test_the_actions_of_a_composite_alarm_are_suppressed(watch: Any) -> None:
    watch.alarm(AlarmName="slow")
    watch.alarm(AlarmName="deploying", MetricName="Deployments", TreatMissingData="ignore")
    watch.ask(
        "PutCompositeAlarm",
        AlarmName="ill",
        AlarmRule="ALARM(slow)",
        AlarmActions=[POLICY],
        ActionsSuppressor="deploying",
        ActionsSuppressorWaitPeriod=30,
        ActionsSuppressorExtensionPeriod=90,
    )
    watch.minutes(11)
    assert watch.told("ill")["ActionsSuppressedBy"] == "WaitPeriod"
    watch.clock.advance(29)
    assert watch.triggered == []
    watch.ask("SetAlarmState", AlarmName="deploying", StateValue="ALARM", StateReason="a test")
    assert watch.told("ill")["ActionsSuppressedBy"] == "Alarm"
    watch.clock.advance(1)
    assert watch.triggered == []
    watch.ask("SetAlarmState", AlarmName="deploying", StateValue="OK", StateReason="a test")
    assert watch.told("ill")["ActionsSuppressedBy"] == "ExtensionPeriod"
    watch.put(11)
    watch.clock.advance(89)
    assert watch.triggered == []
    watch.clock.advance(1)
    assert len(watch.triggered) == 1
    assert "ActionsSuppressedBy" not in watch.told("ill")


def test_a_suppression_goes_on_after_a_restart(watch: Any) -> None:
    watch.alarm(AlarmName="slow")
    watch.alarm(AlarmName="deploying", MetricName="Deployments", TreatMissingData="ignore")
    watch.ask(
        "PutCompositeAlarm",
        AlarmName="ill",
        AlarmRule="ALARM(slow)",
        AlarmActions=[POLICY],
        ActionsSuppressor="deploying",
        ActionsSuppressorWaitPeriod=30,
        ActionsSuppressorExtensionPeriod=90,
    )
    watch.minutes(11)
    watch.clock.advance(20)
    kept = watch.alarms.dump()
    watch.clock.clear()
    # It went on while nobody was there.
    assert watch.told("ill")["ActionsSuppressedBy"] == "WaitPeriod"
    again = Alarms(REGION, watch.clock, watch.cloudwatch.region(REGION).metrics)
    triggered = []
    again.on_scaling_action(lambda policy, breach: triggered.append(breach.alarm_name))
    again.load(kept)
    watch.clock.advance(1)
    assert triggered == ["ill"]
    (ill,) = [alarm for alarm in again.all() if alarm.name == "ill"]
    assert ill.suppressed_by is None


# Through the API


@pytest.fixture
def cloudwatch(virtual_aws: LocalAws) -> Any:
    return virtual_aws.client("cloudwatch")


def test_an_alarm_notifies_a_topic(virtual_aws: LocalAws, cloudwatch: Any) -> None:
    """SNS and the queue that is subscribed to it are moto's."""
    sns, sqs = virtual_aws.client("sns"), virtual_aws.client("sqs")
    topic = sns.create_topic(Name="alarms")["TopicArn"]
    queue = sqs.create_queue(QueueName="alarms")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    here = [{"Name": "EndpointName", "Value": "e"}]
    cloudwatch.put_metric_alarm(
        **alarm(AlarmActions=[topic], OKActions=[topic], Dimensions=here, AlarmDescription="too slow")
    )
    for value in (11.0, 12.0, 1.0):
        cloudwatch.put_metric_data(
            Namespace=NAMESPACE,
            MetricData=[{"MetricName": "ModelLatency", "Value": value, "Dimensions": here}],
        )
        virtual_aws.advance(60)
    received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    envelopes = [json.loads(message["Body"]) for message in received]
    assert [envelope["Subject"] for envelope in envelopes] == [
        'ALARM: "slow" in US East (N. Virginia)',
        'OK: "slow" in US East (N. Virginia)',
    ]
    message = json.loads(envelopes[0]["Message"])
    assert {
        key: message[key] for key in ("AlarmName", "AlarmDescription", "NewStateValue", "OldStateValue")
    } == {
        "AlarmName": "slow",
        "AlarmDescription": "too slow",
        "NewStateValue": "ALARM",
        "OldStateValue": "INSUFFICIENT_DATA",
    }
    assert message["Trigger"]["Dimensions"] == [{"value": "e", "name": "EndpointName"}]
    assert message["Trigger"]["Statistic"] == "AVERAGE"
    (item, _) = cloudwatch.describe_alarm_history(AlarmName="slow", HistoryItemType="Action")[
        "AlarmHistoryItems"
    ]
    assert item["HistorySummary"] == f"Successfully executed action {topic}"


def test_what_was_put_is_what_is_told(cloudwatch: Any) -> None:
    request = alarm(
        AlarmDescription="d",
        ActionsEnabled=False,
        OKActions=["arn:aws:sns:us-east-1:123456789012:ok"],
        AlarmActions=["arn:aws:sns:us-east-1:123456789012:alarm"],
        InsufficientDataActions=["arn:aws:sns:us-east-1:123456789012:none"],
        Dimensions=[{"Name": "EndpointName", "Value": "e"}],
        Unit="Microseconds",
        EvaluationPeriods=3,
        DatapointsToAlarm=2,
        TreatMissingData="notBreaching",
    )
    cloudwatch.put_metric_alarm(**request, Tags=[{"Key": "k", "Value": "v"}])
    (told,) = cloudwatch.describe_alarms()["MetricAlarms"]
    assert {name: told[name] for name in request} == request
    assert told["AlarmArn"] == "arn:aws:cloudwatch:us-east-1:123456789012:alarm:slow"
    tags = cloudwatch.list_tags_for_resource(ResourceARN=told["AlarmArn"])["Tags"]
    assert tags == [{"Key": "k", "Value": "v"}]
    # "any tags you specify … are ignored" on an update: PutMetricAlarm
    cloudwatch.put_metric_alarm(**request, Tags=[{"Key": "other", "Value": "v"}])
    cloudwatch.tag_resource(ResourceARN=told["AlarmArn"], Tags=[{"Key": "k2", "Value": "v2"}])
    cloudwatch.untag_resource(ResourceARN=told["AlarmArn"], TagKeys=["k"])
    tags = cloudwatch.list_tags_for_resource(ResourceARN=told["AlarmArn"])["Tags"]
    assert tags == [{"Key": "k2", "Value": "v2"}]
    queries = [
        {"Id": "rate", "Expression": "errors * 1", "ReturnData": True, "Label": "l"},
        {**stat("errors"), "AccountId": "123456789012"},
    ]
    cloudwatch.put_metric_alarm(**math_alarm(*queries, AlarmName="math"))
    (told,) = cloudwatch.describe_alarms(AlarmNames=["math"])["MetricAlarms"]
    assert told["Metrics"] == queries
    assert refusal_of(cloudwatch.tag_resource, ResourceARN="arn:aws:x", Tags=[])[0].startswith(
        "ResourceNotFound"
    )


def test_alarms_are_found(cloudwatch: Any) -> None:
    for number in range(3):
        cloudwatch.put_metric_alarm(**alarm(AlarmName=f"a{number}"))
    cloudwatch.put_metric_alarm(**alarm(AlarmName="b", AlarmActions=[POLICY], MetricName="Other"))
    cloudwatch.put_composite_alarm(AlarmName="c", AlarmRule="ALARM(b)")

    def names(**request: Any) -> Any:
        answer = cloudwatch.describe_alarms(**request)
        return [one["AlarmName"] for one in answer["MetricAlarms"] + answer["CompositeAlarms"]]

    assert names() == ["a0", "a1", "a2", "b"]
    assert names(AlarmTypes=["CompositeAlarm"]) == ["c"]
    assert names(AlarmNames=["a1", "c", "absent"]) == ["a1"]
    assert names(AlarmNames=["a1", "c"], AlarmTypes=["MetricAlarm", "CompositeAlarm"]) == ["a1", "c"]
    assert names(AlarmNamePrefix="a") == ["a0", "a1", "a2"]
    assert names(ActionPrefix="arn:aws:autoscaling") == ["b"]
    assert names(StateValue="ALARM") == []
    pages = cloudwatch.get_paginator("describe_alarms").paginate(PaginationConfig={"PageSize": 3})
    assert [len(page["MetricAlarms"]) for page in pages] == [3, 1]
    found = cloudwatch.describe_alarms_for_metric(Namespace=NAMESPACE, MetricName="Other")["MetricAlarms"]
    assert [one["AlarmName"] for one in found] == ["b"]


def test_the_numbers_that_are_asked_for_are_those_that_alarms_see(
    virtual_aws: LocalAws, cloudwatch: Any
) -> None:
    start = virtual_aws.now()
    cloudwatch.put_metric_data(
        Namespace=NAMESPACE,
        MetricData=[
            {"MetricName": "m", "Values": [1.0, 100.0], "Counts": [99.0, 1.0], "Unit": "Microseconds"},
            {
                "MetricName": "sets",
                "StatisticValues": {"SampleCount": 2, "Sum": 6, "Minimum": 2, "Maximum": 4},
            },
            {
                "MetricName": "m",
                "Value": 7.0,
                "Unit": "Microseconds",
                "Timestamp": start + timedelta(minutes=2),
            },
        ],
    )
    span = {"StartTime": start, "EndTime": start + timedelta(minutes=3), "Period": 60}
    points = cloudwatch.get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName="m",
        Statistics=["Average", "SampleCount"],
        ExtendedStatistics=["p99", "p99.9"],
        **span,
    )["Datapoints"]
    assert points == [
        {
            "Timestamp": start,
            "Average": 1.99,
            "SampleCount": 100.0,
            "ExtendedStatistics": {"p99": 1.0, "p99.9": 100.0},
            "Unit": "Microseconds",
        },
        {
            "Timestamp": start + timedelta(minutes=2),
            "Average": 7.0,
            "SampleCount": 1.0,
            "ExtendedStatistics": {"p99": 7.0, "p99.9": 7.0},
            "Unit": "Microseconds",
        },
    ]
    metric = {"Metric": {"Namespace": NAMESPACE, "MetricName": "m"}, "Period": 60}
    results = cloudwatch.get_metric_data(
        MetricDataQueries=[
            {"Id": "p", "MetricStat": {**metric, "Stat": "p99.9"}},
            {"Id": "hidden", "MetricStat": {**metric, "Stat": "Sum"}, "ReturnData": False},
            {"Id": "e", "Expression": "hidden / 2", "Label": "half"},
        ],
        StartTime=start,
        EndTime=start + timedelta(minutes=3),
        ScanBy="TimestampAscending",
    )["MetricDataResults"]
    assert [(one["Id"], one["Label"], one["Values"]) for one in results] == [
        ("p", "m", [100.0, 7.0]),
        ("e", "half", [99.5, 3.5]),
    ]
    assert results[0]["Timestamps"] == [start, start + timedelta(minutes=2)]
    sets = cloudwatch.get_metric_statistics(
        Namespace=NAMESPACE, MetricName="sets", Statistics=["Maximum"], ExtendedStatistics=["p50"], **span
    )["Datapoints"]
    assert [(one["Maximum"], "ExtendedStatistics" in one) for one in sets] == [(4.0, False)]
    assert {one["MetricName"] for one in cloudwatch.list_metrics(Namespace=NAMESPACE)["Metrics"]} == {
        "m",
        "sets",
    }


@pytest.mark.parametrize(
    ("queries", "labels"),
    [
        ([("m", "Sum", 60, "Seconds")], ["m"]),
        ([("m", "Sum", 60, None), ("n", "Sum", 60, None)], ["m", "n"]),
        ([("m", "Sum", 60, None), ("m", "Minimum", 30, None)], ["m Sum 60", "m Minimum 30"]),
        ([("m", "Sum", 60, None), ("m", "Minimum", 60, None)], ["m Sum", "m Minimum"]),
        ([("m", "Sum", 60, None), ("m", "Sum", 30, None)], ["m 60", "m 30"]),
        ([("m", "Sum", 60, "Seconds"), ("m", "Sum", 60, "Milliseconds")], ["m", "m"]),
    ],
)
def test_labels_tell_queries_apart(
    virtual_aws: LocalAws, queries: list[tuple[str, str, int, str | None]], labels: list[str]
) -> None:
    """localstack/localstack, tests/aws/services/cloudwatch/test_cloudwatch.snapshot.json, test_label_generation."""
    now = virtual_aws.now()
    results = virtual_aws.client("cloudwatch").get_metric_data(
        MetricDataQueries=[
            {
                "Id": f"q{number}",
                "MetricStat": {
                    "Metric": {"Namespace": NAMESPACE, "MetricName": name},
                    "Stat": stat,
                    "Period": period,
                    **({"Unit": unit} if unit else {}),
                },
            }
            for number, (name, stat, period, unit) in enumerate(queries)
        ],
        StartTime=now - timedelta(minutes=5),
        EndTime=now,
    )["MetricDataResults"]
    assert [one["Label"] for one in results] == labels


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("get_metric_statistics", {"Period": 7, "Statistics": ["Sum"]}),
        ("get_metric_statistics", {"Period": 60}),
        ("get_metric_statistics", {"Period": 60, "ExtendedStatistics": ["x1"]}),
        ("get_metric_statistics", {"Period": 60, "Statistics": ["Sum"], "EndTime": START}),
        ("get_metric_statistics", {"Period": 1, "Statistics": ["Sum"]}),
        ("get_metric_data", {"MetricDataQueries": [{"Id": "a"}]}),
        ("get_metric_data", {"MetricDataQueries": [{"Id": "a", "Expression": "b"}]}),
        ("get_metric_data", {"MetricDataQueries": [{"Id": "a", "Expression": "SELECT 1"}]}),
        ("put_metric_data", {"MetricData": [{"MetricName": "m", "Values": [1.0], "Counts": [1.0, 2.0]}]}),
        ("put_metric_data", {"MetricData": [{"MetricName": "m", "Value": 1.0, "Values": [1.0]}]}),
        ("put_metric_data", {"MetricData": [{"MetricName": "m", "Value": 1.0, "StorageResolution": 5}]}),
    ],
)
def test_what_cannot_be_asked(cloudwatch: Any, operation: str, request_: dict[str, Any]) -> None:
    common = {
        "get_metric_statistics": {
            "Namespace": "N",
            "MetricName": "m",
            "StartTime": START,
            "EndTime": START + timedelta(hours=1),
        },
        "get_metric_data": {"StartTime": START, "EndTime": START + timedelta(hours=1)},
        "put_metric_data": {"Namespace": "N"},
    }[operation]
    code, _ = refusal_of(getattr(cloudwatch, operation), **{**common, **request_})
    assert code.startswith(("ValidationError", "InvalidParameter"))


def test_the_query_protocol_is_spoken_too(virtual_aws: LocalAws) -> None:
    """Older SDKs speak it: botocore's oldest protocol of CloudWatch."""
    import boto3
    from botocore.config import Config
    from botocore.loaders import Loader

    loader = Loader()
    model = loader.load_service_model("cloudwatch", "service-2")
    session = boto3.Session(virtual_aws.access_key, virtual_aws.secret_key, region_name=REGION)
    original = session._session.get_component("data_loader")
    load = original.load_service_model

    def only_query(service_name: Any, type_name: Any, api_version: Any = None) -> Any:
        found = load(service_name, type_name, api_version)
        if service_name == "cloudwatch" and type_name == "service-2":
            return {**model, "metadata": {**model["metadata"], "protocol": "query", "protocols": ["query"]}}
        return found

    original.load_service_model = only_query
    old = session.client("cloudwatch", endpoint_url=virtual_aws.endpoint_url, config=Config(proxies={}))
    assert old.meta.service_model.resolved_protocol == "query"
    old.put_metric_alarm(**alarm(Dimensions=[{"Name": "EndpointName", "Value": "e"}]))
    (told,) = old.describe_alarms()["MetricAlarms"]
    assert (told["Threshold"], told["Dimensions"]) == (10.0, [{"Name": "EndpointName", "Value": "e"}])
    old.put_metric_data(Namespace="N", MetricData=[{"MetricName": "m", "Value": 1.0}])
    now = virtual_aws.now()
    points = old.get_metric_statistics(
        Namespace="N",
        MetricName="m",
        StartTime=now,
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    assert [(one["Sum"], one["Timestamp"]) for one in points] == [(1.0, now)]
    assert refusal_of(old.put_metric_alarm, **alarm(Period=7))[0] == "ValidationError"
