"""One alarm, and its description in DescribeAlarms."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from airflow_sm_hosting.local.cloudwatch import composite_alarms

# "CloudWatch preserves alarm history for two weeks" (30 days now); the number is ours, so that no state grows for ever.
HISTORY_ITEMS = 1_000


@dataclass(frozen=True)
class Breach:
    """A breach of an alarm, for its actions.

    :param alarm_name: The alarm.
    :param state: Its state.
    :param threshold: Its threshold.
    :param values: The data points that were evaluated, the newest last.
    """

    alarm_name: str
    state: str
    threshold: float
    values: tuple[float, ...]


@dataclass
class Alarm:
    """One alarm.

    :param request: As it was put last, without its tags.
    :param arn: Its ARN.
    :param configured: When it was put last.
    :param state: ``OK``, ``ALARM`` or ``INSUFFICIENT_DATA``.
    """

    request: dict[str, Any]
    arn: str
    configured: datetime
    updated: datetime
    transitioned: datetime
    state: str = "INSUFFICIENT_DATA"
    reason: str = "Unchecked: Initial alarm creation"
    reason_data: dict[str, Any] | None = None
    evaluation_state: str | None = None
    values: tuple[float, ...] = ()
    suppressed_by: str | None = None
    #: Of a wait or extension period: when it began, and the state before what it suppresses.
    suppressed_at: datetime | None = None
    suppressed_before: str = ""
    history: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=HISTORY_ITEMS))

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.request["AlarmName"])

    @property
    def rule(self) -> composite_alarms.Rule | None:
        """The rule of a composite alarm."""
        text = self.request.get("AlarmRule")
        return parsed_rule(text) if text else None

    @property
    def kind(self) -> str:
        """``MetricAlarm`` or ``CompositeAlarm``."""
        return "CompositeAlarm" if "AlarmRule" in self.request else "MetricAlarm"

    @property
    def period(self) -> int:
        """Its period in seconds; of an expression: that of its metrics; 60 where there is none."""
        periods = [
            query.get("Period") or query.get("MetricStat", {}).get("Period")
            for query in self.request.get("Metrics", ())
        ]
        return int(self.request.get("Period") or max(filter(None, periods), default=60))

    def actions(self, state: str) -> list[str]:
        """Return the ARNs of the actions for a state."""
        member = {"ALARM": "AlarmActions", "OK": "OKActions"}.get(state, "InsufficientDataActions")
        return list(self.request.get(member, ()))

    @property
    def actions_enabled(self) -> bool:
        """Whether actions are enabled."""
        return bool(self.request.get("ActionsEnabled", True))

    def description(self) -> dict[str, Any]:
        """Return the alarm as DescribeAlarms shows it."""
        shown = {
            **self.request,
            "AlarmArn": self.arn,
            "ActionsEnabled": self.actions_enabled,
            **{name: self.request.get(name, []) for name in ("AlarmActions", "OKActions")},
            "InsufficientDataActions": self.request.get("InsufficientDataActions", []),
            "AlarmConfigurationUpdatedTimestamp": self.configured,
            "StateValue": self.state,
            "StateReason": self.reason,
            "StateUpdatedTimestamp": self.updated,
            "StateTransitionedTimestamp": self.transitioned,
        }
        if self.reason_data is not None:
            shown["StateReasonData"] = json.dumps(self.reason_data)
        if self.evaluation_state:
            shown["EvaluationState"] = self.evaluation_state
        if self.suppressed_by:
            shown["ActionsSuppressedBy"] = self.suppressed_by
        if self.kind == "MetricAlarm" and "MetricName" in self.request:
            shown.setdefault("Dimensions", [])
        return shown


@cache
def parsed_rule(rule: str) -> composite_alarms.Rule:
    """Return the rule of a composite alarm.

    :raises RuleError: The text is not a rule.
    """
    return composite_alarms.parse(rule)
