from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_sm_hosting.local.cloudwatch.metric_math import (
    Data,
    ExpressionError,
    evaluate_id,
)

TIMES = [0, 60, 120, 180]


def series(*values: Any) -> Any:
    return {time: float(value) for time, value in zip(TIMES, values, strict=True) if value is not None}


DATA = Data(
    times=TIMES,
    period=60,
    metrics={
        "m1": series(30, 20, 0, 0),
        "m2": series(20, None, 20, None),
        "errors": series(1, None, 2, 0),
        "requests": series(10, 10, None, 0),
        "nothing": {},
    },
    expressions={"e1": "m1 * 2", "e2": "e1 + 1", "loop": "loop + 1", "a": "b", "b": "a"},
)


def evaluate_expression(expression: str, data: Any) -> Any:
    return evaluate_id("asked", replace(data, expressions={**data.expressions, "asked": expression}))


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("m1 + 1", (31, 21, 1, 1)),
        ("-m1", (-30, -20, 0, 0)),
        ("2 * m1 - m1 / 2", (45, 30, 0, 0)),
        ("(m1 + m1) * 2 ^ 3", (480, 320, 0, 0)),
        ("-2 ^ 2 + m1", (26, 16, -4, -4)),
        ("m1 - 2 - 3", (25, 15, -5, -5)),
        # Missing values are 0; a division by 0 drops the point.
        ("m1 + m2", (50, 20, 20, 0)),
        ("errors / requests", (0.1, 0, None, None)),
        ("100 * errors / requests", (10, 0, None, None)),
        # The table of AWS's page.
        ("m1 < m2", (0, 0, 1, 0)),
        ("m1 >= 30", (1, 0, 0, 0)),
        ("m1 > 15 AND m2 > 15", (1, 0, 0, 0)),
        ("m1 > 15 || m2 > 15", (1, 1, 1, 0)),
        ("m1 == 0 && m1 != 1", (0, 0, 1, 1)),
        ("FILL(m2, 7)", (20, 7, 20, 7)),
        ("FILL(m2, REPEAT)", (20, 20, 20, 20)),
        ("FILL(m2, LINEAR)", (20, 20, 20, None)),
        ("FILL(m2, m1)", (20, 20, 20, 0)),
        ("FILL(nothing, 0)", (0, 0, 0, 0)),
        ("IF(m1 > 15, m1, 1)", (30, 20, 1, 1)),
        ("IF(m1 > 15, m1)", (30, 20, None, None)),
        ("IF(m2, 1, 0)", (1, None, 1, None)),
        ("SUM([m1, m2])", (50, 20, 20, 0)),
        ("SUM(METRICS('m'))", (50, 20, 20, 0)),
        ('SUM(METRICS("errors"))', (1, None, 2, 0)),
        ("AVG([m1, m2])", (25, 10, 10, 0)),
        ("MIN([m1, m2])", (20, 20, 0, 0)),
        ("MAX([m1, m2])", (30, 20, 20, 0)),
        ("m1 / SUM(m1)", (0.6, 0.4, 0, 0)),
        ("m1 - AVG(m1)", (17.5, 7.5, -12.5, -12.5)),
        ("m1 / METRIC_COUNT([m1, m2])", (15, 10, 0, 0)),
        ("m1 / (PERIOD(m1) / 60)", (30, 20, 0, 0)),
        ("DIFF(m1)", (None, -10, -20, 0)),
        ("RATE(m1) * 60", (None, -10, -20, 0)),
        ("RUNNING_SUM(m1)", (30, 50, 50, 50)),
        ("CEIL(m1 / 7)", (5, 3, 0, 0)),
        ("FLOOR(ABS(-m1 / 7))", (4, 2, 0, 0)),
        ("LOG10(m1 * 0 + 100)", (2, 2, 2, 2)),
        ("FIRST(SORT([m1, m2], AVG, DESC))", (20, None, 20, None)),
        ("LAST([m1, m2])", (20, None, 20, None)),
        ("m1 + 1e1", (40, 30, 10, 10)),
        ("e2", (61, 41, 1, 1)),
    ],
)
def test_expressions(expression: str, values: tuple[Any, ...]) -> None:
    found = evaluate_expression(expression, DATA)
    assert found == pytest.approx(series(*values))


def test_several_series() -> None:
    assert evaluate_expression("METRICS('m') / 10", DATA) == [series(3, 2, 0, 0), series(2, None, 2, None)]
    assert evaluate_expression("REMOVE_EMPTY([m1, nothing])", DATA) == [series(30, 20, 0, 0)]
    assert evaluate_expression("SLICE([m1, m2, errors], 1, 2)", DATA) == [series(20, None, 20, None)]
    assert evaluate_id("m1", DATA) == series(30, 20, 0, 0)


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("", "ends too early"),
        ("m1 +", "ends too early"),
        ("m1 m2", "Unexpected 'm2'"),
        ("(m1", "ends too early"),
        ("m1 ; m2", "Unexpected ';'"),
        ("absent + 1", "no metric or expression with the id absent"),
        ("AVG(m1)", "a single number"),
        ("1 + 1", "a single number"),
        ("m1 + 1 / 0", "divided by zero"),
        ("loop", "refers to itself"),
        ("a", "refers to itself"),
        ("ANOMALY_DETECTION_BAND(m1)", "does not know the function ANOMALY_DETECTION_BAND"),
        ("__import__(m1)", "does not know the function __import__"),
        ("m1.__class__", "Unexpected '.'"),
        ("IMPORT('os')", "Unexpected"),
        ("SELECT AVG(x) FROM y", "no Metrics Insights"),
        ("SEARCH('x', 'Sum', 60)", "no SEARCH"),
        ("[m1] + [m2]", "Two arrays"),
        ("IF([m1], 1)", "not arrays"),
        ("SORT([m1], HASH, DESC)", "cannot be sorted"),
        ("LOG(0) + m1", "no logarithm"),
        ("(" * 100 + "m1" + ")" * 100, "nested too deeply"),
        ("-" * 300 + "m1", "nested too deeply"),
        ("m1" + "+1" * 1000, "more than 1024"),
    ],
)
def test_what_is_no_expression(expression: Any, told: str) -> None:
    with pytest.raises(ExpressionError, match=told.replace("(", r"\(")):
        evaluate_expression(expression, DATA)
