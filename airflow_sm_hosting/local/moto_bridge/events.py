"""Events of AWS services, sent to the rules in moto's EventBridge."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID


def put_event(region: str, source: str, detail_type: str, resource: str, detail: Mapping[str, Any]) -> None:
    """Send an event to the default bus of a Region."""
    # moto loads a service with the first request to it: until then, there are no rules.
    if "moto.events.models" not in sys.modules:
        return
    from moto.events.models import events_backends

    event = {
        "Source": source,
        "DetailType": detail_type,
        "Resources": [resource],
        "Detail": json.dumps(detail),
    }
    events_backends[ACCOUNT_ID][region].put_events([event])
