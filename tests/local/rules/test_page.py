from __future__ import annotations

from collections import Counter

from tests.local.recordings.facts import BY_ID
from tests.local.rules import outcomes


def test_the_page_is_up_to_date() -> None:
    """Its rules and sources; what it tells of moto is held by each rule's own test on moto."""
    told = outcomes.told_of_moto()
    every = [rule for module in outcomes.modules() for rule in outcomes.rules(module)]
    moto = {rule.name: told[outcomes.key(rule)] for rule in every}
    assert outcomes.PAGE.read_text(encoding="utf-8") == outcomes.page(moto)


def test_each_rule_is_stated_once() -> None:
    every = [rule for module in outcomes.modules() for rule in outcomes.rules(module)]
    for count in (Counter(rule.name for rule in every), Counter(rule.text for rule in every)):
        assert [what for what, number in count.items() if number > 1] == []
    assert len(every) > 150


def test_each_recorded_answer_of_a_source_is_there() -> None:
    named = [id for module in outcomes.modules() for rule in outcomes.rules(module) for id in rule.facts]
    assert set(named) <= set(BY_ID)
    assert len(named) > 40


def test_each_rule_is_tried_on_both() -> None:
    for module in outcomes.modules():
        for name in (rule.name for rule in outcomes.rules(module)):
            assert "cloud" in vars(module)[name].__annotations__, name
