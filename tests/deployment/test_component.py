"""Inference components in the members of an endpoint: their specifications, compared by content."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.deployment.component import (
    as_compared,
    comparable,
    component_row,
    described_component,
    model_of_name,
    specification_differences,
    specification_name,
)
from airflow_sm_hosting.deployment.specification_tags import (
    request_members,
    specifications_as_tags,
    specifications_to_forget,
    stored_specifications,
)
from airflow_sm_hosting.deployment.status import Kind, status_line
from airflow_sm_hosting.deployment.verdict import judge, missing_copies
from airflow_sm_hosting.deployment.wait import Outcome, WaitCondition, WaitFor
from tests.deployment.components import adapter, answer, name_of, requested, wanted_component
from tests.deployment.worlds import NOW

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/churn"


def differing(asked: dict[str, Any], found: dict[str, Any]) -> list[str]:
    return specification_differences(comparable([asked]), comparable([found]))


def test_a_description_is_that_of_an_endpoint_with_its_specification_for_a_config() -> None:
    found = described_component(answer(copies=(2, 1), FailureReason="why"))
    assert found["EndpointName"] == "churn"
    assert found["EndpointArn"].endswith(":inference-component/churn")
    assert found["EndpointStatus"] == "InService"
    assert found["EndpointConfigName"] == name_of(requested("old"))
    assert found["FailureReason"] == "why"
    assert (found["HostName"], found["HostVariant"]) == ("host", "main")
    assert status_line(found) == f"InService, on specification {name_of(requested('old'))}"
    assert missing_copies(found) == "1 of 2 copies in service"
    assert missing_copies({"ProductionVariants": [{"DesiredInstanceCount": 1}]}) == ""


def test_a_new_component_may_have_no_specification_and_an_adapter_has_no_copies() -> None:
    creating = answer(status="Creating")
    del creating["Specification"]
    assert described_component(creating)["EndpointConfigName"] is None
    assert described_component(answer(adapter(), copies=None))["ProductionVariants"] == []
    assert missing_copies(described_component(answer(adapter(), copies=None))) == ""


def test_a_row_has_the_members_of_a_row_of_endpoints() -> None:
    row = component_row(
        {
            "InferenceComponentName": "churn",
            "InferenceComponentArn": "arn",
            "InferenceComponentStatus": "Updating",
            "LastModifiedTime": NOW,
        }
    )
    assert row == {
        "Kind": "inference component",
        "EndpointName": "churn",
        "EndpointArn": "arn",
        "EndpointStatus": "Updating",
        "LastModifiedTime": NOW,
    }


def test_what_aws_describes_otherwise_is_the_same() -> None:
    asked = {
        "Container": {"Image": IMAGE, "Environment": {"A": "1"}},
        "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 1024, "NumberOfCpuCoresRequired": 1},
    }
    found = {
        "Container": {
            "DeployedImage": {"SpecifiedImage": IMAGE, "ResolvedImage": f"{IMAGE}@sha256:1"},
            "Environment": {"A": "1"},
        },
        "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 1024, "NumberOfCpuCoresRequired": 1.0},
        "DataCacheConfig": {"EnableCaching": False},
        "SchedulingConfig": {"PlacementStrategy": "SPREAD"},
    }
    assert differing(asked, found) == []
    resolved = {**found, "Container": {"DeployedImage": {"ResolvedImage": IMAGE}, "Environment": {"A": "1"}}}
    assert differing(asked, resolved) == []
    assert name_of(requested("m", ComputeResourceRequirements={"NumberOfCpuCoresRequired": 1})) == name_of(
        requested("m", ComputeResourceRequirements={"NumberOfCpuCoresRequired": 1.0})
    )


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (requested("other"), "ModelName is 'other', requested 'new'"),
        (requested(StartupParameters={"ModelDataDownloadTimeoutInSeconds": 60}), "StartupParameters"),
        (requested(DataCacheConfig={"EnableCaching": True}), "DataCacheConfig"),
        (requested(SchedulingConfig={"PlacementStrategy": "BINPACK"}), "SchedulingConfig"),
        (requested(ComputeResourceRequirements={"MinMemoryRequiredInMb": 2048}), "MinMemoryRequiredInMb"),
    ],
)
def test_every_other_content_differs(found: dict[str, Any], words: str) -> None:
    assert any(words in line for line in differing(requested(), found))
    assert name_of(requested()) != name_of(found)


def test_environments_are_compared_and_not_shown() -> None:
    one, other = (
        {"Container": {"Image": IMAGE, "Environment": {"TOKEN": value}}} for value in ("s3cr3t", "0ther")
    )
    lines = differing(one, other)
    assert lines
    assert "s3cr3t" not in str([lines, comparable([one])])
    without = {"Container": {"Image": IMAGE}}
    assert differing(one, without)
    assert differing(without, one)


def test_several_specifications_are_compared_by_instance_type() -> None:
    a, b = requested(InstanceType="ml.m5.large"), requested("b", InstanceType="ml.m5.xlarge")
    assert specification_differences(comparable([a, b]), comparable([b, a])) == []
    assert name_of(a, b) == name_of(b, a)
    assert specification_differences(comparable([a, b]), comparable([a])) == [
        "there are 1 specifications, requested 2"
    ]
    [line] = specification_differences(comparable([a, b]), comparable([a, {**b, "ModelName": "other"}]))
    assert line.startswith("ml.m5.xlarge: ModelName")


def test_the_name_says_what_it_is() -> None:
    assert name_of(requested("churn-1a2b")).startswith("churn-1a2b@")
    assert name_of(adapter()).startswith("adapter@")
    assert name_of({"Container": {"Image": IMAGE}}).startswith("container@")
    assert specification_name(()).startswith("container@")
    assert model_of_name(name_of(requested("churn-1a2b"))) == "churn-1a2b"


def test_a_description_is_compared_with_what_is_wanted() -> None:
    wanted = comparable([requested()])
    same = as_compared(described_component(answer(requested())), wanted)
    assert same is not None
    assert same["EndpointConfigName"] == name_of(requested())
    assert as_compared(described_component(answer(requested())), wanted, "named") == {
        **same,
        "EndpointConfigName": "named",
    }
    other = as_compared(described_component(answer()), wanted)
    assert other is not None
    assert other["Differences"] == ["ModelName is 'old', requested 'new'"]
    assert as_compared(None, wanted) is None
    row = {"EndpointName": "churn"}
    assert as_compared(row, wanted) is row
    assert as_compared(other, ()) is other


def test_a_creation_begins_with_one_copy_at_least() -> None:
    assert wanted_component(copy_count=0).creation("churn")["RuntimeConfig"] == {"CopyCount": 1}
    assert wanted_component(copy_count=3).creation("churn")["RuntimeConfig"] == {"CopyCount": 3}
    assert wanted_component().creation("churn") == {
        "InferenceComponentName": "churn",
        "EndpointName": "host",
        "VariantName": "main",
        "Specification": requested(),
        "RuntimeConfig": {"CopyCount": 1},
    }
    of_adapter = wanted_component(adapter(), variant_name=None).creation("churn")
    assert set(of_adapter) == {"InferenceComponentName", "EndpointName", "Specification"}
    assert wanted_component(requested(), is_list=True).creation("churn")["Specifications"] == [requested()]


# Verdicts.


def condition(until: WaitFor, **members: Any) -> WaitCondition:
    wanted = wanted_component()
    return WaitCondition(
        until,
        "churn",
        wanted.name,
        kind=Kind.COMPONENT,
        specifications=wanted.comparable,
        **members,
    )


def judged(until: WaitFor, described: dict[str, Any] | None, **members: Any) -> tuple[Outcome, str]:
    asked = condition(until, **members)
    seen = as_compared(described_component(described) if described else None, asked.specifications)
    verdict = judge(asked, seen)
    return verdict.outcome, verdict.message


def test_the_wanted_specification_with_all_its_copies_is_deployed() -> None:
    outcome, message = judged(WaitFor.DEPLOYED, answer(requested()), begun=True)
    assert outcome is Outcome.DEPLOYED
    assert message == f"Inference component churn serves {name_of(requested())}."
    outcome, message = judged(WaitFor.DEPLOYED, answer(requested(), copies=(2, 1)), begun=True)
    assert outcome is Outcome.PENDING
    assert "1 of 2 copies" in message


@pytest.mark.parametrize("reason", [{}, {"FailureReason": "The alarm went off."}])
def test_a_rollback_says_what_differs(reason: dict[str, str]) -> None:
    outcome, message = judged(WaitFor.DEPLOYED, answer(**reason), begun=True)
    assert outcome is Outcome.ROLLED_BACK
    assert "nference component churn" in message
    assert "ModelName is 'old', requested 'new'" in message


def test_a_failed_component_is_a_failure_with_its_reason() -> None:
    outcome, message = judged(WaitFor.DEPLOYED, answer(status="Failed", FailureReason="no ping"), begun=True)
    assert outcome is Outcome.FAILED
    assert message.startswith("Inference component churn is Failed")
    assert "no ping" in message
    assert judged(WaitFor.IN_SERVICE, answer(status="Failed"))[0] is Outcome.FAILED
    assert judged(WaitFor.IN_SERVICE, None)[0] is Outcome.PENDING


def test_copies_that_were_not_set_are_a_failure_once_the_change_has_ended() -> None:
    before = "2026-01-01T00:00:00+00:00"
    found = answer(requested(), FailureReason="There is not enough hardware.")
    outcome, message = judged(WaitFor.COUNTED, found, modified_before=before, instance_counts={"copies": 2})
    assert outcome is Outcome.FAILED
    assert "not the requested {'copies': 2}: There is not enough hardware." in message
    unnamed = answer(requested())
    assert (
        "gives no reason"
        in judged(WaitFor.COUNTED, unnamed, modified_before=before, instance_counts={"copies": 2})[1]
    )
    same = NOW.replace(minute=0)
    not_begun = answer(requested(), LastModifiedTime=same)
    outcome, message = judged(
        WaitFor.COUNTED, not_begun, modified_before=same.isoformat(), instance_counts={"copies": 2}
    )
    assert outcome is Outcome.PENDING
    assert "copies not yet {'copies': 2}" in message
    done = answer(requested(), copies=(2, 2))
    assert (
        judged(WaitFor.COUNTED, done, modified_before=before, instance_counts={"copies": 2})[0]
        is Outcome.DEPLOYED
    )
    outcome, message = judged(WaitFor.COUNTED, answer(), instance_counts={"copies": 2})
    assert outcome is Outcome.ROLLED_BACK
    assert "whose copies were set" in message


def test_gone_and_settled_name_the_component() -> None:
    assert judged(WaitFor.GONE, None) == (Outcome.DEPLOYED, "Inference component churn is deleted.")
    later = answer(CreationTime=NOW)
    assert "another one" in judged(WaitFor.GONE, later, created_at="2026-01-01T00:00:00+00:00")[1]
    assert judged(WaitFor.SETTLED, answer())[1].startswith("Inference component churn InService")


def test_a_condition_comes_back_from_what_is_saved_and_an_endpoints_is_written_as_before() -> None:
    asked = condition(WaitFor.DEPLOYED)
    assert WaitCondition.deserialize(asked.serialize()) == asked
    assert "kind" not in WaitCondition(WaitFor.GONE, "churn").serialize()
    assert WaitCondition.deserialize({"until": "gone", "endpoint_name": "churn"}).kind is Kind.ENDPOINT


# Specifications in tags.

texts = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=40)


@given(models=st.lists(texts, min_size=1, max_size=5, unique=True))
def test_specifications_come_back_from_tags(models: list[str]) -> None:
    specifications = comparable(
        [requested(model, InstanceType=f"ml.{number}") for number, model in enumerate(models)]
    )
    tags = specifications_as_tags(specifications)
    assert tags
    assert all(len(value) <= 256 for value in tags.values())
    name = specification_name(specifications)
    assert stored_specifications({**tags, "other": "1"}, name) == specifications
    assert specifications_to_forget([*tags, "other"], [name]) == []
    assert specifications_to_forget([*tags, "other"], ["m@0"]) == sorted(tags)


def test_what_cannot_be_stored_is_not() -> None:
    assert specifications_as_tags(()) == {}
    secret = comparable([{"Container": {"Image": IMAGE, "Environment": {"A": "1"}}}])
    assert specifications_as_tags(secret) == {}
    import random

    noise = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=2000))
    assert specifications_as_tags(comparable([requested(noise)])) == {}
    assert stored_specifications({}, "m@0") is None
    long = comparable([requested(noise[:400])])
    tags = specifications_as_tags(long)
    assert len(tags) > 1
    del tags[next(iter(tags))]
    assert stored_specifications(tags, specification_name(long)) is None


def test_stored_specifications_become_a_request_again() -> None:
    one = requested()
    assert request_members([one]) == {"Specification": one}
    assert request_members([one, one]) == {"Specifications": [one, one]}
