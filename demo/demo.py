"""From a folder with a Dockerfile and a freshly trained model to an endpoint that answers, with no AWS account.

``make demo`` runs this. It starts the local AWS, trains, deploys through Airflow, asks the endpoint about real rows, and tells what
was done. Run again, it tells that nothing changed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).parent.parent
HOME = REPOSITORY / ".demo"
AIRFLOW_HOME = HOME / "airflow"
LOG = HOME / "demo.log"
REPORT = HOME / "report.json"
STATE = HOME / "local-aws"
BIN = Path(sys.executable).parent
PORT = 4566

ENDPOINT = "breast-cancer"
BUCKET = "sm-hosting-models"
ROLE = "SageMakerHostingRole"
DEFAULT_BASE = "python:3.12-slim"
#: Images are put together without an engine, and one whose base cannot be pulled works only with the process engine.
WITHOUT_ENGINE = {"AIRFLOW__SM_HOSTING__IMAGE_BUILDER": "assembler", "SM_HOSTING_ALLOW_MISSING_BASE": "1"}
ROLE_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}

console = Console(highlight=False)


def main() -> int:
    """Run the demo, and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", choices=("auto", "docker", "process"), default="auto")
    parser.add_argument(
        "--seed", type=int, default=7, help="of the train/test split; another seed gives another model"
    )
    parser.add_argument("--port", type=int, default=PORT, help="of the local AWS")
    options = parser.parse_args()
    began = time.monotonic()
    # What is written there holds the key of the local AWS, under which containers, and with the process engine plain code, are run.
    HOME.mkdir(mode=0o700, exist_ok=True)
    HOME.chmod(0o700)

    engine, base = choose_engine(options.engine)
    aws = start_local_aws(engine, options.port)
    if aws is None:
        return 1
    engine = aws.engine
    prepare_account(aws)
    environment = airflow_environment(aws, engine, base)
    migrate_database(environment)
    before = max((request["number"] for request in aws.requests()), default=0)
    if not run_dags(environment, options.seed):
        return 1
    report = json.loads(REPORT.read_text())
    tell_what_was_made(report)
    tell_timeline(report)
    tell_predictions(aws, report)
    tell_changes([request for request in aws.requests() if request["number"] > before])
    console.print(f"\nTook {time.monotonic() - began:.0f} s. The endpoint stays in service.")
    port = "" if options.port == PORT else f" PORT={options.port}"
    console.print(
        "  [bold]make ui[/]: Airflow's UI on it, at http://127.0.0.1:8080; its page Endpoints is /plugin/sm-endpoints\n"
        f"  [bold]make demo{port}[/] again: nothing changes; with another SEED=… : a new model on the same endpoint\n"
        f"  [bold]make demo-down{port}[/]: stops the local AWS, with its containers\n"
        f"  {aws.endpoint_url}/_sm_hosting/ui: the local AWS in a browser; '.venv/bin/sm-hosting local connection --port {options.port}' prints its key",
        soft_wrap=True,
    )
    return 0


def choose_engine(wanted: str) -> tuple[str, str]:
    """Return the engine of the containers and the base of their image."""
    if wanted == "process":
        return without_engine("the process engine was requested")
    import docker
    import requests
    from docker.errors import DockerException

    try:
        client = docker.from_env()
        client.ping()
    except (DockerException, requests.RequestException) as error:
        if wanted == "docker":
            raise
        hint = "'make docker-engine' installs one (Debian and Ubuntu, root)"
        return without_engine(f"no Docker engine is available ({error}); {hint}")
    base = base_image(client)
    if base is None:
        return without_engine(
            f"{DEFAULT_BASE} cannot be pulled, and no base image can be built from Debian packages here"
        )
    console.print(f"Engine: Docker {client.version()['Version']}, base image {base}")
    return "docker", base


def base_image(client: Any) -> str | None:
    """Return a base image that the engine has, can pull, or can be given from Debian's packages."""
    from docker.errors import APIError, ImageNotFound

    from airflow_sm_hosting.exceptions import ImageBuildError
    from airflow_sm_hosting.local.engines.base_image import ensure_debian_python_base

    try:
        client.images.get(DEFAULT_BASE)
    except ImageNotFound:
        pass
    else:
        return DEFAULT_BASE
    with console.status(f"Pulling {DEFAULT_BASE}"):
        try:
            client.images.pull(DEFAULT_BASE)
        except APIError as error:
            console.print(f"{DEFAULT_BASE} cannot be pulled ({error.explanation or error}).")
        else:
            return DEFAULT_BASE
    with console.status("Building a base image from Debian packages"):
        try:
            return ensure_debian_python_base(client)
        except ImageBuildError as error:
            console.print(str(error))
            return None


def without_engine(why: str) -> tuple[str, str]:
    """Say loudly that containers are plain processes."""
    console.rule("[bold red]NO ISOLATION", style="red")
    console.print(
        f"Containers run as plain Python processes of your user, because {why}. Do not use it for images of "
        "others.\n"
    )
    return "process", DEFAULT_BASE


def start_local_aws(engine: str, port: int) -> RunningAws | None:
    """Start the local AWS in the background unless it runs, and return how to talk to it; None when it cannot be started."""
    environment = {**os.environ, "SM_HOSTING_STATE_DIR": str(STATE)}
    command = [str(BIN / "sm-hosting"), "local"]
    with console.status("Starting the local AWS"):
        started = subprocess.run(
            [*command, "up", "--detach", "--port", str(port), "--engine", engine],
            env=environment,
            capture_output=True,
            text=True,
        )
    if started.returncode:
        console.print(f"[red]The local AWS cannot be started[/]: {started.stderr[-2000:]}", markup=True)
        console.print(f"Is port {port} taken? Another one: make demo PORT=4577")
        return None
    status = json.loads(
        subprocess.check_output([*command, "status", "--json", "--port", str(port)], env=environment)
    )
    connection = json.loads(
        subprocess.check_output([*command, "connection", "--port", str(port)], env=environment)
    )
    console.print(f"Local AWS: {status['endpoint_url']}, engine {status['engine']}")
    if status["engine"] != engine:
        console.print(f"It is already running with the engine {status['engine']}; 'make demo-down' stops it.")
    return RunningAws(connection, status["engine"])


class RunningAws:
    """The local AWS that runs in the background.

    :param connection: The Airflow connection that it printed.
    :param engine: What runs its containers.
    """

    def __init__(self, connection: dict[str, Any], engine: str) -> None:
        self.connection = connection
        self.engine = engine
        self.endpoint_url: str = connection["extra"]["endpoint_url"]

    def client(self, service: str) -> Any:
        """Return a boto3 client."""
        import boto3
        from botocore.config import Config

        session: Any = boto3.Session(
            region_name=self.connection["extra"]["region_name"],
            aws_access_key_id=self.connection["login"],
            aws_secret_access_key=self.connection["password"],
        )
        return session.client(service, endpoint_url=self.endpoint_url, config=Config(proxies={}))

    def requests(self) -> list[dict[str, Any]]:
        """Return the request log."""
        import requests

        with requests.Session() as session:
            session.trust_env = False  # no proxy of the shell's
            answer = session.get(
                f"{self.endpoint_url}/_sm_hosting/requests",
                headers={"X-Access-Key": self.connection["login"]},
                timeout=30,
            )
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()
        return found


def prepare_account(aws: RunningAws) -> None:
    """Make what an account has before any DAG runs: a bucket, and the role that SageMaker assumes."""
    s3, iam = aws.client("s3"), aws.client("iam")
    if BUCKET not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=BUCKET)
    if ROLE not in {role["RoleName"] for role in iam.list_roles()["Roles"]}:
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(ROLE_TRUST))


def airflow_environment(aws: RunningAws, engine: str, base: str) -> dict[str, str]:
    """Return the environment in which Airflow runs, and write it down for ``make ui``."""
    ours = {
        "AIRFLOW_HOME": str(AIRFLOW_HOME),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{AIRFLOW_HOME / 'airflow.db'}",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws.connection),
        "MODEL_STORE": str(HOME / "models"),
        "AIRFLOW_VAR_BASE_IMAGE": base,
        **(WITHOUT_ENGINE if engine == "process" else {}),
    }
    written = HOME / "environment.json"
    written.touch(mode=0o600)
    written.write_text(json.dumps(ours, indent=1))
    return {**without_foreign_settings(), **ours}


def without_foreign_settings() -> dict[str, str]:
    """Return the shell's environment without its own Airflow's and AWS's: the demo must touch neither."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "AWS_"))}


def migrate_database(environment: dict[str, str]) -> None:
    """Make Airflow's metadata database, or bring it up to date."""
    with console.status("Preparing Airflow's database"), LOG.open("ab") as log:
        subprocess.run(
            [str(BIN / "airflow"), "db", "migrate"], env=environment, stdout=log, stderr=log, check=True
        )


def run_dags(environment: dict[str, str], seed: int) -> bool:
    """Train and deploy through Airflow, showing which task runs; return whether both DAGs succeeded."""
    command = [
        *(sys.executable, str(REPOSITORY / "demo" / "run_dags.py"), "--report", str(REPORT)),
        *("--train", json.dumps({"seed": seed})),
        *("--deploy", json.dumps({"poll_interval": 1, "endpoint_name": ENDPOINT})),
    ]
    REPORT.unlink(missing_ok=True)
    with (
        console.status("Starting Airflow") as status,
        LOG.open("a") as log,
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
    ):
        for line in process.stdout or ():
            log.write(line)
            if found := re.search(r"\[DAG TEST\] starting task_id=(\w+)", line):
                console.print(f"  {datetime.now():%H:%M:%S} {found[1]}")
                status.update(f"Running {found[1]}")
    if process.returncode:
        console.print(f"[red]Airflow's run failed[/]; the end of {LOG}:")
        console.print("".join(LOG.read_text().splitlines(keepends=True)[-40:]), markup=False)
        return False
    return True


def tell_what_was_made(report: dict[str, Any]) -> None:
    """Print names and digests, and whether each was made now."""
    tasks = {task["task_id"]: task["xcoms"] for task in report["retrain_and_deploy"]["tasks"]}
    table = Table(box=None, title="\nMade", title_justify="left")
    for heading in ("", "what", "now"):
        table.add_column(heading, overflow="fold")

    def row(task_id: str, what: str, done: str, not_done: str, key: str) -> None:
        details = tasks[task_id]["details"]
        table.add_row(what, str(tasks[task_id]["return_value"]), done if details[key] else not_done)

    row("build_image", "image", "built and pushed", "unchanged", "built")
    row("upload_model_data", "artifact", "uploaded", "unchanged", "uploaded")
    row("create_model", "model", "created", "unchanged", "created")
    row("create_endpoint_config", "endpoint config", "created", "unchanged", "created")
    deployed = tasks["deploy_endpoint"]["details"]
    table.add_row("endpoint", tasks["deploy_endpoint"]["return_value"], deployed["action"])
    row("configure_autoscaling", "scalable target", "configured", "unchanged", "written")
    row("create_latency_alarm", "alarm", "put", "unchanged", "written")
    console.print(table)


def tell_timeline(report: dict[str, Any]) -> None:
    """Print when each task ran."""
    tasks = [task for run in report.values() for task in run["tasks"] if task["start"]]
    first = min(task["start"] for task in tasks)
    table = Table("task", "at", "seconds", "state", box=None, title="\nTimeline", title_justify="left")
    for task in sorted(tasks, key=lambda task: task["start"]):
        table.add_row(
            task["task_id"],
            f"{task['start'] - first:5.1f} s",
            f"{task['end'] - task['start']:.1f}",
            task["state"],
        )
    console.print(table)


def tell_predictions(aws: RunningAws, report: dict[str, Any]) -> None:
    """Ask the endpoint about the rows that the model was not trained on, and print its answers beside the truth."""
    import sqlite3

    with sqlite3.connect(AIRFLOW_HOME / "airflow.db") as database:
        (extra,) = database.execute(
            "select extra from asset_event where source_dag_id = 'train_model' order by id desc limit 1"
        ).fetchone()
    announced = json.loads(extra)
    samples = announced["samples"]
    answer = aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=ENDPOINT,
        ContentType="application/json",
        Body=json.dumps({"instances": samples["rows"], "probabilities": True}),
    )
    said = json.loads(answer["Body"].read())
    table = Table(
        "endpoint says",
        "probability",
        "truth",
        "",
        box=None,
        title=f"\nPredictions for rows that the model has not seen (accuracy on all such rows: {announced['accuracy']})",
        title_justify="left",
    )
    for label, probability, truth in zip(
        said["labels"], said["probabilities"], samples["truth"], strict=True
    ):
        table.add_row(label, f"{probability:.4f}", truth, "right" if label == truth else "[red]wrong[/]")
    console.print(table)


def tell_changes(requests: list[dict[str, Any]]) -> None:
    """Print the calls of the chain that changed something, from the local AWS's own log."""
    changing = Counter(
        f"{request['service']}:{request['operation']}" for request in requests if request["mutating"]
    )
    if not changing:
        console.print(f"\n[bold green]Nothing changed[/]: {len(requests)} calls, no mutating ones.")
        return
    told = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in changing.items())
    console.print(f"\n{len(requests)} calls, {changing.total()} of them mutating: {told}")


if __name__ == "__main__":
    sys.exit(main())
