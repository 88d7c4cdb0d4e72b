"""What the demo prints: tables and colours for people, plain and whole lines in a pipe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

from rich.table import Table

from airflow_sm_hosting.cli.output import console as console_of

console = console_of()
#: Print lines that a terminal may break, and nothing else.
say = partial(console.print, soft_wrap=True)


def tell_what_was_made(tasks: dict[str, Any]) -> None:
    """Print names and digests, and whether each was made now.

    :param tasks: Those of the deploying run, by id.
    """
    xcoms = {task_id: task["xcoms"] for task_id, task in tasks.items()}
    table = Table(box=None)
    for heading in ("", "what", "now"):
        table.add_column(heading, overflow="fold")

    def row(task_id: str, what: str, done: str, not_done: str, key: str) -> None:
        details = xcoms[task_id]["details"]
        table.add_row(what, str(xcoms[task_id]["return_value"]), done if details[key] else not_done)

    row("build_image", "image", "built and pushed", "unchanged", "built")
    row("upload_model_data", "artifact", "uploaded", "unchanged", "uploaded")
    row("create_model", "model", "created", "unchanged", "created")
    row("create_endpoint_config", "endpoint config", "created", "unchanged", "created")
    details = xcoms["deploy_endpoint"]["details"]
    table.add_row("endpoint", xcoms["deploy_endpoint"]["return_value"], details["action"])
    row("configure_autoscaling", "scalable target", "configured", "unchanged", "written")
    row("create_latency_alarm", "alarm", "put", "unchanged", "written")
    _tell("Made", table)


def tell_timeline(report: dict[str, Any]) -> None:
    """Print when each task ran."""
    tasks = [task for run in report.values() for task in run["tasks"] if task["start"]]
    first = min(task["start"] for task in tasks)
    table = Table("task", "at", "seconds", "state", box=None)
    for task in sorted(tasks, key=lambda task: task["start"]):
        table.add_row(
            task["task_id"],
            f"{task['start'] - first:5.1f} s",
            f"{task['end'] - task['start']:.1f}",
            task["state"],
        )
    _tell("Timeline", table)


def tell_predictions(announced: dict[str, Any], answer: dict[str, Any]) -> None:
    """Print the endpoint's answers beside the truth.

    :param announced: What the training announced: accuracy and sample rows.
    :param answer: What the endpoint said to the sample rows.
    """
    table = Table("endpoint says", "probability", "truth", "", box=None)
    for label, probability, truth in zip(
        answer["labels"], answer["probabilities"], announced["samples"]["truth"], strict=True
    ):
        table.add_row(label, f"{probability:.4f}", truth, "right" if label == truth else "[red]wrong[/]")
    accuracy = announced["accuracy"]
    _tell(f"Predictions for rows that the model has not seen (accuracy on all such rows: {accuracy})", table)


def changing(requests: Sequence[dict[str, Any]]) -> Counter[str]:
    """Return the calls that changed something, counted by operation.

    :param requests: Of the request log of the local AWS.
    """
    return Counter(
        f"{request['service']}:{request['operation']}" for request in requests if request["mutating"]
    )


def tell_changes(requests: Sequence[dict[str, Any]]) -> None:
    """Print the calls that changed something, from the local AWS's own log."""
    found = changing(requests)
    if not found:
        say(f"\n[bold green]Nothing changed[/]: {len(requests)} calls, no mutating ones.")
        return
    told = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in found.items())
    say(f"\n{len(requests)} calls, {found.total()} of them mutating: {told}")


def _tell(title: str, table: Table) -> None:
    """Print a table under its title, which is not broken at the table's width."""
    say(f"\n[italic]{title}[/]")
    console.print(table)
