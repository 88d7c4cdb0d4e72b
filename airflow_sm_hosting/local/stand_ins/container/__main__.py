"""Run a stand-in: ``python -m airflow_sm_hosting.local.stand_ins.container serve``."""

from __future__ import annotations

import os
import signal
import sys
from http.server import ThreadingHTTPServer
from pathlib import Path

from airflow_sm_hosting.local.stand_ins.container.contracts import CONTRACTS
from airflow_sm_hosting.local.stand_ins.container.exchange import Setting
from airflow_sm_hosting.local.stand_ins.container.service import StandInService, handler_of

_MODEL_FOLDER = "/opt/ml/model"


class _Server(ThreadingHTTPServer):
    # That of http.server is five.
    request_queue_size = 128


def main() -> None:
    """Serve until SIGTERM."""
    # As the first process of a container, it would not be ended by a signal that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    environment = dict(os.environ)
    folder = Path(environment.get("SM_MODEL_DIR") or _MODEL_FOLDER)
    has_script = (folder / "code" / "inference.py").is_file() or bool(environment.get("SAGEMAKER_PROGRAM"))
    setting = Setting(environment, folder.is_dir() and any(folder.iterdir()), has_script)
    family, image = environment["SM_HOSTING_STAND_IN_FAMILY"], environment.get("SM_HOSTING_STAND_IN_IMAGE")
    contract = CONTRACTS[family]
    print(
        f"STAND-IN of the local AWS for {image} (family {family}): its answers are made up. No model is loaded.",
        flush=True,
    )
    if has_script:
        print(
            "STAND-IN: the script of the model data is not run, so its requests and answers are not known.",
            flush=True,
        )
    if lacks := contract.lacks(setting):
        print(f"ERROR: {lacks}", flush=True)
        if contract.exits:
            sys.exit(1)
    address = environment.get("SM_HOSTING_STAND_IN_ADDRESS") or "127.0.0.1"
    port = int(environment.get("SAGEMAKER_BIND_TO_PORT") or 8080)
    seconds = float(environment.get("SM_HOSTING_STAND_IN_STARTUP_SECONDS") or 0)
    _Server((address, port), handler_of(StandInService(contract, setting, seconds))).serve_forever()


if __name__ == "__main__":
    main()
