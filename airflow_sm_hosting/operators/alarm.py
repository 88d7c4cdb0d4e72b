"""Shared parts of the operators for metric and composite alarms: names, actions, tags, and writing only on differences."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.fields import Boolean, ListOf, Tags, Text, optional
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.links import AlarmLink
from airflow_sm_hosting.operators.base import MOST_TAGS, SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.alarm import check_actions, check_alarm_name, check_description
from airflow_sm_hosting.spec.reference import present
from airflow_sm_hosting.spec.rendered import as_list
from airflow_sm_hosting.spec.tags import OURS, TASK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_sm_hosting.deployment.alarm import AlarmPlan
    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.hooks.cloudwatch import CloudWatchHook


class Actions(ListOf):
    """ARNs of the actions on a change of the alarm's state.

    :param composite: Whether the alarm is composite, which allows fewer kinds of actions.
    """

    def __init__(self, *, composite: bool = False) -> None:
        super().__init__()
        self._composite = composite

    def check(self, where: str, value: Any) -> None:
        """Check literal actions."""
        check_actions(where, value, composite=self._composite)

    def value(self, where: str, given: Any) -> list[Any]:
        """Return the actions."""
        actions = as_list(where, given)
        check_actions(where, actions, composite=self._composite)
        return actions


class AlarmFields(AwsFields):
    """The common parameters of the operators that make an alarm."""

    alarm_actions = Actions()
    ok_actions = Actions()
    insufficient_data_actions = Actions()
    actions_enabled = optional(Boolean())
    # A blank name is an error. It does not mean the default name, which another alarm may have.
    alarm_name = optional(Text(check_alarm_name, blank=False))
    alarm_description = optional(Text(check_description))
    tags = Tags(most=MOST_TAGS)
    adopt = Boolean(default=False)


#: The alarms of each DAG of this process, by name, Region and connection, with the task that makes it; a DAG cannot be a key of a dict.
_NAMES: dict[int, tuple[weakref.ref[Any], dict[tuple[str, str, str], str]]] = {}


def _names_of(dag: Any) -> dict[tuple[str, str, str], str]:
    """Return the names of a DAG's alarms."""
    key = id(dag)
    if key not in _NAMES:
        _NAMES[key] = (weakref.ref(dag, lambda _: _NAMES.pop(key, None)), {})
    return _NAMES[key][1]


class AlarmOperator(SageMakerHostingBaseOperator):
    """Base of the operators that make an alarm; their docstrings document the parameters."""

    fields: ClassVar[type[AlarmFields]] = AlarmFields
    operator_extra_links = (AlarmLink(),)

    def __init__(
        self,
        *,
        alarm_actions: Sequence[Late] | Late,
        ok_actions: Sequence[Late] | Late,
        insufficient_data_actions: Sequence[Late] | Late,
        actions_enabled: bool | Late | None,
        alarm_name: Late | None,
        alarm_description: Late | None,
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Late | None,
        adopt: bool | Late,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alarm_actions = alarm_actions
        self.ok_actions = ok_actions
        self.insufficient_data_actions = insufficient_data_actions
        self.actions_enabled = actions_enabled
        self.alarm_name = alarm_name
        self.alarm_description = alarm_description
        self.tags = tags
        self.adopt = adopt

    def _check_name_is_free(self, name: str | None) -> None:
        """Check that no other task of the DAG makes an alarm of this name in the same place: each would overwrite the other's alarm.

        :param name: The name, as far as it is known while the DAG file is parsed.
        :raises InvalidSpecError: When there is one.
        """
        if name is None or not self.has_dag():  # type: ignore[no-untyped-call]
            return
        place = (name, str(self.region_name), str(self.aws_conn_id))
        other = _names_of(self.dag).setdefault(place, self.task_id)
        if other != self.task_id:
            named = self.alarm_name is not None
            raise InvalidSpecError(
                f"{type(self).__name__}: alarm_name is {name!r}{'' if named else ', the default name,'} in the tasks {other} and "
                f"{self.task_id}, which would overwrite each other's alarm; allowed: one task per alarm."
                + ("" if named else " Give alarm_name=.")
            )

    @staticmethod
    def _shared_request(given: AlarmFields, alarm_name: str) -> dict[str, Any]:
        """Return the common members of PutMetricAlarm and PutCompositeAlarm."""
        return present(
            AlarmName=alarm_name,
            AlarmDescription=given.alarm_description,
            ActionsEnabled=given.actions_enabled,
            AlarmActions=given.alarm_actions or None,
            OKActions=given.ok_actions or None,
            InsufficientDataActions=given.insufficient_data_actions or None,
        )

    def _persist_link(self, context: Context, hook: CloudWatchHook, alarm_name: str) -> None:
        for link in self.operator_extra_links:
            link.persist_for(context, hook, alarm_name=alarm_name)

    def _plan(
        self,
        context: Context,
        hook: CloudWatchHook,
        operation: str,
        request: dict[str, Any],
        found: Mapping[str, Any] | None,
        *,
        tags: dict[str, str],
        adopt: bool,
    ) -> AlarmPlan:
        """Return the plan, and log its reason."""
        from airflow_sm_hosting.deployment.alarm import plan_alarm
        from airflow_sm_hosting.deployment.difference import ABSENT, differences, unwanted
        from airflow_sm_hosting.service_model.shapes import input_shape

        name = request["AlarmName"]
        lines = ABSENT
        if found:
            members = input_shape("cloudwatch", operation).members
            lines = differences(request, found) + unwanted(request, found, members)
        plan = plan_alarm(
            name,
            lines,
            hook.tags(found["AlarmArn"]) if found else None,
            wanted_tags=tags,
            task=self._task(context),
            named=self.fields.of(self).alarm_name is not None,
            adopt=adopt,
        )
        if plan.taken_from:
            self.log.warning(
                "The alarm %s was written by another task, %s; this task takes it over.",
                name,
                plan.taken_from,
            )
        if not plan.put:
            self.log.info("Alarm %s is up to date", name)
        return plan

    def _apply(
        self,
        context: Context,
        request: dict[str, Any],
        found: Mapping[str, Any] | None,
        plan: AlarmPlan,
    ) -> None:
        """Apply the plan. PutMetricAlarm and PutCompositeAlarm replace the whole alarm, keep its state, and take tags only on creation."""
        from airflow_sm_hosting.deployer.adapters import StepRunner
        from airflow_sm_hosting.deployment.alarm import alarm_steps
        from airflow_sm_hosting.deployment.steps import PutCompositeAlarm, PutMetricAlarm

        steps = alarm_steps(
            plan,
            PutCompositeAlarm if "AlarmRule" in request else PutMetricAlarm,
            request,
            arn=found["AlarmArn"] if found else None,
            new_tags={**self.fields.of(self).tags, **OURS, TASK: self._task(context)},
        )
        runner = StepRunner(self)
        for step in runner.validated(tuple(steps)):
            runner.apply(step)

    def _task(self, context: Context) -> str:
        from airflow_sm_hosting.deployment.alarm import task_tag

        return task_tag(self.dag_id, self.task_id, getattr(context["ti"], "map_index", -1))
