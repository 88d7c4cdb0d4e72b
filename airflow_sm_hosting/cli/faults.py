"""``sm-hosting local fault``: faults of the local AWS."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from airflow_sm_hosting.cli.options import duration, json_option, port_option
from airflow_sm_hosting.cli.running import running_on

Function = TypeVar("Function", bound=Callable[..., Any])


def _each_fault(function: Function) -> Function:
    for decorate in (
        json_option,
        port_option,
        click.option(
            "--seconds",
            type=duration,
            metavar="DURATION",
            help="How long, by the server's clock. [default: until cleared]",
        ),
        click.option("--count", type=int, metavar="N", help="How many times it applies. [default: always]"),
    ):
        function = decorate(function)
    return function


def _each_request(function: Function) -> Function:
    for decorate in (
        click.option(
            "--resource", metavar="NAME", help="The resource of the request, as in the request log."
        ),
        click.option("--operation", metavar="NAME", help="CreateEndpoint; wildcards: 'Describe*'."),
        click.option("--service", metavar="NAME", help="As in the request log: sagemaker, s3, monitoring, …"),
    ):
        function = decorate(function)
    return _each_fault(function)


def _begin(kind: str, port: int, as_json: bool, given: dict[str, Any]) -> None:
    """Begin a fault and print it; it is JSON with and without ``--json``."""
    members = {name: value for name, value in given.items() if value is not None}
    click.echo(json.dumps(running_on(port).control().begin_fault(kind, **members)))


@click.group()
def fault() -> None:
    """Inject a fault."""


@fault.command()
@_each_request
@click.option(
    "--rate",
    type=float,
    metavar="R",
    help="Requests per second of each operation that go through. [default: none]",
)
def throttle(port: int, as_json: bool, **given: Any) -> None:
    """Throttle requests."""
    _begin("throttle", port, as_json, given)


@fault.command()
@_each_request
@click.option("--delay", type=float, metavar="S", help="Seconds of real time. [default: 1]")
def delay(port: int, as_json: bool, **given: Any) -> None:
    """Answer late."""
    _begin("delay", port, as_json, given)


@fault.command()
@_each_request
@click.option("--code", help="The error code. [default: InternalFailure]")
@click.option("--message", help="Its sentence.")
@click.option("--status", type=int, help="Its HTTP status. [default: 400; for InternalFailure 500]")
def error(port: int, as_json: bool, **given: Any) -> None:
    """Reject requests with an error."""
    _begin("error", port, as_json, given)


@fault.command()
@_each_request
@click.option(
    "--when",
    type=click.Choice(["before", "after"]),
    help="Before or after the service has acted. [default: after]",
)
def drop(port: int, as_json: bool, **given: Any) -> None:
    """Drop the connection."""
    _begin("drop", port, as_json, given)


@fault.command()
@_each_fault
@click.option("--instance-type", metavar="TYPE", help="ml.g5.xlarge; wildcards: 'ml.g5.*'. [default: all]")
@click.option(
    "--instances", type=int, metavar="N", help="Number of instances that are still available. [default: 0]"
)
def capacity(port: int, as_json: bool, **given: Any) -> None:
    """Limit the instances for new fleets."""
    _begin("capacity", port, as_json, given)


@fault.command()
@_each_fault
@click.option("--endpoint", metavar="NAME", required=True, help="Containers of this endpoint; '*' for all.")
@click.option("--variant", metavar="NAME", help="Only containers of this variant.")
@click.option("--container", metavar="NAME", help="'primary', or a container's hostname.")
@click.option(
    "--when",
    type=click.Choice(["now", "start"]),
    help="Containers that run now, or containers that are started. [default: now]",
)
def crash(port: int, as_json: bool, **given: Any) -> None:
    """Stop containers."""
    _begin("crash", port, as_json, given)


@fault.command("list")
@json_option
@port_option
def list_faults(port: int, as_json: bool) -> None:
    """Print all faults as JSON, one per line."""
    for one in running_on(port).control().faults():
        click.echo(json.dumps(one))


@fault.command()
@click.argument("id", required=False, metavar="[ID]")
@json_option
@port_option
def clear(id: str | None, port: int, as_json: bool) -> None:
    """End a fault, or all."""
    running_on(port).control().end_faults(id)
    if as_json:
        click.echo(json.dumps({"cleared": id or "all"}))
