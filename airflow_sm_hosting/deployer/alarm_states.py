"""Read the states of the alarms that guard a rollout, for its log lines."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.clients import SharedClients

log = logging.getLogger(__name__)


def alarm_states_of(hook: SharedClients, names: Sequence[str]) -> dict[str, str]:
    """Return the states of alarms by name (``cloudwatch:DescribeAlarms``); those that cannot be read are left out, with no error.

    :param hook: A hook of the connection.
    :param names: The alarms, 10 at most; with none, no call is made.
    """
    if not names:
        return {}
    try:
        found = hook.client("cloudwatch").describe_alarms(
            AlarmNames=list(names), AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
    except (ClientError, BotoCoreError) as error:
        log.debug("The states of alarms are not shown: %s", error)
        return {}
    alarms = [*found.get("MetricAlarms", ()), *found.get("CompositeAlarms", ())]
    return {str(alarm["AlarmName"]): str(alarm["StateValue"]) for alarm in alarms}
