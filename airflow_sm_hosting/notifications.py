"""The text of notifications about deployments, for Airflow's notifiers and for callbacks of your own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from jinja2 import pass_context

log = logging.getLogger(__name__)

#: The tab "Deployment" below the address of a task instance.
TAB = "/plugin/sm-deployment"


@pass_context
def deployment_message(context: Mapping[str, Any]) -> str:
    """Return what to tell about the deployment of a task: what, outcome, from → to, reason, by whom, and the link to its tab.

    For the callbacks of a task (``on_success_callback``, ``on_failure_callback``, ``on_retry_callback``, ``on_skipped_callback``). In the
    templates of Airflow's notifiers it is ``{{ macros.sm_hosting.deployment_message() }}``, which gets the context by itself. It makes no
    call to AWS and does not raise: of a task without a record, it tells the exception.

    :param context: The context that Airflow gives to a callback.
    """
    from airflow_sm_hosting.deployment.message import record_message
    from airflow_sm_hosting.deployment.record import capped

    error, record = context.get("exception"), _pushed_record(context)
    told = {
        **(record or _of_task(context)),
        "failure": record.get("failure") or (capped(str(error)) if error else None),
    }
    return record_message(told, link=_link(context))


def event_message(event: Any) -> str:
    """Return what to tell about the deployment that an asset event announces, with the link to the tab of its task.

    :param event: An event of the alias ``sagemaker-endpoints``, as in ``triggering_asset_events``.
    """
    from airflow_sm_hosting.deployment.message import record_message

    return record_message(event.extra or {}, link=_link_of_source(event))


async def log_missed_deadline(context: Mapping[str, Any] | None = None) -> None:
    """Log that a DAG run has missed its deadline: a callback for ``DeadlineAlert``, which runs in the triggerer.

    :param context: Given by Airflow: the DAG run and the deadline.
    """
    run = (context or {}).get("dag_run") or {}
    deadline = (context or {}).get("deadline") or {}
    log.error(
        "Run %s of DAG %s was to end by %s, and has not ended. It goes on.",
        run.get("dag_run_id") or run.get("run_id"),
        run.get("dag_id"),
        deadline.get("deadline_time"),
    )


def _pushed_record(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record that the task has pushed; empty if there is none."""
    try:
        instance = context["ti"]
        found = instance.xcom_pull(
            task_ids=instance.task_id, key="record", map_indexes=getattr(instance, "map_index", None)
        )
    except Exception as problem:
        # A callback that the DAG processor makes, for a task whose process was lost, has no such access.
        log.info("The record of the deployment cannot be read: %s: %s", type(problem).__name__, problem)
        return {}
    return dict(found) if isinstance(found, Mapping) else {}


def _of_task(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a record that are known of a task without one."""
    task = context.get("task")
    names = [getattr(task, "endpoint_name", None), getattr(task, "task_id", None)]
    return {
        "name": next((name for name in names if isinstance(name, str)), None),
        "outcome": "failed" if context.get("exception") else "no deployment is recorded",
    }


def _link(context: Mapping[str, Any]) -> str | None:
    """Return the address of the tab of the task instance; None where Airflow gives no address."""
    address = getattr(context.get("ti"), "log_url", None)
    if not isinstance(address, str):
        return None
    parts = urlsplit(address)
    return parts._replace(path=parts.path + TAB, query="", fragment="").geturl()


def _link_of_source(event: Any) -> str | None:
    """Return the address of the tab of the task that emitted an event; None for an event of another source."""
    from airflow.configuration import conf

    dag_id, run_id, task_id = event.source_dag_id, event.source_run_id, event.source_task_id
    base = (conf.get("api", "base_url", fallback="") or "").rstrip("/")
    if not (base and dag_id and run_id and task_id):
        return None
    index = event.source_map_index
    mapped = f"/mapped/{index}" if index is not None and index >= 0 else ""
    return f"{base}/dags/{quote(dag_id)}/runs/{quote(run_id)}/tasks/{quote(task_id)}{mapped}{TAB}"
