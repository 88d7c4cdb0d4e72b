"""What alarms on metrics and composite alarms share: names, actions, tags, and writing only what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_hosting.links import AlarmLink
from airflow_sm_hosting.operators.base import MOST_TAGS, SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.alarm import check_actions, check_alarm_name, check_description
from airflow_sm_hosting.spec.checks import check_boolean, check_tags
from airflow_sm_hosting.spec.reference import present
from airflow_sm_hosting.spec.rendered import as_boolean, as_list, as_tags
from airflow_sm_hosting.spec.tags import OURS, TASK

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.deployment.alarm import AlarmPlan
    from airflow_sm_hosting.hooks.cloudwatch import CloudWatchHook


class AlarmOperator(SageMakerHostingBaseOperator):
    """Base of the operators that make an alarm; their docstrings say what the parameters are."""

    #: The template fields that all alarms have.
    alarm_fields: ClassVar[tuple[str, ...]] = (
        "alarm_actions",
        "ok_actions",
        "insufficient_data_actions",
        "actions_enabled",
        "alarm_name",
        "alarm_description",
        "tags",
        "adopt",
    )
    operator_extra_links = (AlarmLink(),)
    #: Whether it is a composite alarm, which takes fewer kinds of actions.
    composite: ClassVar[bool] = False

    def __init__(
        self,
        *,
        alarm_actions: Any,
        ok_actions: Any,
        insufficient_data_actions: Any,
        actions_enabled: bool | str | None,
        alarm_name: str | None,
        alarm_description: str | None,
        tags: Any,
        adopt: bool | str,
        **kwargs: Any,
    ) -> None:
        where = type(self).__name__
        check_actions(f"{where}: alarm_actions", alarm_actions, composite=self.composite)
        check_actions(f"{where}: ok_actions", ok_actions, composite=self.composite)
        check_actions(
            f"{where}: insufficient_data_actions", insufficient_data_actions, composite=self.composite
        )
        if actions_enabled is not None:
            check_boolean(f"{where}: actions_enabled", actions_enabled)
        if alarm_name is not None:
            check_alarm_name(f"{where}: alarm_name", alarm_name)
        check_description(f"{where}: alarm_description", alarm_description)
        check_tags(f"{where}: tags", tags, most=MOST_TAGS)
        check_boolean(f"{where}: adopt", adopt)
        super().__init__(**kwargs)
        self.alarm_actions = alarm_actions
        self.ok_actions = ok_actions
        self.insufficient_data_actions = insufficient_data_actions
        self.actions_enabled = actions_enabled
        self.alarm_name = alarm_name
        self.alarm_description = alarm_description
        self.tags = tags
        self.adopt = adopt

    def _shared_request(self, alarm_name: str) -> dict[str, Any]:
        """Return the members that PutMetricAlarm and PutCompositeAlarm have in common."""
        check_alarm_name("alarm_name", alarm_name)
        check_description("alarm_description", self.alarm_description)
        enabled = self.actions_enabled
        return present(
            AlarmName=alarm_name,
            AlarmDescription=self.alarm_description,
            ActionsEnabled=None if enabled is None else as_boolean("actions_enabled", enabled),
            AlarmActions=self._actions("alarm_actions"),
            OKActions=self._actions("ok_actions"),
            InsufficientDataActions=self._actions("insufficient_data_actions"),
        )

    def _actions(self, field: str) -> list[Any] | None:
        actions = as_list(field, getattr(self, field))
        check_actions(field, actions, composite=self.composite)
        return actions or None

    def _user_tags(self) -> dict[str, str]:
        return as_tags("tags", self.tags, most=MOST_TAGS)

    def _persist_link(self, context: Context, hook: CloudWatchHook, alarm_name: str) -> None:
        for link in self.operator_extra_links:
            link.persist(
                context, partition=hook.conn_partition, region=hook.conn_region_name, alarm_name=alarm_name
            )

    def _plan(
        self,
        context: Context,
        hook: CloudWatchHook,
        operation: str,
        request: dict[str, Any],
        found: dict[str, Any] | None,
        *,
        tags: dict[str, str],
        adopt: bool,
    ) -> AlarmPlan:
        """Return what to do, and say why."""
        from airflow_sm_hosting.deployment.alarm import plan_alarm
        from airflow_sm_hosting.deployment.difference import ABSENT, differences, unwanted
        from airflow_sm_hosting.hooks.service_model import input_shape

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
            named=self.alarm_name is not None,
            adopt=adopt,
        )
        if plan.taken_from:
            self.log.warning(
                "The alarm %s was written by another task, %s; this one takes it over.", name, plan.taken_from
            )
        if plan.put:
            self.log.info("Putting alarm %s: %s", name, "; ".join(lines))
        else:
            self.log.info("Alarm %s is as asked", name)
        return plan

    def _carry_out(
        self,
        context: Context,
        hook: CloudWatchHook,
        operation: str,
        request: dict[str, Any],
        found: dict[str, Any] | None,
        plan: AlarmPlan,
    ) -> None:
        """Write what is planned. Putting replaces the whole alarm and keeps its state; it takes tags on creation only."""
        from airflow_sm_hosting.hooks.sagemaker import tag_list

        if plan.put:
            tags = {**self._user_tags(), **OURS, TASK: self._task(context)}
            put = (
                hook.conn.put_metric_alarm if operation == "PutMetricAlarm" else hook.conn.put_composite_alarm
            )
            put(**request, **({} if found else {"Tags": tag_list(tags)}))
        if found and plan.tags:
            hook.add_tags(found["AlarmArn"], plan.tags)

    def _task(self, context: Context) -> str:
        from airflow_sm_hosting.deployment.alarm import task_tag

        return task_tag(self.dag_id, self.task_id, getattr(context["ti"], "map_index", -1))
