"""Runs deploy one inference component at once: one after another, the newest serves in the end, and nobody sees an error."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import DAG

from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import RUN_AFTER
from tests.crashes.test_at_once import FIRST, ran_at_once
from tests.local_servers import local_server
from tests.operators.components import deploy_component, make_component, make_host, make_models
from tests.operators.conftest import _emptied, dag, sagemaker_client, sent, settled_component, tags_of

__all__ = ["dag"]

pytestmark = pytest.mark.slow

RUNS = 10


def model_of(number: int) -> str:
    return f"run-{number:02}"


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])
@pytest.mark.parametrize("exists", [True, False], ids=["update", "create"])
def test_the_newest_serves_and_the_older_ones_are_skipped_or_were_before_it(
    monkeypatch: pytest.MonkeyPatch, dag: DAG, exists: bool, deferrable: bool
) -> None:
    aws: LocalAws = _emptied(local_server(transition_seconds=1.5), monkeypatch)
    make_models(aws, "before", *map(model_of, range(RUNS)))
    make_host(aws)
    if exists:
        make_component(aws, "before")
    tasks: list[Any] = [
        deploy_component(model_of(number), deferrable=deferrable, timeout=240) for number in range(RUNS)
    ]

    client = sagemaker_client()
    with (
        sent(client, "CreateInferenceComponent") as created,
        sent(client, "UpdateInferenceComponent") as updated,
    ):
        ends = ran_at_once(tasks, seed=7)

    newest = RUNS - 1
    found = settled_component(aws)
    assert found["Specification"]["ModelName"] == model_of(newest)
    due = (FIRST + timedelta(hours=newest)).isoformat(timespec="milliseconds")
    assert tags_of(aws, found["InferenceComponentArn"])[RUN_AFTER] == due
    errors = {number: end.error for number, end in ends.items() if end.error}
    assert {type(error) for error in errors.values()} <= {AirflowSkipException}, errors
    assert newest not in errors
    asked = {request["Specification"]["ModelName"] for request in (*created, *updated)}
    assert {model_of(number) for number in ends if number not in errors} <= asked
