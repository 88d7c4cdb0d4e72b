"""Stop what the demos of this clone have started (``make demo-down``), and say what was stopped."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from demo.home import DEMOS

COMMAND = [str(Path(sys.executable).parent / "sm-hosting"), "local"]


def main() -> int:
    """Stop them, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, help="only the one on this port (default: all of this clone)")
    port: int | None = parser.parse_args().port
    # It ends with 3 where none runs.
    told = subprocess.run([*COMMAND, "status", "--all", "--json"], stdout=subprocess.PIPE, text=True)
    found = ours(json.loads(told.stdout), DEMOS, port)
    for server in found:
        subprocess.run(
            [*COMMAND, "down", "--port", str(server["port"])],
            env={**os.environ, "SM_HOSTING_STATE_DIR": server["state_dir"]},
            check=True,
        )
    if not found:
        on = "" if port is None else f" on port {port}"
        print(f"No local AWS of a demo of this clone runs{on}.")
    return 0


def ours(servers: Iterable[Mapping[str, Any]], demos: Path, port: int | None) -> list[Mapping[str, Any]]:
    """Return those of the running servers that demos of this clone have started.

    :param servers: What ``sm-hosting local status --all --json`` prints.
    :param demos: The folder of the demos of this clone.
    :param port: Only the one on this port; None for all.
    """
    return [
        server
        for server in servers
        if Path(server["state_dir"]).resolve().is_relative_to(demos.resolve())
        and port in (None, server["port"])
    ]


if __name__ == "__main__":
    sys.exit(main())
