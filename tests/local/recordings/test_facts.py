"""Every fact is asked for, by one test."""

from __future__ import annotations

import importlib
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from tests.local.recordings.facts import BY_ID, DIFFERENCES, FACTS

MODULES = ("test_sagemaker", "test_runtime", "test_other_services", "test_client_side")


def asked() -> list[str]:
    """Return the ids of the facts that tests ask for."""
    found = []
    for name in MODULES:
        for test in vars(importlib.import_module(f"tests.local.recordings.{name}")).values():
            for mark in getattr(test, "pytestmark", ()):
                if mark.name == "parametrize" and mark.args[0] == "fact":
                    found += [param.id for param in mark.args[1]]
    return found


def test_each_fact_is_asked_by_one_test() -> None:
    assert Counter(asked()) == Counter(list(BY_ID))
    assert len(BY_ID) == len(FACTS)


def test_each_fact_has_a_source() -> None:
    assert [fact.id for fact in FACTS if not all(vars(fact).values())] == []


def test_nearly_all_facts_agree() -> None:
    assert set(DIFFERENCES) <= set(BY_ID)
    assert len(DIFFERENCES) <= 0.03 * len(FACTS)


def test_no_recorded_fact_is_missing() -> None:
    path = os.environ.get("SM_HOSTING_AWS_RECORDINGS")
    if not path:
        pytest.skip("SM_HOSTING_AWS_RECORDINGS does not name the collection of recordings")
    recorded = json.loads(Path(path).read_text(encoding="utf-8"))["facts"]
    assert {one["id"] for one in recorded} - set(BY_ID) == set()
