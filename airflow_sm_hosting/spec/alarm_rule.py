"""The rule of a composite alarm: over the states of other alarms.

Source of the rules: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.alarm import check_alarm_name
from airflow_sm_hosting.spec.checks import check_one_of, invalid, is_rendered_later
from airflow_sm_hosting.spec.reference import Reference, kind_of
from airflow_sm_hosting.spec.rendered import as_string
from airflow_sm_hosting.spec.templated import TemplatedStr

Operator: TypeAlias = Literal["AND", "OR", "NOT", "ALARM", "OK", "INSUFFICIENT_DATA"]
STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")
MAX_LENGTH = 10_240
MAX_ALARMS = 100
MAX_ELEMENTS = 500

#: A parenthesis, a name in quotation marks, or anything else up to the next of them.
_WORD_PATTERN = r"\s*([()]|\"[^\"]*\"|[^\s()\"]+)"


class AlarmRule(Reference):
    """A rule over the states of alarms; an alarm's name alone means that it is in ALARM.

    ``AlarmRule.all_of(AlarmRule.any_of("slow", errors.output), AlarmRule.not_("deploying"))`` becomes
    ``(ALARM("slow") OR ALARM("errors")) AND (NOT ALARM("deploying"))``. Names may be Jinja or come from upstream.

    :param operator: ``AND``, ``OR``, ``NOT``, or a state.
    :param operands: The operands: rules, and names or ARNs of alarms; a state has one name.
    :raises InvalidSpecError: When a literal part can never work.
    """

    def __init__(self, *, operator: Operator, operands: Sequence[AlarmRule | TemplatedStr]) -> None:
        check_one_of("AlarmRule: operator", operator, ("AND", "OR", "NOT", *STATES))
        if not operands or (operator not in ("AND", "OR") and len(operands) != 1):
            raise invalid(
                f"AlarmRule: {operator}",
                f"of {len(operands)} operands",
                "one" if operator not in ("AND", "OR") else "one or more",
            )
        super().__init__("AlarmRule", Operator=operator, Operands=operands)
        _check_operands(self)

    @classmethod
    def any_of(cls, *operands: AlarmRule | TemplatedStr) -> AlarmRule:
        """Return the rule that one of the operands is true."""
        return cls(operator="OR", operands=list(operands))

    @classmethod
    def all_of(cls, *operands: AlarmRule | TemplatedStr) -> AlarmRule:
        """Return the rule that all operands are true."""
        return cls(operator="AND", operands=list(operands))

    @classmethod
    def not_(cls, operand: AlarmRule | TemplatedStr) -> AlarmRule:
        """Return the rule that the operand is not true."""
        return cls(operator="NOT", operands=[operand])

    @classmethod
    def alarm(cls, alarm_name: TemplatedStr) -> AlarmRule:
        """Return the rule that an alarm, by name or ARN, is in ALARM."""
        return cls(operator="ALARM", operands=[alarm_name])

    @classmethod
    def ok(cls, alarm_name: TemplatedStr) -> AlarmRule:
        """Return the rule that an alarm, by name or ARN, is in OK."""
        return cls(operator="OK", operands=[alarm_name])

    @classmethod
    def insufficient_data(cls, alarm_name: TemplatedStr) -> AlarmRule:
        """Return the rule that an alarm, by name or ARN, is in INSUFFICIENT_DATA."""
        return cls(operator="INSUFFICIENT_DATA", operands=[alarm_name])


def check_rule(where: str, rule: Any, *, own_name: Any = None) -> None:
    """Check a rule, as text or as an :class:`AlarmRule`, as far as it is literal.

    :param where: The field.
    :param rule: The rule.
    :param own_name: The name of the composite alarm itself, which must not wait for itself.
    """
    if is_rendered_later(rule):
        return
    if kind_of(rule) == "AlarmRule":
        if _has_late_parts(rule):
            return
        rule = rule_text(rule)
    if not isinstance(rule, str):
        raise invalid(where, rule, 'an AlarmRule, or a string such as \'ALARM("a") AND NOT ALARM("b")\'')
    if own_name in alarms_of_rule(where, rule):
        raise invalid(
            where, rule, f"a rule that does not use {own_name!r} itself; such a rule cannot be evaluated"
        )


def rule_text(rule: Any) -> str:
    """Return a rendered rule as PutCompositeAlarm takes it."""
    if isinstance(rule, str):
        return rule
    operator, operands = rule["Operator"], rule["Operands"]
    if operator in STATES:
        name = as_string("a name in the alarm rule", operands[0])
        _check_operand_name(name)
        return f'{operator}("{name}")'
    parts = [_operand_text(operand) for operand in operands]
    return f"NOT {parts[0]}" if operator == "NOT" else f" {operator} ".join(parts)


def _operand_text(operand: Any) -> str:
    if kind_of(operand) != "AlarmRule":
        return rule_text({"Operator": "ALARM", "Operands": [operand]})
    text = rule_text(operand)
    return text if operand["Operator"] in STATES else f"({text})"


def alarms_of_rule(where: str, text: str) -> list[str]:
    """Return the names and ARNs of the alarms in a rule, each once, in order; check the rule's form and size.

    Operators and functions are in capitals, as documented; ``true`` and ``false`` in any case.

    :raises InvalidSpecError: When CloudWatch would refuse it.
    """
    if not 1 <= len(text) <= MAX_LENGTH:
        raise InvalidSpecError(
            f"{where} has {len(text)} characters; allowed: 1 to {MAX_LENGTH} (PutCompositeAlarm)."
        )
    reader = _RuleReader(where, text)
    reader.read()
    names = list(dict.fromkeys(reader.names))
    if len(names) > MAX_ALARMS:
        raise InvalidSpecError(f"{where} names {len(names)} alarms; allowed: {MAX_ALARMS} at most.")
    # Elements are alarms, TRUE or FALSE, and parentheses. Assumed: the parentheses of a function do not count.
    if reader.elements > MAX_ELEMENTS:
        raise InvalidSpecError(f"{where} has {reader.elements} elements; allowed: {MAX_ELEMENTS} at most.")
    return names


class _RuleReader:
    """Reads a rule: operands joined by AND and OR, each a function of a name, TRUE, FALSE, NOT of one, or a rule in parentheses."""

    def __init__(self, where: str, text: str) -> None:
        self._where, self._text = where, text
        self._words: list[str] = []
        self._next = 0
        self._depth = 0
        self.names: list[str] = []
        self.elements = 0
        position, text = 0, text.rstrip()
        while position < len(text):
            word = re.compile(_WORD_PATTERN).match(text, position)
            if word is None:
                raise self._wrong('a quotation mark (") is not closed')
            self._words.append(word[1])
            position = word.end()

    def read(self) -> None:
        """Read all of it."""
        self._rule()
        if self._next < len(self._words):
            raise self._wrong(f"found {self._take()!r}, expected AND or OR")

    def _rule(self) -> None:
        self._operand()
        while self._peek() in ("AND", "OR"):
            self._take()
            self._operand()

    def _operand(self) -> None:
        while self._peek() == "NOT":
            self._take()
        word = self._take()
        if word == "(":
            self._depth += 1
            if 2 * self._depth > MAX_ELEMENTS:
                raise self._wrong(f"more than {MAX_ELEMENTS} nested parentheses")
            self._rule()
            self._expect(")")
            self._depth -= 1
            self.elements += 2
        elif word.upper() in ("TRUE", "FALSE"):
            self.elements += 1
        elif word in STATES:
            self._expect("(")
            self._name()
            self._expect(")")
            self.elements += 1
        else:
            found = repr(word) if word else "the end"
            raise self._wrong(
                f"found {found}, expected {', '.join(STATES)}, NOT, TRUE, FALSE or a parenthesis"
            )

    def _name(self) -> None:
        word = self._take()
        name = word.strip('"')
        if word in ("", "(", ")") or not name.strip():
            raise self._wrong("a function without an alarm name")
        self.names.append(name)

    def _peek(self) -> str:
        return self._words[self._next] if self._next < len(self._words) else ""

    def _take(self) -> str:
        word = self._peek()
        self._next += 1
        return word

    def _expect(self, expected: str) -> None:
        found = self._take()
        if found != expected:
            raise self._wrong(f"found {(repr(found) if found else 'the end')}, expected {expected!r}")

    def _wrong(self, what: str) -> InvalidSpecError:
        return invalid(
            self._where,
            self._text if len(self._text) <= 200 else f"{self._text[:199]}…",
            'a rule such as \'ALARM("a") AND NOT (OK("b") OR ALARM("c"))\'',
            hint=f"Here {what}.",
        )


def is_alarm_arn(reference: str) -> bool:
    """Return whether an alarm is given by its ARN; it may be of another account."""
    return reference.startswith("arn:")


def _check_operands(rule: AlarmRule) -> None:
    for operand in rule["Operands"]:
        if is_rendered_later(operand) or (kind_of(operand) == "AlarmRule" and rule["Operator"] not in STATES):
            continue
        _check_operand_name(operand)


def _check_operand_name(name: Any) -> None:
    if not (isinstance(name, str) and is_alarm_arn(name)):
        check_alarm_name("a name in AlarmRule", name)
    if '"' in name:
        # Assumed: no way to write one is documented.
        raise invalid("a name in AlarmRule", name, 'an alarm name without a quotation mark (")')


def _has_late_parts(rule: dict[str, Any]) -> bool:
    return any(
        is_rendered_later(operand) or (kind_of(operand) == "AlarmRule" and _has_late_parts(operand))
        for operand in rule["Operands"]
    )
