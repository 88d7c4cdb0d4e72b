"""The image of a serving container, built and pushed by a Docker engine."""

from __future__ import annotations

import io
import tarfile

import docker

from tests.local.conftest import SERVING, Deployer, login_of

DOCKERFILE = """\
ARG BASE
FROM ${BASE}
COPY serve.py /opt/program/serve.py
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true
LABEL com.amazonaws.sagemaker.capabilities.multi-models=true
ENTRYPOINT ["python3", "/opt/program/serve.py"]
"""


def build_and_push(docker_client: docker.DockerClient, deployer: Deployer, base: str) -> str:
    """Build the serving container and push it, all through the Docker engine."""
    repository = deployer.repository()
    tag = f"{deployer.aws.endpoint_url.removeprefix('http://')}/{repository}:v1"
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, data in (("Dockerfile", DOCKERFILE.encode()), ("serve.py", SERVING.read_bytes())):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    context.seek(0)
    docker_client.images.build(
        fileobj=context, custom_context=True, tag=tag, rm=True, forcerm=True, buildargs={"BASE": base}
    )
    user, password = login_of(deployer.aws)
    events = list(
        docker_client.images.push(
            tag, auth_config={"username": user, "password": password}, stream=True, decode=True
        )
    )
    docker_client.images.remove(tag)
    (digest,) = [event["aux"]["Digest"] for event in events if "aux" in event]
    assert not [event for event in events if "error" in event]
    return f"{tag.rpartition(':')[0]}@{digest}"
