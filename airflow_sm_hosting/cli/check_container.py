"""``sm-hosting check-container``: its arguments and options."""

from __future__ import annotations

from typing import Any

import click

from airflow_sm_hosting.cli.options import duration, json_option
from airflow_sm_hosting.container_check.contract import INVOCATION_SECONDS, STARTUP_SECONDS, STOP_SECONDS
from airflow_sm_hosting.spec.variant import SERVERLESS_MEMORY_SIZES


def serverless_memory(given: str) -> int:
    """Return the memory of a serverless endpoint in MB."""
    if given not in map(str, SERVERLESS_MEMORY_SIZES):
        allowed = ", ".join(map(str, SERVERLESS_MEMORY_SIZES))
        raise click.BadParameter(f"invalid choice: {given!r}; allowed: {allowed}")
    return int(given)


@click.command("check-container")
@click.argument("target", metavar="IMAGE|FOLDER")
@click.option("--model", metavar="PATH", help="Model data: a folder, a .tar.gz file or an s3:// URL.")
@click.option(
    "--request",
    multiple=True,
    metavar="FILE",
    help="A request that it must answer: a body, or a JSON object with body, content_type, accept, expect. May be given "
    "several times.",
)
@click.option(
    "--env",
    multiple=True,
    metavar="NAME=VALUE",
    help="A variable of its environment; NAME takes the value from here. May be given several times.",
)
@click.option("--instance-type", metavar="TYPE", help="ml.m5.large: its platform and its memory.")
@click.option(
    "--serverless",
    type=serverless_memory,
    metavar="MB",
    help="Check it for a serverless endpoint with this memory.",
)
@click.option(
    "--memory",
    type=int,
    metavar="MB",
    help="The memory that it may use. [default: the instance type's]",
)
@click.option(
    "--startup-timeout",
    type=duration,
    metavar="DURATION",
    default=STARTUP_SECONDS,
    help="How long it may take until it answers /ping.",
)
@click.option(
    "--invocation-timeout",
    type=duration,
    metavar="DURATION",
    default=INVOCATION_SECONDS,
    help="How long it may take for an answer.",
)
@click.option(
    "--stop-timeout",
    type=duration,
    metavar="DURATION",
    default=STOP_SECONDS,
    help="How long it may take until it ends after SIGTERM.",
)
@click.option("--multi-model", is_flag=True, help="Check the operations of a multi-model container.")
@click.option("--network-isolation", is_flag=True, help="Run it without a network, too.")
@click.option("--read-only", is_flag=True, help="Run it with a read-only root file system, too.")
@click.option("--non-root", is_flag=True, help="Run it as another user than root, too.")
@click.option("--dockerfile", default="Dockerfile", help="The Dockerfile in the folder.")
@click.option(
    "--build-arg", multiple=True, metavar="NAME=VALUE", help="A build argument. May be given several times."
)
@json_option
@click.pass_context
def check_container(context: click.Context, /, **given: Any) -> None:
    """Run a container as SageMaker would, and tell what breaks its contract.

    Exit codes: 0: no check failed. 1: a check failed, or the image cannot be built. 2: wrong usage, or there is no Docker engine.
    """
    from airflow_sm_hosting.container_check.command import CheckOptions, run

    context.exit(run(CheckOptions(**given)))
