"""CloudWatch's metrics and alarms: its operations, in place of moto's, which neither evaluates alarms nor finds data fast.

Dashboards, insight rules and the protocols themselves stay moto's.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from airflow_sm_hosting.local.clock import Clock, Timer
from airflow_sm_hosting.local.cloudwatch.alarm_operations import ALARM_OPERATIONS
from airflow_sm_hosting.local.cloudwatch.metric_operations import METRIC_OPERATIONS, check_numbers
from airflow_sm_hosting.local.cloudwatch.metrics import (
    MetricStore,
)
from airflow_sm_hosting.local.cloudwatch.region import RegionalCloudWatch, RegionalOperations
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.validation import check_request

LOG = logging.getLogger(__name__)


class CloudWatch:
    """CloudWatch of all Regions.

    :param clock: The clock; alarms are evaluated on its full minutes and ten seconds.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._regions: dict[str, RegionalCloudWatch] = {}
        self._timer: Timer | None = None
        self._evaluated = 0.0
        self._each_minute: list[Callable[[], object]] = []
        self._operations: RegionalOperations = {**METRIC_OPERATIONS, **ALARM_OPERATIONS}

    @property
    def operations(self) -> list[str]:
        """The operations that are answered here."""
        return list(self._operations)

    def region(self, name: str) -> RegionalCloudWatch:
        """Return metrics and alarms of a Region."""
        with self._lock:
            if name not in self._regions:
                self._regions[name] = RegionalCloudWatch(name, self._clock)
            return self._regions[name]

    def answer(self, operation: str, request: Mapping[str, Any], region: str) -> dict[str, Any] | None:
        """Answer an operation.

        :param request: Its members; times are datetimes.
        :returns: The members of the answer; None for a resource that moto has, as an insight rule.
        :raises AwsError: The refusal.
        """
        if ":alarm:" not in request.get("ResourceARN", ":alarm:"):
            return None
        if operation == "PutMetricData":
            check_numbers(request)
        try:
            check_request("cloudwatch", operation, request)
        except AwsError as refusal:
            # The query services call it so.
            raise AwsError(
                refusal.code.replace("ValidationException", "ValidationError"), refusal.message
            ) from (refusal)
        answer = self._operations[operation](self.region(region), dict(request))
        if operation == "PutMetricAlarm":
            # Its period may be a short one.
            self._arm()
        return answer

    def start(self) -> None:
        """Begin to evaluate alarms on the clock."""
        self._arm()

    def each_minute(self, function: Callable[[], object]) -> None:
        """Call a function on every full minute, before alarms are evaluated."""
        self._each_minute.append(function)

    def dump(self) -> dict[str, Any]:
        """Return what is saved over a restart: alarms and tags. :meth:`metrics` are saved apart."""
        with self._lock:
            regions = dict(self._regions)
        return {name: {"alarms": one.alarms.dump(), "tags": one.tags.dump()} for name, one in regions.items()}

    def metrics(self) -> dict[str, MetricStore]:
        """Return the metrics of each Region."""
        with self._lock:
            return {name: one.metrics for name, one in self._regions.items()}

    def load(self, saved: Mapping[str, Any]) -> None:
        """Restore saved state."""
        for name, one in saved.items():
            region = self.region(name)
            region.alarms.load(one["alarms"])
            region.tags.load(one["tags"])

    def reset(self) -> None:
        """Forget all metrics and alarms, and begin again."""
        with self._lock:
            self._regions.clear()
            self._evaluated = 0.0
        self._arm()

    def _arm(self) -> None:
        """Set the timer to the next full minute or, where an alarm has a short period, ten seconds."""
        with self._lock:
            short = any(region.alarms.has_short_periods() for region in self._regions.values())
            if self._timer:
                self._timer.cancel()
            now = self._clock.now().timestamp()
            step = 10 if short else 60
            due = now - now % step + step
            if due <= self._evaluated:
                # The timer of the computer's clock was a little early.
                due += step
            self._timer = self._clock.call_later(due - now, lambda: self._evaluate(due))

    def _evaluate(self, due: float) -> None:
        self._evaluated = due
        try:
            if int(due) % 60 == 0:
                for function in self._each_minute:
                    try:
                        function()
                    except Exception:
                        LOG.exception("%r failed", function)
            for region in list(self._regions.values()):
                region.alarms.evaluate(datetime.fromtimestamp(int(due), UTC))
        finally:
            self._arm()
