"""``sm-hosting local``: SageMaker hosting on this computer."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from airflow_sm_hosting.cli.exit_codes import DONE, NOT_RUNNING, FailedError
from airflow_sm_hosting.cli.faults import fault
from airflow_sm_hosting.cli.options import (
    duration as duration_in_seconds,
    json_option,
    pattern_and_image,
    port_option,
)
from airflow_sm_hosting.cli.output import print_json
from airflow_sm_hosting.cli.running import in_words, running_on, server_on
from airflow_sm_hosting.local.access_key import ACCESS_KEY_VARIABLE

if TYPE_CHECKING:
    from airflow_sm_hosting.local.client.daemon import Daemon
    from airflow_sm_hosting.local.client.servers import Server

#: What the extra "local" brings.
_LOCAL_MODULES = ("moto", "flask", "filelock", "platformdirs")


@click.group()
def local() -> None:
    """SageMaker hosting, S3, ECR and other AWS services on this computer."""
    missing = [module for module in _LOCAL_MODULES if importlib.util.find_spec(module) is None]
    if missing:
        raise FailedError(
            f"The local AWS needs {', '.join(missing)}: pip install 'airflow-provider-sm-hosting[local]'"
        )


local.add_command(fault)


@local.command()
@port_option
@click.option(
    "--engine",
    type=click.Choice(["auto", "docker", "process", "none"]),
    default="auto",
    help="The container engine for endpoints: docker; process (Python entry points as plain processes, NO ISOLATION); none "
    "(endpoints cannot be invoked); auto (docker if it answers, else process).",
)
@click.option(
    "--access-key",
    metavar="KEY",
    help="The access key that clients must use; '-' reads it from standard input, '@FILE' from a file. As an argument it is "
    f"visible to every user of the computer. [default: ${ACCESS_KEY_VARIABLE}, or a random key]",
)
@click.option("--region", default="us-east-1", help="The default Region.")
@click.option("--detach", is_flag=True, help="Start it in the background, and wait until it is ready.")
@click.option(
    "--transition-seconds",
    type=float,
    default=0.5,
    metavar="S",
    help="The minimum time that an endpoint is Creating, Updating or Deleting.",
)
@click.option(
    "--clock",
    type=click.Choice(["real", "virtual"]),
    default="real",
    help="The clock: the computer's, or a virtual one that stands still until it is advanced.",
)
@click.option(
    "--consistency-seconds",
    type=float,
    default=0.0,
    metavar="S",
    help="How long a new resource cannot be found, since AWS reads are eventually consistent.",
)
@click.option(
    "--state",
    metavar="DIR",
    help="A folder that keeps resources over restarts. [default: keep them in memory only]",
)
@click.option(
    "--stand-ins/--no-stand-ins",
    default=True,
    help="Run a small program that keeps the contract in place of each of AWS's own serving images.",
)
@click.option(
    "--stand-in",
    "stand_in_images",
    type=pattern_and_image,
    multiple=True,
    metavar="PATTERN=IMAGE",
    help="Run an image of yours in place of images of other registries, named by 'repository:tag' or by the whole name, with "
    "the wildcards *, ? and [...]. May be given several times; the longest pattern that matches counts.",
)
@click.option(
    "--stand-in-startup-seconds",
    type=float,
    default=0.0,
    metavar="S",
    help="How long a stand-in's pings fail after its start, as if it loaded a model.",
)
@json_option
def up(
    port: int, access_key: str | None, detach: bool, as_json: bool, stand_in_images: Any, **settings: Any
) -> None:
    """Start it; it stays in the foreground until Ctrl-C."""
    from airflow_sm_hosting.local.access_key import new_access_key
    from airflow_sm_hosting.local.client import daemon

    key = _access_key(access_key) or new_access_key()
    settings |= {"port": port, "access_key": key, "stand_in_images": dict(stand_in_images)}
    with daemon.exclusive(port):
        running = daemon.Daemon.find(port)
        if running:
            _tell(running, f"The local AWS is already running on {running.endpoint_url}", as_json=as_json)
            return
        if detach:
            _start_detached(settings, as_json=as_json)
            return
    _serve_here(settings, as_json=as_json)


def _access_key(given: str | None) -> str | None:
    """Return the requested access key. Command-line arguments are visible to every user of the computer, the other ways are not."""
    if given is None:
        return os.environ.get(ACCESS_KEY_VARIABLE)
    try:
        key = (
            sys.stdin.readline()
            if given == "-"
            else Path(given[1:]).read_text(encoding="utf-8")
            if given.startswith("@")
            else given
        ).strip()
    except (OSError, ValueError) as error:
        raise FailedError(f"The access key cannot be read from {given[1:]}: {error}") from error
    if not re.fullmatch(r"[!-+\-.0-~]+", key):
        # It is sent in a header, between slashes and commas.
        raise FailedError("An access key may contain letters, digits and punctuation, except '/' and ','.")
    return key


def _start_detached(settings: dict[str, Any], *, as_json: bool) -> None:
    from airflow_sm_hosting.local.client import daemon
    from airflow_sm_hosting.local.client.local_aws import start_server

    log = daemon.log_file(settings["port"])
    log.unlink(missing_ok=True)
    log.touch(mode=0o600)
    region = settings.pop("region")
    _, ready = start_server(**settings, region_name=region, log_file=log, detached=True)
    started = _noted(ready, settings["access_key"], region)
    _tell(started, f"The local AWS runs on {started.endpoint_url}", f"; it logs to {log}", as_json=as_json)


def _serve_here(settings: dict[str, Any], *, as_json: bool) -> None:
    import logging

    from airflow_sm_hosting.local.client import daemon
    from airflow_sm_hosting.local.server.main import serve

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    started: list[Daemon] = []

    def on_ready(ready: dict[str, Any]) -> None:
        started.append(_noted(ready, settings["access_key"], settings["region"]))
        _tell(
            started[0],
            f"The local AWS runs on {started[0].endpoint_url}",
            end=". Press Ctrl-C to stop it.",
            as_json=as_json,
        )

    try:
        serve(**settings, on_ready=on_ready)
    except (OSError, RuntimeError) as error:
        raise FailedError(f"The local AWS cannot start: {error}") from error
    finally:
        if started:
            daemon.forget(started[0].port)


def _noted(ready: dict[str, Any], access_key: str, region: str) -> Daemon:
    from airflow_sm_hosting.local.client.daemon import Daemon

    started = Daemon(
        port=ready["port"],
        pid=ready["pid"],
        access_key=access_key,
        engine=ready["engine"],
        region_name=region,
    )
    started.save()
    return started


def _tell(running: Daemon, sentence: str, more: str = "", *, end: str = ".", as_json: bool) -> None:
    """Print that it runs and how to connect, ready to paste; or its state as JSON."""
    if as_json:
        print_json(_state(running.port, running))
        return
    click.echo(f"{sentence} (engine {running.engine}){more}{end}\n")
    connection = shlex.quote(json.dumps(running.control().connection()))
    click.echo("Airflow connection (type aws):")
    click.echo(f"  airflow connections add aws_default --conn-json {connection}\n")
    click.echo("Or, for every AWS client and Airflow's aws_default:")
    _print_exports(running, indent="  ")
    if running.engine == "process":
        from airflow_sm_hosting.local.engines.choice import NO_ISOLATION

        click.echo(f"\n{NO_ISOLATION}")


def _print_exports(running: Daemon, indent: str = "") -> None:
    for name, value in running.control().environment().items():
        click.echo(f"{indent}export {name}={shlex.quote(value)}")


@local.command()
@port_option
@click.option(
    "--all",
    "everywhere",
    is_flag=True,
    help="Stop all of your servers: on any port, with any state folder, whoever started them. Servers that are part of a "
    "running program, such as a test, stay: they end with it.",
)
@json_option
def down(port: int, everywhere: bool, as_json: bool) -> None:
    """Stop it and all containers of its endpoints."""
    stopped = _stop_all() if everywhere else _stop_one(port)
    if as_json:
        print_json({"stopped": [{"port": one, "pid": pid} for one, pid in stopped]})
        return
    for one, _ in stopped:
        click.echo(f"The local AWS on port {one} has ended.")
    if not stopped:
        click.echo("No local AWS runs." if everywhere else f"No local AWS runs on port {port}.")


def _stop_one(port: int) -> list[tuple[int, int]]:
    from airflow_sm_hosting.local.client import daemon

    with daemon.exclusive(port):
        running = daemon.Daemon.find(port)
        if running:
            running.stop()
            return [(port, running.pid)]
    server = server_on(port)
    if server is None:
        return []
    if server.program:
        raise FailedError(
            f"The local AWS on port {port} is part of process {server.program}, and ends with it."
        )
    server.stop()
    return [(port, server.pid)]


def _stop_all() -> list[tuple[int, int]]:
    from airflow_sm_hosting.local.client.servers import running_servers

    found = [server for server in running_servers() if not server.program]
    for server in found:
        server.stop()
    return [(server.port, server.pid) for server in found]


@local.command()
@port_option
@json_option
def reset(port: int, as_json: bool) -> None:
    """Delete all resources, stop all containers, and end all faults."""
    running_on(port).control().reset()
    if as_json:
        print_json({"reset": True, "port": port})
    else:
        click.echo(f"The local AWS on port {port} is empty.")


@local.command()
@click.argument("endpoint")
@click.option("--variant", metavar="NAME", help="Only logs of this variant.")
@click.option("--follow", "-f", is_flag=True, help="Follow the logs until Ctrl-C.")
@click.option("--region", help="The Region. [default: the server's]")
@port_option
@json_option
def logs(
    endpoint: str, variant: str | None, follow: bool, region: str | None, port: int, as_json: bool
) -> None:
    """Print the logs of an endpoint's containers."""
    from airflow_sm_hosting.cli.container_logs import print_logs

    control = running_on(port).control()
    control.region_name = region or control.region_name
    print_logs(control.client("logs"), endpoint, variant=variant, follow=follow, as_json=as_json)


@local.command()
@click.argument("duration", type=duration_in_seconds)
@port_option
@json_option
def advance(duration: float, port: int, as_json: bool) -> None:
    """Advance a virtual clock, and print its new time.

    DURATION: seconds, or a number with the unit s, m, h or d: 90, 10m, 8h; 0 only waits for containers that are starting.
    """
    now = running_on(port).control().advance(duration).isoformat()
    if as_json:
        print_json({"now": now})
    else:
        click.echo(now)


@local.command()
@port_option
@click.option(
    "--all",
    "everywhere",
    is_flag=True,
    help="All of your servers: on any port, with any state folder, whoever started them.",
)
@json_option
@click.pass_context
def status(context: click.Context, port: int, everywhere: bool, as_json: bool) -> None:
    """Print whether it runs; exit code 3 if not."""
    from airflow_sm_hosting.local.client.daemon import Daemon
    from airflow_sm_hosting.local.client.servers import running_servers

    if everywhere:
        servers = running_servers()
        if as_json:
            print_json([_server_state(server) for server in servers])
        for server in () if as_json else servers:
            click.echo(in_words(server))
        if not servers and not as_json:
            click.echo("No local AWS runs.")
        context.exit(DONE if servers else NOT_RUNNING)
    running = Daemon.find(port)
    servers = [] if running else running_servers()
    here = running or next((server for server in servers if server.port == port), None)
    if as_json:
        print_json(_state(port, here))
    elif here:
        click.echo(f"The local AWS runs on {here.endpoint_url} (engine {here.engine}, process {here.pid}).")
    else:
        click.echo(f"No local AWS runs on port {port}.")
        for server in servers:
            click.echo(f"Another one: {in_words(server)}")
    context.exit(DONE if here else NOT_RUNNING)


def _state(port: int, running: Daemon | Server | None) -> dict[str, Any]:
    state: dict[str, Any] = {"running": running is not None, "port": port}
    if running:
        state |= {
            "pid": running.pid,
            "engine": running.engine,
            "region_name": running.region_name,
            "endpoint_url": running.endpoint_url,
        }
    return state


def _server_state(server: Server) -> dict[str, Any]:
    return {
        **_state(server.port, server),
        "state_dir": str(server.state_dir),
        "program_pid": server.program,
    }


@local.command()
@port_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "env"]),
    default="json",
    help="An Airflow connection, or shell exports.",
)
@json_option
def connection(port: int, form: str, as_json: bool) -> None:
    """Print how to connect to it, and nothing else."""
    running = running_on(port)
    if form == "json":
        click.echo(json.dumps(running.control().connection()))
    elif as_json:
        print_json(running.control().environment())
    else:
        _print_exports(running)
