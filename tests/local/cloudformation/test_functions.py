"""Templates without resources: their text, parameters, conditions and functions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.local.cloudformation.intrinsics import Resolver, Surroundings
from airflow_sm_hosting.local.cloudformation.parameters import check_rules, given_values, resolved_values
from airflow_sm_hosting.local.cloudformation.template import parse_template, template_error
from airflow_sm_hosting.local.wire.errors import AwsError

PSEUDO = {"AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012", "AWS::StackName": "s"}


def resolver(document: Mapping[str, Any], **parameters: Any) -> Resolver:
    """Return a resolver of a template in which resource ``A`` is ``a-1`` and has the attribute ``X.Y``."""

    def exported(name: str) -> str:
        if name != "shared":
            raise template_error(f"No export named {name} found.")
        return "exported"

    template = parse_template(json.dumps({"Resources": {"A": {"Type": "T"}, "B": {"Type": "T"}}, **document}))
    around = Surroundings(parameters, PSEUDO, exported, lambda kind, path: f"<{kind} {path}>")
    return Resolver(
        template, around, lambda name: f"{name.lower()}-1", lambda name, attribute: f"{name}.{attribute}"
    )


MAPPINGS = {"Mappings": {"Sizes": {"eu-west-1": {"large": "ml.m5.large", "all": ["a", "b"]}}}}
CONDITIONS = {
    "Conditions": {
        "Yes": {"Fn::Equals": [{"Ref": "AWS::Region"}, "eu-west-1"]},
        "No": {"Fn::Not": [{"Condition": "Yes"}]},
        "Both": {"Fn::And": [{"Condition": "Yes"}, {"Condition": "No"}]},
        "Either": {"Fn::Or": [{"Condition": "Yes"}, {"Condition": "No"}]},
    }
}
VALUES: list[tuple[Any, Any]] = [
    ("text", "text"),
    ({"Ref": "A"}, "a-1"),
    ({"Ref": "Count"}, "2"),
    ({"Ref": "AWS::Region"}, "eu-west-1"),
    ({"Fn::GetAtt": ["A", "X"]}, "A.X"),
    ({"Fn::GetAtt": "A.X.Y"}, "A.X.Y"),
    ({"Fn::GetAtt": ["A", "X.Y"]}, "A.X.Y"),
    ({"Fn::Sub": "${A}/${A.X.Y}/${AWS::Region}/${!A}/${Count}"}, "a-1/A.X.Y/eu-west-1/${A}/2"),
    ({"Fn::Sub": ["${own}-${A}", {"own": {"Ref": "B"}}]}, "b-1-a-1"),
    ({"Fn::Sub": "no variable $ { } ${!}"}, "no variable $ { } ${}"),
    ({"Fn::Join": ["-", ["a", {"Ref": "A"}, 1, True]]}, "a-a-1-1-true"),
    ({"Fn::Join": ["", {"Ref": "Names"}]}, "xy"),
    ({"Fn::Split": ["/", "a/b/c"]}, ["a", "b", "c"]),
    ({"Fn::Select": ["1", ["a", "b"]]}, "b"),
    ({"Fn::Select": [1, {"Fn::Split": [":", "a:b"]}]}, "b"),
    ({"Fn::FindInMap": ["Sizes", {"Ref": "AWS::Region"}, "large"]}, "ml.m5.large"),
    ({"Fn::FindInMap": ["Sizes", "absent", "large", {"DefaultValue": "small"}]}, "small"),
    ({"Fn::ImportValue": "shared"}, "exported"),
    ({"Fn::If": ["Yes", "a", {"Ref": "absent"}]}, "a"),
    ({"Fn::If": ["No", {"Ref": "absent"}, "b"]}, "b"),
    ({"a": {"Fn::If": ["No", 1, {"Ref": "AWS::NoValue"}]}, "b": 2}, {"b": 2}),
    ([1, {"Ref": "AWS::NoValue"}, 2], [1, 2]),
    ({"Fn::Base64": "a"}, "YQ=="),
    ({"Fn::ToJsonString": {"a": {"Ref": "A"}}}, '{"a": "a-1"}'),
    ({"Fn::Length": [1, 2]}, 2),
    ({"Fn::Cidr": ["10.0.0.0/16", 2, 8]}, ["10.0.0.0/24", "10.0.1.0/24"]),
    ({"Fn::GetAZs": ""}, ["eu-west-1a", "eu-west-1b", "eu-west-1c"]),
    ("{{resolve:ssm:/p}}", "<ssm /p>"),
    ({"Fn::Sub": "x{{resolve:secretsmanager:${A}}}"}, "x<secretsmanager a-1>"),
    # Objects that only look like functions.
    ({"Condition": {"StringEquals": {"a": "b"}}}, {"Condition": {"StringEquals": {"a": "b"}}}),
    ({"Ref": "A", "other": 1}, {"Ref": "A", "other": 1}),
]


@pytest.mark.parametrize(("value", "wanted"), VALUES, ids=[json.dumps(one)[:60] for one, _ in VALUES])
def test_a_function_has_a_value(value: Any, wanted: Any) -> None:
    found = resolver({**MAPPINGS, **CONDITIONS}, Count="2", Names=["x", "y"])
    assert found.resolved({"it": value})["it"] == wanted


@pytest.mark.parametrize(("name", "holds"), [("Yes", True), ("No", False), ("Both", False), ("Either", True)])
def test_a_condition_holds(name: str, holds: bool) -> None:
    assert resolver(CONDITIONS).holds(name) is holds


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"Ref": "absent"}, "Unresolved resource dependencies [absent]"),
        ({"Fn::GetAtt": ["absent", "X"]}, "Unresolved resource dependencies [absent]"),
        ({"Fn::GetAtt": "A"}, "two non-empty parameters"),
        ({"Fn::Sub": "${absent}"}, "Unresolved resource dependencies [absent]"),
        ({"Fn::Join": ["-", "text"]}, "requires a list"),
        ({"Fn::Join": ["-", [["nested"]]]}, "must be a string"),
        ({"Fn::Join": ["-"]}, "2 arguments"),
        ({"Fn::Select": [5, ["a"]]}, "nonexistent value at index 5"),
        ({"Fn::FindInMap": ["Sizes", "mars", "large"]}, "Unable to get mapping for Sizes::mars::large"),
        ({"Fn::ImportValue": "other"}, "No export named other found"),
        ({"Fn::If": ["Absent", 1, 2]}, "Cannot reference conditions"),
        ({"Fn::Transform": {"Name": "AWS::Include"}}, "does not have the function Fn::Transform"),
    ],
)
def test_a_malformed_function_is_refused(value: Any, message: str) -> None:
    with pytest.raises(AwsError) as caught:
        resolver({**MAPPINGS, **CONDITIONS}).resolved({"it": value})
    assert message in caught.value.message
    assert caught.value.code == "ValidationError"


TEXTS = [
    ("", "unsupported structure"),
    ("[1]", "unsupported structure"),
    ("{", "JSON not well-formed"),
    ("a: [", "YAML not well-formed. (line"),
    ("{}", "At least one Resources member"),
    ("Resources: {}", "At least one Resources member"),
    ("Resources: {A: {Type: T}}\nColour: 1", "Invalid template property or properties [Colour]"),
    ("Resources: {A: {}}", "Every Resources object must contain a Type member"),
    ("Resources: {A-B: {Type: T}}", "Resource name A-B is non alphanumeric"),
    ("Resources: {A: {Type: T, Condition: C}}", "Unresolved condition dependency C"),
    ("Resources: {A: {Type: T, DeletionPolicy: Keep}}", "DeletionPolicy Keep"),
    ("Resources: {A: {Type: T}}\nOutputs:", "'null' values are not allowed"),
    ("Resources: {A: &x {Type: T}, B: *x}", "YAML not well-formed"),
    ("Transform: AWS::Serverless-2016-10-31\nResources: {A: {Type: T}}", "does not have Transform"),
    ("Resources: {A: {Type: T, UpdatePolicy: {x: 1}}}", "does not have UpdatePolicy"),
]


@pytest.mark.parametrize(("text", "message"), TEXTS)
def test_a_malformed_template_is_refused(text: str, message: str) -> None:
    with pytest.raises(AwsError) as caught:
        parse_template(text)
    assert message in caught.value.message


def test_yaml_has_short_forms_of_functions_and_dates_are_strings() -> None:
    template = parse_template(
        """
        Conditions: {C: !Equals [a, !Ref P]}
        Resources:
          A:
            Type: T
            Properties:
              Version: 2012-10-17
              One: !GetAtt B.X.Y
              Two: !Sub ["${a}", {a: !Ref B}]
              Three: !If [C, !Join ["-", [a]], !FindInMap [M, a, b]]
              Four: !And [!Condition C, !Not [!Condition C]]
          B: {Type: T}
        """
    )
    assert template.conditions == {"C": {"Fn::Equals": ["a", {"Ref": "P"}]}}
    assert template.resources["A"].properties == {
        "Version": "2012-10-17",
        "One": {"Fn::GetAtt": ["B", "X.Y"]},
        "Two": {"Fn::Sub": ["${a}", {"a": {"Ref": "B"}}]},
        "Three": {"Fn::If": ["C", {"Fn::Join": ["-", ["a"]]}, {"Fn::FindInMap": ["M", "a", "b"]}]},
        "Four": {"Fn::And": [{"Condition": "C"}, {"Fn::Not": [{"Condition": "C"}]}]},
    }


# Order.


def ordered(resources: dict[str, Any], **more: Any) -> list[str]:
    return resolver({"Resources": resources, **more}).creation_order()


def needing(*names: str) -> dict[str, Any]:
    return {"Type": "T", "Properties": {"x": [{"Ref": name} for name in names]}}


def test_a_resource_comes_after_those_that_it_needs() -> None:
    resources = {
        "C": {"Type": "T", "DependsOn": ["A"], "Properties": {"x": {"Fn::Sub": "${B.Arn}"}}},
        "B": {"Type": "T", "DependsOn": "A"},
        "A": {"Type": "T"},
    }
    assert ordered(resources) == ["A", "B", "C"]


def test_resources_that_need_each_other_are_refused() -> None:
    with pytest.raises(AwsError, match=r"Circular dependency between resources: \[A, B\]"):
        ordered({"A": needing("B"), "B": needing("A"), "C": needing()})


def test_only_the_branch_that_is_taken_is_needed() -> None:
    conditional = {
        "Type": "T",
        "Properties": {"x": {"Fn::If": ["No", {"Ref": "Absent"}, {"Ref": "A"}]}},
    }
    resources = {"B": conditional, "A": needing(), "Absent": {**needing("B"), "Condition": "No"}}
    assert ordered(resources, **CONDITIONS) == ["A", "B"]


@given(st.data())
def test_any_graph_is_ordered_or_has_a_circle(data: st.DataObject) -> None:
    names = [f"R{number}" for number in range(data.draw(st.integers(1, 7)))]
    needs = {name: data.draw(st.sets(st.sampled_from(names), max_size=3)) for name in names}
    order: list[str] = []
    with suppress(AwsError):
        order = ordered({name: needing(*sorted(others)) for name, others in needs.items()})
    free: set[str] = set()
    while more := {name for name in names if needs[name] <= free} - free:
        free |= more
    # Without a circle, all of them can be created.
    assert set(order) == (set(names) if free == set(names) else set())
    assert all(order.index(other) < order.index(name) for name in order for other in needs[name])


# Parameters.


PARAMETERS: list[tuple[dict[str, Any], str | None, Any]] = [
    ({"Type": "String", "Default": "a"}, None, "a"),
    ({"Type": "String", "Default": "a"}, "b", "b"),
    ({"Type": "String"}, None, "must have values"),
    ({"Type": "String", "AllowedValues": ["a", "b"]}, "c", "must be one of AllowedValues"),
    ({"Type": "String", "AllowedValues": [True, False]}, "true", "true"),
    ({"Type": "String", "AllowedPattern": "[a-z]+"}, "1", "must match pattern"),
    ({"Type": "String", "AllowedPattern": "[a-z]+", "ConstraintDescription": "letters"}, "1", "letters"),
    ({"Type": "String", "MinLength": 2}, "a", "at least 2 characters"),
    ({"Type": "String", "MaxLength": 2}, "abc", "at most 2 characters"),
    ({"Type": "Number", "Default": 1}, None, "1"),
    ({"Type": "Number", "MinValue": 1, "MaxValue": 3}, "4", "not greater than 3"),
    ({"Type": "Number", "MinValue": 1, "MaxValue": 3}, "0", "not less than 1"),
    ({"Type": "Number"}, "many", "must be a number"),
    ({"Type": "CommaDelimitedList"}, "a, b", ["a", "b"]),
    ({"Type": "List<Number>"}, "1,2", ["1", "2"]),
    ({"Type": "List<AWS::EC2::Subnet::Id>"}, "s-1,s-2", ["s-1", "s-2"]),
    ({"Type": "AWS::SSM::Parameter::Value<String>"}, "/p", "value of /p"),
    ({"Type": "AWS::SSM::Parameter::Value<List<String>>"}, "/a,b", ["value of /a", "b"]),
]


@pytest.mark.parametrize(("declared", "value", "wanted"), PARAMETERS)
def test_a_parameter_has_a_value_or_is_refused(
    declared: dict[str, Any], value: str | None, wanted: Any
) -> None:
    document = {"Parameters": {"P": declared}, "Resources": {"A": {"Type": "T"}}}
    template = parse_template(json.dumps(document))
    is_refused = isinstance(wanted, str) and " " in wanted and not wanted.startswith("value of")
    is_refused = is_refused or wanted == "letters"
    request = [] if value is None else [{"ParameterKey": "P", "ParameterValue": value}]
    expected = pytest.raises(AwsError, match=wanted) if is_refused else nullcontext()
    with expected:
        values = given_values(template, request, {})
        assert resolved_values(template, values, lambda name: f"value of {name}")["P"] == wanted


def test_previous_values_are_kept_and_unknown_parameters_are_refused() -> None:
    template = parse_template('{"Parameters": {"P": {"Type": "String"}}, "Resources": {"A": {"Type": "T"}}}')
    previous = [{"ParameterKey": "P", "UsePreviousValue": True}]
    assert given_values(template, previous, {"P": "kept"}) == {"P": "kept"}
    with pytest.raises(AwsError, match="usePreviousValue"):
        given_values(template, previous, {})
    with pytest.raises(AwsError, match=r"\[Q\] do not exist in the template"):
        given_values(template, [{"ParameterKey": "Q", "ParameterValue": "1"}], {})


def test_a_rule_is_checked() -> None:
    def rule(values: list[str]) -> dict[str, Any]:
        assertion = {"Fn::Not": [{"Fn::Contains": [values, {"Ref": "Version"}]}]}
        return {"Rules": {"R": {"Assertions": [{"Assert": assertion, "AssertDescription": "too old"}]}}}

    check_rules(resolver(rule(["1", "2"]), Version="6"))
    with pytest.raises(AwsError, match="too old"):
        check_rules(resolver(rule(["1", "2"]), Version="2"))
