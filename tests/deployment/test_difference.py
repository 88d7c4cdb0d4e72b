"""Where what was asked for and what AWS describes differ."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.deployment.difference import differences, unwanted

SECRET = "hunter2-and-more"


@pytest.mark.parametrize(
    ("wanted", "described"),
    [
        ({}, {"ModelArn": "arn"}),
        ({"Weight": 1}, {"Weight": 1.0, "Added": "by AWS"}),
        ({"Dimensions": [{"Name": "A", "Value": "1"}, {"Name": "B", "Value": "2"}]}, {"Dimensions": [{"Name": "B", "Value": "2"}, {"Name": "A", "Value": "1"}]}),
        ({"Tags": [{"Key": "b"}, {"Key": "a"}]}, {"Tags": [{"Key": "a"}, {"Key": "b"}]}),
        ({"Subnets": ("a", "b")}, {"Subnets": ["a", "b"]}),
        ({"Actions": []}, {}),
        ({"Environment": {}}, {}),
        ({"Environment": {"A": "1"}}, {"Environment": {"A": "1"}}),
        ({"Variants": [{"Name": "a", "Count": 1}]}, {"Variants": [{"Name": "a", "Count": 1, "Status": "x"}]}),
    ],
    ids=range(9),
)  # fmt: skip
def test_what_is_equal_has_no_difference(wanted: Any, described: Any) -> None:
    before = copy.deepcopy((wanted, described))
    assert differences(wanted, described) == []
    assert (wanted, described) == before


@pytest.mark.parametrize(
    ("wanted", "described", "lines"),
    [
        ({"Image": "a"}, {"Image": "b"}, ["Image is 'b', requested 'a'"]),
        ({"Image": "a"}, {}, ["Image is None, requested 'a'"]),
        ({"Weight": 0}, {"Weight": 1}, ["Weight is 1, requested 0"]),
        ({"Isolation": False}, {}, ["Isolation is None, requested False"]),
        ({"A": {"B": {"C": 1}}}, {"A": {"B": {"C": 2}}}, ["A.B.C is 2, requested 1"]),
        ({"A": [{"B": 1}]}, {"A": [{"B": 2}]}, ["A[0].B is 2, requested 1"]),
        ({"A": ["x", "y"]}, {"A": ["y", "x"]}, ["A[0] is 'y', requested 'x'", "A[1] is 'x', requested 'y'"]),
        ({"A": ["x"]}, {"A": []}, ["A is [], requested ['x']"]),
        ({"A": []}, {"A": ["x"]}, ["A is ['x'], requested []"]),
        ({"A": {"B": 1}}, {"A": "B"}, ["A is 'B', requested {'B': 1}"]),
        ({"A": 1, "B": 2}, {"A": 2, "B": 3}, ["A is 2, requested 1", "B is 3, requested 2"]),
        ({"Environment": {"A": "1"}}, {"Environment": {"A": "1", "B": "2"}}, ["Environment.B is set, but not requested"]),
        ({"Environment": {"A": "1", "C": "1"}}, {"Environment": {"A": "2"}}, ["Environment.A differs", "Environment.C differs"]),
    ],
    ids=range(13),
)  # fmt: skip
def test_what_differs_is_named_with_its_place(wanted: Any, described: Any, lines: list[str]) -> None:
    assert differences(wanted, described) == lines


def container(**environment: str) -> dict[str, Any]:
    return {"Image": "churn:1", "Environment": environment}


@pytest.mark.parametrize(
    ("wanted", "described"),
    [
        ({"PrimaryContainer": container(A=SECRET)}, {"PrimaryContainer": container(A="x")}),
        ({"PrimaryContainer": container(A="x")}, {"PrimaryContainer": container(A=SECRET)}),
        ({"PrimaryContainer": container(A=SECRET)}, {"PrimaryContainer": {"Image": "churn:1"}}),
        ({"PrimaryContainer": container(A="x")}, {"PrimaryContainer": container(A="x", B=SECRET)}),
        ({"PrimaryContainer": container(A=SECRET)}, {"Containers": [container(A=SECRET)] * 2}),
        ({"Containers": [container(A=SECRET)] * 2}, {"PrimaryContainer": container(A=SECRET)}),
        ({"Containers": [container(A=SECRET)] * 2}, {"Containers": [container(A=SECRET)] * 3}),
        ({"Containers": [container(A=SECRET)]}, {"Containers": [None]}),
    ],
    ids=["changed", "changed there", "absent there", "added there", "one and a pipeline", "a pipeline and one", "more there", "no container there"],
)  # fmt: skip
def test_environment_values_are_in_no_line(wanted: Any, described: Any) -> None:
    lines = differences(wanted, described)
    assert lines
    assert SECRET not in " ".join(lines)


def test_an_environment_that_is_there_and_was_not_asked_for_is_a_difference() -> None:
    # SageMaker adds no environment by itself: this is another model.
    assert differences(
        {"PrimaryContainer": {"Image": "a"}}, {"PrimaryContainer": container(A="1") | {"Image": "a"}}
    )


# What is there, and was not asked for.


@pytest.mark.parametrize(
    ("wanted", "described", "lines"),
    [
        ({"A": 1}, {"A": 2}, []),  # a difference, of which differences() tells
        ({}, {"A": 1}, ["A is 1, but not requested"]),
        ({"A": {}}, {"A": {"B": [1]}}, ["A.B is [1], but not requested"]),
        ({"A": [{"B": 1}]}, {"A": ({"B": 1, "C": 2},)}, ["A[0].C is 2, but not requested"]),
        ({"A": [{"Name": "a"}, {"Name": "b"}]}, {"A": [{"Name": "b", "C": 1}, {"Name": "a"}]}, ["A[1].C is 1, but not requested"]),
        ({"A": [{}]}, {"A": [{"B": 1}, {"B": 1}]}, []),  # a difference
        ({"A": "x"}, {"A": {"B": 1}}, []),  # a difference
        ({}, {"A": None, "B": [], "C": {}, "D": ""}, []),
        ({}, {"Mode": "SingleModel", "ModelDataSource": {"S3DataSource": {}}}, []),
        ({}, {"Mode": "MultiModel"}, ["Mode is 'MultiModel', but not requested"]),
        ({"Environment": {"A": "1"}}, {"Environment": {"A": "1", "B": SECRET}}, []),  # differences() tells, without the value
        ({"A": {}}, {"A": {"B": container(A=SECRET)}}, ["A.B is {'Image': 'churn:1', 'Environment': {'A': '***'}}, but not requested"]),
    ],
    ids=range(12),
)  # fmt: skip
def test_what_is_not_wanted_is_named_with_its_place(wanted: Any, described: Any, lines: list[str]) -> None:
    assert unwanted(wanted, described) == lines


def test_members_that_no_request_has_are_looked_at_only_below_the_first_level() -> None:
    described = {"Arn": "a", "Image": "b", "A": {"Arn": "c"}}
    assert unwanted({"A": {}}, described, {"A"}) == ["A.Arn is 'c', but not requested"]
    assert unwanted({"A": {}}, described, {"A", "Image"}) == [
        "Image is 'b', but not requested",
        "A.Arn is 'c', but not requested",
    ]


values = st.recursive(
    st.integers() | st.text(max_size=4) | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), values, max_size=4))
def test_a_request_does_not_differ_from_itself(request: dict[str, Any]) -> None:
    assert differences(request, copy.deepcopy(request)) == []
    assert unwanted(request, copy.deepcopy(request)) == []


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(), min_size=1), st.data())
def test_every_changed_member_is_a_line(request: dict[str, int], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(request)))
    (line,) = differences(request, {**request, name: request[name] + 1})
    assert line.startswith(f"{name} is ")
