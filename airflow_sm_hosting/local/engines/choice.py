"""Which engine runs the containers."""

from __future__ import annotations

import logging

from airflow_sm_hosting.local.ecr.registry import Registry
from airflow_sm_hosting.local.engines.engine import Engine
from airflow_sm_hosting.local.work_dir import WorkDir

LOG = logging.getLogger(__name__)

NAMES = ("auto", "docker", "process", "none")

NO_ISOLATION = (
    "NO ISOLATION: with the process engine, images run as plain Python processes of this user, with this "
    "computer's files and network. Anyone who can push an image here can run code here. Use it only with "
    "images that you trust, or use the docker engine."
)


def make_engine(name: str, registry: Registry, work_dir: WorkDir) -> Engine:
    """Return an engine by its name; ``auto`` takes docker where it answers, and the process engine where not.

    :raises RuntimeError: Docker was requested and does not answer.
    """
    if name in ("auto", "docker"):
        # 0.1 s to import, for those who use it.
        from docker.errors import DockerException

        from airflow_sm_hosting.local.engines.docker import DockerEngine, docker_client

        try:
            return DockerEngine(registry, docker_client(), work_dir.lock_file)
        except DockerException as error:
            if name == "docker":
                raise RuntimeError(f"No Docker engine answers: {error}") from error
            LOG.warning("No Docker engine answers: using the process engine.")
    if name == "none":
        from airflow_sm_hosting.local.engines.none import NoEngine

        return NoEngine()
    from airflow_sm_hosting.local.engines.process import ProcessEngine

    LOG.warning(NO_ISOLATION)
    return ProcessEngine(registry, work_dir)
