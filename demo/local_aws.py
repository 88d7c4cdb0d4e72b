"""The local AWS of a demo: which engine it can have, its start, its clock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from airflow_sm_hosting.local.access_key import new_access_key
from airflow_sm_hosting.local.client.control import Control, LocalAwsError
from demo.home import Home
from demo.telling import console, say

COMMAND = [str(Path(sys.executable).parent / "sm-hosting"), "local"]
BUCKET = "sm-hosting-models"
ROLE = "SageMakerHostingRole"
DEFAULT_BASE = "python:3.12-slim"
ROLE_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


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
    say(f"Engine: Docker {client.version()['Version']}, base image {base}")
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
            say(f"{DEFAULT_BASE} cannot be pulled ({error.explanation or error}).")
        else:
            return DEFAULT_BASE
    with console.status("Building a base image from Debian packages"):
        try:
            return ensure_debian_python_base(client)
        except ImageBuildError as error:
            say(str(error))
            return None


def without_engine(why: str) -> tuple[str, str]:
    """Say loudly that containers are plain processes."""
    console.rule("[bold red]NO ISOLATION", style="red")
    say(
        f"Containers run as plain Python processes of your user, because {why}. Do not use it for images of others.\n"
    )
    return "process", DEFAULT_BASE


def start(home: Home, engine: str, *, clock: str = "real") -> Control | None:
    """Start the local AWS in the background unless it runs, and return its control; None when it cannot be started.

    :param home: The demo's.
    :param engine: Of its containers.
    :param clock: ``real`` or ``virtual``; one that runs keeps its clock.
    """
    if not home.access_key.exists():
        home.access_key.touch(mode=0o600)
        home.access_key.write_text(new_access_key())
    with console.status("Starting the local AWS"):
        started = _command(
            home,
            "up",
            *("--detach", "--engine", engine, "--clock", clock, "--access-key", f"@{home.access_key}"),
        )
    if started.returncode:
        say(f"[red]The local AWS cannot be started[/]: {started.stderr[-2000:]}")
        say(f"Is port {home.port} taken? Another one: make demo PORT={home.port + 11}")
        return None
    status = json.loads(_command(home, "status", "--json").stdout)
    say(f"Local AWS: {status['endpoint_url']}, engine {status['engine']}")
    if status["engine"] != engine:
        say(
            f"It is already running with the engine {status['engine']}; 'make demo-down{home.make_option}' stops it."
        )
    return control_of(home)


def stop(home: Home) -> bool:
    """Stop the local AWS of a demo, and return whether one ran."""
    told = _command(home, "down", "--json")
    told.check_returncode()
    return bool(json.loads(told.stdout)["stopped"])


def control_of(home: Home) -> Control | None:
    """Return the control of the running local AWS of a demo; None where none runs."""
    told = _command(home, "connection")
    if told.returncode:
        return None
    connection = json.loads(told.stdout)
    extra = connection["extra"]
    return Control(extra["endpoint_url"], connection["login"], extra["region_name"])


def engine_of(aws: Control) -> str:
    """Return the name of the engine of a running local AWS."""
    return str(aws.health()["engine"])


def has_virtual_clock(aws: Control) -> bool:
    """Return whether time stands still in a local AWS until it is advanced, as after a story."""
    try:
        aws.advance(0)
    except LocalAwsError:
        return False
    return True


def passing_time(aws: Control) -> AbstractContextManager[None]:
    """Let the time pass while the block runs: a virtual clock as fast as the computer's."""
    return aws.passing_time(speed=1) if has_virtual_clock(aws) else nullcontext()


def prepare_account(aws: Control) -> None:
    """Make what an account has before any DAG runs: a bucket, and the role that SageMaker assumes."""
    s3, iam = aws.client("s3"), aws.client("iam")
    if BUCKET not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=BUCKET)
    if ROLE not in {role["RoleName"] for role in iam.list_roles()["Roles"]}:
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(ROLE_TRUST))


def _command(home: Home, name: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, name, "--port", str(home.port), *options],
        env={**os.environ, "SM_HOSTING_STATE_DIR": str(home.state)},
        capture_output=True,
        text=True,
    )
