"""Metric math: expressions over metrics, as alarms and GetMetricData have them.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import itertools
import math
import operator
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

# Times (seconds since the epoch) and values; a time without a value is not there.
Series: TypeAlias = dict[int, float]
Value: TypeAlias = "float | Series | list[Series]"

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)
      | (?P<text>"[^"]*"|'[^']*')
      | (?P<name>[A-Za-z_]\w*)
      | (?P<sign>==|!=|<=|>=|&&|\|\||[-+*/^()<>\[\],])
    )""",
    re.VERBOSE,
)
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_LOGIC = {"AND": "AND", "&&": "AND", "OR": "OR", "||": "OR"}
# An expression of AWS has at most 1,024 characters (API_MetricDataQuery.html); nesting is ours, so that the stack holds.
_MAX_LENGTH = 1024
_MAX_DEPTH = 50


class ExpressionError(ValueError):
    """An expression that cannot be evaluated, in a sentence that says why."""


@dataclass(frozen=True)
class Data:
    """What expressions are evaluated on.

    :param times: The times at which periods begin, in order.
    :param period: Their length, in seconds.
    :param metrics: The metrics of the request, by id.
    :param expressions: The expressions of the request, by id.
    """

    times: Sequence[int]
    period: int
    metrics: Mapping[str, Series]
    expressions: Mapping[str, str]


def evaluate(expression: str, data: Data) -> Series | list[Series]:
    """Return the time series that an expression comes to, or several of them.

    :raises ExpressionError: It is not one, or one that the local AWS does not do.
    """
    return _series_of(_Evaluation(expression, data, ()).value())


def evaluate_id(query: str, data: Data) -> Series | list[Series]:
    """Return the time series of the metric or expression of that id.

    :raises ExpressionError: As :func:`evaluate`.
    """
    return _series_of(_named(query, data, ()))


def _series_of(value: Value) -> Series | list[Series]:
    if isinstance(value, float):
        # "The final result of any math expression must be a single time series or an array of time series"
        raise ExpressionError("The expression gives a single number, not a time series.")
    return value


def _named(name: str, data: Data, asking: tuple[str, ...]) -> Value:
    if name in data.metrics:
        return data.metrics[name]
    if name not in data.expressions:
        raise ExpressionError(f"There is no metric or expression with the id {name}.")
    if name in asking:
        raise ExpressionError(f"The expression {name} refers to itself.")
    return _Evaluation(data.expressions[name], data, (*asking, name)).value()


class _Evaluation:
    """Reads an expression from left to right, and computes as it goes."""

    def __init__(self, expression: str, data: Data, asking: tuple[str, ...]) -> None:
        self._expression = expression
        self._data = data
        self._asking = asking
        self._tokens = _tokens(expression)
        self._place = 0
        self._depth = 0

    def value(self) -> Value:
        value = self._any_of()
        if self._next():
            raise self._unexpected()
        return value

    # Operators, the weakest first

    def _any_of(self) -> Value:
        value = self._all_of()
        while _LOGIC.get(self._next()) == "OR":
            self._take()
            value = _both(value, self._all_of(), lambda a, b: float(bool(a) or bool(b)))
        return value

    def _all_of(self) -> Value:
        value = self._comparison()
        while _LOGIC.get(self._next()) == "AND":
            self._take()
            value = _both(value, self._comparison(), lambda a, b: float(bool(a) and bool(b)))
        return value

    def _comparison(self) -> Value:
        value = self._sum()
        while compare := _COMPARISONS.get(self._next()):
            self._take()
            value = _both(value, self._sum(), compare)
        return value

    def _sum(self) -> Value:
        value = self._product()
        while (sign := self._next()) in ("+", "-"):
            self._take()
            value = _both(value, self._product(), operator.add if sign == "+" else operator.sub)
        return value

    def _product(self) -> Value:
        value = self._unary()
        while (sign := self._next()) in ("*", "/"):
            self._take()
            value = _both(value, self._unary(), operator.mul if sign == "*" else operator.truediv)
        return value

    def _unary(self) -> Value:
        if self._next() == "-":
            self._take()
            self._deeper()
            value = _both(0.0, self._unary(), operator.sub)
            self._depth -= 1
            return value
        return self._power()

    def _power(self) -> Value:
        value = self._atom()
        if self._next() == "^":
            self._take()
            self._deeper()
            value = _both(value, self._unary(), _power)
            self._depth -= 1
        return value

    def _atom(self) -> Value:
        self._deeper()
        sign = token = self._take()
        if sign == "(":
            value = self._any_of()
            self._expect(")")
        elif sign == "[":
            value = [series for one in self._until("]") for series in _as_list(one)]
        elif re.match(r"[\d.]", token):
            value = float(token)
        elif self._next() == "(":
            value = self._call(token)
        elif re.match(r"[a-z]", token):
            # "the Id field for all metrics and math expressions must start with a lowercase letter"
            value = _named(token, self._data, self._asking)
        else:
            self._place -= 1
            raise self._unexpected()
        self._depth -= 1
        return value

    # Functions

    def _call(self, name: str) -> Value:
        self._expect("(")
        if name == "METRICS":
            return self._metrics()
        if name == "FILL":
            return self._fill()
        if name == "SORT":
            return self._sort()
        arguments = self._until(")")
        if name == "IF" and len(arguments) in (2, 3):
            return _if(*arguments)
        if name == "SLICE" and len(arguments) in (2, 3):
            found = _as_list(arguments[0])
            bounds = [int(_number(bound)) for bound in arguments[1:]]
            return found[slice(*bounds)] if len(bounds) == 2 else found[bounds[0] :]
        if len(arguments) == 1:
            (argument,) = arguments
            if name in _REDUCING:
                return _reduce(_REDUCING[name], argument)
            if name in _EACH:
                return _each(argument, _EACH[name])
            if name in _EACH_SERIES:
                period = self._data.period
                return _each_series(argument, lambda series: _EACH_SERIES[name](series, period))
            match name:
                case "PERIOD":
                    return float(self._data.period)
                case "METRIC_COUNT":
                    return float(len(_as_list(argument)))
                case "FIRST" | "LAST":
                    found = _as_list(argument)
                    return found[0 if name == "FIRST" else -1] if found else {}
                case "REMOVE_EMPTY":
                    return [series for series in _as_list(argument) if series]
        raise ExpressionError(
            f"The local AWS does not know the function {name} with {len(arguments)} argument"
            f"{'' if len(arguments) == 1 else 's'}."
        )

    def _metrics(self) -> Value:
        contained = "" if self._next() == ")" else self._take().strip("\"'")
        self._expect(")")
        return [series for name, series in self._data.metrics.items() if contained in name]

    def _fill(self) -> Value:
        what = self._any_of()
        self._expect(",")
        if (how := self._next()) in ("REPEAT", "LINEAR"):
            self._take()
            self._expect(")")
            return _each_series(what, lambda series: _fill_from(series, self._data.times, how == "LINEAR"))
        (filler,) = self._until(")")
        if isinstance(filler, list):
            raise ExpressionError("FILL takes a number, a time series, REPEAT or LINEAR as the filler.")
        fillers = filler if isinstance(filler, dict) else dict.fromkeys(self._data.times, filler)
        return _each_series(what, lambda series: dict(sorted({**fillers, **series}.items())))

    def _sort(self) -> Value:
        found = _as_list(self._any_of())
        self._expect(",")
        by = self._take()
        self._expect(",")
        order = self._take()
        most = len(found)
        if self._next() == ",":
            self._take()
            most = int(_number(self._any_of()))
        self._expect(")")
        if by not in _REDUCING or order not in ("ASC", "DESC"):
            raise ExpressionError(f"Series cannot be sorted by {by}, {order}.")
        return sorted(
            found, key=lambda series: _REDUCING[by](list(series.values())), reverse=order == "DESC"
        )[:most]

    # Tokens

    def _until(self, end: str) -> list[Value]:
        values: list[Value] = []
        if self._next() != end:
            values.append(self._any_of())
            while self._next() == ",":
                self._take()
                values.append(self._any_of())
        self._expect(end)
        return values

    def _next(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._next()
        self._place += 1
        return token

    def _expect(self, token: str) -> None:
        if self._next() != token:
            raise self._unexpected()
        self._place += 1

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ExpressionError("The expression is nested too deeply.")

    def _unexpected(self) -> ExpressionError:
        found = self._next()
        return ExpressionError(
            f"Unexpected {found!r} in the expression {self._expression!r}."
            if found
            else f"The expression {self._expression!r} ends too early."
        )


def _tokens(expression: str) -> list[str]:
    if len(expression) > _MAX_LENGTH:
        raise ExpressionError(f"The expression has more than {_MAX_LENGTH} characters.")
    if re.match(r"\s*(SELECT|SEARCH)\b", expression):
        raise ExpressionError("The local AWS does no Metrics Insights queries and no SEARCH expressions.")
    tokens = []
    place = 0
    expression = expression.rstrip()
    while place < len(expression):
        match = _TOKEN.match(expression, place)
        if match is None:
            raise ExpressionError(
                f"Unexpected {expression[place:].lstrip()[:1]!r} in the expression {expression!r}."
            )
        tokens.append(match[0].strip())
        place = match.end()
    return tokens


def _as_list(value: Value) -> list[Series]:
    if isinstance(value, float):
        raise ExpressionError("A number stands where time series are needed.")
    return value if isinstance(value, list) else [value]


def _number(value: Value) -> float:
    if not isinstance(value, float):
        raise ExpressionError("Time series stand where a number is needed.")
    return value


def _power(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except ValueError as error:
        # A fraction of a negative number.
        raise ArithmeticError from error


def _both(left: Value, right: Value, function: Callable[[float, float], float]) -> Value:
    """Apply an operator to numbers and series of each kind."""
    if isinstance(left, float) and isinstance(right, float):
        try:
            return float(function(left, right))
        except ArithmeticError as error:
            raise ExpressionError("Numbers are divided by zero.") from error
    if isinstance(left, list) or isinstance(right, list):
        if isinstance(left, list) and isinstance(right, list):
            raise ExpressionError("Two arrays of time series cannot be combined.")
        if isinstance(left, list):
            return [_both(one, right, function) for one in left]  # type: ignore[misc]
        return [_both(left, one, function) for one in right]  # type: ignore[misc,union-attr]
    times = sorted({*(left if isinstance(left, dict) else ()), *(right if isinstance(right, dict) else ())})
    result: Series = {}
    for time in times:
        # "Missing values in a time series are treated as 0. If … to divide by zero, the data point is dropped."
        a = left.get(time, 0.0) if isinstance(left, dict) else left
        b = right.get(time, 0.0) if isinstance(right, dict) else right
        try:
            result[time] = float(function(a, b))
        except ArithmeticError:
            continue
    return result


def _if(condition: Value, then: Value, otherwise: Value | None = None) -> Value:
    if isinstance(condition, list) or isinstance(then, list) or isinstance(otherwise, list):
        raise ExpressionError("IF takes time series and numbers, not arrays of time series.")
    if isinstance(condition, float):
        chosen = then if condition else otherwise
        return {} if chosen is None else chosen
    result: Series = {}
    times = sorted(
        {*condition, *(time for one in (then, otherwise) if isinstance(one, dict) for time in one)}
    )
    for time in times:
        chosen = then if condition.get(time, 0.0) else otherwise
        value = chosen.get(time) if isinstance(chosen, dict) else chosen
        if value is not None:
            result[time] = value
    return result


def _each(value: Value, function: Callable[[float], float]) -> Value:
    if isinstance(value, float):
        try:
            return float(function(value))
        except ValueError as error:
            raise ExpressionError(f"There is no logarithm of {value}.") from error
    return _each_series(
        value,
        lambda series: {
            time: float(function(one))
            for time, one in series.items()
            if one > 0 or function not in _LOGARITHMS
        },
    )


def _each_series(value: Value, function: Callable[[Series], Series]) -> Value:
    if isinstance(value, list):
        return [function(series) for series in value]
    return function(_as_list(value)[0])


def _reduce(function: Callable[[Sequence[float]], float], value: Value) -> Value:
    """Reduce one series to a number, and several to one series."""
    if isinstance(value, float):
        return value
    if isinstance(value, dict):
        return float(function(list(value.values())))
    times = sorted({time for series in value for time in series})
    if function in (_least, _greatest, len):
        return {time: float(function([series[time] for series in value if time in series])) for time in times}
    return {time: float(function([series.get(time, 0.0) for series in value])) for time in times}


def _fill_from(series: Series, times: Sequence[int], linear: bool) -> Series:
    """Fill gaps with the last value before them, or with the line between their ends; what has no end stays open."""
    filled: Series = {}
    known = sorted(series)
    for time in times:
        before = max((one for one in known if one <= time), default=None)
        after = min((one for one in known if one >= time), default=None)
        if time in series:
            filled[time] = series[time]
        elif before is not None and not linear:
            filled[time] = series[before]
        elif before is not None and after is not None:
            share = (time - before) / (after - before)
            filled[time] = series[before] + share * (series[after] - series[before])
    return filled


def _differences(series: Series, of: Callable[[int, int], float]) -> Series:
    times = sorted(series)
    return {after: of(before, after) for before, after in itertools.pairwise(times)}


def _running(series: Series) -> Series:
    total = 0.0
    sums: Series = {}
    for time in sorted(series):
        total += series[time]
        sums[time] = total
    return sums


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _deviation(values: Sequence[float]) -> float:
    return statistics.pstdev(values) if values else 0.0


def _least(values: Sequence[float]) -> float:
    return min(values, default=0.0)


def _greatest(values: Sequence[float]) -> float:
    return max(values, default=0.0)


_REDUCING: dict[str, Callable[[Sequence[float]], float]] = {
    "SUM": math.fsum,
    "AVG": _mean,
    "MIN": _least,
    "MAX": _greatest,
    "STDDEV": _deviation,
    "DATAPOINT_COUNT": len,
}
_LOGARITHMS: tuple[Callable[[float], float], ...] = (math.log, math.log10)
_EACH: dict[str, Callable[[float], float]] = {
    "ABS": abs,
    "CEIL": math.ceil,
    "FLOOR": math.floor,
    "LOG": math.log,
    "LOG10": math.log10,
}
_EACH_SERIES: dict[str, Callable[[Series, int], Series]] = {
    "DIFF": lambda series, _: _differences(series, lambda a, b: series[b] - series[a]),
    "DIFF_TIME": lambda series, _: _differences(series, lambda a, b: float(b - a)),
    "RATE": lambda series, _: _differences(series, lambda a, b: (series[b] - series[a]) / (b - a)),
    "RUNNING_SUM": lambda series, _: _running(series),
}
