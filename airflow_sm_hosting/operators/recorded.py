"""What the operators share that change an endpoint: each ending leaves a record, and a change an asset event."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

from airflow.sdk import AssetAlias

from airflow_sm_hosting.endpoint_asset import ALIAS, endpoint_asset
from airflow_sm_hosting.operators.lineage import LineageTask

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.deployment.timeline import Entry
    from airflow_sm_hosting.hooks.sagemaker import SageMakerHostingHook
    from airflow_sm_hosting.lineage import LineageDataset

log = logging.getLogger(__name__)

#: The keys of the XComs.
RECORD, TIMELINE = "record", "timeline"

#: Entry of a task's ``__dict__``: what it knows of its deployment.
_NOTES = "_deployment_notes"

_ENTRY_POINTS = ("execute", "execute_complete")

#: The members of a record that parameters name before the task runs: names or ARNs.
_PLANNED = {"endpoint_name": "endpoint_name", "requested_endpoint_config_name": "endpoint_config_name"}


class RecordedTask(LineageTask):
    """An operator that changes an endpoint: each ending leaves a record (XCom ``record``), a change also an asset event."""

    if TYPE_CHECKING:
        sagemaker_hook: SageMakerHostingHook

    #: Whether the task changes something; what only plans a change leaves no record.
    leaves_record = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.leaves_record:
            self.outlets: list[Any] = [*getattr(self, "outlets", ()), AssetAlias(ALIAS)]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _ENTRY_POINTS:
            if name in vars(cls):
                setattr(cls, name, _recorded(vars(cls)[name]))

    @property
    def deployment_notes(self) -> dict[str, Any]:
        """What the task knows of its deployment: the members of its record."""
        notes: dict[str, Any] = self.__dict__.get(_NOTES, {})
        return notes

    def note_deployment(self, **members: Any) -> None:
        """Add members of the record.

        :param members: The members; contents of configs and scaling add up.
        """
        from airflow_sm_hosting.deployment.record import merged

        # Not by setattr: Airflow does more than set.
        self.__dict__[_NOTES] = merged(self.deployment_notes, members)

    def recorded_name(self) -> Mapping[str, Any]:
        """Return the members that name the resource: ``name``, and ``endpoint_name`` if it is another one."""
        raise NotImplementedError

    def planned_lineage(self) -> tuple[list[LineageDataset], list[LineageDataset]]:
        """Return the config and the endpoint that the parameters name."""
        from airflow_sm_hosting.lineage import record_datasets

        if not self.leaves_record:
            return [], []
        given = {
            member: resource.rpartition("/")[2]
            for member, field in _PLANNED.items()
            if isinstance(resource := getattr(self, field, None), str)
        }
        return record_datasets(
            {"region": self.sagemaker_hook.conn_region_name, **self.recorded_name(), **given}
        )

    def observe_status(self, context: Context, described: Mapping[str, Any] | None) -> None:
        """Note what AWS describes, and add it to the timeline (XCom ``timeline``) if it shows something new.

        :param context: The context of the task.
        :param described: DescribeEndpoint's answer.
        """
        from airflow_sm_hosting.deployment.record import observed_members
        from airflow_sm_hosting.deployment.timeline import entry_of

        self.note_deployment(
            **{name: value for name, value in observed_members(described, {}).items() if value}
        )
        self._add_to_timeline(context, entry_of(described, time.time()))

    def note_wait(self, context: Context, event: Mapping[str, Any]) -> None:
        """Note what was known before a deferred wait, and what the wait has observed.

        The timeline is pushed once more: the last write of the trigger may be missing, and where the trigger runs in the task's own
        process (``dag.test``) it can write none.

        :param context: The context of the task.
        :param event: The event of the trigger.
        """
        notes, observed = (event.get("carried") or {}).get("notes") or {}, event.get("observed") or {}
        self.note_deployment(**notes)
        self.note_deployment(**observed)
        if observed.get(TIMELINE):
            _push(context, TIMELINE, observed[TIMELINE])

    def _add_to_timeline(self, context: Context, entry: Entry) -> None:
        from airflow_sm_hosting.deployment.timeline import with_entry

        before = self.deployment_notes.get(TIMELINE) or []
        after = with_entry(before, entry)
        if len(after) != len(before) or after[-1] != before[-1]:
            self.note_deployment(**{TIMELINE: after})
            _push(context, TIMELINE, after)


def _recorded(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return an entry point of a task that leaves a record when it ends; a deferral is no end."""

    @wraps(method)
    def run(self: RecordedTask, context: Context, *args: Any, **kwargs: Any) -> Any:
        is_inner = _NOTES in self.__dict__  # an entry point calls that of its base class
        if is_inner or not self.leaves_record:
            return method(self, context, *args, **kwargs)
        self.__dict__[_NOTES] = {}
        try:
            self.note_deployment(**_of_run(context))
            value = method(self, context, *args, **kwargs)
            _leave_record(self, context, None)
            return value
        except Exception as error:
            _leave_record(self, context, error)
            raise
        finally:
            self.__dict__.pop(_NOTES, None)

    return run


def _leave_record(task: RecordedTask, context: Context, error: Exception | None) -> None:
    """Push the record, and emit the asset event of a change. A problem with either never fails a deployment."""
    from airflow_sm_hosting.deployment.record import DeploymentOutcome, deployment_record, outcome_of
    from airflow_sm_hosting.lineage import record_datasets

    try:
        task.note_deployment(**task.recorded_name())
        notes = task.deployment_notes
        outcome = outcome_of(error, notes.get("action"))
        record = deployment_record(notes, outcome=outcome, failure=str(error) if error else None)
        _push(context, RECORD, record)
        task.note_lineage(*record_datasets(record))
        name, region = record.get("endpoint_name") or record.get("name"), record.get("region")
        events = context.get("outlet_events")
        if outcome is DeploymentOutcome.SUCCEEDED and name and region and events is not None:
            # Here, not before: what is put into outlet_events before a deferral is lost.
            events[AssetAlias(ALIAS)].add(endpoint_asset(region, name), extra=record)
    except Exception as problem:
        log.warning(
            "The record of this deployment could not be kept: %s: %s", type(problem).__name__, problem
        )


def _push(context: Context, key: str, value: Any) -> None:
    try:
        context["ti"].xcom_push(key=key, value=value)
    except Exception as problem:
        log.warning("XCom %s could not be pushed: %s: %s", key, type(problem).__name__, problem)


def task_instance_key(context: Context) -> dict[str, Any] | None:
    """Return what identifies the task instance for an XCom; None outside Airflow.

    :param context: The context of the task.
    """
    instance = context["ti"]
    names = ("dag_id", "task_id", "run_id", "map_index")
    key = {name: getattr(instance, name, None) for name in names}
    return key if all(key[name] is not None for name in names) else None


def _of_run(context: Context) -> dict[str, Any]:
    """Return the members of a record that tell whose task it is."""
    run, key = context.get("dag_run"), task_instance_key(context) or {}
    kind = getattr(run, "run_type", None)
    return {
        **key,
        "try_number": getattr(context["ti"], "try_number", None),
        "run_type": None if kind is None else str(getattr(kind, "value", kind)),
        "triggered_by": getattr(run, "triggering_user_name", None),
        "started_at": time.time(),
    }
