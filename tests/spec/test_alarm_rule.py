"""Rules of composite alarms: built, and read as text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting import AlarmRule
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.alarm_rule import alarms_of_rule, check_rule, rule_text

ARN = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:other"


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (AlarmRule.alarm("a"), 'ALARM("a")'),
        (AlarmRule.ok("a b"), 'OK("a b")'),
        (AlarmRule.insufficient_data(ARN), f'INSUFFICIENT_DATA("{ARN}")'),
        (AlarmRule.any_of("a"), 'ALARM("a")'),
        (AlarmRule.any_of("a", "b"), 'ALARM("a") OR ALARM("b")'),
        (AlarmRule.not_("a"), 'NOT ALARM("a")'),
        (AlarmRule.not_(AlarmRule.not_("a")), 'NOT (NOT ALARM("a"))'),
        (
            AlarmRule.all_of(AlarmRule.any_of("a", AlarmRule.ok("b")), AlarmRule.not_("c")),
            '(ALARM("a") OR OK("b")) AND (NOT ALARM("c"))',
        ),
    ],
)
def test_rules_are_built(rule: AlarmRule, text: str) -> None:
    assert rule_text(rule) == text
    alarms_of_rule("r", text)


names = st.text(st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_characters='"\x7f'), min_size=1).filter(lambda name: name.strip() not in ("", "None"))  # fmt: skip
rules = st.recursive(
    names,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: AlarmRule.any_of(*parts)),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: AlarmRule.all_of(*parts)),
        inner.map(AlarmRule.not_),
        names.map(AlarmRule.ok),
    ),
    max_leaves=8,
).filter(lambda rule: not isinstance(rule, str))


def named_in(rule: Any) -> set[str]:
    if isinstance(rule, str):
        return {rule}
    return set().union(*(named_in(part) for part in rule["Operands"]))


@given(rules)
def test_every_rule_that_is_built_is_one_that_is_read(rule: AlarmRule) -> None:
    assert set(alarms_of_rule("r", rule_text(rule))) == named_in(rule)


@pytest.mark.parametrize(
    ("text", "alarms"),
    [
        ("ALARM(a) AND NOT ALARM(b)", ["a", "b"]),
        (f'(ALARM(a) OR OK("b c"))\n AND INSUFFICIENT_DATA({ARN})', ["a", "b c", ARN]),
        ('ALARM("a (1)") OR ALARM("a (1)")', ["a (1)"]),
        ("TRUE", []),
        ("false AND NOT (TRUE)", []),
        ("ALARM ( a )", ["a"]),
    ],
)
def test_texts_are_read(text: str, alarms: list[str]) -> None:
    assert alarms_of_rule("r", text) == alarms
    check_rule("r", text)


BAD_RULES = {
    "": "r has 0 characters",
    "   ": "found the end, expected ALARM",
    "ALARM(a": r"found the end, expected '\)'",
    "ALARM(a))": r"found '\)', expected AND or OR",
    "ALARM()": "a function without an alarm name",
    'ALARM("")': "a function without an alarm name",
    "ALARM": r"found the end, expected '\('",
    "ALARM(a) ALARM(b)": "found 'ALARM', expected AND or OR",
    "ALARM(a b)": r"found 'b', expected '\)'",
    "ALARM(a) XOR OK(b)": "found 'XOR', expected AND or OR",
    "ALARM(a) AND": "found the end, expected",
    "AND ALARM(a)": "found 'AND', expected",
    "alarm(a)": "found 'alarm', expected",
    "ALARM(a) and ALARM(b)": "found 'and', expected AND or OR",
    "NOT": "found the end, expected",
    "MISSING(a)": "found 'MISSING', expected",
    "()": r"found '\)', expected",
    'ALARM("a)': "a quotation mark",
    "ALARM(a) AND {{": "found '{{', expected",
    "(" * 600: "nested parentheses",
    " OR ".join(f"ALARM(a{n})" for n in range(101)): "r names 101 alarms; allowed: 100 at most",
    " OR ".join(["ALARM(a)"] * 501): "r has 501 elements; allowed: 500 at most",
    "ALARM(" + "a" * 10_240 + ")": "r has 10247 characters; allowed: 1 to 10240",
}


@pytest.mark.parametrize(("text", "message"), BAD_RULES.items(), ids=[text[:24] for text in BAD_RULES])
def test_texts_that_cloudwatch_refuses_are_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        alarms_of_rule("r", text)


@pytest.mark.parametrize(
    "make",
    [
        AlarmRule.any_of,
        AlarmRule.all_of,
        lambda: AlarmRule.alarm(""),
        lambda: AlarmRule.alarm('a"b'),
        lambda: AlarmRule.alarm(f'{ARN}"'),
        lambda: AlarmRule.alarm(AlarmRule.alarm("a")),
        lambda: AlarmRule.any_of("a", None),
        lambda: AlarmRule.any_of(5),
        lambda: AlarmRule.not_("x" * 256),
        lambda: AlarmRule(operator="XOR", operands=["a", "b"]),
        lambda: AlarmRule(operator="NOT", operands=["a", "b"]),
    ],
)
def test_what_cannot_be_a_rule_is_refused(make: Any) -> None:
    with pytest.raises(InvalidSpecError, match="AlarmRule"):
        make()


@pytest.mark.parametrize("rule", [5, None, ["ALARM(a)"], {"a": 1}], ids=repr)
def test_what_is_no_rule_is_refused(rule: Any) -> None:
    with pytest.raises(InvalidSpecError, match=r"r is .*; allowed: an AlarmRule, or a string"):
        check_rule("r", rule)


def test_an_alarm_does_not_wait_for_itself() -> None:
    check_rule("r", AlarmRule.any_of("a", "b"), own_name="c")
    for rule in (AlarmRule.any_of("a", "b"), "NOT OK(b)"):
        with pytest.raises(InvalidSpecError, match="that does not use 'b' itself"):
            check_rule("r", rule, own_name="b")
