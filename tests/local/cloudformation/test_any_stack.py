"""Any sequence of templates, some of which fail: a stack has what it says, and nothing is left over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from airflow_sm_hosting.local import LocalAws
from tests.local.cloudformation.kinds import RESOURCES, variant
from tests.local.cloudformation.stacks import Stacks, text_of
from tests.local.cloudformation.test_templates import resources_left
from tests.local.conftest import FOREIGN_IMAGE, ROLE

#: What a template may have: how many models, configs and endpoints, and their versions; an alarm; a resource that fails.
TEMPLATES = st.fixed_dictionaries(
    {
        "versions": st.lists(st.integers(1, 3), min_size=1, max_size=3),
        "endpoints": st.integers(0, 2),
        "scaled": st.booleans(),
        "threshold": st.sampled_from([None, 1, 2]),
        "fails": st.booleans(),
    }
)


def template_of(drawn: dict[str, Any]) -> dict[str, Any]:
    """Return a template of what was drawn."""
    resources: dict[str, Any] = {}
    for number, version in enumerate(drawn["versions"]):
        image = {"Image": f"{FOREIGN_IMAGE}-{version}"}
        resources[f"Model{number}"] = {
            "Type": "AWS::SageMaker::Model",
            "Properties": {"ExecutionRoleArn": ROLE, "PrimaryContainer": image},
        }
        name = {"Fn::GetAtt": [f"Model{number}", "ModelName"]}
        resources[f"Config{number}"] = {
            "Type": "AWS::SageMaker::EndpointConfig",
            "Properties": {"ProductionVariants": [variant(ModelName=name, InitialInstanceCount=version)]},
        }
    for number in range(min(drawn["endpoints"], len(drawn["versions"]))):
        resources[f"Endpoint{number}"] = {
            "Type": "AWS::SageMaker::Endpoint",
            "Properties": {"EndpointConfigName": {"Fn::GetAtt": [f"Config{number}", "EndpointConfigName"]}},
        }
    if drawn["scaled"] and "Endpoint0" in resources:
        resources["Target"] = {
            **RESOURCES["Target"],
            "Properties": {
                **RESOURCES["Target"]["Properties"],
                "ResourceId": {"Fn::Sub": "endpoint/${Endpoint0.EndpointName}/variant/main"},
            },
        }
    if drawn["threshold"]:
        alarm = RESOURCES["Alarm"]
        resources["Alarm"] = {**alarm, "Properties": {**alarm["Properties"], "Threshold": drawn["threshold"]}}
    if drawn["fails"]:
        resources["Failing"] = {
            "Type": "AWS::SageMaker::Model",
            "DependsOn": list(resources),
            "Properties": {"ExecutionRoleArn": "arn:aws:iam::123456789012:role/absent"},
        }
    return {"Resources": resources}


@pytest.fixture(scope="module")
def virtual() -> Iterator[LocalAws]:
    with LocalAws(engine="none", transition_seconds=1, clock="virtual") as aws:
        yield aws


def has_what_it_says(stacks: Stacks, name: str, wanted: set[str]) -> None:
    """Check that the resources of a stack are those of its template, that they exist, and that there are no others."""
    ids = stacks.physical_ids(name)
    assert set(ids) == wanted
    listed = {one.partition("|")[0] for one in ids.values()}
    assert listed == set(resources_left(stacks.aws))


@settings(max_examples=15)
@given(drawn=st.lists(TEMPLATES, min_size=1, max_size=5))
def test_a_stack_has_what_it_says_after_any_sequence(virtual: LocalAws, drawn: list[dict[str, Any]]) -> None:
    virtual.reset()
    stacks = Stacks(virtual)
    before: set[str] | None = None
    name = "s"
    for number, one in enumerate(drawn):
        template = template_of(one)
        created = before is None
        if before is None:
            name = f"s{number}"
            stacks.client.create_stack(StackName=name, TemplateBody=text_of(template))
        else:
            try:
                stacks.client.update_stack(StackName=name, TemplateBody=text_of(template))
            except stacks.client.exceptions.ClientError as error:
                # Of a template like the one before.
                if "No updates" not in str(error):
                    raise
                continue
        virtual.advance(60)
        status = stacks.described(name)["StackStatus"]
        if one["fails"]:
            assert status == ("ROLLBACK_COMPLETE" if created else "UPDATE_ROLLBACK_COMPLETE")
            has_what_it_says(stacks, name, before or set())
        else:
            assert status == ("CREATE_COMPLETE" if created else "UPDATE_COMPLETE"), stacks.reasons(name)
            before = set(template["Resources"])
            has_what_it_says(stacks, name, before)
    stacks.client.delete_stack(StackName=name)
    virtual.advance(60)
    assert resources_left(virtual) == []
