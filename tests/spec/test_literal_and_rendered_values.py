"""The checks of literal values, and what rendered ones stand for: both edges of every range, messages, and what is left alone."""

from __future__ import annotations

import re
import warnings
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.service_model.shapes import input_shape
from airflow_sm_hosting.spec import checks, patterns, reference, rendered

JINJA = ["{{ params.x }}", "a{% if x %}b{% endif %}", "{# nothing #}"]
CHECKS = {
    "name": lambda value: checks.check_name("Thing: field", value),
    "model name": lambda value: checks.check_model_name("Thing: field", value),
    "integer": lambda value: checks.check_integer("Thing: field", value, 1, 10),
    "number": lambda value: checks.check_number("Thing: field", value, low=0, high=1),
    "boolean": lambda value: checks.check_boolean("Thing: field", value),
    "one of": lambda value: checks.check_one_of("Thing: field", value, ("Serial", "Direct")),
    "instance type": lambda value: checks.check_instance_type("Thing: field", value),
    "seconds": lambda value: checks.check_seconds("Thing: field", value, 60, 3600),
    "environment": lambda value: checks.check_environment("Thing: field", value),
    "text": lambda value: checks.check_text("Thing: field", value, pattern="[a-z]+", allowed="letters"),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS.keys())
@pytest.mark.parametrize("value", JINJA)
def test_jinja_passes_every_check(check: Any, value: str) -> None:
    check(value)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS.keys())
def test_every_message_names_the_field_and_what_is_allowed(check: Any) -> None:
    with pytest.raises(InvalidSpecError, match=r"^Thing: field is .*; allowed: .+\.") as caught:
        check(3.75)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("value", ["a", "Z", "9", "a-b", "a--b", "a" * 63, "0" + "-" * 61 + "0"])
def test_names_within_the_rules_are_taken(value: str) -> None:
    checks.check_name("endpoint_name", value)
    checks.check_model_name("model_name", value)


@pytest.mark.parametrize(
    "value", ["", "-a", "a-", "a_b", "a.b", "a b", "a\n", "ä", "a" * 64, None, 5, True, b"a", ["a"]], ids=repr
)
def test_names_outside_the_rules_are_refused(value: Any) -> None:
    for check in (checks.check_name, checks.check_model_name):
        with pytest.raises(InvalidSpecError, match=r"^the name is .*1 to 63 letters, digits and hyphens"):
            check("the name", value)


def test_a_long_value_is_cut_in_the_message_with_its_length() -> None:
    with pytest.raises(InvalidSpecError, match=r"x{77}… \(5000 characters\)") as caught:
        checks.check_name("the name", "x" * 5000)
    assert len(str(caught.value)) < 400


@given(st.text(alphabet="ab0-_. ", max_size=70))
def test_a_name_is_taken_exactly_when_the_service_model_takes_it(value: str) -> None:
    metadata = input_shape("sagemaker", "CreateEndpoint").members["EndpointName"].metadata
    right = len(value) <= metadata["max"] and re.fullmatch(metadata["pattern"], value) is not None
    try:
        checks.check_name("n", value)
    except InvalidSpecError:
        assert not right
    else:
        assert right


@pytest.mark.parametrize(
    ("service", "operation", "path", "ours"),
    [
        ("sagemaker", "CreateEndpoint", ["EndpointName"], patterns.NAME_PATTERN),
        ("sagemaker", "CreateEndpointConfig", ["EndpointConfigName"], patterns.NAME_PATTERN),
        ("sagemaker", "CreateModel", ["ModelName"], patterns.MODEL_NAME_PATTERN),
        ("sagemaker", "CreateModel", ["PrimaryContainer", "ContainerHostname"], patterns.NAME_PATTERN),
    ],
    ids=lambda value: "/".join(value) if isinstance(value, list) else None,
)
def test_our_patterns_are_the_service_models(
    service: str, operation: str, path: list[str], ours: str
) -> None:
    shape: Any = input_shape(service, operation)
    for member in path:
        shape = shape.members[member]
    assert shape.metadata["pattern"] == ours
    assert shape.metadata["max"] == patterns.MAX_NAME_LENGTH


@pytest.mark.parametrize("value", [1, 5, 10])
def test_whole_numbers_within_the_range_are_taken(value: int) -> None:
    checks.check_integer("n", value, 1, 10)


@pytest.mark.parametrize("value", [0, 11, -1, 1.0, 1.5, "5", True, None, float("nan"), [5]], ids=repr)
def test_what_is_no_whole_number_in_the_range_is_refused(value: Any) -> None:
    with pytest.raises(
        InvalidSpecError, match=re.escape(f"n is {value!r}; allowed: a whole number from 1 to 10.")
    ):
        checks.check_integer("n", value, 1, 10)


def test_a_range_without_an_upper_end_says_so() -> None:
    checks.check_integer("n", 10**9, 1)
    with pytest.raises(InvalidSpecError, match=r"n is 0; allowed: a whole number, 1 or more"):
        checks.check_integer("n", 0, 1)


@pytest.mark.parametrize("value", [0, 0.0, 1, 1.0, 0.5])
def test_numbers_within_the_range_are_taken(value: float) -> None:
    checks.check_number("n", value, low=0, high=1)


@pytest.mark.parametrize(
    "value", [-0.001, 1.001, "0.5", True, None, float("nan"), float("inf"), -float("inf"), 1j], ids=repr
)
def test_what_is_no_finite_number_in_the_range_is_refused(value: Any) -> None:
    with pytest.raises(InvalidSpecError, match=r"allowed: a number, 0 or more, 1 at most"):
        checks.check_number("n", value, low=0, high=1)


def test_an_open_end_is_not_allowed_itself() -> None:
    checks.check_number("n", 5e-324, above=0)
    with pytest.raises(InvalidSpecError, match=r"n is 0; allowed: a number, more than 0"):
        checks.check_number("n", 0, above=0)


@pytest.mark.parametrize("value", ["True", "False", "false", 0, 1, None, ""], ids=repr)
def test_only_booleans_are_booleans(value: Any) -> None:
    with pytest.raises(InvalidSpecError, match=r"allowed: True or False"):
        checks.check_boolean("b", value)


def test_a_near_miss_is_answered_with_a_suggestion() -> None:
    with pytest.raises(InvalidSpecError, match=r"'Serial', 'Direct'. Did you mean 'Serial'?"):
        checks.check_one_of("mode", "Serail", ("Serial", "Direct"))


# Instance types


def instance_types() -> list[str]:
    members = input_shape("sagemaker", "CreateEndpointConfig").members["ProductionVariants"].member.members  # type: ignore[attr-defined]
    return list(members["InstanceType"].enum)


def test_every_instance_type_that_botocore_knows_is_taken_without_a_warning() -> None:
    known = instance_types()
    assert len(known) > 200
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in known:
            checks.check_instance_type("t", name)


def test_a_well_formed_type_of_an_unknown_family_is_a_warning_with_the_nearest() -> None:
    with pytest.warns(UserWarning, match=r"'ml.g55.xlarge'.*nearest: .*ml\.g5") as caught:
        checks.check_instance_type("Variant: instance_type", "ml.g55.xlarge")
    assert "Variant: instance_type" in str(caught[0].message)


@pytest.mark.parametrize(
    "value",
    ["", "m5.large", "ml.m5", "ml.m5.", "ml..large", "ml.M5.large", "ml.m5.large ", "ml.m5.LARGE", "ml.m5.2", 5, None],
    ids=repr,
)  # fmt: skip
def test_a_malformed_instance_type_is_an_error(value: Any) -> None:
    with pytest.raises(InvalidSpecError, match=r"t is .*; allowed: an instance type such as 'ml.m5.large'"):
        checks.check_instance_type("t", value)


# Durations


@pytest.mark.parametrize("value", [60, 3600, timedelta(minutes=1), timedelta(hours=1)], ids=str)
def test_durations_at_both_edges_are_taken(value: Any) -> None:
    checks.check_seconds("d", value, 60, 3600)
    assert rendered.seconds(value) in (60, 3600)
    assert type(rendered.seconds(value)) is int


@pytest.mark.parametrize(
    "value",
    [59, 3601, timedelta(seconds=59), timedelta(seconds=3601), timedelta(milliseconds=90_500), timedelta(-1), 90.0, True],
    ids=str,
)  # fmt: skip
def test_durations_outside_or_not_in_whole_seconds_are_refused(value: Any) -> None:
    with pytest.raises(InvalidSpecError, match=r"^d is .*60 to 3600"):
        checks.check_seconds("d", value, 60, 3600)


# Environments

SECRET = "hunter2-and-more"


def test_an_environment_of_a_hundred_entries_of_1024_characters_is_taken() -> None:
    checks.check_environment("e", {"K" * 1020 + f"_{number:03}": "v" * 1024 for number in range(100)})


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({f"K{number}": SECRET for number in range(101)}, "e has 101 entries; allowed: 100 at most"),
        ({"K": SECRET + "v" * 1024}, r"e\['K'\] has 1040 characters; allowed: 1024 at most"),
        ({"1K": SECRET}, "a key of e is '1K'; allowed: letters, digits and underscores"),
        ({"K-1": SECRET}, "a key of e is 'K-1'"),
        ({"": SECRET}, "a key of e is ''"),
        ({"K" * 1025: SECRET}, "a key of e is"),
        ({5: SECRET}, "a key of e is 5"),
        ({"K": [SECRET]}, r"e\['K'\] is a list; allowed: a string"),
        ({"K": {"password": SECRET}}, r"e\['K'\] is a dict; allowed: a string"),
        ({"K": SECRET.encode()}, r"e\['K'\] is a bytes; allowed: a string"),
        ({"K": None}, r"e\['K'\] is a NoneType; allowed: a string"),
        (SECRET, "e is a str; allowed: a dict of strings to strings"),
        ([SECRET], "e is a list; allowed: a dict of strings to strings"),
    ],
    ids=str,
)
def test_a_bad_environment_is_refused_and_its_values_are_not_told(environment: Any, message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message) as caught:
        checks.check_environment("e", environment)
    assert SECRET not in str(caught.value)


def test_no_environment_is_no_error() -> None:
    checks.check_environment("e", None)
    checks.check_environment("e", {})


# What rendering leaves behind


@pytest.mark.parametrize(
    ("value", "meaning"),
    [("True", True), ("true", True), (" FALSE ", False), ("False", False), (True, True), (False, False)],
)
def test_a_rendered_boolean_is_what_it_says(value: Any, meaning: bool) -> None:
    assert rendered.as_boolean("b", value) is meaning


@pytest.mark.parametrize("value", ["", "None", "0", "1", "no", None, 0], ids=repr)
def test_what_says_neither_true_nor_false_is_an_error(value: Any) -> None:
    with pytest.raises(InvalidSpecError, match=re.escape(f"b is {value!r}")):
        rendered.as_boolean("b", value)


@pytest.mark.parametrize(("value", "meaning"), [("2", 2), (" 2 ", 2), ("+2", 2), ("0", 0), (2, 2)])
def test_a_rendered_whole_number_is_one(value: Any, meaning: int) -> None:
    assert rendered.as_integer("n", value, 0) == meaning


@pytest.mark.parametrize("value", ["2.5", "", "two", "None", None, True, "1e3"], ids=repr)
def test_what_cannot_be_a_whole_number_is_an_error(value: Any) -> None:
    with pytest.raises(InvalidSpecError):
        rendered.as_integer("n", value, 0)


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "", "None", None, True], ids=repr)
def test_what_cannot_be_a_number_is_an_error(value: Any) -> None:
    with pytest.raises(InvalidSpecError):
        rendered.as_number("n", value, low=0)


def test_rendered_durations_are_seconds() -> None:
    assert rendered.as_seconds("d", "90", 60, 3600) == 90
    assert rendered.as_seconds("d", timedelta(minutes=2), 60, 3600) == 120
    for value in ("59.9", 3601, timedelta(seconds=1), "soon"):
        with pytest.raises(InvalidSpecError, match=r"^d is"):
            rendered.as_seconds("d", value, 60, 3600)


def test_a_rendered_list_is_no_string() -> None:
    assert rendered.as_list("l", None) == []
    assert rendered.as_list("l", ("a", "b")) == ["a", "b"]
    for value in ("['a']", {"a": 1}, 5):
        with pytest.raises(InvalidSpecError, match=r"^l is a .*; allowed: a list"):
            rendered.as_list("l", value)


@pytest.mark.parametrize("value", [None, "None", "", " ", 5], ids=repr)
def test_a_task_that_returned_nothing_is_told_as_such(value: Any) -> None:
    with pytest.raises(InvalidSpecError, match=r"did the task that it comes from return nothing"):
        rendered.as_string("s", value)


def test_tags_are_taken_in_both_shapes() -> None:
    assert rendered.as_tags("t", None) == {}
    assert rendered.as_tags("t", {"team": 5}) == {"team": "5"}
    assert rendered.as_tags("t", [{"Key": "team", "Value": "ml"}]) == {"team": "ml"}
    with pytest.raises(InvalidSpecError, match=r"t is a str; allowed: a dict"):
        rendered.as_tags("t", "team=ml")


def test_malformed_tags_are_refused_in_our_words() -> None:
    with pytest.raises(InvalidSpecError, match=r"^t "):
        rendered.as_tags("t", [{"Name": "team", "Value": "ml"}])


def test_a_name_that_stands_twice_is_named() -> None:
    checks.check_unique("names", ["a", "b", None, "{{ x }}", "{{ x }}"])
    with pytest.raises(InvalidSpecError, match=r"names has 'a' twice; allowed: each name once"):
        checks.check_unique("names", ["a", "b", "a"])


def test_absent_is_none_alone() -> None:
    assert reference.present(a=None, b=0, c="", d=False, e={}) == {"b": 0, "c": "", "d": False, "e": {}}
