"""Events of AWS services, sent to the targets of the rules in moto's EventBridge.

moto has rules, patterns and input transformers. Its own delivery leaves members out, sends to disabled rules and to schedules, and ends at
the first target that it does not have; so each target is sent to here.
"""

from __future__ import annotations

import copy
import json
import logging
import sys
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.local.moto_bridge import logs, topics
from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID

if TYPE_CHECKING:
    from moto.events.models import Rule

LOG = logging.getLogger(__name__)


def put_event(
    region: str, source: str, detail_type: str, resource: str, detail: Mapping[str, Any], time: datetime
) -> None:
    """Send an event to the default bus of a Region.

    What cannot be delivered is logged, and does not disturb other targets: EventBridge drops it after its retries.
    """
    # moto loads a service with the first request to it: until then, there are no rules.
    if "moto.events.models" not in sys.modules:
        return
    # https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
    event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT_ID,
        "time": time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": [resource],
        "detail": json.loads(json.dumps(detail)),
    }
    _put(region, "default", event, is_forwarded=False)


def _put(region: str, bus_name: str, event: dict[str, Any], *, is_forwarded: bool) -> None:
    from moto.events.models import events_backends

    bus = events_backends[ACCOUNT_ID][region].describe_event_bus(bus_name)
    for rule in list(bus.rules.values()):
        # A rule without a pattern is a schedule.
        if rule.state == "DISABLED" or not rule.event_pattern.get_pattern():
            continue
        if not rule.event_pattern.matches_event(event):  # type: ignore[arg-type]
            continue
        for target in list(rule.targets):
            try:
                _deliver(rule, target, event, is_forwarded)
            except Exception:
                LOG.warning("an event cannot be delivered to %s", target["Arn"], exc_info=True)


def _deliver(rule: Rule, target: Mapping[str, Any], event: dict[str, Any], is_forwarded: bool) -> None:
    arn = str(target["Arn"])
    service, region, name = arn.split(":")[2], arn.split(":")[3], arn.rpartition(":")[2]
    match service:
        case "sqs":
            group = target.get("SqsParameters", {}).get("MessageGroupId")
            _send_to_queue(region, name, _text(target, event), group)
        case "logs":
            _write_to_group(region, arn.partition(":log-group:")[2].removesuffix(":*"), _text(target, event))
        case "sns":
            topics.publish(arn, None, _text(target, event))
        case "events" if name.startswith("event-bus/"):
            # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-bus-to-bus.html: a bus does not forward what it got from another.
            if not is_forwarded:
                _put(region, name.partition("/")[2], event, is_forwarded=True)
        case _:
            # Archives and API destinations: moto's, which has times as numbers.
            only = copy.copy(rule)
            only.targets = [dict(target)]
            sent = datetime.fromisoformat(event["time"]).timestamp()
            only.send_to_targets({**event, "time": sent, "ingestion-time": sent})  # type: ignore[typeddict-item]


def _send_to_queue(region: str, name: str, text: str, group: str | None) -> None:
    from moto.sqs.models import sqs_backends

    backend = sqs_backends[ACCOUNT_ID][region]
    attribute = "ContentBasedDeduplication"
    if group and backend.get_queue_attributes(name, [attribute])[attribute] != "true":
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html#eb-target-sqs: "enable content-based deduplication".
        raise ValueError(f"the queue {name} has no content-based deduplication")
    backend.send_message(queue_name=name, message_body=text, group_id=group)


def _write_to_group(region: str, name: str, text: str) -> None:
    if not logs.has_group(region, name):
        raise ValueError(f"there is no log group {name}")
    # EventBridge makes a stream for its events; its name is not documented.
    logs.put_lines(region, name, str(uuid.uuid4()), [text])


def _text(target: Mapping[str, Any], event: dict[str, Any]) -> str:
    """Return what a target gets of an event: API_Target.html, Input, InputPath and InputTransformer."""
    if "Input" in target:
        return str(target["Input"])
    if path := target.get("InputPath"):
        found: Any = event
        for part in path.removeprefix("$").split(".")[1:]:
            found = found[part]
        return json.dumps(found)
    if transformer := target.get("InputTransformer"):
        from moto.events.utils import EventTemplateParser

        paths = transformer.get("InputPathsMap", {})
        read: Any = {**event, "ingestion-time": event["time"]}
        return json.dumps(EventTemplateParser.parse(transformer["InputTemplate"], paths, read))
    return json.dumps(event)
