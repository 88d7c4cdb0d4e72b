"""The server's process: its options, its start and its end."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from airflow_sm_hosting.local.access_key import ACCESS_KEY_VARIABLE, new_access_key

LOG = logging.getLogger(__name__)


def serve(
    *,
    port: int,
    engine: str,
    access_key: str,
    region: str,
    transition_seconds: float,
    clock: str = "real",
    consistency_seconds: float = 0.0,
    state: str | None = None,
    stand_ins: bool = True,
    stand_in_images: Mapping[str, str] | None = None,
    stand_in_startup_seconds: float = 0.0,
    on_ready: Callable[[dict[str, Any]], None],
    until_end_of: BinaryIO | None = None,
) -> None:
    """Serve until a signal, then take everything down.

    :param state: A folder that keeps the state; None for nothing.
    :param stand_ins: Whether AWS's own images are stood in for.
    :param stand_in_images: Images that run in place of others, by the name or pattern of those.
    :param stand_in_startup_seconds: How long a stand-in takes to start.
    :param until_end_of: A stream whose end stops the server, too.
    :param on_ready: Called once with port, engine and process id, when requests are answered.
    """
    # moto reads it when it is imported. Without it, any page in a browser could drive the server.
    os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"
    from airflow_sm_hosting.local.clock import make_clock
    from airflow_sm_hosting.local.server.application import LocalAwsApp
    from airflow_sm_hosting.local.server.http_server import make_http_server
    from airflow_sm_hosting.local.server.state import State
    from airflow_sm_hosting.local.stand_ins.choice import StandIns

    # Not an event or a queue: a signal that another thread than the main one gets does not end a wait for a lock. What it writes to a
    # file does (https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd).
    stopped, stop = socket.socketpair()
    stop.setblocking(False)
    signal.set_wakeup_fd(stop.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    if until_end_of:
        threading.Thread(target=_stop_at_end, args=(until_end_of, stop), daemon=True).start()
    app = LocalAwsApp(
        access_key=access_key,
        region=region,
        engine=engine,
        transition_seconds=transition_seconds,
        clock=make_clock(clock),
        consistency_seconds=consistency_seconds,
        state=State(Path(state)) if state else None,
        stand_ins=StandIns(stand_ins, stand_in_images or {}, stand_in_startup_seconds),
    )
    try:
        server = make_http_server(port, app)
        app.start(server.port)
        threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
        on_ready({"port": server.port, "engine": app.engine.name, "pid": os.getpid()})
        stopped.recv(1)
        server.shutdown()
        server.server_close()
    finally:
        app.close()
        signal.set_wakeup_fd(-1)


def _add_stand_in_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of what runs in place of images that are not here; ``sm-hosting local up --help`` explains them."""
    parser.add_argument("--stand-ins", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--stand-in", type=_stand_in, action="append", default=[])
    parser.add_argument("--stand-in-startup-seconds", type=float, default=0.0)


def _stand_in(given: str) -> tuple[str, str]:
    """Return pattern and image of ``PATTERN=IMAGE``."""
    # An image has no '=', and a pattern of images neither.
    pattern, _, image = given.partition("=")
    if not pattern or not image:
        raise argparse.ArgumentTypeError(
            f"{given!r} is not PATTERN=IMAGE, such as 'pytorch-inference:*=my-image'"
        )
    return pattern, image


def main() -> None:
    """Run the server; it says on standard output, in one line of JSON, when it is ready."""
    parser = argparse.ArgumentParser(prog="python -m airflow_sm_hosting.local.server")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--transition-seconds", type=float, default=0.5)
    parser.add_argument("--clock", default="real")
    parser.add_argument("--consistency-seconds", type=float, default=0.0)
    parser.add_argument("--state")
    _add_stand_in_options(parser)
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="stop when the process that started this one ends"
    )
    options = parser.parse_args()
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    serve(
        port=options.port,
        engine=options.engine,
        # Not an argument: those are shown to every user of the computer.
        access_key=os.environ.pop(ACCESS_KEY_VARIABLE, "") or new_access_key(),
        region=options.region,
        transition_seconds=options.transition_seconds,
        clock=options.clock,
        consistency_seconds=options.consistency_seconds,
        state=options.state,
        stand_ins=options.stand_ins,
        stand_in_images=dict(options.stand_in),
        stand_in_startup_seconds=options.stand_in_startup_seconds,
        on_ready=_say_ready,
        until_end_of=sys.stdin.buffer if options.until_stdin_closes else None,
    )
    logging.shutdown()
    # Threads of connections may hold any lock, also one that the interpreter takes at its end.
    os._exit(0)


def _say_ready(ready: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    # moto prints, and nobody reads this pipe any more: a print would fail, and with it the request.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def _stop_at_end(stream: BinaryIO, stop: socket.socket) -> None:
    stream.read()
    with suppress(BlockingIOError):
        stop.send(b"\0")
