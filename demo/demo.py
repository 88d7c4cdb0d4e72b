"""From a folder with a Dockerfile and a freshly trained model to an endpoint that answers, with no AWS account.

``make demo`` runs this. It starts the local AWS, trains, deploys through Airflow, asks the endpoint about real rows, and tells what
was done. Run again, it tells that nothing changed. ``make demo STORY=full`` goes on to a canary and a rollback (``story.py``).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from filelock import FileLock, Timeout

from airflow_sm_hosting.local.client.control import Control
from demo.home import DEFAULT_PORT, Home
from demo.local_aws import choose_engine, engine_of, passing_time, prepare_account, start
from demo.runs import (
    ENDPOINT,
    airflow_environment,
    announced_model,
    deployed,
    migrate_database,
    run_dags,
)
from demo.telling import say, tell_changes, tell_predictions, tell_timeline, tell_what_was_made


def main() -> int:
    """Run the demo, and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", choices=("auto", "docker", "process"), default="auto")
    parser.add_argument(
        "--seed", type=int, default=7, help="of the train/test split; another seed gives another model"
    )
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="of the local AWS")
    parser.add_argument(
        "--story",
        choices=("short", "full"),
        default="short",
        help="short: one deployment; full: also an unchanged rerun, a canary and a rollback",
    )
    options = parser.parse_args()
    home = Home(options.port)
    home.prepare()
    try:
        with FileLock(home.lock, timeout=0):
            if options.story == "full":
                from demo.story import tell_story

                return tell_story(home, options.engine)
            return deploy_once(home, options.engine, options.seed)
    except Timeout:
        say(
            f"A demo is running on port {home.port}. Wait for its end, or give another port: make demo PORT=…"
        )
        return 1


def deploy_once(home: Home, wanted_engine: str, seed: int) -> int:
    """Train, deploy and ask, once; return the exit code."""
    began = time.monotonic()
    engine, base = choose_engine(wanted_engine)
    aws = start(home, engine)
    if aws is None:
        return 1
    prepare_account(aws)
    environment = airflow_environment(home, aws, engine_of(aws), base)
    migrate_database(home, environment)
    before = max((request["number"] for request in aws.requests()), default=0)
    with passing_time(aws):
        report = run_dags(home, environment, train={"seed": seed}, deploy={})
    if report is None:
        return 1
    tell_what_was_made(deployed(report))
    tell_timeline(report)
    announced = announced_model(home)
    tell_predictions(announced, ask(aws, announced["samples"]["rows"]))
    tell_changes([request for request in aws.requests() if request["number"] > before])
    say(f"\nTook {time.monotonic() - began:.0f} s. The endpoint stays in service.")
    tell_what_next(home, aws)
    return 0


def ask(aws: Control, rows: list[list[float]]) -> dict[str, Any]:
    """Ask the endpoint about rows."""
    answer = aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=ENDPOINT,
        ContentType="application/json",
        Body=json.dumps({"instances": rows, "probabilities": True}),
    )
    said: dict[str, Any] = json.loads(answer["Body"].read())
    return said


def tell_what_next(home: Home, aws: Control) -> None:
    """Print what can be done now."""
    port = home.make_option
    say(
        f"  [bold]make ui{port}[/]: Airflow's UI on it, with its page Endpoints\n"
        f"  [bold]make demo{port}[/] again: nothing changes; with another SEED=… : a new model on the same endpoint\n"
        f"  [bold]make demo STORY=full{port}[/]: begins anew, and goes on to a canary and to a rollback by an alarm\n"
        f"  [bold]make demo-down{port}[/]: stops the local AWS, with its containers\n"
        f"  {aws.endpoint_url}/_sm_hosting/ui: the local AWS in a browser; '.venv/bin/sm-hosting local connection --port {home.port}' prints its key"
    )


if __name__ == "__main__":
    sys.exit(main())
