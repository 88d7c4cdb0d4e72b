"""How a deployment stands: no false success, no false failure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from typing import Any

import pytest

from airflow_sm_hosting.deployment.verdict import (
    Verdict,
    after_look,
    has_begun,
    judge,
    judge_service,
    moment,
)
from airflow_sm_hosting.deployment.wait import Outcome, WaitCondition, WaitFor

NEW, OLD = "churn-new", "churn-old"
T0 = datetime(2026, 5, 1, 12, tzinfo=UTC)
T1 = T0 + timedelta(minutes=5)
TRANSITIONAL = ("Creating", "Updating", "SystemUpdating", "RollingBack")
BROKEN = ("Failed", "OutOfService", "UpdateRollbackFailed")
REASON = "The container did not answer /ping. See CloudWatch logs."


def look(
    status: str,
    live: str = OLD,
    *,
    pending: str | None = None,
    modified: datetime = T1,
    reason: str | None = None,
) -> dict[str, Any]:
    answer = {
        "EndpointName": "churn",
        "EndpointStatus": status,
        "EndpointConfigName": live,
        "LastModifiedTime": modified,
    }
    if pending:
        answer["PendingDeploymentSummary"] = {"EndpointConfigName": pending}
    if reason is not None:
        answer["FailureReason"] = reason
    return answer


def deployment(**seen: Any) -> WaitCondition:
    return WaitCondition(WaitFor.DEPLOYED, "churn", NEW, **seen)


def update(*, begun: bool = False) -> WaitCondition:
    return deployment(modified_before=moment(T0), begun=begun)


#: What was seen before the call: an endpoint on the old config that nothing has touched since.
STALE = look("InService", OLD, modified=T0)


@pytest.mark.parametrize("reason", [None, "", REASON], ids=["no reason", "empty reason", "stale reason"])
@pytest.mark.parametrize(
    ("status", "live", "pending", "begun"),
    list(
        product(
            (*TRANSITIONAL, "Deleting", "InService", *BROKEN), (NEW, OLD), (None, NEW, OLD), (False, True)
        )
    ),
)
def test_the_whole_table(
    status: str, live: str, pending: str | None, begun: bool, reason: str | None
) -> None:
    verdict = judge(update(begun=begun), look(status, live, pending=pending, reason=reason))
    serves = status == "InService" and live == NEW and pending is None
    assert (verdict.outcome is Outcome.DEPLOYED) is serves
    if status == "Deleting":
        assert verdict.outcome is Outcome.FAILED
    elif status in TRANSITIONAL or pending:
        assert verdict.outcome is Outcome.PENDING
    elif status == "InService" and live == OLD:
        assert verdict.outcome is Outcome.ROLLED_BACK
    elif status in BROKEN:
        assert verdict.outcome is Outcome.FAILED


@pytest.mark.parametrize("reason", [None, "", REASON])
def test_a_reason_alone_decides_nothing(reason: str | None) -> None:
    assert judge(update(), look("InService", NEW, reason=reason)).outcome is Outcome.DEPLOYED
    assert judge(update(), look("InService", OLD, reason=reason)).outcome is Outcome.ROLLED_BACK


def test_a_rollback_names_what_serves_what_was_asked_for_and_why() -> None:
    message = judge(update(), look("InService", OLD, reason=REASON)).message
    assert all(word in message for word in ("churn", OLD, NEW, REASON, "rolled"))
    silent = judge(update(), look("InService", OLD)).message
    assert "no reason" in silent
    assert "None" not in silent


@pytest.mark.parametrize("status", BROKEN)
def test_a_broken_endpoint_is_told_with_its_reason(status: str) -> None:
    message = judge(update(), look(status, OLD, reason=REASON)).message
    assert all(word in message for word in ("churn", status, NEW, REASON))
    mixed = "mix of the old and the new" in message
    assert mixed is (status == "UpdateRollbackFailed")


def test_an_image_that_was_given_by_digest_must_be_the_one_that_runs() -> None:
    def runs(*images: tuple[str, str]) -> dict[str, Any]:
        deployed = [{"SpecifiedImage": asked, "ResolvedImage": found} for asked, found in images]
        return {
            **look("InService", NEW),
            "ProductionVariants": [{"VariantName": "main", "DeployedImages": deployed}],
        }

    right = runs(("a@sha256:1", "b@sha256:1"), ("a:tag", "a@sha256:2"), ("a@sha256:1", "a:tag"))
    wrong = judge(update(), runs(("a@sha256:1", "a@sha256:1"), ("b@sha256:2", "b@sha256:3")))

    assert judge(update(), right).outcome is Outcome.DEPLOYED
    assert wrong.outcome is Outcome.FAILED
    assert wrong.message == (
        f"Endpoint churn is in service on {NEW}, but variant main runs b@sha256:3, not the requested b@sha256:2."
    )


# Right after the call, DescribeEndpoint may still answer what was before it.


@pytest.mark.parametrize("reason", [None, "", REASON])
def test_a_stale_look_right_after_the_update_is_pending(reason: str | None) -> None:
    stale = {**STALE, **({} if reason is None else {"FailureReason": reason})}
    assert judge(update(), stale).outcome is Outcome.PENDING
    assert not has_begun(update(), stale)


@pytest.mark.parametrize("live", [OLD, NEW])
def test_a_stale_look_at_an_endpoint_whose_rollback_had_failed_is_pending(live: str) -> None:
    stale = look("UpdateRollbackFailed", live, modified=T0, reason="the last one")
    assert judge(update(), stale).outcome is Outcome.PENDING


def test_the_same_moment_in_another_time_zone_is_the_same() -> None:
    there = T0.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert judge(update(), look("InService", OLD, modified=there)).outcome is Outcome.PENDING


def test_an_absent_endpoint_is_not_visible_yet_or_gone() -> None:
    create = deployment()
    assert judge(create, None).outcome is Outcome.PENDING
    for expected in (deployment(begun=True), update()):
        gone = judge(expected, None)
        assert gone.outcome is Outcome.FAILED
        assert "gone" in gone.message


def test_a_creation_that_failed_is_a_failure_at_once() -> None:
    verdict = judge(deployment(), look("Failed", NEW, modified=T0, reason=REASON))
    assert verdict.outcome is Outcome.FAILED
    assert REASON in verdict.message


SEQUENCES = {
    "created": ("create", [None, look("Creating", NEW), look("InService", NEW)], Outcome.DEPLOYED),
    "creation failed": ("create", [look("Creating", NEW), look("Failed", NEW, reason=REASON)], Outcome.FAILED),
    "creation failed between two looks": ("create", [None, look("Failed", NEW)], Outcome.FAILED),
    "updated": ("update", [STALE, look("Updating", OLD, pending=NEW), look("InService", NEW)], Outcome.DEPLOYED),
    "updated between two looks": ("update", [STALE, STALE, look("InService", NEW)], Outcome.DEPLOYED),
    "updated with a reason from before": ("update", [{**STALE, "FailureReason": REASON}, look("InService", NEW, reason=REASON)], Outcome.DEPLOYED),
    "updated, then maintained by AWS": ("update", [look("Updating", OLD, pending=NEW), look("SystemUpdating", NEW), look("InService", NEW)], Outcome.DEPLOYED),
    "in service while it still bakes": ("update", [look("InService", NEW, pending=NEW), look("InService", NEW)], Outcome.DEPLOYED),
    "rolled back, no reason": ("update", [look("Updating", OLD, pending=NEW), look("InService", OLD)], Outcome.ROLLED_BACK),
    "rolled back, empty reason": ("update", [look("Updating", OLD), look("InService", OLD, reason="")], Outcome.ROLLED_BACK),
    "rolled back, reason": ("update", [look("Updating", OLD), look("RollingBack", OLD), look("InService", OLD, reason=REASON)], Outcome.ROLLED_BACK),
    "rolled back, Updating all along": ("update", [STALE, look("Updating", OLD, pending=NEW), look("Updating", OLD, pending=OLD), look("InService", OLD)], Outcome.ROLLED_BACK),
    "rolled back after the new config was shown": ("update", [look("Updating", NEW, pending=NEW), look("RollingBack", NEW), look("InService", OLD)], Outcome.ROLLED_BACK),
    "rolled back between two looks": ("update", [STALE, look("InService", OLD, modified=T1)], Outcome.ROLLED_BACK),
    "rolled back, last look of old age": ("update", [look("Updating", OLD, pending=NEW), STALE], Outcome.ROLLED_BACK),
    "rollback failed": ("update", [look("Updating", OLD), look("RollingBack", OLD), look("UpdateRollbackFailed", OLD, reason=REASON)], Outcome.FAILED),
    "deleted meanwhile": ("update", [look("Updating", OLD), look("Deleting", OLD), None], Outcome.FAILED),
    "gone meanwhile": ("update", [look("Updating", OLD), None], Outcome.FAILED),
    "out of service": ("update", [look("Updating", OLD), look("OutOfService", OLD)], Outcome.FAILED),
    "joined and deployed": ("join", [look("Updating", OLD, pending=NEW), look("InService", NEW)], Outcome.DEPLOYED),
    "joined and rolled back": ("join", [look("Updating", OLD, pending=NEW), look("InService", OLD, modified=T0)], Outcome.ROLLED_BACK),
    "joined a creation that failed": ("join", [look("Creating", NEW), look("Failed", NEW)], Outcome.FAILED),
    "stale for ever": ("update", [STALE] * 5, Outcome.PENDING),
    "overtaken by a third config": ("update", [look("Updating", OLD, pending=NEW), look("InService", "churn-third")], Outcome.ROLLED_BACK),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "looks", "outcome"), SEQUENCES.values(), ids=SEQUENCES.keys())
@pytest.mark.parametrize("travels", [False, True], ids=["sync", "deferred"])
def test_a_sequence_of_looks_ends_as_it_should_and_not_before(
    kind: str, looks: list[Any], outcome: Outcome, travels: bool
) -> None:
    condition = WaitCondition(
        WaitFor.DEPLOYED,
        "churn",
        NEW,
        modified_before=moment(T0) if kind == "update" else None,
        begun=kind == "join",
    )
    outcomes = []
    for answer in looks:
        if travels:
            condition = WaitCondition.deserialize(condition.serialize())
        condition = after_look(condition, answer)
        outcomes.append(judge(condition, answer).outcome)
        if outcomes[-1] is not Outcome.PENDING:
            break
    assert outcomes[-1] is outcome
    assert len(outcomes) == len(looks) or looks[len(outcomes) - 1]["EndpointStatus"] == "Deleting"


# Waits for what somebody else does


@pytest.mark.parametrize("config", [None, NEW], ids=["whichever config", "a certain config"])
@pytest.mark.parametrize(
    ("status", "live", "pending"),
    list(product((*TRANSITIONAL, "Deleting", "InService", *BROKEN), (NEW, OLD), (None, NEW))),
)
def test_an_endpoint_of_somebody_else_is_waited_for_unless_it_failed(
    status: str, live: str, pending: str | None, config: str | None
) -> None:
    verdict = judge_service(look(status, live, pending=pending, reason=REASON), "churn", config)
    if status in BROKEN:
        assert verdict.outcome is Outcome.FAILED
        assert REASON in verdict.message
    elif status == "InService" and pending is None and config in (None, live):
        assert verdict.outcome is Outcome.DEPLOYED
    else:
        assert verdict.outcome is Outcome.PENDING


def test_an_endpoint_that_does_not_exist_yet_is_waited_for() -> None:
    assert judge_service(None, "churn", None).outcome is Outcome.PENDING


@pytest.mark.parametrize(
    ("created", "known", "outcome"),
    [
        (T0, T0, Outcome.PENDING),
        (T0 - timedelta(seconds=1), T0, Outcome.PENDING),
        (T0 + timedelta(milliseconds=1), T0, Outcome.DEPLOYED),
        (T1, None, Outcome.PENDING),
        (None, T0, Outcome.PENDING),
    ],
)
def test_an_endpoint_that_was_created_after_the_deleted_one_is_another(
    created: datetime | None, known: datetime | None, outcome: Outcome
) -> None:
    """Somebody creates one of the same name between two looks."""
    gone = WaitCondition(WaitFor.GONE, "churn", created_at=moment(known))
    described = {**look("InService"), **({"CreationTime": created} if created else {})}
    assert judge(gone, described).outcome is outcome
    assert WaitCondition.deserialize(gone.serialize()) == gone


def test_a_deleted_endpoint_is_waited_for_until_it_is_gone() -> None:
    gone = WaitCondition(WaitFor.GONE, "churn")
    for answer in (look("InService"), look("Failed"), look("Deleting")):
        assert judge(gone, answer).outcome is Outcome.PENDING
    assert judge(gone, None) == Verdict(Outcome.DEPLOYED, "Endpoint churn is deleted.")


def test_settled_is_whatever_has_ended() -> None:
    settled = WaitCondition(WaitFor.SETTLED, "churn")
    for status in (*TRANSITIONAL, "Deleting"):
        assert judge(settled, look(status)).outcome is Outcome.PENDING
    assert judge(settled, look("InService", pending=NEW)).outcome is Outcome.PENDING
    for answer in (None, look("InService"), *(look(status) for status in BROKEN)):
        assert judge(settled, answer).outcome is Outcome.DEPLOYED


@pytest.mark.parametrize("live", [NEW, NEW.upper(), NEW.title()])
def test_a_config_is_the_same_in_any_case(live: str) -> None:
    described = look("InService", live)
    assert judge(update(begun=True), described).outcome is Outcome.DEPLOYED
    assert has_begun(update(), look("InService", live, modified=T0))
    assert judge_service(described, "churn", NEW).outcome is Outcome.DEPLOYED
    counted = WaitCondition(WaitFor.COUNTED, "churn", NEW, instance_counts={})
    assert judge(counted, described).outcome is Outcome.DEPLOYED
