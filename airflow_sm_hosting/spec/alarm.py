"""Rules of alarms on metrics: what PutMetricAlarm accepts, and which alarms can never go off.

Source of the rules: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
"""

from __future__ import annotations

import contextlib
import math
from datetime import timedelta
from typing import Any, Literal, TypeAlias

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.arn import is_arn
from airflow_sm_hosting.spec.checks import (
    Problems,
    check_integer,
    check_one_of,
    check_text,
    invalid,
    is_rendered_later,
    nearest,
)
from airflow_sm_hosting.spec.members import check_member_names, check_members
from airflow_sm_hosting.spec.metric import (
    DURATION_UNITS,
    INVOCATION_METRICS,
    LARGEST_VALUES,
    PUBLISHED,
    WEEK,
    check_metric,
    endpoint_metrics,
    is_percentile,
    metric_queries,
    single_metric,
)
from airflow_sm_hosting.spec.reference import kind_of

ComparisonOperator: TypeAlias = Literal[
    "GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold"
]
COMPARISON_OPERATORS = (
    "GreaterThanOrEqualToThreshold",
    "GreaterThanThreshold",
    "LessThanThreshold",
    "LessThanOrEqualToThreshold",
)
MISSING_DATA_TREATMENTS = ("breaching", "notBreaching", "ignore", "missing")
LOW_SAMPLE_TREATMENTS = ("evaluate", "ignore")
DAY = 24 * 3600
MAX_ACTIONS = 5

#: Actions that only an alarm on a metric can have (PutMetricAlarm and PutCompositeAlarm, AlarmActions): those on instances, and scaling.
METRIC_ALARM_ACTIONS = ("automate", "swf", "autoscaling")


#: Members of PutMetricAlarm that have a parameter of CreateEndpointAlarmOperator.
ALARM_PARAMETERS = {
    "AlarmName": "alarm_name",
    "AlarmDescription": "alarm_description",
    "ActionsEnabled": "actions_enabled",
    "OKActions": "ok_actions",
    "AlarmActions": "alarm_actions",
    "InsufficientDataActions": "insufficient_data_actions",
    **dict.fromkeys(
        (
            "MetricName",
            "Namespace",
            "Statistic",
            "ExtendedStatistic",
            "Dimensions",
            "Period",
            "Unit",
            "Metrics",
        ),
        "metric",
    ),
    "EvaluationPeriods": "evaluation_periods",
    "DatapointsToAlarm": "datapoints_to_alarm",
    "Threshold": "threshold",
    "ComparisonOperator": "comparison_operator",
    "TreatMissingData": "treat_missing_data",
    "EvaluateLowSampleCountPercentile": "evaluate_low_sample_count_percentile",
    "Tags": "tags",
}

#: Members of PutMetricAlarm that stand in place of a threshold, or of a metric with periods.
NOT_FOR_THRESHOLDS = {
    "ThresholdMetricId": "it compares a metric with the band of an anomaly detection model, not with a threshold",
    "EvaluationCriteria": "it is for alarms on PromQL queries, which have no metric and no threshold",
    "EvaluationInterval": "it is for alarms on PromQL queries, which have no metric and no threshold",
}


def check_alarm_members(where: str, members: Any) -> None:
    """Check further members of an alarm's request, in AWS's spelling.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html: ThresholdMetricId is for anomaly detection
    alarms, EvaluationCriteria for PromQL alarms.

    :param where: The parameter.
    :param members: The members.
    :raises InvalidSpecError: When a name is misspelt, has a parameter, or does not go with a threshold.
    """
    if not isinstance(members, dict):
        return
    for member in members:
        if member in NOT_FOR_THRESHOLDS:
            raise InvalidSpecError(
                f"{where} has {member}; allowed: other members, as {NOT_FOR_THRESHOLDS[member]}."
            )
    check_member_names(where, members, ALARM_PARAMETERS)
    check_members(where, members, "PutMetricAlarmInput", ALARM_PARAMETERS)


def check_alarm(
    where: str,
    *,
    metric: Any,
    threshold: Any,
    evaluation_periods: Any,
    comparison_operator: Any,
    datapoints_to_alarm: Any = None,
    treat_missing_data: Any = None,
    evaluate_low_sample_count_percentile: Any = None,
) -> None:
    """Check the literal values of an alarm's condition: CloudWatch accepts them, and the alarm can fire.

    :param where: The beginning of the messages.
    :param metric: An EndpointMetric or a MetricMath.
    :param threshold: A number in the metric's own unit, or a timedelta.
    :param evaluation_periods: N of "M of N".
    :param comparison_operator: One of :data:`COMPARISON_OPERATORS`.
    :param datapoints_to_alarm: M of "M of N", or None.
    :param treat_missing_data: One of :data:`MISSING_DATA_TREATMENTS`, or None.
    :param evaluate_low_sample_count_percentile: One of :data:`LOW_SAMPLE_TREATMENTS`, or None.
    :raises InvalidSpecError: For a wrong value; the message names it.
    """
    problems = Problems()
    with problems:
        check_metric(metric, f"{where}: metric")
    with problems:
        check_integer(f"{where}: evaluation_periods", evaluation_periods, 1)
    with problems:
        check_one_of(f"{where}: comparison_operator", comparison_operator, COMPARISON_OPERATORS)
    if datapoints_to_alarm is not None:
        with problems:
            check_integer(f"{where}: datapoints_to_alarm", datapoints_to_alarm, 1)
    if treat_missing_data is not None:
        with problems:
            check_one_of(f"{where}: treat_missing_data", treat_missing_data, MISSING_DATA_TREATMENTS)
    problems.tell()
    watched = list(endpoint_metrics(metric))
    if evaluate_low_sample_count_percentile is not None:
        field = f"{where}: evaluate_low_sample_count_percentile"
        check_one_of(field, evaluate_low_sample_count_percentile, LOW_SAMPLE_TREATMENTS)
        _check_percentile(field, evaluate_low_sample_count_percentile, watched)
    if not is_rendered_later(evaluation_periods):
        literal = None if is_rendered_later(datapoints_to_alarm) else datapoints_to_alarm
        for one in watched:
            if not is_rendered_later(one["Period"]):
                check_window(one["Period"], evaluation_periods, literal, where=where)
    if not is_rendered_later(threshold) and not is_rendered_later(metric):
        value = threshold_value(metric, threshold, where=f"{where}: threshold")
        if kind_of(metric) == "EndpointMetric" and treat_missing_data != "breaching":
            _check_reachable(where, metric, comparison_operator, value)


def alarm_request(metric: dict[str, Any], *, threshold: Any) -> dict[str, Any]:
    """Return the metric's part of PutMetricAlarm.

    A metric with a label or of another account, and an expression, have the form of the ``Metrics`` array, as in the CDK.

    :param metric: A metric as :func:`~airflow_sm_hosting.spec.metric.completed_metric` returns it.
    :param threshold: A number in the metric's own unit, or a timedelta.
    """
    single = kind_of(metric) == "EndpointMetric" and not metric.get("Label") and not metric.get("AccountId")
    watched = single_metric(metric) if single else {"Metrics": metric_queries(metric)}
    return {**watched, "Threshold": threshold_value(metric, threshold)}


def threshold_value(metric: Any, threshold: Any, *, where: str = "threshold") -> float:
    """Return a threshold in the metric's own unit.

    :param metric: An EndpointMetric, a MetricMath, or None if it is not known yet.
    :param threshold: A number, also as a string from Jinja, or a timedelta.
    :param where: The beginning of the message.
    :raises InvalidSpecError: For a timedelta on a metric that is not a duration, and for a value that is not a number.
    """
    name = metric.get("MetricName") if isinstance(metric, dict) else None
    if isinstance(threshold, timedelta):
        if is_rendered_later(name):
            return 0.0
        if name not in DURATION_UNITS:
            raise invalid(
                where,
                threshold,
                f"a number, as {name or 'the result of an expression'} is not a duration (durations: "
                f"{', '.join(DURATION_UNITS)})",
            )
        return threshold / DURATION_UNITS[name]
    if isinstance(threshold, str):
        with contextlib.suppress(ValueError):
            threshold = float(threshold)
    number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    if not number or not math.isfinite(threshold):
        raise invalid(where, threshold, "a number in the metric's own unit, or a timedelta")
    return float(threshold)


def check_window(
    period: int, evaluation_periods: int, datapoints_to_alarm: int | None, *, where: str = "alarm"
) -> None:
    """Check the numbers of an alarm together, as PutMetricAlarm documents them.

    The window (period times evaluation periods) is at most a day, or seven days with periods of an hour or more.
    """
    limit = WEEK if period >= 3600 else DAY
    if period * evaluation_periods > limit:
        raise InvalidSpecError(
            f"{where}: evaluation_periods × period is {evaluation_periods} × {period} s = {evaluation_periods * period} s; "
            f"allowed: {limit} s at most for this period (PutMetricAlarm)."
        )
    if datapoints_to_alarm is not None and datapoints_to_alarm > evaluation_periods:
        raise InvalidSpecError(
            f"{where}: datapoints_to_alarm is {datapoints_to_alarm} of {evaluation_periods} "
            "evaluation_periods, so the alarm can never go off; allowed: at most evaluation_periods."
        )


def _check_percentile(field: str, value: Any, watched: list[dict[str, Any]]) -> None:
    statistics = [one["Statistic"] for one in watched]
    if statistics and not any(is_percentile(one) or is_rendered_later(one) for one in statistics):
        raise invalid(
            field, value, f"only with a percentile such as 'p99'; the statistic is {', '.join(statistics)}"
        )


def _check_reachable(where: str, metric: dict[str, Any], comparison_operator: Any, threshold: float) -> None:
    """Refuse a threshold that no value of one of SageMaker's metrics crosses."""
    name, statistic = metric["MetricName"], metric["Statistic"]
    if any(is_rendered_later(one) for one in (comparison_operator, metric["Namespace"], name, statistic)):
        return
    if (metric["Namespace"], name) not in PUBLISHED:
        return
    # Sums and counts of any number of observations have no largest value.
    summed = statistic in ("Sum", "SampleCount") or statistic[:2] in ("tc", "ts", "TC", "TS")
    high = 100.0 if statistic.startswith("PR") else math.inf if summed else LARGEST_VALUES.get(name, math.inf)
    crossed = {
        "GreaterThanOrEqualToThreshold": threshold <= high,
        "GreaterThanThreshold": threshold < high,
        "LessThanThreshold": threshold > 0,
        "LessThanOrEqualToThreshold": threshold >= 0,
    }
    if not crossed[comparison_operator]:
        most = "more" if high == math.inf else f"{high:g}"
        raise InvalidSpecError(
            f"{where}: threshold is {threshold:g} with {comparison_operator}, so the alarm can never go off; "
            f"allowed: a threshold that the {statistic} of {name} can cross; its values are 0 to {most}."
        )


def check_alarm_name(where: str, name: Any) -> None:
    """Check the name of an alarm: 1 to 255 characters without control characters, not blank."""
    check_text(
        where, name, pattern=r"(?!\s*$)[^\x00-\x1f\x7f]+", max_length=255,
        allowed="1 to 255 characters, not all of them spaces, no control characters",
    )  # fmt: skip


def check_description(where: str, description: Any) -> None:
    """Check the description of an alarm: 1024 characters at most."""
    if description is not None:
        check_text(where, description, pattern=r"(?s).*", max_length=1024, allowed="1024 characters at most")


def check_actions(where: str, actions: Any, *, composite: bool = False) -> None:
    """Check the actions of an alarm on a change of its state: at most five ARNs.

    :param where: The field.
    :param actions: A list of ARNs.
    :param composite: Whether the alarm is a composite one, which acts on no instance and scales nothing.
    """
    if actions is None or is_rendered_later(actions):
        return
    if isinstance(actions, str | bytes | dict) or not hasattr(actions, "__iter__"):
        raise invalid(where, actions, f"a list of at most {MAX_ACTIONS} ARNs")
    actions = list(actions)
    if len(actions) > MAX_ACTIONS:
        raise InvalidSpecError(f"{where} has {len(actions)} actions; allowed: {MAX_ACTIONS} at most.")
    for index, action in enumerate(actions):
        check_text(
            f"{where}[{index}]", action, pattern=r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:[a-z0-9]*:\S(.*\S)?",
            max_length=1024, allowed="an ARN, e.g. of an SNS topic: 'arn:aws:sns:<region>:<account>:<topic>'",
        )  # fmt: skip
        if composite and not is_rendered_later(action) and action.split(":")[2] in METRIC_ALARM_ACTIONS:
            raise invalid(
                f"{where}[{index}]",
                action,
                "the ARN of an SNS topic, a Lambda function or a Systems Manager action; a composite alarm "
                "has no EC2 or scaling actions",
            )


def default_alarm_name(metric: dict[str, Any], *target: str) -> str:
    """Return ``<endpoint>-<variant>-<metric>``, of an inference component ``<component>-<metric>``, or with the label of an expression, which has no other name."""
    return "-".join(map(str, [*target, metric.get("MetricName") or metric["Label"]]))


def literal_name(name: Any) -> str | None:
    """Return a name that is written in the DAG file; None for one that is known only when the task runs."""
    return None if is_rendered_later(name) or not isinstance(name, str) else name


def literal_default_name(metric: Any, *target: Any) -> str | None:
    """Return the default name of an alarm as far as it is written in the DAG file; None where equal names cannot be told.

    The output of a task stands for itself: the alarms on it are on one endpoint.

    :param metric: An EndpointMetric, a MetricMath, or what stands for one.
    :param target: The endpoint, by name or ARN, and the variant; or the inference component.
    """
    if kind_of(metric) not in ("EndpointMetric", "MetricMath"):
        return None
    parts = (*target, metric.get("MetricName") or metric.get("Label"))
    if any(
        part is None or callable(part) or (isinstance(part, str) and is_rendered_later(part))
        for part in parts
    ):
        return None
    named, *rest = target
    first = named.rpartition("/")[2] if is_arn(named) else str(named)
    return default_alarm_name(metric, first, *map(str, rest))


def check_named(where: str, metric: Any, alarm_name: Any) -> None:
    """Check that the alarm has a name: an expression without a label gives none."""
    if alarm_name is None and kind_of(metric) == "MetricMath" and not metric.get("Label"):
        raise InvalidSpecError(
            f"{where}: alarm_name is missing, and an expression has no name. Give alarm_name=, or give the "
            "MetricMath a label=."
        )


def doubts(metric: dict[str, Any]) -> list[str]:
    """Return warnings about unusual but allowed values of a rendered metric."""
    warnings = []
    for one in endpoint_metrics(metric):
        namespace, name, statistic = one["Namespace"], one["MetricName"], one["Statistic"]
        known = [metric_name for space, metric_name in PUBLISHED if space == namespace]
        near = nearest(name, known, 1) if known and name not in known else []
        if near:
            warnings.append(
                f"{namespace} has no metric {name!r} that this version knows (nearest: {near[0]}); it is sent "
                "unchanged."
            )
        if (
            namespace == INVOCATION_METRICS
            and name in ("Invocations", "InvocationsPerInstance")
            and statistic not in ("Sum", "SampleCount")
        ):
            warnings.append(
                f"For {name}, AWS documents only the statistic Sum; {statistic} is sent unchanged."
            )
        if known and one["Period"] < 60:
            warnings.append(
                f"{name} is published once a minute unless the endpoint config's MetricsConfig says otherwise; with a period of "
                f"{one['Period']} seconds most periods have no data."
            )
    return warnings
