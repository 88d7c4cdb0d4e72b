"""Draw endpoints for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from airflow_sm_hosting.deployment.status import BROKEN, IN_SERVICE

if TYPE_CHECKING:
    from rich.console import Console

    from airflow_sm_hosting.cli.endpoint_view import DeploymentView, EndpointView, VariantView

#: Characters of a bar of all traffic.
BAR = 12
_ALARMS = {"OK": "green", "ALARM": "bold red", "INSUFFICIENT_DATA": "yellow", None: "red"}
_STATES = {
    "serving": "green",
    "deploying": "yellow",
    "rolled back": "red",
    "unverified": "red",
    "failed": "red",
}
#: Columns whose cells are not broken.
_WHOLE = ("status", "traffic", "instances", "state", "stage", "since")
_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def draw_list(console: Console, endpoints: Sequence[EndpointView]) -> None:
    """Draw endpoints as a table.

    :param console: Where.
    :param endpoints: The endpoints.
    """
    table = _table("endpoint", "status", "config", "since (UTC)", "instances")
    for one in endpoints:
        table.add_row(
            escape(one.endpoint_name),
            _status(one.status),
            escape(_config_in_words(one)),
            _time(one.serving_since) if one.serving_since else f"changed {_time(one.last_modified_at)}",
            ", ".join(_instances(variant) for variant in one.variants if not variant.is_shadow) or "–",
        )
    console.print(table)


def draw_endpoint(console: Console, view: EndpointView, now: datetime) -> None:
    """Draw all that is known of an endpoint.

    :param console: Where.
    :param view: The endpoint.
    :param now: The time, for how long ago something was.
    """
    console.print(Text.assemble((view.endpoint_name, "bold"), "  ", _status(view.status)))
    if view.failure_reason:
        console.print(Text(view.failure_reason, style="red"))
    since = f" since {_moment(view.serving_since, now)}" if view.serving_since else ""
    if view.deploying != view.endpoint_config_name:
        console.print(f"serves     {escape(view.endpoint_config_name or 'nothing')}{since}")
    if view.deploying:
        console.print(Text.assemble("deploying  ", (view.deploying, "yellow")))
    console.print(f"changed    {_moment(view.last_modified_at, now)}")
    if not view.is_ours and "tags" not in view.not_read:
        console.print("not deployed by this package: only adopt=True would change it")
    _draw_stages(console, view, now)
    _draw_variants(console, view)
    _draw_alarms(console, view)
    _heading(console, "Rollback")
    if view.rollback is None:
        console.print("  no earlier config is known")
    else:
        gone = "" if view.rollback.exists else ", [red]which was deleted[/]"
        console.print(f"  would go back to {escape(view.rollback.endpoint_config_name)}{gone}")
    if view.history:
        _heading(console, "History")
        draw_history(console, view.history)
    if view.not_read:
        console.print(f"\nNot read, as the permission is missing: {escape(', '.join(view.not_read))}")


def draw_history(console: Console, history: Sequence[DeploymentView]) -> None:
    """Draw the known configs of an endpoint, the newest first.

    :param console: Where.
    :param history: The configs.
    """
    table = _table("config", "state", "deployed (UTC)", "run due (UTC)", "models")
    for one in history:
        models = "deleted" if one.models is None else ", ".join(one.models) or "–"
        state = Text(one.state, style=_STATES.get(one.state, ""))
        table.add_row(
            escape(one.endpoint_config_name),
            state,
            _time(one.deployed_at),
            _time(one.run_due),
            escape(models),
        )
    console.print(table)


def _draw_stages(console: Console, view: EndpointView, now: datetime) -> None:
    if not view.stages:
        return
    _heading(console, "Deployment in progress")
    table = _table("variant", "stage", "instances", "since", "")
    for one in view.stages:
        table.add_row(
            escape(one.variant_name),
            Text(one.stage or "–", style="yellow"),
            _count(one.instances, one.desired_instances),
            _ago(one.since, now) if one.since else "–",
            escape(one.message or ""),
        )
    console.print(table)


def _draw_variants(console: Console, view: EndpointView) -> None:
    if not view.variants:
        return
    _heading(console, "Variants")
    table = _table("variant", "traffic", "instances", "scaling", "type", "model")
    unicode = (console.encoding or "").lower().startswith("utf")
    for one in view.variants:
        scaling = "–" if one.max_instances is None else f"{one.min_instances} to {one.max_instances}"
        table.add_row(
            escape(one.variant_name) + (" (shadow)" if one.is_shadow else ""),
            _traffic(one, unicode=unicode),
            _instances(one),
            scaling,
            one.instance_type or ("serverless" if one.max_concurrency else "–"),
            escape(one.model_name or "–"),
        )
    console.print(table)


def _draw_alarms(console: Console, view: EndpointView) -> None:
    if not view.alarms:
        return
    _heading(console, "Alarms")
    table = _table("alarm", "state", "")
    for one in view.alarms:
        state = Text(one.state or "does not exist", style=_ALARMS.get(one.state, ""))
        table.add_row(escape(one.alarm_name), state, "rolls deployments back" if one.rolls_back else "")
    console.print(table)


def _heading(console: Console, text: str) -> None:
    console.print(f"\n[bold]{text}[/]")


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=True, padding=(0, 0, 0, 2), header_style="dim")
    for heading in headings:
        table.add_column(heading, overflow="fold", no_wrap=heading in _WHOLE)
    return table


def _status(status: str) -> Text:
    style = "green" if status == IN_SERVICE else "bold red" if status in BROKEN else "yellow"
    return Text(status, style=style)


def _config_in_words(view: EndpointView) -> str:
    serving = view.endpoint_config_name or "–"
    return f"{serving} -> {view.deploying}" if view.deploying not in (None, serving) else serving


def _traffic(variant: VariantView, *, unicode: bool) -> str:
    percent = variant.traffic_percent
    if percent is None:
        return "–"
    full, empty = ("█", "░") if unicode else ("#", ".")
    # A share of any size is seen.
    filled = max(round(BAR * percent / 100), 1 if percent else 0)
    return f"{full * filled}{empty * (BAR - filled)} {percent:g} %"


def _instances(variant: VariantView) -> str:
    if variant.max_concurrency is not None:
        return f"concurrency {variant.max_concurrency}"
    return _count(variant.instances, variant.desired_instances)


def _count(current: int | None, desired: int | None) -> str:
    if current is None:
        return "–"
    return str(current) if desired in (None, current) else f"{current} of {desired}"


def _time(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if moment else "–"


def _moment(moment: datetime | None, now: datetime) -> str:
    return f"{_time(moment)} UTC ({_ago(moment, now)})" if moment else "–"


def _ago(moment: datetime, now: datetime) -> str:
    seconds: Any = max(0, round((now - moment).total_seconds()))
    unit, size = next((pair for pair in _UNITS if seconds >= pair[1]), _UNITS[-1])
    return f"{seconds // size} {unit} ago"
