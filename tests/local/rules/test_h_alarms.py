"""CloudWatch"""

from __future__ import annotations

from datetime import timedelta

from tests.local.rules.cloud import Cloud, refused


def state(cloud: Cloud, name: str = "alarm") -> str:
    return str(cloud.described_alarm(name)["StateValue"])


def test_new_alarm(cloud: Cloud) -> None:
    """A new alarm is in INSUFFICIENT_DATA.

    Source: cloudwatch:API_PutMetricAlarm.html
    """
    cloud.alarm()
    assert state(cloud) == "INSUFFICIENT_DATA"


def test_updated_alarm_keeps_its_state(cloud: Cloud) -> None:
    """An alarm that is updated keeps its state.

    Source: cloudwatch:API_PutMetricAlarm.html
    """
    cloud.alarm()
    cloud.set_alarm("ALARM")
    cloud.alarm(Threshold=5.0)
    assert (state(cloud), cloud.described_alarm()["Threshold"]) == ("ALARM", 5.0)


def test_updated_alarm_is_overwritten(cloud: Cloud) -> None:
    """An update of an alarm removes all members that are not given again.

    Source: cloudwatch:API_PutMetricAlarm.html
    """
    cloud.alarm(
        AlarmDescription="first",
        TreatMissingData="breaching",
        OKActions=["arn:aws:sns:us-east-1:123456789012:t"],
    )
    cloud.alarm()
    found = cloud.described_alarm()
    assert not {"AlarmDescription", "TreatMissingData"} & set(found)
    assert found["OKActions"] == []


def test_alarm_has_a_statistic(cloud: Cloud) -> None:
    """An alarm on a metric requires a Statistic or an ExtendedStatistic.

    Source: cloudwatch:API_PutMetricAlarm.html
    """
    with refused("Statistic", code="ValidationError"):
        cloud.alarm(Statistic=None)


def test_alarm_has_one_statistic(cloud: Cloud) -> None:
    """An alarm cannot have both a Statistic and an ExtendedStatistic.

    Source: cloudwatch:API_PutMetricAlarm.html
    """
    with refused(code="InvalidParameterCombination"):
        cloud.alarm(ExtendedStatistic="p99")


def test_trimmed_means(cloud: Cloud) -> None:
    """Percentiles and trimmed means are valid statistics of alarms; other strings are not.

    Source: cloudwatch:API_PutMetricAlarm.html; alarms:Statistics-definitions.html
    """
    for statistic in ("p99", "p99.9", "tm99"):
        cloud.alarm(Statistic=None, ExtendedStatistic=statistic)
    with refused(code="InvalidParameterValue"):
        cloud.alarm(Statistic=None, ExtendedStatistic="q99")


def test_period(cloud: Cloud) -> None:
    """A period is 10, 20, 30 or a multiple of 60 seconds.

    Source: cloudwatch:API_PutMetricAlarm.html
    """
    for period in (10, 20, 30, 60, 300):
        cloud.alarm(Period=period)
    for period in (7, 90):
        with refused("Period", code="ValidationError"):
            cloud.alarm(Period=period)


def test_datapoints_to_alarm(cloud: Cloud) -> None:
    """DatapointsToAlarm is at most EvaluationPeriods.

    Source: cloudwatch:API_PutMetricAlarm.html
    """
    cloud.alarm(EvaluationPeriods=3, DatapointsToAlarm=3)
    with refused("DatapointsToAlarm", code="ValidationError"):
        cloud.alarm(EvaluationPeriods=3, DatapointsToAlarm=4)


def test_evaluation_range(cloud: Cloud) -> None:
    """Periods of less than an hour are evaluated over at most one day.

    Source: cloudwatch:API_PutMetricAlarm.html
    """
    with refused("86400", code="ValidationError"):
        cloud.alarm(Period=300, EvaluationPeriods=289)


def test_missing_data_treatments(cloud: Cloud) -> None:
    """TreatMissingData is breaching, notBreaching, ignore or missing.

    Source: cloudwatch:API_PutMetricAlarm.html
    """
    with refused(code="InvalidParameterValue"):
        cloud.alarm(TreatMissingData="fine")


def test_alarm_goes_off(cloud: Cloud) -> None:
    """An alarm is evaluated: data above its threshold sets it to ALARM, with a reason.

    Source: alarms:alarm-evaluation.html
    """
    cloud.alarm()
    cloud.put(2.0, 3.0)
    cloud.advance(60)
    found = cloud.described_alarm()
    assert found["StateValue"] == "ALARM"
    assert "Threshold Crossed: 1 datapoint [5.0" in found["StateReason"]


def test_alarm_is_ok(cloud: Cloud) -> None:
    """Data that is not above the threshold sets an alarm to OK.

    Source: alarms:alarm-evaluation.html
    """
    cloud.alarm()
    cloud.put(1.0)
    cloud.advance(60)
    assert state(cloud) == "OK"


def test_several_periods(cloud: Cloud) -> None:
    """DatapointsToAlarm of the last EvaluationPeriods datapoints must breach.

    Source: alarms:alarm-evaluation.html
    """
    cloud.alarm(EvaluationPeriods=3, DatapointsToAlarm=2)
    seen = []
    for value in (5.0, 0.0, 5.0, 0.0, 0.0):
        cloud.put(value)
        cloud.advance(60)
        seen.append(state(cloud))
    assert seen[2:] == ["ALARM", "OK", "OK"] or seen[2:] == ["ALARM", "ALARM", "OK"]
    assert "ALARM" not in seen[:2]


def test_missing_is_insufficient(cloud: Cloud) -> None:
    """By default, missing data sets an alarm to INSUFFICIENT_DATA.

    Source: alarms:alarms-and-missing-data.html
    """
    cloud.alarm()
    cloud.put(0.0)
    cloud.advance(60)
    assert state(cloud) == "OK"
    cloud.advance(600)
    assert state(cloud) == "INSUFFICIENT_DATA"


def test_missing_is_not_breaching(cloud: Cloud) -> None:
    """With notBreaching, missing data counts as not breaching.

    Source: alarms:alarms-and-missing-data.html
    """
    cloud.alarm(TreatMissingData="notBreaching")
    cloud.set_alarm("ALARM")
    cloud.advance(120)
    assert state(cloud) == "OK"


def test_missing_is_breaching(cloud: Cloud) -> None:
    """With breaching, missing data counts as breaching.

    Source: recorded:alarm-missing; alarms:alarms-and-missing-data.html
    """
    cloud.alarm(TreatMissingData="breaching")
    cloud.advance(120)
    assert state(cloud) == "ALARM"


def test_missing_is_ignored(cloud: Cloud) -> None:
    """With ignore, missing data leaves the state unchanged.

    Source: alarms:alarms-and-missing-data.html
    """
    cloud.alarm(TreatMissingData="ignore")
    cloud.set_alarm("ALARM")
    cloud.advance(1200)
    assert state(cloud) == "ALARM"


def test_percentiles_of_alarms(cloud: Cloud) -> None:
    """An alarm may be on a percentile.

    Source: alarms:Statistics-definitions.html
    """
    cloud.alarm(Statistic=None, ExtendedStatistic="p50", Threshold=50.0)
    cloud.put(*[100.0] * 60, *[1.0] * 40)
    cloud.advance(60)
    assert state(cloud) == "ALARM"


def test_percentiles_of_statistics(cloud: Cloud) -> None:
    """GetMetricStatistics returns percentiles.

    Source: cloudwatch:API_GetMetricStatistics.html
    """
    cloud.put(*map(float, range(1, 101)))
    now = cloud.now()
    (point,) = cloud.cloudwatch.get_metric_statistics(
        Namespace="Ours",
        MetricName="Errors",
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
        Period=600,
        ExtendedStatistics=["p90"],
    )["Datapoints"]
    assert 89 <= point["ExtendedStatistics"]["p90"] <= 91


def test_percentiles_of_metric_data(cloud: Cloud) -> None:
    """GetMetricData returns percentiles.

    Source: cloudwatch:API_MetricStat.html
    """
    cloud.put(*map(float, range(1, 101)))
    metric = {"Metric": {"Namespace": "Ours", "MetricName": "Errors"}, "Period": 600, "Stat": "p90"}
    now = cloud.now()
    (result,) = cloud.cloudwatch.get_metric_data(
        MetricDataQueries=[{"Id": "a", "MetricStat": metric}],
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
    )["MetricDataResults"]
    assert 89 <= result["Values"][0] <= 91


def test_metric_math(cloud: Cloud) -> None:
    """GetMetricData evaluates expressions.

    Source: alarms:using-metric-math.html
    """
    cloud.put(6.0, 4.0)
    metric = {"Metric": {"Namespace": "Ours", "MetricName": "Errors"}, "Period": 600, "Stat": "Sum"}
    now = cloud.now()
    (result,) = cloud.cloudwatch.get_metric_data(
        MetricDataQueries=[
            {"Id": "a", "MetricStat": metric, "ReturnData": False},
            {"Id": "b", "Expression": "a / 5"},
        ],
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
    )["MetricDataResults"]
    assert result["Values"] == [2.0]


def test_alarm_on_an_expression(cloud: Cloud) -> None:
    """An alarm may be on an expression.

    Source: alarms:using-metric-math.html
    """
    metric = {"Metric": {"Namespace": "Ours", "MetricName": "Errors"}, "Period": 60, "Stat": "Sum"}
    cloud.cloudwatch.put_metric_alarm(
        AlarmName="alarm",
        EvaluationPeriods=1,
        Threshold=9.0,
        ComparisonOperator="GreaterThanThreshold",
        Metrics=[
            {"Id": "a", "MetricStat": metric, "ReturnData": False},
            {"Id": "b", "Expression": "a * 2", "ReturnData": True},
        ],
    )
    cloud.put(5.0)
    cloud.advance(60)
    assert state(cloud) == "ALARM"


def test_history(cloud: Cloud) -> None:
    """DescribeAlarmHistory returns state changes.

    Source: cloudwatch:API_DescribeAlarmHistory.html
    """
    cloud.alarm()
    cloud.set_alarm("ALARM")
    items = cloud.cloudwatch.describe_alarm_history(AlarmName="alarm", HistoryItemType="StateUpdate")
    (item,) = items["AlarmHistoryItems"]
    assert item["HistorySummary"] == "Alarm updated from INSUFFICIENT_DATA to ALARM"


def test_composite_alarm(cloud: Cloud) -> None:
    """A composite alarm follows its children.

    Source: recorded:composite-alarm; cloudwatch:API_PutCompositeAlarm.html
    """
    cloud.alarm("a", TreatMissingData="ignore")
    cloud.alarm("b", TreatMissingData="ignore")
    cloud.cloudwatch.put_composite_alarm(AlarmName="both", AlarmRule="ALARM(a) AND ALARM(b)")
    seen = []
    for name in "ab":
        cloud.set_alarm("ALARM", name)
        (found,) = cloud.cloudwatch.describe_alarms(AlarmNames=["both"], AlarmTypes=["CompositeAlarm"])[
            "CompositeAlarms"
        ]
        seen.append(found["StateValue"])
    assert seen == ["OK", "ALARM"]


def test_children_stay(cloud: Cloud) -> None:
    """An alarm that a composite alarm uses cannot be deleted.

    Source: cloudwatch:API_DeleteAlarms.html; the wording is assumed
    """
    cloud.alarm("a")
    cloud.cloudwatch.put_composite_alarm(AlarmName="both", AlarmRule="ALARM(a)")
    with refused("composite", code="ValidationError"):
        cloud.cloudwatch.delete_alarms(AlarmNames=["a"])


def test_state_of_an_absent_alarm(cloud: Cloud) -> None:
    """The state of an alarm that does not exist cannot be set.

    Source: recorded:alarm-set-absent; cloudwatch:API_SetAlarmState.html
    """
    with refused(code="ResourceNotFound"):
        cloud.set_alarm("ALARM", "absent")


def test_action_reaches_sns(cloud: Cloud) -> None:
    """An alarm that goes off notifies an SNS topic.

    Source: cloudwatch:API_PutMetricAlarm.html
    """
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    topic = sns.create_topic(Name="topic")["TopicArn"]
    url = sqs.create_queue(QueueName="queue")["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:queue")
    cloud.alarm(AlarmActions=[topic])
    cloud.set_alarm("ALARM")
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert "ALARM" in message["Body"]


def test_disabled_actions(cloud: Cloud) -> None:
    """An alarm whose actions are disabled notifies nobody.

    Source: cloudwatch:API_DisableAlarmActions.html
    """
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    topic = sns.create_topic(Name="topic")["TopicArn"]
    url = sqs.create_queue(QueueName="queue")["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:queue")
    cloud.alarm(AlarmActions=[topic])
    cloud.cloudwatch.disable_alarm_actions(AlarmNames=["alarm"])
    cloud.set_alarm("ALARM")
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    assert cloud.described_alarm()["ActionsEnabled"] is False


def test_short_periods(cloud: Cloud) -> None:
    """An alarm with a period of ten seconds goes off within that time.

    Source: alarms:alarm-evaluation.html
    """
    cloud.alarm(Period=10)
    cloud.cloudwatch.put_metric_data(
        Namespace="Ours", MetricData=[{"MetricName": "Errors", "Value": 5.0, "StorageResolution": 1}]
    )
    cloud.advance(10)
    assert state(cloud) == "ALARM"


def test_dimensions_are_apart(cloud: Cloud) -> None:
    """A metric with different dimensions is a different metric.

    Source: cloudwatch:API_Dimension.html
    """
    cloud.alarm(Dimensions=[{"Name": "EndpointName", "Value": "e"}])
    cloud.put(5.0)
    cloud.advance(60)
    assert state(cloud) == "INSUFFICIENT_DATA"
