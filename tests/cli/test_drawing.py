"""What ``sm-hosting endpoint show`` draws: golden files. To write them anew: ``UPDATE_GOLDEN=1``."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from airflow_sm_hosting.cli.drawing import draw_endpoint
from airflow_sm_hosting.cli.endpoint_view import (
    AlarmView,
    DeploymentView,
    EndpointView,
    RollbackView,
    StageView,
    VariantView,
)

NOW = datetime(2026, 11, 30, 12, 4, 31, tzinfo=UTC)
HEALTHY = EndpointView(
    endpoint_name="churn",
    endpoint_arn="arn:aws:sagemaker:eu-west-1:123456789012:endpoint/churn",
    status="InService",
    failure_reason=None,
    endpoint_config_name="churn-90c1d2e3f4",
    serving_since=NOW - timedelta(hours=3),
    deploying=None,
    created_at=NOW - timedelta(days=40),
    last_modified_at=NOW - timedelta(minutes=12),
    is_ours=True,
    variants=[
        VariantView(
            "main",
            traffic_percent=95.0,
            weight=0.95,
            desired_weight=0.95,
            instances=2,
            desired_instances=3,
            min_instances=1,
            max_instances=8,
            instance_type="ml.m5.large",
            model_name="churn-1a2b3c4d5e",
        ),
        VariantView(
            "candidate", traffic_percent=5.0, instances=1, desired_instances=1, instance_type="ml.m5.large"
        ),
        VariantView("cheap", traffic_percent=0.0, max_concurrency=20),
        VariantView("copy", is_shadow=True, traffic_percent=100.0, instances=1),
    ],
    alarms=[
        AlarmView("churn-latency", "OK", rolls_back=True),
        AlarmView("churn-gone", None, rolls_back=True),
        AlarmView("churn-errors", "INSUFFICIENT_DATA", rolls_back=False),
    ],
    rollback=RollbackView("churn-0123456789", exists=True),
    history=[
        DeploymentView(
            "churn-90c1d2e3f4",
            "serving",
            NOW - timedelta(hours=3),
            NOW - timedelta(hours=4),
            ["churn-1a2b3c4d5e"],
        ),
        DeploymentView("churn-0123456789", "served before", models=["churn-a", "churn-b"]),
        DeploymentView("churn-bad0000000", "rolled back", NOW - timedelta(days=2), models=None),
    ],
)
FAILED = replace(
    HEALTHY,
    status="UpdateRollbackFailed",
    failure_reason="The primary container for production variant main did not pass the ping health check. [see the logs]",
    serving_since=None,
    deploying="churn-bad0000000",
    is_ours=False,
    variants=[VariantView("main", traffic_percent=100.0, instances=0, desired_instances=2)],
    stages=[
        StageView(
            "main",
            "Baking",
            "Baking for 300 seconds (WaitIntervalInSeconds) with traffic enabled on canary capacity of 1 instance(s).",
            NOW - timedelta(seconds=75),
            1,
            2,
        ),
        StageView("other", None, None, None, None, None),
    ],
    alarms=[AlarmView("churn-latency", "ALARM", rolls_back=True)],
    rollback=None,
    history=[],
    not_read=["scaling", "config churn-0123456789"],
)


def drawn(view: EndpointView, **console: object) -> str:
    file = io.StringIO()
    draw_endpoint(Console(file=file, width=100, highlight=False, **console), view, NOW)
    return file.getvalue()


@pytest.mark.parametrize(("name", "view"), [("healthy", HEALTHY), ("failed", FAILED)])
def test_it_is_the_golden_file(name: str, view: EndpointView) -> None:
    golden = Path(__file__).parent / "golden" / f"show_{name}.txt"
    found = "\n".join(line.rstrip() for line in drawn(view).splitlines()) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(found)
    assert found == golden.read_text()


def test_names_cannot_inject_markup() -> None:
    view = replace(HEALTHY, alarms=[AlarmView("[red]x[/red]", "OK", rolls_back=False)])
    assert "[red]x[/red]" in drawn(view)


def test_colours_follow_the_state() -> None:
    text = drawn(FAILED, force_terminal=True, color_system="standard")
    assert "\x1b[1;31mUpdateRollbackFailed" in text
