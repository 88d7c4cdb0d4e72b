"""Create composite CloudWatch alarms: alarms on the states of other alarms."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError, NotFoundError
from airflow_sm_hosting.fields import Text, Value, WholeSeconds, optional
from airflow_sm_hosting.operators.alarm import Actions, AlarmFields, AlarmOperator
from airflow_sm_hosting.spec.alarm import check_alarm_name, literal_name
from airflow_sm_hosting.spec.alarm_rule import alarms_of_rule, check_rule, is_alarm_arn, rule_text
from airflow_sm_hosting.spec.checks import check_text, is_rendered_later
from airflow_sm_hosting.spec.reference import present

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.spec.reference import Reference

#: No range is documented; a day is longer than any useful wait for a suppressor.
MAX_WAIT = 86_400


def _check_suppressor(where: str, value: Any) -> None:
    check_text(
        where,
        value,
        pattern=r"[^\x00-\x1f]*\S[^\x00-\x1f]*",
        max_length=1600,
        allowed="the name or ARN of an alarm, 1 to 1600 characters",
    )


class CreateCompositeAlarmFields(AlarmFields):
    """The parameters of :class:`CreateCompositeAlarmOperator`."""

    alarm_name = Text(check_alarm_name)
    alarm_rule = Value(json=True)
    alarm_actions = Actions(composite=True)
    ok_actions = Actions(composite=True)
    insufficient_data_actions = Actions(composite=True)
    actions_suppressor = optional(Text(_check_suppressor))
    actions_suppressor_wait_period = optional(WholeSeconds(low=0, high=MAX_WAIT))
    actions_suppressor_extension_period = optional(WholeSeconds(low=0, high=MAX_WAIT))

    def check_together(self, where: str) -> None:
        """Check the rule, and that the suppressor and its two waits go together (PutCompositeAlarm)."""
        check_rule(f"{where}alarm_rule", self.alarm_rule, own_name=self.alarm_name)
        suppressor = self.actions_suppressor
        for field in ("actions_suppressor_wait_period", "actions_suppressor_extension_period"):
            value = self.values[field]
            if (value is None) != (suppressor is None) and not is_rendered_later(suppressor):
                raise InvalidSpecError(
                    f"{where}{field} is {value!r} with actions_suppressor {suppressor!r}; allowed: both, or neither."
                )


class CreateCompositeAlarmOperator(AlarmOperator):
    """Create or update a composite alarm, on the states of other alarms; write only differences (``cloudwatch:PutCompositeAlarm``).

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#createcompositealarmoperator
        API: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html

    :param alarm_name: Name of the alarm, 1 to 255 characters. (templated)
    :param alarm_rule: An :class:`~airflow_sm_hosting.AlarmRule`, or a text such as ``ALARM("a") AND NOT ALARM("b")``; 10240 characters,
        100 alarms and 500 elements at most. (templated)
    :param alarm_actions: ARNs to notify when it goes to ALARM, 5 at most: SNS topics, Lambda functions, Systems Manager. (templated)
    :param ok_actions: ARNs to notify when it goes to OK, 5 at most. (templated)
    :param insufficient_data_actions: ARNs to notify when it goes to INSUFFICIENT_DATA, 5 at most. (templated)
    :param actions_enabled: Whether actions are carried out (default: AWS's, True). (templated)
    :param actions_suppressor: Name or ARN of an alarm; while it is in ALARM, no actions are carried out. (templated)
    :param actions_suppressor_wait_period: Seconds or a timedelta that this alarm waits for the suppressor to go to ALARM; with a suppressor
        only, and then required. (templated)
    :param actions_suppressor_extension_period: Seconds or a timedelta that it waits after the suppressor has left ALARM; with a suppressor
        only, and then required. (templated)
    :param alarm_description: A description, 1024 characters at most. (templated)
    :param tags: Tags, as a dict, 48 at most; on an alarm that exists they are reconciled. (templated)
    :param adopt: Whether the task may take over an alarm with this name that this package did not make (default: False). (templated)
    :raises InvalidSpecError: For an alarm that CloudWatch would refuse, before the first AWS call.
    :raises NotFoundError: When an alarm in the rule, or the suppressor, does not exist; ARNs are not looked up.
    :raises ConflictError: When a metric alarm has this name, or a different alarm that others made.
    :return: The alarm's name.
    """

    fields = CreateCompositeAlarmFields
    template_fields: Sequence[str] = CreateCompositeAlarmFields.template_fields()
    template_fields_renderers: ClassVar[dict[str, str]] = (
        CreateCompositeAlarmFields.template_fields_renderers()
    )

    def __init__(
        self,
        *,
        alarm_name: Late,
        alarm_rule: Reference | Mapping[str, Any] | Late,
        alarm_actions: Sequence[Late] | Late = (),
        ok_actions: Sequence[Late] | Late = (),
        insufficient_data_actions: Sequence[Late] | Late = (),
        actions_enabled: bool | Late | None = None,
        actions_suppressor: Late | None = None,
        actions_suppressor_wait_period: int | timedelta | Late | None = None,
        actions_suppressor_extension_period: int | timedelta | Late | None = None,
        alarm_description: Late | None = None,
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Late | None = None,
        adopt: bool | Late = False,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(
            alarm_actions=alarm_actions,
            ok_actions=ok_actions,
            insufficient_data_actions=insufficient_data_actions,
            actions_enabled=actions_enabled,
            alarm_name=alarm_name,
            alarm_description=alarm_description,
            tags=tags,
            adopt=adopt,
            **kwargs,
        )
        self.alarm_rule = alarm_rule
        self.actions_suppressor = actions_suppressor
        self.actions_suppressor_wait_period = actions_suppressor_wait_period
        self.actions_suppressor_extension_period = actions_suppressor_extension_period
        self._check_name_is_free(literal_name(alarm_name))

    def execute(self, context: Context) -> str:
        """Compare the alarm with the existing one, and put it if it differs."""
        from airflow_sm_hosting.service_model.request import validated_request

        given = CreateCompositeAlarmFields.of(self)
        request = validated_request("cloudwatch", "PutCompositeAlarm", self._request())
        name, tags, adopt = given.alarm_name, given.tags, given.adopt
        needed = [
            alarm
            for alarm in (
                *alarms_of_rule("alarm_rule", request["AlarmRule"]),
                request.get("ActionsSuppressor"),
            )
            if alarm and not is_alarm_arn(alarm)
        ]

        hook = self.cloudwatch_hook
        self._persist_link(context, hook, name)
        described = hook.describe_alarms(list(dict.fromkeys([name, *needed])))
        found = described.get(name)
        if found and "AlarmRule" not in found:
            raise ConflictError(
                f"The alarm {name!r} exists and is a metric alarm, not a composite alarm. Give another "
                "alarm_name."
            )
        if missing := [alarm for alarm in needed if alarm not in described]:
            raise NotFoundError(
                f"The composite alarm {name!r} needs alarms that do not exist: {', '.join(missing)}. Create "
                "them first."
            )
        plan = self._plan(context, hook, "PutCompositeAlarm", request, found, tags=tags, adopt=adopt)
        self._apply(context, request, found, plan)
        self.push_details(context, {"written": plan.put, "alarm_rule": request["AlarmRule"]})
        return str(name)

    def _request(self) -> dict[str, Any]:
        given = CreateCompositeAlarmFields.of(self)
        return {
            **self._shared_request(given, given.alarm_name),
            **present(
                AlarmRule=rule_text(given.alarm_rule),
                ActionsSuppressor=given.actions_suppressor,
                ActionsSuppressorWaitPeriod=given.actions_suppressor_wait_period,
                ActionsSuppressorExtensionPeriod=given.actions_suppressor_extension_period,
            ),
        }
