"""What a deployment does next: the whole table, and what must never be."""

from __future__ import annotations

import copy
from itertools import product
from typing import Any

import pytest

from airflow_sm_hosting.deployment.decision import Action, Decision, decide

WANTED, OTHER, THIRD = "churn-new", "churn-old", "churn-third"
TRANSITIONAL = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")
ENDED = ("InService", "OutOfService", "Failed", "UpdateRollbackFailed")
#: DescribeEndpoint, EndpointStatus: all that botocore knows (held below).
STATUSES = (*TRANSITIONAL, *ENDED)
MUTATING = {Action.CREATE, Action.UPDATE, Action.REPLACE}
INSTANCES = [{"VariantName": "main", "DesiredInstanceCount": 1}]
SERVERLESS = [
    {"VariantName": "main", "CurrentServerlessConfig": {"MaxConcurrency": 1, "MemorySizeInMB": 1024}}
]


def described(
    status: str,
    live: str = OTHER,
    pending: str | None = None,
    variants: Any = INSTANCES,
    reason: str | None = None,
) -> dict[str, Any]:
    answer = {
        "EndpointName": "churn",
        "EndpointStatus": status,
        "EndpointConfigName": live,
        "ProductionVariants": variants,
    }
    if pending:
        answer["PendingDeploymentSummary"] = {"EndpointConfigName": pending}
    if reason:
        answer["FailureReason"] = reason
    return answer


def decided(found: Any, **options: Any) -> Decision:
    return decide(found, WANTED, **{"owned": True, **options})


ROWS = [
    (found, options)
    for status, live, pending, variants, owned, adopt, replace, overtaken, serverless in product(
        STATUSES,
        (WANTED, OTHER),
        (None, WANTED, THIRD),
        (INSTANCES, SERVERLESS, []),
        (True, False),
        (True, False),
        (True, False),
        (None, "2030-01-01T00:00:00.000+00:00"),
        (None, True, False),
    )
    for found in [described(status, live, pending, variants)]
    for options in [
        {
            "owned": owned,
            "adopt": adopt,
            "replace_failed_endpoint": replace,
            "overtaken_by": overtaken,
            "serverless": serverless,
        }
    ]
]


def expected(found: dict[str, Any], options: dict[str, Any]) -> Action:
    """The table, written down from the statuses that DescribeEndpoint documents and what is legal in each."""
    status, live = found["EndpointStatus"], found["EndpointConfigName"]
    pending = found.get("PendingDeploymentSummary", {}).get("EndpointConfigName")
    # An endpoint that is being created goes to the config that it is on.
    going = pending or (live if status == "Creating" else None)
    if status == "InService" and live == WANTED and going is None:
        return Action.UNCHANGED
    if going == WANTED and status != "Deleting":
        return Action.JOIN
    if options["overtaken_by"]:
        return Action.OVERTAKEN
    if status in TRANSITIONAL or going:
        return Action.WAIT
    if not options["owned"] and not options["adopt"]:
        return Action.REFUSE
    if status == "Failed":
        return Action.REPLACE if options["replace_failed_endpoint"] else Action.REFUSE
    if status == "OutOfService":
        return Action.REFUSE
    if options["serverless"] and found["ProductionVariants"] is INSTANCES:
        return Action.REFUSE
    return Action.UPDATE


def test_the_whole_table() -> None:
    assert len(ROWS) == 9 * 2 * 3 * 3 * 2 * 2 * 2 * 2 * 3
    wrong = []
    for found, options in ROWS:
        action = decided(found, **options).action
        if action is not expected(found, options):
            wrong.append((found, options, str(action)))
    assert not wrong


def test_the_statuses_are_all_that_botocore_knows() -> None:
    from airflow_sm_hosting.service_model.shapes import service_model

    operation = service_model("sagemaker").operation_model("DescribeEndpoint")
    assert set(STATUSES) == set(operation.output_shape.members["EndpointStatus"].enum)


def holds(rule: Any) -> None:
    broken = [
        (found, options, str(decision.action))
        for found, options in ROWS
        for decision in [decided(found, **options)]
        if not rule(found, options, decision.action)
    ]
    assert not broken


def test_nothing_is_changed_while_something_is_in_progress() -> None:
    def rule(found: Any, options: Any, action: Action) -> bool:
        busy = found["EndpointStatus"] in TRANSITIONAL or "PendingDeploymentSummary" in found
        return not busy or action not in MUTATING

    holds(rule)


def test_what_is_not_ours_is_never_changed_without_adopt() -> None:
    holds(lambda found, options, action: options["owned"] or options["adopt"] or action not in MUTATING)


def test_adopt_makes_all_the_same_as_owned() -> None:
    for found, options in ROWS:
        if not options["owned"] and options["adopt"]:
            mine = decided(found, **{**options, "owned": True, "adopt": False})
            assert decided(found, **options).action is mine.action


def test_unchanged_is_in_service_on_the_wanted_config_with_nothing_pending_and_nothing_else() -> None:
    def rule(found: Any, options: Any, action: Action) -> bool:
        serves = (
            found["EndpointStatus"] == "InService"
            and found["EndpointConfigName"] == WANTED
            and "PendingDeploymentSummary" not in found
        )
        return serves is (action is Action.UNCHANGED)

    holds(rule)


def test_only_a_failed_endpoint_is_replaced_and_only_when_that_is_allowed() -> None:
    holds(
        lambda found, options, action: (
            action is not Action.REPLACE
            or (found["EndpointStatus"] == "Failed" and options["replace_failed_endpoint"])
        )
    )


def test_only_an_absent_endpoint_is_created() -> None:
    holds(lambda found, options, action: action is not Action.CREATE)
    for options in ({}, {"owned": None}, {"adopt": True}, {"serverless": True}):
        assert decided(None, **options).action is Action.CREATE


def test_an_overtaken_run_changes_nothing() -> None:
    holds(lambda found, options, action: not options["overtaken_by"] or action not in MUTATING)


def test_a_failed_endpoint_is_never_updated() -> None:
    holds(lambda found, options, action: found["EndpointStatus"] != "Failed" or action is not Action.UPDATE)


def test_a_deployment_is_joined_only_when_it_goes_to_the_wanted_config() -> None:
    holds(
        lambda found, options, action: (
            action is not Action.JOIN
            or found.get("PendingDeploymentSummary", {}).get("EndpointConfigName") == WANTED
            or (found["EndpointStatus"] == "Creating" and found["EndpointConfigName"] == WANTED)
        )
    )


def test_a_deletion_is_never_joined() -> None:
    holds(lambda found, options, action: found["EndpointStatus"] != "Deleting" or action is not Action.JOIN)


def test_deciding_changes_nothing_that_was_described() -> None:
    found = described("InService")
    before = copy.deepcopy(found)
    decided(found)
    assert found == before


@pytest.mark.parametrize(
    ("found", "options", "words"),
    [
        (None, {}, ["does not exist", WANTED]),
        (described("InService", WANTED), {}, ["churn", "already serves", WANTED]),
        (described("Updating", OTHER, WANTED), {}, ["churn", "Updating", "already being updated", WANTED]),
        (described("InService"), {"overtaken_by": "2030-01-01"}, ["2030-01-01", OTHER, "allow_older=True"]),
        (described("SystemUpdating"), {}, ["SystemUpdating", "until that ends"]),
        (described("InService"), {"owned": False}, ["without this package's tags", "adopt=True"]),
        (described("Failed"), {}, ["Failed", "only be deleted", WANTED]),
        (described("Failed", reason="no ping"), {"replace_failed_endpoint": False}, ["no ping", "replace_failed_endpoint=True"]),
        (described("OutOfService", reason="gone"), {}, ["OutOfService", "gone", "DeleteEndpointOperator"]),
        (described("InService"), {"serverless": True}, ["on instances", "serverless", "another endpoint name"]),
        (described("InService"), {}, ["churn", OTHER, WANTED]),
    ],
    ids=range(11),
)  # fmt: skip
def test_the_reason_says_what_was_found_and_the_way_out(
    found: Any, options: dict[str, Any], words: list[str]
) -> None:
    reason = decided(found, **options).reason
    assert all(word in reason for word in words), reason


def test_an_empty_pending_summary_is_none() -> None:
    found = {**described("InService", WANTED), "PendingDeploymentSummary": {}}
    assert decided(found).action is Action.UNCHANGED


@pytest.mark.parametrize("spelled", [WANTED.upper(), WANTED.title()])
def test_a_config_is_the_same_in_any_case(spelled: str) -> None:
    assert decided(described("InService", spelled)).action is Action.UNCHANGED
    assert decided(described("Updating", OTHER, spelled)).action is Action.JOIN
