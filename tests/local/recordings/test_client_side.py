"""The package makes of recorded answers what they mean."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_sm_hosting.deployment.remedies import Cause, cause_of, remedy
from airflow_sm_hosting.deployment.verdict import judge_deployment
from airflow_sm_hosting.deployment.wait import Outcome, WaitCondition, WaitFor
from airflow_sm_hosting.hooks import errors
from tests.local.recordings.facts import BY_ID, Fact, asks

CAUSES = {
    "cause-ping": Cause.PING,
    "cause-image": Cause.IMAGE_ACCESS,
    "cause-start": Cause.START,
    "cause-data-download": Cause.MODEL_DATA,
    "cause-data-extract": Cause.MODEL_DATA,
    "cause-serverless-size": Cause.SERVERLESS_IMAGE,
    "cause-serverless-timeout": Cause.SERVERLESS_STARTUP,
    "cause-service": Cause.SERVICE,
    "cause-capacity": Cause.CAPACITY,
    "cause-capacity-job": Cause.CAPACITY,
    "cause-quota-serverless": Cause.QUOTA,
    "cause-quota-old": Cause.QUOTA,
    "cause-role": Cause.ROLE,
    "cause-manifest": Cause.MANIFEST,
    "cause-component-room": Cause.ROOM,
}


@asks(*CAUSES)
def test_cause(fact: Fact) -> None:
    assert cause_of(fact.answer) == CAUSES[fact.id]
    assert "https://docs.aws.amazon.com/" in remedy(CAUSES[fact.id])


def error_of(fact: Fact) -> ClientError:
    status, _, rest = fact.answer.partition(" ")
    code, _, message = rest.partition(": ")
    return ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": int(status)},
        },
        "Any",
    )


PREDICATES = {
    "error-absent": errors.is_absent,
    "error-taken": errors.already_exists,
    "error-in-progress": errors.is_in_progress,
    "error-role-invalid": errors.is_role_refused,
    "error-quota-no-retry": None,
    "error-throttled": errors.is_passing,
    "error-denied": errors.is_denied,
}


@asks(*PREDICATES)
def test_error(fact: Fact) -> None:
    error = error_of(fact)
    found = [one for one in PREDICATES.values() if one and one(error)]
    assert found == [one for one in [PREDICATES[fact.id]] if one]
    if fact.id == "error-quota-no-retry":
        assert cause_of(str(error)) is Cause.QUOTA


VERDICTS: dict[str, tuple[dict[str, Any], Outcome]] = {
    "verdict-silent-rollback": ({"EndpointStatus": "InService"}, Outcome.ROLLED_BACK),
    "verdict-rollback": ({"EndpointStatus": "InService", "FailureReason": "x"}, Outcome.ROLLED_BACK),
    "verdict-rolling-back": ({"EndpointStatus": "RollingBack"}, Outcome.PENDING),
}


@asks(*VERDICTS)
def test_verdict(fact: Fact) -> None:
    described, outcome = VERDICTS[fact.id]
    condition = WaitCondition(
        until=WaitFor.DEPLOYED, endpoint_name="e", endpoint_config_name="new", begun=True
    )
    found = {
        "EndpointName": "e",
        "EndpointConfigName": "old",
        "LastModifiedTime": datetime(2026, 1, 1, tzinfo=UTC),
        **described,
    }
    assert judge_deployment(condition, found).outcome is outcome


def test_unknown_reason_is_unknown() -> None:
    assert cause_of("A sentence that nobody has recorded.") is None


@pytest.mark.parametrize("id", CAUSES)
def test_causes_are_those_of_the_table(id: str) -> None:
    assert id in BY_ID
