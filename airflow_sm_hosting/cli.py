"""The command ``sm-hosting``."""

from __future__ import annotations

import argparse
import importlib.util
import json
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_sm_hosting.local.daemon import Daemon

_DEFAULT_PORT = 4566
# What the extra "local" brings.
_LOCAL_MODULES = ("moto", "flask", "filelock", "platformdirs")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    options = _parser().parse_args(arguments)
    missing = [module for module in _LOCAL_MODULES if importlib.util.find_spec(module) is None]
    if missing:
        print(
            f"The local AWS needs {', '.join(missing)}: pip install 'airflow-provider-sm-hosting[local]'",
            file=sys.stderr,
        )
        return 1
    from airflow_sm_hosting.local.control import LocalAwsError

    try:
        code: int = options.run(options)
    except LocalAwsError as error:
        print(error, file=sys.stderr)
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sm-hosting", description="Tools for SageMaker hosting with Airflow."
    )
    groups = parser.add_subparsers(required=True, metavar="COMMAND")
    local = groups.add_parser("local", help="SageMaker hosting, S3, ECR and the rest of AWS on this computer")
    commands = local.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start it; it stays in the foreground until Ctrl-C")
    _add_port(up)
    up.add_argument(
        "--engine",
        choices=("auto", "docker", "process", "none"),
        default="auto",
        help="what runs the containers of endpoints: docker; process (Python entry points as plain processes, NO "
        "ISOLATION); none (endpoints cannot be invoked); auto (docker where it answers, else process)",
    )
    up.add_argument("--access-key", metavar="KEY", help="the access key to ask for; default: a random one")
    up.add_argument("--region", default="us-east-1", help="the default Region (%(default)s)")
    up.add_argument(
        "--detach", action="store_true", help="start it in the background, and wait until it is ready"
    )
    up.add_argument(
        "--transition-seconds",
        type=float,
        default=0.5,
        metavar="S",
        help="how long an endpoint is at least Creating, Updating or Deleting (%(default)s)",
    )
    up.add_argument(
        "--clock",
        choices=("real", "virtual"),
        default="real",
        help="what tells the time: the computer's clock, or one that stands still until it is advanced (%(default)s)",
    )
    up.add_argument(
        "--consistency-seconds",
        type=float,
        default=0.0,
        metavar="S",
        help="how long what was just created cannot be found, as reads of AWS are eventually consistent (%(default)s)",
    )
    up.set_defaults(run=_up)

    down = commands.add_parser("down", help="stop it, with all containers of its endpoints")
    _add_port(down)
    down.set_defaults(run=_down)

    status = commands.add_parser("status", help="tell whether it runs; exit code 3 if not")
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


def _add_port(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=_DEFAULT_PORT, help="TCP port on 127.0.0.1 (%(default)s)")


def _up(options: argparse.Namespace) -> int:
    from airflow_sm_hosting.local import daemon
    from airflow_sm_hosting.local.server import new_access_key

    key = options.access_key or new_access_key()
    with daemon.exclusive(options.port):
        running = daemon.Daemon.find(options.port)
        if running:
            print(f"The local AWS is running already on {running.endpoint_url} (engine {running.engine}).\n")
            _show(running)
            return 0
        if options.detach:
            _show(_start_detached(options, key))
            return 0
    return _serve_here(options, key)


def _start_detached(options: argparse.Namespace, access_key: str) -> Daemon:
    from airflow_sm_hosting.local import daemon
    from airflow_sm_hosting.local.instance import start_server

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
        log_file=log,
        detached=True,
    )
    started = _noted(ready, access_key, options.region)
    print(f"The local AWS runs on {started.endpoint_url} (engine {started.engine}); it logs to {log}.\n")
    return started


def _serve_here(options: argparse.Namespace, access_key: str) -> int:
    import logging

    from airflow_sm_hosting.local import daemon
    from airflow_sm_hosting.local.control import LocalAwsError
    from airflow_sm_hosting.local.server import serve

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    started: list[Daemon] = []

    def on_ready(ready: dict[str, Any]) -> None:
        started.append(_noted(ready, access_key, options.region))
        print(
            f"The local AWS runs on {started[0].endpoint_url} (engine {ready['engine']}). Ctrl-C ends it.\n"
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
            on_ready=on_ready,
        )
    except (OSError, RuntimeError) as error:
        raise LocalAwsError(f"The local AWS cannot start: {error}") from error
    finally:
        if started:
            daemon.forget(started[0].port)
    return 0


def _noted(ready: dict[str, Any], access_key: str, region: str) -> Daemon:
    from airflow_sm_hosting.local.daemon import Daemon

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
    from airflow_sm_hosting.local import daemon

    with daemon.exclusive(options.port):
        running = daemon.Daemon.find(options.port)
        if running is None:
            print(f"No local AWS runs on port {options.port}.")
            return 0
        running.stop()
    print(f"The local AWS on port {options.port} has ended.")
    return 0


def _status(options: argparse.Namespace) -> int:
    from airflow_sm_hosting.local.daemon import Daemon

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
    from airflow_sm_hosting.local.daemon import Daemon

    running = Daemon.find(options.port)
    if running is None:
        print(f"No local AWS runs on port {options.port}: sm-hosting local up", file=sys.stderr)
        return 3
    if options.format == "json":
        print(json.dumps(running.control().connection()))
    else:
        _print_exports(running)
    return 0


if __name__ == "__main__":
    sys.exit(main())
