"""Each type of resources of this package: created, updated in place, replaced, rolled back and deleted, as a client finds it."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting.local import LocalAws
from tests.local.cloudformation.kinds import KINDS, Kind, tag
from tests.local.cloudformation.stacks import Stacks

STACK = "s"
# CreateModel refuses a role that nobody has.
FAILING = {
    "Type": "AWS::SageMaker::Model",
    "Properties": {
        "ExecutionRoleArn": "arn:aws:iam::123456789012:role/absent",
        "PrimaryContainer": {"Image": "i"},
    },
}
every_kind = pytest.mark.parametrize("kind", KINDS, ids=[kind.type_name for kind in KINDS])
changeable = pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.changed], ids=[kind.type_name for kind in KINDS if kind.changed]
)


@pytest.fixture(autouse=True)
def _has_deletion(request: pytest.FixtureRequest, stack_server: LocalAws) -> None:
    """Skip the deletion of model package groups where the local AWS leaves them to moto, which cannot delete them."""
    kind = request.node.callspec.params["kind"]
    if kind.logical_id != "Group" or "created" in request.node.name:
        return
    client = stack_server.client("sagemaker")
    with pytest.raises(client.exceptions.ClientError) as caught:
        client.delete_model_package_group(ModelPackageGroupName="absent")
    if caught.value.response["Error"]["Code"] == "NotImplemented":
        pytest.skip("moto has no DeleteModelPackageGroup")


def with_failing(template: dict[str, Any], kind: Kind) -> dict[str, Any]:
    """Return a template with a resource that fails, after all others."""
    failing = {**FAILING, "DependsOn": list(template["Resources"])}
    return {**template, "Resources": {**template["Resources"], "Failing": failing}}


def found_of(stacks: Stacks, kind: Kind) -> Any:
    return kind.found(stacks.aws, stacks.physical_ids(STACK)[kind.logical_id])


@every_kind
def test_it_is_created_and_has_its_attributes_and_tags(stacks: Stacks, kind: Kind) -> None:
    outputs = {
        f"Attribute{number}": {"Fn::GetAtt": [kind.logical_id, name]}
        for number, name in enumerate(kind.attributes)
    }
    template = kind.template(**outputs, Reference={"Ref": kind.logical_id})
    if kind.tags:
        template["Resources"][kind.logical_id]["Properties"] |= tag("own")
    given = [{"Key": "cost", "Value": "1"}]
    assert stacks.create(STACK, template, Tags=given) == "CREATE_COMPLETE", stacks.reasons(STACK)
    found = found_of(stacks, kind)
    assert found is not None
    shown = stacks.outputs(STACK)
    assert shown.pop("Reference") == stacks.physical_ids(STACK)[kind.logical_id]
    assert list(shown.values()) == [wanted(found) for wanted in kind.attributes.values()]
    if kind.tags:
        stack_id = stacks.described(STACK)["StackId"]
        system = {
            "aws:cloudformation:stack-name": STACK,
            "aws:cloudformation:stack-id": stack_id,
            "aws:cloudformation:logical-id": kind.logical_id,
        }
        wanted = {"team": "own", "cost": "1", **(system if kind.system_tags else {})}
        assert kind.tags(stacks.aws, found) == wanted


@every_kind
def test_it_is_deleted_with_its_stack(stacks: Stacks, kind: Kind) -> None:
    stacks.create(STACK, kind.template())
    physical_id = stacks.physical_ids(STACK)[kind.logical_id]
    stack_id = stacks.described(STACK)["StackId"]
    assert stacks.delete(STACK) == "DELETE_COMPLETE", stacks.reasons(stack_id)
    assert kind.found(stacks.aws, physical_id) is None


@changeable
def test_it_is_updated_in_place(stacks: Stacks, kind: Kind) -> None:
    stacks.create(STACK, kind.template())
    before = stacks.physical_ids(STACK)
    assert not kind.is_changed(found_of(stacks, kind))
    assert stacks.update(STACK, kind.template(kind.changed)) == "UPDATE_COMPLETE", stacks.reasons(STACK)
    assert stacks.physical_ids(STACK) == before
    assert kind.is_changed(found_of(stacks, kind))


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.tags], ids=[kind.type_name for kind in KINDS if kind.tags]
)
def test_its_tags_are_updated_in_place(stacks: Stacks, kind: Kind) -> None:
    assert kind.tags
    stacks.create(STACK, kind.template(tag("a")))
    before = stacks.physical_ids(STACK)
    assert stacks.update(STACK, kind.template(tag("b"))) == "UPDATE_COMPLETE", stacks.reasons(STACK)
    assert kind.tags(stacks.aws, found_of(stacks, kind))["team"] == "b"
    stacks.update(STACK, kind.template())
    assert "team" not in kind.tags(stacks.aws, found_of(stacks, kind))
    assert stacks.physical_ids(STACK) == before


@every_kind
def test_it_is_replaced_and_the_old_one_is_deleted_last(stacks: Stacks, kind: Kind) -> None:
    stacks.create(STACK, kind.template())
    before = stacks.physical_ids(STACK)[kind.logical_id]
    assert stacks.update(STACK, kind.template(kind.replaced)) == "UPDATE_COMPLETE", stacks.reasons(STACK)
    after = stacks.physical_ids(STACK)[kind.logical_id]
    assert after != before
    assert found_of(stacks, kind) is not None
    assert kind.found(stacks.aws, before) is None
    events = stacks.events(STACK)
    cleaning = events.index((STACK, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"))
    assert events.index((kind.logical_id, "UPDATE_COMPLETE")) < cleaning
    assert events.index((kind.logical_id, "DELETE_COMPLETE")) > cleaning


@every_kind
def test_it_is_deleted_when_the_creation_of_its_stack_fails(stacks: Stacks, kind: Kind) -> None:
    template = with_failing(kind.template(), kind)
    assert stacks.create(STACK, template) == "ROLLBACK_COMPLETE"
    assert "role/absent" in stacks.reasons(STACK)
    events = stacks.events(STACK)
    assert events.index((kind.logical_id, "CREATE_COMPLETE")) < events.index((STACK, "ROLLBACK_IN_PROGRESS"))
    assert events.index((kind.logical_id, "DELETE_COMPLETE")) < events.index((STACK, "ROLLBACK_COMPLETE"))
    assert stacks.physical_ids(STACK) == {}
    for client, operation, rows in (
        ("sagemaker", "list_models", "Models"),
        ("sagemaker", "list_endpoint_configs", "EndpointConfigs"),
        ("sagemaker", "list_endpoints", "Endpoints"),
        ("sagemaker", "list_inference_components", "InferenceComponents"),
        ("sagemaker", "list_model_package_groups", "ModelPackageGroupSummaryList"),
        ("cloudwatch", "describe_alarms", "MetricAlarms"),
    ):
        assert not getattr(stacks.aws.client(client), operation)()[rows]


@changeable
def test_its_update_is_rolled_back(stacks: Stacks, kind: Kind) -> None:
    stacks.create(STACK, kind.template())
    before = stacks.physical_ids(STACK)
    changed = with_failing(kind.template(kind.changed), kind)
    assert stacks.update(STACK, changed) == "UPDATE_ROLLBACK_COMPLETE", stacks.reasons(STACK)
    assert stacks.physical_ids(STACK) == before
    assert not kind.is_changed(found_of(stacks, kind))


@every_kind
def test_its_replacement_is_rolled_back(stacks: Stacks, kind: Kind) -> None:
    stacks.create(STACK, kind.template())
    before = stacks.physical_ids(STACK)
    replaced = with_failing(kind.template(kind.replaced), kind)
    assert stacks.update(STACK, replaced) == "UPDATE_ROLLBACK_COMPLETE", stacks.reasons(STACK)
    assert stacks.physical_ids(STACK) == before
    assert found_of(stacks, kind) is not None
    # The stack is as it was: nothing is to be updated.
    with pytest.raises(stacks.client.exceptions.ClientError, match="No updates are to be performed"):
        stacks.update(STACK, kind.template())


@every_kind
def test_an_unknown_property_or_attribute_fails_the_stack(stacks: Stacks, kind: Kind) -> None:
    template = kind.template({"Colour": "blue"})
    assert stacks.create(STACK, template) == "ROLLBACK_COMPLETE"
    assert "extraneous key [Colour] is not permitted" in stacks.reasons(STACK)
    template = kind.template(Wrong={"Fn::GetAtt": [kind.logical_id, "Colour"]})
    assert stacks.create(f"{STACK}2", template) == "ROLLBACK_COMPLETE"
    reason = [one for one in stacks._events(f"{STACK}2") if one["ResourceStatus"] == "ROLLBACK_IN_PROGRESS"]
    assert "does not support attribute type Colour" in reason[0]["ResourceStatusReason"]
