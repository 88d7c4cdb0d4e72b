"""The command ``sm-hosting``."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.container_check.command import add_command, run as check_container
from airflow_sm_hosting.local.server.access_key import ACCESS_KEY_VARIABLE
from airflow_sm_hosting.local.server.main import add_stand_in_options

if TYPE_CHECKING:
    from airflow_sm_hosting.local.client.daemon import Daemon

_DEFAULT_PORT = 4566
# What the extra "local" brings.
_LOCAL_MODULES = ("moto", "flask", "filelock", "platformdirs")


class _NotRunningError(Exception):
    """No local AWS runs on the port."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    options = _parser().parse_args(arguments)
    if options.run is check_container:
        return int(check_container(options))
    missing = [module for module in _LOCAL_MODULES if importlib.util.find_spec(module) is None]
    if missing:
        print(
            f"The local AWS needs {', '.join(missing)}: pip install 'airflow-provider-sm-hosting[local]'",
            file=sys.stderr,
        )
        return 1
    from airflow_sm_hosting.local.client.control import LocalAwsError

    try:
        code: int = options.run(options)
    except _NotRunningError as error:
        print(error, file=sys.stderr)
        return 3
    except LocalAwsError as error:
        print(error, file=sys.stderr)
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sm-hosting", description="Tools for SageMaker hosting with Airflow."
    )
    groups = parser.add_subparsers(required=True, metavar="COMMAND")
    add_command(groups, _duration)
    local = groups.add_parser(
        "local", help="SageMaker hosting, S3, ECR and other AWS services on this computer"
    )
    commands = local.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start it; it stays in the foreground until Ctrl-C")
    _add_port(up)
    up.add_argument(
        "--engine",
        choices=("auto", "docker", "process", "none"),
        default="auto",
        help="the container engine for endpoints: docker; process (Python entry points as plain processes, NO "
        "ISOLATION); none (endpoints cannot be invoked); auto (docker if it answers, else process)",
    )
    up.add_argument(
        "--access-key",
        metavar="KEY",
        help="the access key that clients must use; '-' reads it from standard input, '@FILE' from a file; "
        f"default: ${ACCESS_KEY_VARIABLE}, or a random key. As an argument it is visible to every user of the "
        "computer",
    )
    up.add_argument("--region", default="us-east-1", help="the default Region (%(default)s)")
    up.add_argument(
        "--detach", action="store_true", help="start it in the background, and wait until it is ready"
    )
    up.add_argument(
        "--transition-seconds",
        type=float,
        default=0.5,
        metavar="S",
        help="the minimum time that an endpoint is Creating, Updating or Deleting (%(default)s)",
    )
    up.add_argument(
        "--clock",
        choices=("real", "virtual"),
        default="real",
        help="the clock: the computer's, or a virtual one that stands still until it is advanced (%(default)s)",
    )
    up.add_argument(
        "--consistency-seconds",
        type=float,
        default=0.0,
        metavar="S",
        help="how long a new resource cannot be found, since AWS reads are eventually consistent (%(default)s)",
    )
    up.add_argument(
        "--state",
        metavar="DIR",
        help="a folder that keeps resources over restarts; default: keep them in memory only",
    )
    add_stand_in_options(up)
    up.set_defaults(run=_up)

    down = commands.add_parser("down", help="stop it and all containers of its endpoints")
    _add_port(down)
    down.set_defaults(run=_down)

    reset = commands.add_parser("reset", help="delete all resources, stop all containers, and end all faults")
    _add_port(reset)
    reset.set_defaults(run=_reset)

    logs = commands.add_parser("logs", help="print the logs of an endpoint's containers")
    logs.add_argument("endpoint", metavar="ENDPOINT", help="its name")
    logs.add_argument("--variant", metavar="NAME", help="only logs of this variant")
    logs.add_argument("--follow", "-f", action="store_true", help="follow the logs until Ctrl-C")
    _add_region(logs)
    _add_port(logs)
    logs.set_defaults(run=_logs)

    advance = commands.add_parser("advance", help="advance a virtual clock, and print its new time")
    advance.add_argument(
        "duration",
        type=_duration,
        metavar="DURATION",
        help="seconds, or a number with the unit s, m, h or d: 90, 10m, 8h; 0 only waits for containers that are "
        "starting",
    )
    _add_port(advance)
    advance.set_defaults(run=_advance)

    _add_fault(commands)

    status = commands.add_parser("status", help="print whether it runs; exit code 3 if not")
    _add_port(status)
    status.add_argument("--json", action="store_true", help="as JSON")
    status.set_defaults(run=_status)

    connection = commands.add_parser("connection", help="print how to connect to it, and nothing else")
    _add_port(connection)
    connection.add_argument(
        "--format", choices=("json", "env"), default="json", help="an Airflow connection, or shell exports"
    )
    connection.set_defaults(run=_connection)
    return parser


def _add_fault(commands: Any) -> None:
    fault = commands.add_parser("fault", help="inject a fault")
    kinds = fault.add_subparsers(required=True, metavar="KIND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--count", type=int, metavar="N", help="how many times it applies (default: always)")
    common.add_argument(
        "--seconds",
        type=_duration,
        metavar="DURATION",
        help="how long, by the server's clock (default: until cleared)",
    )
    _add_port(common)
    request = argparse.ArgumentParser(add_help=False, parents=[common])
    request.add_argument(
        "--service", metavar="NAME", help="as in the request log: sagemaker, s3, monitoring, …"
    )
    request.add_argument("--operation", metavar="NAME", help="CreateEndpoint; wildcards: 'Describe*'")
    request.add_argument(
        "--resource", metavar="NAME", help="the resource of the request, as in the request log"
    )

    def kind(name: str, parent: argparse.ArgumentParser, text: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = kinds.add_parser(name, parents=[parent], help=text)
        parser.set_defaults(run=_fault, kind=name)
        return parser

    throttle = kind("throttle", request, "throttle requests")
    throttle.add_argument(
        "--rate",
        type=float,
        metavar="R",
        help="requests per second of each operation that go through (default: none)",
    )
    kind("delay", request, "answer late").add_argument(
        "--delay", type=float, metavar="S", help="seconds of real time (default: 1)"
    )
    error = kind("error", request, "reject requests with an error")
    error.add_argument("--code", help="the error code (default: InternalFailure)")
    error.add_argument("--message", help="its sentence")
    error.add_argument("--status", type=int, help="its HTTP status (default: 400; for InternalFailure 500)")
    kind("drop", request, "drop the connection").add_argument(
        "--when", choices=("before", "after"), help="before or after the service has acted (default: after)"
    )
    capacity = kind("capacity", common, "limit the instances for new fleets")
    capacity.add_argument(
        "--instance-type", metavar="TYPE", help="ml.g5.xlarge; wildcards: 'ml.g5.*' (default: all)"
    )
    capacity.add_argument(
        "--instances", type=int, metavar="N", help="number of instances that are still available (default: 0)"
    )
    crash = kind("crash", common, "stop containers")
    crash.add_argument(
        "--endpoint", metavar="NAME", required=True, help="containers of this endpoint; '*' for all"
    )
    crash.add_argument("--variant", metavar="NAME", help="only containers of this variant")
    crash.add_argument("--container", metavar="NAME", help="'primary', or a container's hostname")
    crash.add_argument(
        "--when",
        choices=("now", "start"),
        help="containers that run now, or containers that are started (default: now)",
    )
    shown = kinds.add_parser("list", help="print all faults as JSON, one per line")
    _add_port(shown)
    shown.set_defaults(run=_list_faults)
    clear = kinds.add_parser("clear", help="end a fault, or all")
    clear.add_argument("id", nargs="?", metavar="ID", help="the fault's ID")
    _add_port(clear)
    clear.set_defaults(run=_clear_faults)


def _add_region(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--region", help="the Region (default: the server's)")


def _duration(text: str) -> float:
    """Return the seconds of ``90``, ``10m`` or ``8h``."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1)
    try:
        seconds = float(number) * unit
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 90, 10m or 8h") from error
    if not 0 <= seconds < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration from 0 to 30 years")
    return seconds


def _add_port(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=_DEFAULT_PORT, help="TCP port on 127.0.0.1 (%(default)s)")


def _up(options: argparse.Namespace) -> int:
    from airflow_sm_hosting.local.client import daemon
    from airflow_sm_hosting.local.server.access_key import new_access_key

    key = _access_key(options.access_key) or new_access_key()
    with daemon.exclusive(options.port):
        running = daemon.Daemon.find(options.port)
        if running:
            print(f"The local AWS is already running on {running.endpoint_url} (engine {running.engine}).\n")
            _show(running)
            return 0
        if options.detach:
            _show(_start_detached(options, key))
            return 0
    return _serve_here(options, key)


def _access_key(given: str | None) -> str | None:
    """Return the requested access key. Command-line arguments are visible to every user of the computer, the other ways are not."""
    from airflow_sm_hosting.local.client.control import LocalAwsError

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
        raise LocalAwsError(f"The access key cannot be read from {given[1:]}: {error}") from error
    if not re.fullmatch(r"[!-+\-.0-~]+", key):
        # It is sent in a header, between slashes and commas.
        raise LocalAwsError("An access key may contain letters, digits and punctuation, except '/' and ','.")
    return key


def _start_detached(options: argparse.Namespace, access_key: str) -> Daemon:
    from airflow_sm_hosting.local.client import daemon
    from airflow_sm_hosting.local.client.local_aws import start_server

    log = daemon.log_file(options.port)
    log.unlink(missing_ok=True)
    log.touch(mode=0o600)
    _, ready = start_server(
        port=options.port,
        engine=options.engine,
        access_key=access_key,
        region_name=options.region,
        transition_seconds=options.transition_seconds,
        clock=options.clock,
        consistency_seconds=options.consistency_seconds,
        state=options.state,
        stand_ins=options.stand_ins,
        stand_in_images=dict(options.stand_in),
        stand_in_startup_seconds=options.stand_in_startup_seconds,
        log_file=log,
        detached=True,
    )
    started = _noted(ready, access_key, options.region)
    print(f"The local AWS runs on {started.endpoint_url} (engine {started.engine}); it logs to {log}.\n")
    return started


def _serve_here(options: argparse.Namespace, access_key: str) -> int:
    import logging

    from airflow_sm_hosting.local.client import daemon
    from airflow_sm_hosting.local.client.control import LocalAwsError
    from airflow_sm_hosting.local.server.main import serve

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    started: list[Daemon] = []

    def on_ready(ready: dict[str, Any]) -> None:
        started.append(_noted(ready, access_key, options.region))
        print(
            f"The local AWS runs on {started[0].endpoint_url} (engine {ready['engine']}). Press Ctrl-C to "
            "stop it.\n"
        )
        _show(started[0])

    try:
        serve(
            port=options.port,
            engine=options.engine,
            access_key=access_key,
            region=options.region,
            transition_seconds=options.transition_seconds,
            clock=options.clock,
            consistency_seconds=options.consistency_seconds,
            state=options.state,
            stand_ins=options.stand_ins,
            stand_in_images=dict(options.stand_in),
            stand_in_startup_seconds=options.stand_in_startup_seconds,
            on_ready=on_ready,
        )
    except (OSError, RuntimeError) as error:
        raise LocalAwsError(f"The local AWS cannot start: {error}") from error
    finally:
        if started:
            daemon.forget(started[0].port)
    return 0


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


def _show(running: Daemon) -> None:
    """Print how to connect, ready to paste."""
    print("Airflow connection (type aws):")
    print(
        f"  airflow connections add aws_default --conn-json {shlex.quote(json.dumps(running.control().connection()))}\n"
    )
    print("Or, for every AWS client and Airflow's aws_default:")
    _print_exports(running, indent="  ")
    if running.engine == "process":
        from airflow_sm_hosting.local.engines.choice import NO_ISOLATION

        print(f"\n{NO_ISOLATION}")
    sys.stdout.flush()


def _print_exports(running: Daemon, indent: str = "") -> None:
    for name, value in running.control().environment().items():
        print(f"{indent}export {name}={shlex.quote(value)}")


def _down(options: argparse.Namespace) -> int:
    from airflow_sm_hosting.local.client import daemon

    with daemon.exclusive(options.port):
        running = daemon.Daemon.find(options.port)
        if running is None:
            print(f"No local AWS runs on port {options.port}.")
            return 0
        running.stop()
    print(f"The local AWS on port {options.port} has ended.")
    return 0


def _running(options: argparse.Namespace) -> Daemon:
    """Return the local AWS of the port.

    :raises _NotRunningError: None runs.
    """
    from airflow_sm_hosting.local.client.daemon import Daemon

    running = Daemon.find(options.port)
    if running is None:
        raise _NotRunningError(f"No local AWS runs on port {options.port}: sm-hosting local up")
    return running


def _reset(options: argparse.Namespace) -> int:
    _running(options).control().reset()
    print(f"The local AWS on port {options.port} is empty.")
    return 0


def _logs(options: argparse.Namespace) -> int:
    from airflow_sm_hosting.local.client.container_logs import container_logs

    control = _running(options).control()
    control.region_name = options.region or control.region_name
    try:
        for line in container_logs(control, options.endpoint, variant=options.variant, follow=options.follow):
            print(line, flush=True)
    except KeyboardInterrupt:
        pass
    return 0


def _advance(options: argparse.Namespace) -> int:
    print(_running(options).control().advance(options.duration).isoformat())
    return 0


def _fault(options: argparse.Namespace) -> int:
    known = {name: value for name, value in vars(options).items() if name not in ("run", "port", "kind")}
    members = {name: value for name, value in known.items() if value is not None}
    print(json.dumps(_running(options).control().begin_fault(options.kind, **members)))
    return 0


def _list_faults(options: argparse.Namespace) -> int:
    for fault in _running(options).control().faults():
        print(json.dumps(fault))
    return 0


def _clear_faults(options: argparse.Namespace) -> int:
    _running(options).control().end_faults(options.id)
    return 0


def _status(options: argparse.Namespace) -> int:
    from airflow_sm_hosting.local.client.daemon import Daemon

    running = Daemon.find(options.port)
    if options.json:
        state: dict[str, Any] = {"running": running is not None, "port": options.port}
        if running:
            state |= {
                "pid": running.pid,
                "engine": running.engine,
                "region_name": running.region_name,
                "endpoint_url": running.endpoint_url,
            }
        print(json.dumps(state))
    elif running:
        print(
            f"The local AWS runs on {running.endpoint_url} (engine {running.engine}, process {running.pid})."
        )
    else:
        print(f"No local AWS runs on port {options.port}.")
    return 0 if running else 3


def _connection(options: argparse.Namespace) -> int:
    running = _running(options)
    if options.format == "json":
        print(json.dumps(running.control().connection()))
    else:
        _print_exports(running)
    return 0


if __name__ == "__main__":
    sys.exit(main())
