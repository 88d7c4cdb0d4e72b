"""The error of a task in its log: one short sentence, and a traceback of the task alone."""

from __future__ import annotations

import inspect
import logging
import traceback
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tenacity import Retrying, stop_after_attempt

from airflow_sm_hosting import DeployEndpointOperator, exceptions
from airflow_sm_hosting.error_log import LONGEST_HEADLINE, headline
from airflow_sm_hosting.exceptions import (
    ConflictError,
    DeploymentFailedError,
    DeploymentRolledBackError,
    DeploymentTimeoutError,
    NotFoundError,
    SageMakerHostingError,
)
from airflow_sm_hosting.guarded_task import GuardedTask

CLASSES = [
    kind
    for _, kind in inspect.getmembers(exceptions, inspect.isclass)
    if issubclass(kind, SageMakerHostingError)
]
DENIED = ClientError(
    {"Error": {"Code": "AccessDeniedException", "Message": "User: a is not authorized"}}, "UpdateEndpoint"
)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ConflictError("Endpoint churn is not ours. Give adopt=True."), "Endpoint churn is not ours."),
        (ConflictError("One line\nand more"), "One line"),
        (
            DeploymentRolledBackError(
                "SageMaker rolled churn back.",
                reason="The alarm slow went into ALARM.",
                details={"endpoint_config_name": "churn-1"},
            ),
            "The alarm slow went into ALARM. churn-1 serves.",
        ),
        (
            DeploymentFailedError(
                "Endpoint churn is Failed.", reason="Please make sure.", cause="access to the image"
            ),
            "Access to the image: Please make sure.",
        ),
        (
            DeploymentTimeoutError("Endpoint churn: the time budget ended. Nothing was stopped."),
            "Endpoint churn: the time budget ended.",
        ),
        (DENIED, "UpdateEndpoint: AccessDeniedException: User: a is not authorized"),
        (KeyError("main"), "KeyError: 'main'"),
    ],
)
def test_an_error_is_told_in_one_sentence_with_its_cause_first(error: Exception, line: str) -> None:
    assert headline(error) == line


@pytest.mark.parametrize("text", ["word " * 100, "x" * 400])
def test_a_long_sentence_is_cut(text: str) -> None:
    told = headline(ConflictError(text))
    assert LONGEST_HEADLINE - 20 < len(told) <= LONGEST_HEADLINE
    assert told.endswith(" …")


class Task(GuardedTask):
    """A task that fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def execute(self) -> None:
        """Fail after a retry, because of something else."""
        try:
            Retrying(stop=stop_after_attempt(2), reraise=True)(self._fail)
        except OSError as error:
            raise self.error from error

    def execute_complete(self) -> None:
        """Fail in the same way after a deferral."""
        self.execute()

    def _fail(self) -> None:
        raise OSError("socket")


@pytest.mark.parametrize("entry", ["execute", "execute_complete"])
@pytest.mark.parametrize("kind", CLASSES)
def test_the_sentence_of_each_kind_of_error_is_the_last_line_before_the_traceback(
    kind: type[SageMakerHostingError], entry: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), pytest.raises(kind):
        getattr(Task(kind("It failed. Do this.")), entry)()
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors[-1] == "It failed."
    assert len(set(errors)) == len(errors)


def shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def test_the_traceback_has_no_frames_of_retries_and_not_the_error_below(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(NotFoundError) as raised:
        Task(NotFoundError("There is no endpoint churn.")).execute()
    assert "tenacity" not in shown(raised.value)
    assert "socket" not in shown(raised.value)
    assert "raise self.error from error" in shown(raised.value)
    # All of it is there for those who look for it.
    [whole] = [record for record in caplog.records if record.levelno == logging.DEBUG and record.exc_info]
    assert "tenacity" in caplog.text
    assert "socket" in caplog.text
    assert whole.name == "airflow_sm_hosting.error_log"


def test_an_error_of_others_keeps_its_cause_and_its_frames() -> None:
    with pytest.raises(ValueError, match="wrong") as raised:
        Task(ValueError("wrong")).execute()
    assert "socket" in shown(raised.value)
    assert "raise self.error from error" in shown(raised.value)


def test_the_traceback_of_an_operator_has_the_operators_frames_alone() -> None:
    task: Any = DeployEndpointOperator(
        task_id="deploy",
        endpoint_name="{{ params.name }}",
        endpoint_config_name="c",
        rollout="{{ params.rollout }}",
    )
    task.endpoint_name, task.rollout = "churn", "fast"
    with pytest.raises(SageMakerHostingError) as raised:
        task.execute({"ti": None, "dag_run": None, "params": {}})
    modules = [frame.f_globals["__name__"] for frame, _ in traceback.walk_tb(raised.value.__traceback__)]
    # The wrappers of each entry point: the guard, and what leaves the record.
    wrappers = (__name__, "airflow_sm_hosting.guarded_task", "airflow_sm_hosting.operators.recorded")
    inner = [name for name in modules if name not in wrappers]
    assert {name.rpartition(".")[0] for name in inner if "airflow.sdk" not in name} == {
        "airflow_sm_hosting.operators"
    }
    assert len(modules) < 8


def test_a_skipped_task_logs_no_error(caplog: pytest.LogCaptureFixture) -> None:
    from airflow.providers.common.compat.sdk import AirflowSkipException

    with caplog.at_level(logging.INFO), pytest.raises(AirflowSkipException):
        Task(AirflowSkipException("a newer run has deployed")).execute()
    assert caplog.messages == []
