"""CloudWatch's metrics: what was measured, kept so that any window of time is found at once.

Concepts and names: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html.
"""

from __future__ import annotations

import math
import re
import struct
import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")

# "Data points with a period of 60 seconds are available for 15 days", those of a shorter one for 3 hours: after that they
# are aggregated. Coarser data are kept for longer on AWS; nobody waits for them here.
_KEPT_SECONDS = 15 * 86_400
_HIGH_RESOLUTION_KEPT_SECONDS = 3 * 3_600
# So many seconds of high resolution may stand before they are aggregated.
_AGGREGATED_ABOVE = 20_000
# From this number of different values on, a distribution keeps three digits of each (sum, minimum, maximum stay exact).
_EXACT_VALUES = 1_000

_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)", re.IGNORECASE)
_TRIMMED = re.compile(r"(tm|wm|tc|ts)(\d{1,2}(?:\.\d+)?)", re.IGNORECASE)
_RANGE = re.compile(r"(tm|wm|tc|ts|pr)\(([\d.]*)(%?):([\d.]*)(%?)\)", re.IGNORECASE)
_INTERQUARTILE = "tm(25%:75%)"


@dataclass(frozen=True, slots=True)
class Metric:
    """The name of a metric, with its namespace and dimensions.

    :param namespace: ``AWS/SageMaker``.
    :param name: ``ModelLatency``.
    :param dimensions: Names and values, in the order of the names. Another set of dimensions is another metric.
    """

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()


def metric_of(
    namespace: str, name: str, dimensions: Mapping[str, str] | Iterable[Mapping[str, str]] = ()
) -> Metric:
    """Return a metric from its dimensions, as a mapping or as AWS lists them."""
    if not isinstance(dimensions, Mapping):
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in dimensions}
    return Metric(namespace, name, tuple(sorted(dimensions.items())))


class Distribution:
    """The values that were measured within some time."""

    __slots__ = ("_computed", "_has_values", "_values", "count", "maximum", "minimum", "total")

    def __init__(self) -> None:
        self.count = 0.0
        self.total = 0.0
        self.minimum = math.inf
        self.maximum = -math.inf
        self._values: dict[float, float] = {}
        self._has_values = True
        # Extended statistics that were asked for since the last value: of a past minute, by every alarm again and again.
        self._computed: dict[str, float | None] = {}

    def add(self, value: float, count: float = 1.0) -> None:
        """Add a value, so many times."""
        self.count += count
        self.total += value * count
        self.minimum = min(self.minimum, value)
        self.maximum = max(self.maximum, value)
        if value not in self._values and len(self._values) >= _EXACT_VALUES:
            value = float(f"{value:.3g}")
        self._values[value] = self._values.get(value, 0.0) + count
        self._computed.clear()

    def add_set(self, *, count: float, total: float, minimum: float, maximum: float) -> None:
        """Add a statistic set: values of which only that is known."""
        if count == 1 or minimum == maximum:
            # "Percentile statistics are not available" but for these: API_StatisticSet.html
            self.add(minimum, count)
            return
        self.count += count
        self.total += total
        self.minimum = min(self.minimum, minimum)
        self.maximum = max(self.maximum, maximum)
        self._has_values = False
        self._computed.clear()

    def merge(self, other: Distribution, *, with_values: bool = True) -> None:
        """Add all that another one has.

        :param with_values: Whether extended statistics will be asked for.
        """
        self.count += other.count
        self.total += other.total
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        self._has_values = self._has_values and other._has_values and with_values
        self._computed.clear()
        if self._has_values:
            for value, count in other._values.items():
                self._values[value] = self._values.get(value, 0.0) + count

    def packed(self) -> tuple[float, float, float, float, bytes | None]:
        """Return count, sum, minimum, maximum and the values, None where they are not known."""
        values = None
        if self._has_values:
            flat = (number for pair in self._values.items() for number in pair)
            values = struct.pack(f"<{2 * len(self._values)}d", *flat)
        return self.count, self.total, self.minimum, self.maximum, values

    @classmethod
    def unpacked(
        cls, count: float, total: float, minimum: float, maximum: float, values: bytes | None
    ) -> Distribution:
        """Return the distribution that was packed."""
        made = cls()
        made.count, made.total, made.minimum, made.maximum = count, total, minimum, maximum
        made._has_values = values is not None
        made._values = dict(struct.iter_unpack("<dd", values or b""))
        return made

    def statistic(self, name: str) -> float | None:
        """Return a statistic: one of :data:`STATISTICS`, or an extended one (``p99``, ``tm90``, ``PR(:100)``, ``IQM``).

        :returns: None where the values are not known that it is made from.
        :raises ValueError: There is no such statistic.
        """
        match name:
            case "SampleCount":
                return self.count
            case "Average":
                return self.total / self.count
            case "Sum":
                return self.total
            case "Minimum":
                return self.minimum
            case "Maximum":
                return self.maximum
        if name not in self._computed:
            statistic = _extended(name)
            self._computed[name] = statistic.of(self._values) if self._has_values else None
        return self._computed[name]


def merged_distribution(parts: Sequence[Distribution], *, with_values: bool = True) -> Distribution | None:
    """Return what several distributions have together, None for none of them.

    :param with_values: Whether extended statistics will be asked for.
    """
    if len(parts) < 2:
        return parts[0] if parts else None
    together = Distribution()
    for part in parts:
        together.merge(part, with_values=with_values)
    return together


@dataclass(frozen=True, slots=True)
class _Extended:
    """An extended statistic: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html.

    :param kind: ``p``, ``tm`` (trimmed mean), ``wm`` (winsorized mean), ``tc`` (trimmed count), ``ts`` (trimmed sum) or
        ``pr`` (percentile rank).
    :param low: Lower bound.
    :param high: Upper bound; of ``p``: the percentile.
    :param percent: Whether the bounds are percentages of the values, not values.
    """

    kind: str
    low: float
    high: float
    percent: bool

    def of(self, values: Mapping[float, float]) -> float | None:
        ordered = sorted(values.items())
        count = sum(times for _, times in ordered)
        if self.kind == "p":
            return _nearest_rank(ordered, count, self.high)
        if self.percent:
            kept = list(_between_ranks(ordered, count * self.low / 100, count * self.high / 100))
        else:
            # "the range excludes the lower bound and includes the upper one"
            kept = [(value, times) for value, times in ordered if self.low < value <= self.high]
        within = sum(times for _, times in kept)
        total = sum(value * times for value, times in kept)
        match self.kind:
            case "tc":
                return within
            case "ts":
                return total
            case "pr":
                return 100 * within / count
        if not within:
            return None
        if self.kind == "wm":
            # What lies outside counts as the outermost value inside.
            below = sum(times for value, times in ordered if value < kept[0][0])
            above = count - within - below
            return (total + below * kept[0][0] + above * kept[-1][0]) / count
        return total / within


def _extended(name: str) -> _Extended:
    if name.upper() == "IQM":
        name = _INTERQUARTILE
    if match := _PERCENTILE.fullmatch(name):
        return _Extended("p", 0, float(match[1]), True)
    if match := _TRIMMED.fullmatch(name):
        return _Extended(match[1].lower(), 0, float(match[2]), True)
    if match := _RANGE.fullmatch(name):
        kind, low, low_percent, high, high_percent = match.groups()
        percent = bool(low_percent or high_percent)
        if low or high:
            return _Extended(
                kind.lower(),
                float(low) if low else (0 if percent else -math.inf),
                float(high) if high else (100 if percent else math.inf),
                percent and kind.lower() != "pr",
            )
    raise ValueError(name)


def is_statistic(name: str) -> bool:
    """Return whether there is a statistic of that name."""
    return name in STATISTICS or is_extended_statistic(name)


def is_extended_statistic(name: str) -> bool:
    """Return whether there is an extended statistic of that name."""
    try:
        _extended(name)
    except ValueError:
        return False
    return True


def percentile_of(name: str) -> float | None:
    """Return 99.0 for ``p99``, None for another statistic."""
    match = _PERCENTILE.fullmatch(name)
    return float(match[1]) if match else None


def _nearest_rank(ordered: Sequence[tuple[float, float]], count: float, percentile: float) -> float:
    # AWS does not say how it interpolates: the smallest value that so many percent do not exceed (assumed).
    rank = max(count * percentile / 100, 1e-9)
    seen = 0.0
    for value, times in ordered:
        seen += times
        if seen >= rank - 1e-9:
            return value
    return ordered[-1][0]


def _between_ranks(
    ordered: Sequence[tuple[float, float]], low: float, high: float
) -> Iterator[tuple[float, float]]:
    seen = 0.0
    for value, times in ordered:
        within = min(seen + times, high) - max(seen, low)
        seen += times
        if within > 1e-9:
            yield value, within


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of one metric in one unit.

    :param is_complete: Whether these are all data, which replace those that were written before.
    :param oldest: What is older is forgotten, in seconds since the epoch.
    :param distributions: By the second, each as :meth:`Distribution.packed`.
    """

    metric: Metric
    unit: str
    is_complete: bool
    oldest: int
    distributions: dict[int, tuple[float, float, float, float, bytes | None]]


@dataclass(slots=True)
class _Stream:
    """The data of one metric in one unit, by the second at which their resolution begins."""

    times: list[int] = field(default_factory=list)
    distributions: list[Distribution] = field(default_factory=list)
    #: What changed since it was written; None where nothing of it was, so that nothing is noted for nobody.
    changed: set[int] | None = None

    def at(self, time: int) -> Distribution:
        if self.changed is not None:
            self.changed.add(time)
        if self.times and self.times[-1] == time:
            return self.distributions[-1]
        place = bisect_left(self.times, time)
        if place == len(self.times) or self.times[place] != time:
            self.times.insert(place, time)
            self.distributions.insert(place, Distribution())
        return self.distributions[place]

    def forget(self, now: int) -> None:
        """Drop what CloudWatch keeps no more, and aggregate what it aggregates."""
        if self.times[0] < now - _KEPT_SECONDS:
            old = bisect_left(self.times, now - _KEPT_SECONDS)
            del self.times[:old], self.distributions[:old]
        if len(self.times) > _AGGREGATED_ABOVE:
            fine = bisect_left(self.times, now - _HIGH_RESOLUTION_KEPT_SECONDS)
            minutes = _Stream()
            for time, distribution in zip(self.times[:fine], self.distributions[:fine], strict=True):
                minutes.at(time - time % 60).merge(distribution)
            self.times[:fine], self.distributions[:fine] = minutes.times, minutes.distributions
            self.changed = None

    def take_changes(self, metric: Metric, unit: str, *, everything: bool) -> Changes | None:
        """Return what changed since this was called last."""
        changed = None if everything else self.changed
        self.changed = set()
        places = [bisect_left(self.times, time) for time in changed] if changed else []
        found = {
            self.times[place]: self.distributions[place].packed()
            for place in (range(len(self.times)) if changed is None else places)
            if place < len(self.times)
        }
        return Changes(metric, unit, changed is None, self.times[0], found) if found else None


class MetricStore:
    """The metrics of one Region."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: dict[Metric, dict[str, _Stream]] = {}

    def put(
        self,
        metric: Metric,
        value: float,
        *,
        at: datetime,
        unit: str = "None",
        count: float = 1.0,
        resolution: int = 60,
    ) -> None:
        """Keep a value.

        :param at: When it was measured.
        :param count: How many times.
        :param resolution: ``StorageResolution``: 60, or 1 for high resolution.
        """
        with self._lock:
            self._distribution(metric, at, unit, resolution).add(value, count)

    def put_all(
        self,
        namespace: str,
        dimensions: Mapping[str, str],
        values: Iterable[tuple[str, float, str]],
        *,
        at: datetime,
        resolution: int = 60,
    ) -> None:
        """Keep values of several metrics, each ``(name, value, unit)``, that were measured together."""
        where = tuple(sorted(dimensions.items()))
        time = _stored_at(at, resolution)
        with self._lock:
            for name, value, unit in values:
                self._of_time(Metric(namespace, name, where), time, unit).add(value)

    def put_at(self, metric: Metric, value: float, second: int, *, unit: str = "None") -> None:
        """Keep a value as of the minute of that second since the epoch."""
        self.put(metric, value, at=datetime.fromtimestamp(second, UTC), unit=unit)

    def put_set(
        self,
        metric: Metric,
        *,
        count: float,
        total: float,
        minimum: float,
        maximum: float,
        at: datetime,
        unit: str = "None",
        resolution: int = 60,
    ) -> None:
        """Keep a statistic set."""
        with self._lock:
            self._distribution(metric, at, unit, resolution).add_set(
                count=count, total=total, minimum=minimum, maximum=maximum
            )

    def statistics(
        self,
        metric: Metric,
        names: Sequence[str],
        start: float,
        period: int,
        number: int,
        *,
        unit: str | None = None,
    ) -> list[dict[str, float | None] | None]:
        """Return statistics of each of the windows of time that follow each other from a time on.

        :param names: Which: see :meth:`Distribution.statistic`.
        :param start: Beginning of the first window, in seconds since the epoch.
        :param period: Length of each, in seconds.
        :param number: How many.
        :param unit: Only of what was measured in this unit. Default: in any.
        :returns: None for a window without data.
        """
        parts: list[list[Distribution]] = [[] for _ in range(number)]
        with_values = not set(names) <= set(STATISTICS)
        with self._lock:
            for measured_in, stream in self._streams.get(metric, {}).items():
                if unit not in (None, measured_in):
                    continue
                first = bisect_left(stream.times, start)
                last = bisect_left(stream.times, start + period * number)
                for place in range(first, last):
                    parts[int((stream.times[place] - start) // period)].append(stream.distributions[place])
            whole = [merged_distribution(part, with_values=with_values) for part in parts]
            return [None if one is None else {name: one.statistic(name) for name in names} for one in whole]

    def units(self, metric: Metric, start: float, end: float) -> list[str]:
        """Return the units in which a metric was measured within some time, by name; ``None`` is a unit, too."""
        with self._lock:
            return sorted(
                unit
                for unit, stream in self._streams.get(metric, {}).items()
                if bisect_left(stream.times, start) < bisect_left(stream.times, end)
            )

    def known(self) -> list[tuple[Metric, datetime]]:
        """Return all metrics, with the time of the newest of their data."""
        with self._lock:
            return [
                (metric, datetime.fromtimestamp(max(stream.times[-1] for stream in streams.values()), UTC))
                for metric, streams in self._streams.items()
            ]

    # Saved state

    def changes(self, *, everything: bool = False) -> Iterator[Changes]:
        """Return what changed since this was called last; at first it is all.

        It holds the lock for one metric at a time: those who publish do not wait for the rest.
        """
        with self._lock:
            streams = [
                (metric, unit, stream)
                for metric, of_unit in self._streams.items()
                for unit, stream in of_unit.items()
            ]
        for metric, unit, stream in streams:
            with self._lock:
                changes = stream.take_changes(metric, unit, everything=everything)
            if changes:
                yield changes

    def load(self, metric: Metric, unit: str, saved: Iterable[tuple[int, Distribution]]) -> None:
        """Restore saved data of a metric, in order of time."""
        times, distributions = [], []
        for time, distribution in saved:
            times.append(time)
            distributions.append(distribution)
        with self._lock:
            self._streams.setdefault(metric, {})[unit] = _Stream(times, distributions, set())

    def _distribution(self, metric: Metric, at: datetime, unit: str, resolution: int) -> Distribution:
        return self._of_time(metric, _stored_at(at, resolution), unit)

    def _of_time(self, metric: Metric, time: int, unit: str) -> Distribution:
        streams = self._streams.setdefault(metric, {})
        stream = streams.get(unit)
        if stream is None:
            stream = streams[unit] = _Stream()
        distribution = stream.at(time)
        if stream.times[-1] == time:
            stream.forget(time)
        return distribution


def _stored_at(at: datetime, resolution: int) -> int:
    """Return the beginning of the second or the minute as which CloudWatch stores a time."""
    second = int(at.timestamp())
    return second - second % (1 if resolution == 1 else 60)
