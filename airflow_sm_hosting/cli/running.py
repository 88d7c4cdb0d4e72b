"""The running local AWS that a command is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_sm_hosting.cli.exit_codes import NotRunningError

if TYPE_CHECKING:
    from airflow_sm_hosting.local.client.daemon import Daemon
    from airflow_sm_hosting.local.client.servers import Server


def running_on(port: int) -> Daemon:
    """Return the local AWS on a port, also one with another state folder, such as the demo's.

    :param port: The port.
    :raises NotRunningError: None runs that a command has started.
    """
    from airflow_sm_hosting.local.client.daemon import Daemon

    running, other = Daemon.find(port), None
    if running is None and (other := server_on(port)):
        running = Daemon.find(port, other.state_dir)
    if running is None:
        hint = f" (its key is not known here: {in_words(other)})" if other else ""
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
    else:
        facts.append(f"state folder {server.state_dir}")
    return f"{server.endpoint_url} ({', '.join(facts)})"
