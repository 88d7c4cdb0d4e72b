"""Create CloudWatch alarms over the states of other alarms."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError, NotFoundError
from airflow_sm_hosting.hooks.parameters import AWS_FIELDS
from airflow_sm_hosting.operators.alarm import AlarmOperator
from airflow_sm_hosting.spec.alarm_rule import alarms_of_rule, check_rule, is_alarm_arn, rule_text
from airflow_sm_hosting.spec.checks import check_seconds, check_text, is_rendered_later
from airflow_sm_hosting.spec.reference import present
from airflow_sm_hosting.spec.rendered import as_boolean, as_seconds, as_string

if TYPE_CHECKING:
    from airflow.sdk import Context

#: No range is documented; this is a day, beyond which nobody waits for a suppressor.
MAX_WAIT = 86_400


class CreateCompositeAlarmOperator(AlarmOperator):
    """Create or update an alarm over the states of other alarms; write only what differs (``cloudwatch:PutCompositeAlarm``).

    .. seealso::
        For more information on how to use this operator, take a look at the guide:
        :ref:`howto/operator:CreateCompositeAlarmOperator`, and the API:
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html

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
    :param adopt: Whether an alarm of that name that this package did not make is taken over (default: False). (templated)
    :raises InvalidSpecError: For an alarm that CloudWatch would refuse, before the first AWS call.
    :raises NotFoundError: When an alarm that is named in the rule, or the suppressor, does not exist; ARNs are not looked up.
    :raises ConflictError: When the name is that of an alarm on a metric, or of an alarm that others made and that differs.
    :return: The alarm's name.
    """

    template_fields: Sequence[str] = (
        *AWS_FIELDS,
        "alarm_rule",
        "actions_suppressor",
        "actions_suppressor_wait_period",
        "actions_suppressor_extension_period",
        *AlarmOperator.alarm_fields,
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"alarm_rule": "json", "tags": "json"}
    composite = True

    def __init__(
        self,
        *,
        alarm_name: str,
        alarm_rule: Any,
        alarm_actions: Any = (),
        ok_actions: Any = (),
        insufficient_data_actions: Any = (),
        actions_enabled: bool | str | None = None,
        actions_suppressor: str | None = None,
        actions_suppressor_wait_period: float | timedelta | str | None = None,
        actions_suppressor_extension_period: float | timedelta | str | None = None,
        alarm_description: str | None = None,
        tags: Any = None,
        adopt: bool | str = False,
        **kwargs: Any,
    ) -> None:
        where = type(self).__name__
        check_rule(f"{where}: alarm_rule", alarm_rule, own_name=alarm_name)
        _check_suppressor(
            f"{where}: ",
            actions_suppressor,
            actions_suppressor_wait_period,
            actions_suppressor_extension_period,
        )
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

    def execute(self, context: Context) -> str:
        """Compare the alarm with what is there, and put it if it differs."""
        from airflow_sm_hosting.hooks.requests import prepared

        request = prepared("cloudwatch", "PutCompositeAlarm", self._request())
        name = request["AlarmName"]
        tags = self._user_tags()
        adopt = as_boolean("adopt", self.adopt)
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
                f"The alarm {name!r} exists and is one on a metric, no composite alarm. Give this one another alarm_name."
            )
        if missing := [alarm for alarm in needed if alarm not in described]:
            raise NotFoundError(
                f"The composite alarm {name!r} needs alarms that do not exist: {', '.join(missing)}. Make them before it."
            )
        plan = self._plan(context, hook, "PutCompositeAlarm", request, found, tags=tags, adopt=adopt)
        self._carry_out(context, hook, "PutCompositeAlarm", request, found, plan)
        self.tell_details(context, {"written": plan.put, "alarm_rule": request["AlarmRule"]})
        return str(name)

    def _request(self) -> dict[str, Any]:
        name = as_string("alarm_name", self.alarm_name)
        check_rule("alarm_rule", self.alarm_rule, own_name=name)
        suppressor = None if self.actions_suppressor in ("", "None") else self.actions_suppressor
        waits = {
            field: _rendered_wait(field, getattr(self, field))
            for field in ("actions_suppressor_wait_period", "actions_suppressor_extension_period")
        }
        _check_suppressor("", suppressor, *waits.values())
        return {
            **self._shared_request(name),
            **present(
                AlarmRule=rule_text(self.alarm_rule),
                ActionsSuppressor=suppressor,
                ActionsSuppressorWaitPeriod=waits["actions_suppressor_wait_period"],
                ActionsSuppressorExtensionPeriod=waits["actions_suppressor_extension_period"],
            ),
        }


def _rendered_wait(field: str, value: Any) -> Any:
    if value is None:
        return None
    number = as_seconds(field, value, 0, MAX_WAIT)
    return int(number) if number.is_integer() else number


def _check_suppressor(where: str, suppressor: Any, wait_period: Any, extension_period: Any) -> None:
    """Check the suppressor and its two waits, which go together (PutCompositeAlarm)."""
    if suppressor is not None:
        check_text(
            f"{where}actions_suppressor", suppressor, pattern=r"[^\x00-\x1f]*\S[^\x00-\x1f]*", max_length=1600,
            allowed="the name or ARN of an alarm, 1 to 1600 characters",
        )  # fmt: skip
    for field, value in (
        ("actions_suppressor_wait_period", wait_period),
        ("actions_suppressor_extension_period", extension_period),
    ):
        if value is not None:
            check_seconds(f"{where}{field}", value, 0, MAX_WAIT)
        if (value is None) != (suppressor is None) and not is_rendered_later(suppressor):
            raise InvalidSpecError(
                f"{where}{field} is {value!r} with actions_suppressor {suppressor!r}; allowed: both, or neither."
            )
