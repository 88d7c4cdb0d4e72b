"""CloudWatch alarms: checked when they are put, evaluated on the clock, and their actions when their state changes.

The rules: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html and
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from airflow_sm_hosting.local.clock import Clock, Timer
from airflow_sm_hosting.local.cloudwatch import composite_alarms, metric_math
from airflow_sm_hosting.local.cloudwatch.alarm import HISTORY_ITEMS, Alarm, Breach, parsed_rule
from airflow_sm_hosting.local.cloudwatch.alarm_checks import check_metric_alarm
from airflow_sm_hosting.local.cloudwatch.alarm_message import alarm_message
from airflow_sm_hosting.local.cloudwatch.alarm_state import (
    COMPARISONS,
    Point,
    alarm_state,
    is_low_sample,
    reason,
    reason_data,
    zulu,
)
from airflow_sm_hosting.local.cloudwatch.metric_queries import math_data
from airflow_sm_hosting.local.cloudwatch.metrics import MetricStore, metric_of
from airflow_sm_hosting.local.moto_bridge import topics
from airflow_sm_hosting.local.moto_bridge.account import regional_arn
from airflow_sm_hosting.local.wire.errors import AwsError

LOG = logging.getLogger(__name__)

_STATES = ("OK", "ALARM", "INSUFFICIENT_DATA")
# More data points than the evaluation periods are evaluated, "the exact number depends on the length of the period": with
# 3 of them it is 5 in AWS's examples; that it is always two more is assumed.
_MORE_POINTS = 2
# Which actions are done again every minute for as long as the state lasts (same page, "Alarm actions").
_SCALING_ACTION = re.compile(r"arn:[\w-]+:autoscaling:")
_TOPIC = re.compile(r"arn:[\w-]+:sns:")


class Alarms:
    """The alarms of one Region.

    :param region: The Region.
    :param clock: The clock.
    :param metrics: The metrics that alarms watch.
    """

    def __init__(self, region: str, clock: Clock, metrics: MetricStore) -> None:
        self._region = region
        self._clock = clock
        self._metrics = metrics
        self._lock = threading.RLock()
        self._alarms: dict[str, Alarm] = {}
        self._timers: dict[str, Timer] = {}
        # Actions of a change run when the lock is free again: they may read alarms, and change endpoints.
        self._following: deque[Callable[[], object]] = deque()
        self._scale: Callable[[str, Breach], None] | None = None

    # For others

    def on_scaling_action(self, scale: Callable[[str, Breach], None]) -> None:
        """Call a function with the ARN of a scaling policy whenever an alarm triggers it.

        It returns, or raises the reason for the alarm's history.
        """
        self._scale = scale

    def state(self, name: str) -> str | None:
        """Return the state of the alarm of that name or ARN, None if there is none."""
        with self._lock:
            found = self._find(name)
            return found.state if found else None

    def all(self) -> list[Alarm]:
        """Return all alarms, by name."""
        with self._lock:
            return sorted(self._alarms.values(), key=lambda alarm: alarm.name)

    def has_short_periods(self) -> bool:
        """Return whether some alarm is to be evaluated more often than every minute."""
        with self._lock:
            return any(alarm.kind == "MetricAlarm" and alarm.period < 60 for alarm in self._alarms.values())

    # Saved state

    def dump(self) -> list[dict[str, Any]]:
        """Return what is saved."""
        with self._lock:
            return [{**vars(alarm), "history": list(alarm.history)} for alarm in self._alarms.values()]

    def load(self, saved: Iterable[Mapping[str, Any]]) -> None:
        """Restore saved alarms."""
        with self._lock:
            for one in saved:
                history = deque(one["history"], maxlen=HISTORY_ITEMS)
                alarm = Alarm(**{**one, "history": history, "values": tuple(one["values"])})
                self._alarms[alarm.name] = alarm
                if alarm.suppressed_at:
                    passed = (self._clock.now() - alarm.suppressed_at).total_seconds()
                    self._suppress_for(alarm, str(alarm.suppressed_by), alarm.suppressed_before, passed)

    # Operations

    def put_metric_alarm(self, request: Mapping[str, Any]) -> Alarm:
        """PutMetricAlarm."""
        check_metric_alarm(request)
        return self._put(request)

    def put_composite_alarm(self, request: Mapping[str, Any]) -> Alarm:
        """PutCompositeAlarm."""
        try:
            rule = parsed_rule(request["AlarmRule"])
        except composite_alarms.RuleError as error:
            raise AwsError("ValidationError", str(error)) from error
        with self._lock:
            for child in rule.children:
                if self._find(child) is None:
                    # "All alarms in the rule must exist" (assumed sentence): API_PutCompositeAlarm.html
                    raise AwsError("ValidationError", f"AlarmRule refers to {child}, which does not exist.")
                if self._depends_on(child, str(request["AlarmName"])):
                    raise AwsError(
                        "ValidationError",
                        f"AlarmRule must not form a cycle of alarms, as it does with {child}.",
                    )
            is_new = request["AlarmName"] not in self._alarms
            alarm = self._put(request)
            self._evaluate_composite(alarm, was_created=is_new)
        self._follow()
        return alarm

    def delete(self, names: Iterable[str]) -> None:
        """DeleteAlarms: all of them or, where a composite alarm still refers to one, none."""
        with self._lock:
            going = set(names)
            for alarm in self._alarms.values():
                used = [
                    child.name
                    for child in map(self._find, alarm.rule.children if alarm.rule else ())
                    if child and child.name in going
                ]
                if used and alarm.name not in going:
                    # API_DeleteAlarms.html: a composite alarm's children cannot be deleted (assumed sentence).
                    raise AwsError(
                        "ValidationError", f"The alarm {used[0]} is part of the composite alarm {alarm.name}."
                    )
            for name in going:
                self._alarms.pop(name, None)

    def set_state(self, name: str, state: str, reason: str, data: Mapping[str, Any] | None) -> None:
        """SetAlarmState: until the next evaluation says otherwise."""
        with self._lock:
            alarm = self._alarms.get(name)
            if alarm is None:
                # Without a message: localstack/localstack's validated snapshot of 2023.
                raise AwsError("ResourceNotFound", "", status=404)
            if state not in _STATES:
                raise AwsError("ValidationError", f"There is no state {state}.")
            self._move(alarm, state, reason, dict(data) if data is not None else None)
        self._follow()

    def enable_actions(self, names: Iterable[str], enabled: bool) -> None:
        """EnableAlarmActions and DisableAlarmActions."""
        with self._lock:
            for name in names:
                if alarm := self._alarms.get(name):
                    alarm.request["ActionsEnabled"] = enabled

    # Evaluation

    def evaluate(self, at: datetime) -> None:
        """Evaluate what is due at a time: short periods at every 10 seconds, all others at every full minute.

        "For alarm periods of 1 minute or longer, an alarm is evaluated every minute", on the window that ends then;
        "10, 20 or 30 seconds: every 10 seconds".
        """
        full_minute = int(at.timestamp()) % 60 == 0
        with self._lock:
            for alarm in list(self._alarms.values()):
                if alarm.kind == "MetricAlarm" and (full_minute or alarm.period < 60):
                    try:
                        self._evaluate(alarm, at, full_minute)
                    except Exception:
                        LOG.exception("the alarm %s cannot be evaluated", alarm.name)
        self._follow()

    def _evaluate(self, alarm: Alarm, at: datetime, full_minute: bool) -> None:
        request = alarm.request
        if "EvaluationCriteria" in request:
            alarm.evaluation_state = "EVALUATION_ERROR"
            alarm.reason = "The local AWS does not evaluate PromQL alarms."
            return
        periods = int(request["EvaluationPeriods"])
        end = int(at.timestamp())
        if "WallClockWindow" in request.get("EvaluationWindow", {}):
            end -= end % alarm.period
        try:
            points = self._points(alarm, end, periods + _MORE_POINTS)
            threshold = self._threshold(alarm)
        except metric_math.ExpressionError as error:
            alarm.evaluation_state = "EVALUATION_ERROR"
            self._move(alarm, "INSUFFICIENT_DATA", f"The alarm cannot be evaluated: {error}", None)
            return
        alarm.evaluation_state = None
        if request.get("EvaluateLowSampleCountPercentile") == "ignore" and is_low_sample(
            request.get("ExtendedStatistic", ""),
            sum(point.samples or 0 for point in points[-periods:] if point),
        ):
            return
        breaches, _ = COMPARISONS[request["ComparisonOperator"]]
        to_alarm = int(request.get("DatapointsToAlarm") or periods)
        state = alarm_state(
            [None if point is None else breaches(point.value, threshold) for point in points],
            periods=periods,
            to_alarm=to_alarm,
            # "Alarms that evaluate metrics in the AWS/DynamoDB namespace always ignore missing data"
            missing="ignore"
            if request.get("Namespace") == "AWS/DynamoDB"
            else request.get("TreatMissingData") or "missing",
            before=alarm.state,
        )
        real = [point for point in points if point is not None][-periods:]
        alarm.values = tuple(point.value for point in real)
        alarm.updated = at
        if state != alarm.state:
            self._move(
                alarm,
                state,
                reason(request, state, real, periods, to_alarm, threshold),
                reason_data(
                    request,
                    alarm.period,
                    real,
                    at,
                    threshold,
                    missing=[end - alarm.period * (number + 1) for number in reversed(range(periods))],
                ),
            )
        elif full_minute:
            # "the alarm continues to invoke the action for every period that the alarm remains in the new state"
            self._act(alarm, [action for action in alarm.actions(state) if _SCALING_ACTION.match(action)])

    def _points(self, alarm: Alarm, end: int, number: int) -> list[Point | None]:
        period = alarm.period
        start = end - period * number
        request = alarm.request
        if "Metrics" not in request:
            metric = metric_of(request["Namespace"], request["MetricName"], request.get("Dimensions", ()))
            statistic = request.get("Statistic") or request["ExtendedStatistic"]
            found = self._metrics.statistics(
                metric, (statistic, "SampleCount"), start, period, number, unit=request.get("Unit")
            )
            return [
                None
                if one is None or (value := one[statistic]) is None
                else Point(start + index * period, value, one["SampleCount"])
                for index, one in enumerate(found)
            ]
        data = math_data(self._metrics, request["Metrics"], start, period, number)
        (watched,) = [
            query["Id"]
            for query in request["Metrics"]
            if query.get("ReturnData", True) and query["Id"] != request.get("ThresholdMetricId")
        ]
        series = metric_math.evaluate_id(watched, data)
        if isinstance(series, list):
            if len(series) != 1:
                raise metric_math.ExpressionError(
                    f"The expression returns {len(series)} time series; an alarm can watch only one."
                )
            (series,) = series
        return [Point(time, series[time]) if time in series else None for time in data.times]

    def _threshold(self, alarm: Alarm) -> float:
        if alarm.request.get("ThresholdMetricId"):
            raise metric_math.ExpressionError("The local AWS does not support anomaly detection.")
        return float(alarm.request["Threshold"])

    def _evaluate_composite(
        self, alarm: Alarm, trigger: Alarm | None = None, *, was_created: bool = False
    ) -> None:
        """Evaluate the rule of a composite alarm.

        :param trigger: The alarm of the rule whose state has changed. Default: all of them, as when the rule is put.
        :param was_created: Whether the composite alarm is new.
        """
        rule = alarm.rule
        if rule is None:
            return
        state = "ALARM" if rule.holds(self.state) else "OK"
        if state == alarm.state:
            return
        children = [trigger] if trigger else [child for child in map(self._find, rule.children) if child]
        triggers = [
            {"arn": child.arn, "state": {"value": child.state, "timestamp": zulu(child.transitioned)}}
            for child in children
        ]
        if was_created:
            # Recorded in 2022 (cloud-custodian/cloud-custodian).
            why = f"{alarm.arn} was created and its alarm rule evaluates to {state}"
        elif trigger:
            # Which alarms are in the data: localstack/localstack's validated snapshot of 2025. The sentence is as in AWS's console.
            at = trigger.transitioned.strftime("%A %d %B, %Y %H:%M:%S UTC")
            why = f"{trigger.arn} transitioned to {trigger.state} at {at}"
        else:
            why = f"{alarm.arn} was updated and its new alarm rule evaluates to {state}"
        self._move(alarm, state, why, {"triggeringAlarms": triggers})

    # Changes of state

    def _move(self, alarm: Alarm, state: str, reason: str, data: dict[str, Any] | None) -> None:
        before, now = alarm.state, self._clock.now()
        if state == before:
            alarm.reason, alarm.reason_data = reason, data
            return
        LOG.info("alarm %s: %s -> %s (%s)", alarm.name, before, state, reason)
        old = {"stateValue": before, "stateReason": alarm.reason}
        alarm.state, alarm.reason, alarm.reason_data = state, reason, data
        alarm.updated = alarm.transitioned = now
        new = {"stateValue": state, "stateReason": reason, "stateReasonData": data or {}}
        self._note(
            alarm,
            "StateUpdate",
            f"Alarm updated from {before} to {state}",
            {"version": "1.0", "oldState": old, "newState": new},
        )
        if alarm.kind == "CompositeAlarm" and alarm.request.get("ActionsSuppressor"):
            self._act_unless_suppressed(alarm, before)
        else:
            self._act(alarm, alarm.actions(state), before)
        for other in list(self._alarms.values()):
            rule = other.rule
            if rule and (alarm.name in rule.children or alarm.arn in rule.children):
                self._evaluate_composite(other, alarm)
            if other.request.get("ActionsSuppressor") in (alarm.name, alarm.arn):
                self._suppressor_changed(other, state)

    def _act(self, alarm: Alarm, actions: Iterable[str], before: str | None = None) -> None:
        if not alarm.actions_enabled:
            return
        message = None
        for action in actions:
            if _SCALING_ACTION.match(action):
                breach = Breach(
                    alarm.name, alarm.state, float(alarm.request.get("Threshold") or 0), alarm.values
                )
                self._following.append(partial(self._do, alarm, action, breach, noted=before is not None))
            elif _TOPIC.match(action):
                message = message or alarm_message(alarm, self._region, before or alarm.state)
                self._following.append(partial(self._do, alarm, action, message))
            else:
                self._note(
                    alarm,
                    "Action",
                    f"The local AWS does not execute the action {action}",
                    {"actionState": "Failed"},
                )

    def _do(self, alarm: Alarm, action: str, what: Breach | tuple[str, str], *, noted: bool = True) -> None:
        error = None
        try:
            if isinstance(what, Breach):
                if self._scale is None:
                    raise AwsError("ValidationException", f"There is no scaling policy {action}.")
                self._scale(action, what)
            else:
                topics.publish(action, *what)
        except Exception as failure:
            # "CloudWatch doesn't test or validate the actions": failures are recorded in the history.
            error = getattr(failure, "message", None) or str(failure)
            LOG.info("alarm %s: the action %s failed: %s", alarm.name, action, error)
        if not noted:
            return
        with self._lock:
            self._note(
                alarm,
                "Action",
                f"Failed to execute action {action}. Received error: {error}"
                if error
                else f"Successfully executed action {action}",
                {
                    "actionState": "Failed" if error else "Succeeded",
                    "notificationResource": action,
                    "error": error,
                },
            )

    def _follow(self) -> None:
        while self._following:
            try:
                follow = self._following.popleft()
            except IndexError:
                return
            follow()

    # Suppression of a composite alarm's actions: API_PutCompositeAlarm.html

    def _act_unless_suppressed(self, alarm: Alarm, before: str) -> None:
        if timer := self._timers.pop(alarm.name, None):
            timer.cancel()
        if self.state(alarm.request["ActionsSuppressor"]) == "ALARM":
            alarm.suppressed_by, alarm.suppressed_at = "Alarm", None
            return
        self._suppress_for(alarm, "WaitPeriod", before)

    def _suppressor_changed(self, alarm: Alarm, state: str) -> None:
        if (alarm.suppressed_by == "WaitPeriod" and state == "ALARM") or (
            alarm.suppressed_by == "ExtensionPeriod" and state == "ALARM"
        ):
            self._timers.pop(alarm.name).cancel()
            alarm.suppressed_by, alarm.suppressed_at = "Alarm", None
        elif alarm.suppressed_by == "Alarm" and state != "ALARM":
            self._suppress_for(alarm, "ExtensionPeriod", alarm.state)

    def _suppress_for(self, alarm: Alarm, what: str, before: str, passed: float = 0.0) -> None:
        """Suppress actions for the period of that name, of which so many seconds have passed."""
        seconds = float(alarm.request.get(f"ActionsSuppressor{what}") or 0)
        if not passed:
            alarm.suppressed_by, alarm.suppressed_at = what, self._clock.now()
            alarm.suppressed_before = before

        def over() -> None:
            with self._lock:
                self._timers.pop(alarm.name, None)
                if self._alarms.get(alarm.name) is alarm and alarm.suppressed_by == what:
                    alarm.suppressed_by = alarm.suppressed_at = None
                    self._act(alarm, alarm.actions(alarm.state), before)
            self._follow()

        if seconds:
            # After a restart, not before all else is there again.
            left = max(seconds - passed, 1.0) if passed else seconds
            self._timers[alarm.name] = self._clock.call_later(left, over)
        else:
            alarm.suppressed_by = alarm.suppressed_at = None
            self._act(alarm, alarm.actions(alarm.state), before)

    # Keeping

    def _put(self, request: Mapping[str, Any]) -> Alarm:
        kept = {name: value for name, value in request.items() if name != "Tags" and value is not None}
        now, name = self._clock.now(), kept["AlarmName"]
        with self._lock:
            before = self._alarms.get(name)
            if before is None:
                own = regional_arn("cloudwatch", self._region, f"alarm:{name}")
                alarm = self._alarms[name] = Alarm(kept, own, now, now, now)
            else:
                # "An update overwrites the previous configuration and keeps the state": API_PutMetricAlarm.html
                alarm = before
                if ("AlarmRule" in kept) != ("AlarmRule" in alarm.request):
                    raise AwsError("ValidationError", f"The alarm {name} is of another type.")
                alarm.request, alarm.configured = kept, now
            done = "updated" if before else "created"
            self._note(
                alarm,
                "ConfigurationUpdate",
                f'Alarm "{name}" {done}',
                {"version": "1.0", "type": "Update" if before else "Create"},
            )
            return alarm

    def _note(self, alarm: Alarm, kind: str, summary: str, data: Mapping[str, Any]) -> None:
        alarm.history.append(
            {
                "AlarmName": alarm.name,
                "AlarmType": alarm.kind,
                "Timestamp": self._clock.now(),
                "HistoryItemType": kind,
                "HistorySummary": summary,
                "HistoryData": json.dumps(data),
            }
        )

    def _find(self, name: str) -> Alarm | None:
        return self._alarms.get(name.rpartition(":alarm:")[2])

    def _depends_on(self, name: str, other: str) -> bool:
        alarm = self._find(name)
        if alarm is None:
            return False
        return alarm.name == other or any(
            self._depends_on(child, other) for child in (alarm.rule.children if alarm.rule else ())
        )
