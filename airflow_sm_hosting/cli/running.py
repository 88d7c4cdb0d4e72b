"""The running local AWS that a command is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_sm_hosting.cli.exit_codes import NotRunningError

if TYPE_CHECKING:
    from airflow_sm_hosting.local.client.daemon import Daemon
    from airflow_sm_hosting.local.client.servers import Server


def running_on(port: int) -> Daemon:
    """Return the local AWS on a port that was started with this state folder.

    :param port: The port.
    :raises NotRunningError: None runs.
    """
    from airflow_sm_hosting.local.client.daemon import Daemon

    running = Daemon.find(port)
    if running is None:
        other = server_on(port)
        hint = f" A server with another state folder does: {in_words(other)}" if other else ""
        raise NotRunningError(f"No local AWS runs on port {port}: sm-hosting local up{hint}")
    return running


def server_on(port: int) -> Server | None:
    """Return the server of this user on a port, whoever started it.

    :param port: The port.
    """
    from airflow_sm_hosting.local.client.servers import running_servers

    return next((server for server in running_servers() if server.port == port), None)


def in_words(server: Server) -> str:
    """Return a server in one line.

    :param server: The server.
    """
    facts = [f"engine {server.engine}" if server.engine else "busy", f"process {server.pid}"]
    if server.program:
        facts.append(f"part of process {server.program}")
    elif server.state_dir:
        facts.append(f"state folder {server.state_dir}")
    return f"{server.endpoint_url} ({', '.join(facts)})"
