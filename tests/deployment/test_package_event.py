"""Events of model packages: what is read of them, and which are decisions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.deployment.package_event import DETAIL_TYPE, PackageEvent, parse_event

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:model-package/churn/3"


def body(**detail: Any) -> str:
    """Return an event as the page of EventBridge shows it."""
    return json.dumps(
        {
            "version": "0",
            "id": "844e2571-85d4-695f-b930-0153b71dcb42",
            "detail-type": DETAIL_TYPE,
            "source": "aws.sagemaker",
            "time": "2026-11-30T17:00:14Z",
            "resources": [ARN],
            "detail": {
                "ModelPackageGroupName": "churn",
                "ModelPackageVersion": 3,
                "ModelPackageArn": ARN,
                "LastModifiedTime": "2026-11-30T17:00:13Z",
                "ModelPackageStatus": "Completed",
                "ModelApprovalStatus": "Approved",
                "ApprovalDescription": "by the board",
                "UpdatedModelPackageFields": ["ModelApprovalStatus", "ApprovalDescription"],
                **detail,
            },
        }
    )


def parsed(text: str) -> PackageEvent:
    event = parse_event(text)
    assert event is not None
    return event


def test_an_event_is_read() -> None:
    event = parsed(body())
    assert event.payload() == {
        "arn": ARN,
        "group": "churn",
        "version": 3,
        "approval_status": "Approved",
        "approval_description": "by the board",
        "modified_at": "2026-11-30T17:00:13Z",
    }
    assert json.loads(json.dumps(event.payload())) == event.payload()


def test_an_event_in_an_envelope_of_sns_is_read() -> None:
    envelope = {"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:t", "Message": body()}
    assert parsed(json.dumps(envelope)) == parsed(body())


def test_members_that_are_missing_or_of_another_kind_are_no_error() -> None:
    event = parsed(body(ModelPackageVersion="4", LastModifiedTime=None, UpdatedModelPackageFields=None))
    assert (event.version, event.modified_at, event.updated) == (4, "2026-11-30T17:00:14Z", ())
    assert parsed(body(ModelPackageVersion=None)).version is None
    assert parsed(body(ModelPackageVersion="x")).version is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "3",
        json.dumps(
            {"source": "aws.sagemaker", "detail-type": "SageMaker Endpoint State Change", "detail": {}}
        ),
        json.dumps({"source": "mine", "detail-type": DETAIL_TYPE, "detail": {}}),
        json.dumps({"source": "aws.sagemaker", "detail-type": DETAIL_TYPE}),
        body(ModelPackageArn=None),
        body(ModelPackageGroupName=7),
        json.dumps({"Type": "Notification", "TopicArn": "t", "Message": "no json"}),
    ],
)
def test_anything_else_is_none(text: str) -> None:
    assert parse_event(text) is None


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    detail=st.dictionaries(
        st.sampled_from(
            [
                "ModelPackageArn",
                "ModelPackageGroupName",
                "ModelPackageVersion",
                "LastModifiedTime",
                "UpdatedModelPackageFields",
            ]
        ),
        anything,
    )
)
def test_no_event_is_an_error(detail: dict[str, Any]) -> None:
    event = parse_event(body(**detail))
    assert event is None or json.dumps(event.payload())
    if event is not None:
        event.is_decision(["churn"], ["Approved"])


@given(text=st.text() | anything.map(json.dumps))
def test_no_text_is_an_error(text: str) -> None:
    assert parse_event(text) is None


@pytest.mark.parametrize(
    ("detail", "is_decision"),
    [
        ({}, True),
        ({"UpdatedModelPackageFields": ["ModelApprovalStatus"]}, True),
        # A registration that is approved from the start.
        ({"UpdatedModelPackageFields": None}, True),
        # Later edits of what is approved.
        ({"UpdatedModelPackageFields": ["CustomerMetadataProperties"]}, False),
        ({"UpdatedModelPackageFields": ["ModelLifeCycle"]}, False),
        ({"ModelApprovalStatus": "Rejected"}, False),
        ({"ModelApprovalStatus": "PendingManualApproval"}, False),
        ({"ModelApprovalStatus": None}, False),
        ({"ModelPackageStatus": "Failed"}, False),
        ({"ModelPackageStatus": "InProgress"}, False),
        ({"ModelPackageGroupName": "other"}, False),
    ],
)
def test_only_a_decision_on_a_complete_version_of_the_groups_counts(
    detail: dict[str, Any], is_decision: bool
) -> None:
    assert parsed(body(**detail)).is_decision(["churn"], ["Approved"]) is is_decision


def test_all_groups_and_other_statuses_can_be_asked_for() -> None:
    other = parsed(body(ModelPackageGroupName="other", ModelApprovalStatus="Rejected"))
    assert other.is_decision([], ["Approved", "Rejected"])
    assert not other.is_decision([], ["Approved"])
