"""Environment values: hidden as soon as they are known, and whole when they are sent."""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.service_model.request import validated_request
from airflow_sm_hosting.spec.checks import check_environment
from airflow_sm_hosting.spec.secret import (
    SHOWN,
    Hidden,
    HidesEnvironments,
    HidesSpecifications,
    environment_values,
    hide_environments,
    reveal_environments,
    specification_values,
)

SECRET = "hunter2-and-more"


def test_a_hidden_value_shows_itself_nowhere() -> None:
    hidden = Hidden(SECRET)
    shown = [
        str(hidden),
        repr(hidden),
        f"{hidden}",
        f"{hidden!r}",
        hidden.serialize(),
        str([hidden]),
        str({"a": hidden}),
    ]
    assert all(SECRET not in text for text in shown)
    assert hidden.serialize() == SHOWN == "***"
    assert hidden.reveal() == SECRET
    assert not hasattr(hidden, "__dict__")


def test_hidden_values_are_equal_when_their_values_are() -> None:
    assert Hidden("a") == Hidden("a")
    assert hash(Hidden("a")) == hash(Hidden("a"))
    assert Hidden("a") != Hidden("b")
    assert Hidden("a") != "a"


def test_a_hidden_value_survives_a_copy() -> None:
    assert copy.deepcopy({"a": Hidden(SECRET)})["a"].reveal() == SECRET


def test_hiding_changes_nothing_that_was_given() -> None:
    given_containers = [{"Image": "churn:1", "Environment": {"A": SECRET}}]
    before = copy.deepcopy(given_containers)
    hidden = hide_environments(given_containers)
    assert given_containers == before
    assert hidden[0]["Image"] == "churn:1"
    assert SECRET not in str(hidden)


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=20).filter(lambda text: "{" not in text)))
def test_what_was_hidden_is_revealed_whole(environment: dict[str, str]) -> None:
    containers = [{"Image": "churn:1", "Environment": environment}]
    hidden = hide_environments(hide_environments(containers))
    assert all(isinstance(value, Hidden) for value in hidden[0]["Environment"].values())
    assert reveal_environments(hidden) == containers
    json.dumps(reveal_environments(hidden))


@pytest.mark.parametrize("value", [5, 5.5, True, ""], ids=repr)
def test_what_is_no_string_but_becomes_one_is_hidden_too(value: Any) -> None:
    hidden = hide_environments([{"Environment": {"A": value}}])
    assert hidden[0]["Environment"]["A"] == Hidden(str(value))


@pytest.mark.parametrize("value", [Path("/secret"), Decimal("12.5"), timedelta(1)], ids=repr)
def test_a_literal_of_another_kind_is_refused_or_hidden(value: Any) -> None:
    try:
        check_environment("e", {"A": value})
    except InvalidSpecError:
        return
    assert str(value) not in str(hide_environments([{"Environment": {"A": value}}]))


def test_the_descriptor_is_a_plain_attribute_but_for_hiding() -> None:
    class Task:
        containers = HidesEnvironments()

    task = Task()
    with pytest.raises(AttributeError, match=r"^containers$"):
        _ = task.containers
    given = [{"Environment": {"A": SECRET}}]
    task.containers = given  # as the constructor does
    assert task.containers is given
    task.containers = given  # as rendering does
    assert SECRET not in str(task.containers)
    assert SECRET not in str(vars(task))
    assert isinstance(Task.containers, HidesEnvironments)


def test_a_refused_request_does_not_tell_the_values() -> None:
    for environment in ({"A": SECRET * 100}, {"1": SECRET}, {"A": [SECRET]}):
        for member in (
            {"PrimaryContainer": {"Image": "a", "Environment": environment}},
            {"Containers": [{"Environment": environment}]},
        ):
            with pytest.raises(
                InvalidSpecError, match=r"CreateModel would be rejected .*Environment\..*\*\*\*"
            ) as caught:
                validated_request("sagemaker", "CreateModel", {"ModelName": "m", **member})
            assert SECRET not in str(caught.value)


def test_the_values_of_environments_are_found_in_hidden_and_in_plain_containers() -> None:
    hidden = hide_environments([{"Environment": {"A": "one", "B": 2}}, {"Image": "i"}])
    assert environment_values(hidden) == {"one", "2"}
    assert environment_values({"Environment": Hidden({"A": "one"})}) == {"one"}
    assert environment_values("{{ later }}") == environment_values({"Environment": "{{ later }}"}) == set()


def test_hidden_values_are_revealed_in_lists_and_tuples_too() -> None:
    hidden = hide_environments([{"Environment": {"A": "b"}}], rendered=True)
    for kind in (list, tuple):
        assert reveal_environments(kind(hidden)) == [{"Environment": {"A": "b"}}]


class OfComponents:
    specification = HidesSpecifications()

    def __init__(self, specification: Any) -> None:
        self.specification = specification


def component(value: str = SECRET) -> dict[str, Any]:
    return {"Container": {"Image": "i", "Environment": {"TOKEN": value}}, "InstanceType": "ml.g5.xlarge"}


def test_values_of_a_component_are_hidden_once_they_are_rendered() -> None:
    task = OfComponents(component("{{ token }}"))
    assert task.specification == component("{{ token }}")
    task.specification = component()
    assert SECRET not in str(task.specification)
    assert task.specification["InstanceType"] == "ml.g5.xlarge"
    task.specification = [component(), {"ModelName": "m"}, "{{ later }}"]
    assert SECRET not in str(task.specification)
    assert task.specification[1:] == [{"ModelName": "m"}, "{{ later }}"]


def test_which_values_of_components_must_not_be_shown() -> None:
    assert specification_values(component()) == {SECRET}
    assert specification_values([component(), component("another-one"), "later"]) == {SECRET, "another-one"}
    assert specification_values(None) == set()
