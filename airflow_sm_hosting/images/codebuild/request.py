"""The request of one build: a buildspec in which no value of the user stands, and the values as environment variables.

A buildspec is YAML, and JSON is YAML (https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html). Its commands name values
only as ``"$NAME"``, so none of them is read by the shell.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_sm_hosting.images.codebuild.project import BuildPlace, minutes
from airflow_sm_hosting.images.dockerfile import image_references
from airflow_sm_hosting.images.recipe import BuildRecipe

#: The environment variable by which a build of the same content is found. CodeBuild reserves only the prefix ``CODEBUILD_``
#: (https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html).
IMAGE = "SM_HOSTING_IMAGE"
_CONTEXT, _DOCKERFILE, _PLATFORM, _REGISTRY, _TARGET = (
    f"SM_HOSTING_{name}" for name in ("CONTEXT", "DOCKERFILE", "PLATFORM", "REGISTRY", "TARGET")
)
_FILE = "/tmp/sm-hosting-context.tar.gz"  # noqa: S108 - in the build's own container
_ECR_HOST = re.compile(r"\d{12}\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\..+")


def start_request(
    recipe: BuildRecipe, place: BuildPlace, *, image: str, context_uri: str, after: str | None
) -> dict[str, Any]:
    """Return the request of StartBuild.

    It overrides what a project of others may have otherwise: a source, and artifacts.

    :param recipe: the build
    :param place: where and how CodeBuild builds
    :param image: ``<repository URI>:<tag>`` to push
    :param context_uri: the ``s3://`` URI of the context
    :param after: the id of the last build of this content, which has ended; None if there was none
    """
    values = _values(recipe, place, image, context_uri)
    request = {
        "projectName": place.project,
        "sourceTypeOverride": "NO_SOURCE",
        "artifactsOverride": {"type": "NO_ARTIFACTS"},
        "buildspecOverride": json.dumps(_buildspec(values)),
        "environmentVariablesOverride": [
            *({"name": name, "value": value, "type": "PLAINTEXT"} for name, value in values.items()),
            *(
                {"name": f"SM_HOSTING_SECRET_{number}", "value": secret["value"], "type": secret["type"]}
                for number, secret in enumerate(place.secrets)
            ),
        ],
        "timeoutInMinutesOverride": minutes(place.timeout),
    }
    # StartBuild answers a token of the last five minutes with the build of then (botocore, StartBuildInput.idempotencyToken): a task that
    # was killed before it heard of its build gets the same one, and a task after a failed build gets a new one.
    content = json.dumps([request, after], sort_keys=True)
    return {**request, "idempotencyToken": hashlib.sha256(content.encode()).hexdigest()}


def image_of(build: Mapping[str, Any]) -> str | None:
    """Return the image that a build makes; None for a build that is not of this package."""
    variables = (build.get("environment") or {}).get("environmentVariables") or ()
    return next((str(one["value"]) for one in variables if one["name"] == IMAGE), None)


def public_arguments(recipe: BuildRecipe) -> list[str]:
    """Return the names of the build arguments that are part of an image's name; the value of any other one may be a secret."""
    references = " ".join(image_references(recipe.context.read_dockerfile(), recipe.build_args))
    return [name for name, value in recipe.build_args.items() if value in references]


def _values(recipe: BuildRecipe, place: BuildPlace, image: str, context_uri: str) -> dict[str, str]:
    """Return the environment variables that the buildspec names, but for the secrets."""
    registry = image.partition("/")[0]
    others = {host: found["region"] for host in recipe.registries() if (found := _ECR_HOST.fullmatch(host))}
    others.pop(registry, None)
    return {
        IMAGE: image,
        _CONTEXT: context_uri,
        _DOCKERFILE: recipe.context.dockerfile,
        _PLATFORM: recipe.platform,
        _REGISTRY: registry,
        **({_TARGET: recipe.target} if recipe.target else {}),
        **_numbered("BUILD_ARG", [f"{name}={value}" for name, value in sorted(recipe.build_args.items())]),
        **_numbered("LABEL", [f"{name}={value}" for name, value in sorted(recipe.labels.items())]),
        **_numbered("CACHE_FROM", recipe.cache_from),
        **_numbered("LOGIN", sorted(others)),
        **_numbered("LOGIN_REGION", [others[host] for host in sorted(others)]),
        **_numbered("SECRET_ID", [secret["name"] for secret in place.secrets]),
    }


def _numbered(kind: str, values: Iterable[str]) -> dict[str, str]:
    return {f"SM_HOSTING_{kind}_{number}": value for number, value in enumerate(values)}


def _buildspec(names: Iterable[str]) -> dict[str, Any]:
    """Return the buildspec.

    All is done before POST_BUILD, which runs after a failed BUILD, too
    (https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details-phases.html).

    :param names: the environment variables
    """
    known = list(names)

    def each(kind: str) -> Sequence[int]:
        return range(sum(re.fullmatch(rf"SM_HOSTING_{kind}_\d+", name) is not None for name in known))

    options = [
        f'--tag "${IMAGE}" --file "${_DOCKERFILE}" --platform "${_PLATFORM}"',
        *([f'--target "${_TARGET}"'] if _TARGET in known else []),
        *(f'--build-arg "$SM_HOSTING_BUILD_ARG_{number}"' for number in each("BUILD_ARG")),
        *(f'--label "$SM_HOSTING_LABEL_{number}"' for number in each("LABEL")),
        *(f'--cache-from "$SM_HOSTING_CACHE_FROM_{number}"' for number in each("CACHE_FROM")),
        *(
            f'--secret "id=$SM_HOSTING_SECRET_ID_{number},env=SM_HOSTING_SECRET_{number}"'
            for number in each("SECRET_ID")
        ),
    ]
    other_logins = [
        f"{_login(f'SM_HOSTING_LOGIN_{number}', f'SM_HOSTING_LOGIN_REGION_{number}')} || "
        # It may be public, or have nothing that is needed.
        f'echo "No login to $SM_HOSTING_LOGIN_{number}"'
        for number in each("LOGIN")
    ]
    return {
        "version": 0.2,
        "env": {
            "variables": {
                # For RUN --mount and the like.
                "DOCKER_BUILDKIT": "1",
                "BUILDKIT_PROGRESS": "plain",
                # SageMaker takes no list of manifests (https://docs.docker.com/build/building/variables/).
                "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
            }
        },
        "phases": {
            "pre_build": {
                "commands": [
                    f'aws s3 cp --no-progress "${_CONTEXT}" {_FILE}',
                    _login(_REGISTRY, "AWS_REGION"),
                    *other_logins,
                ]
            },
            "build": {
                "commands": [
                    f"docker build {' '.join(options)} - < {_FILE}",
                    _PLATFORM_CHECK,
                    f'docker push "${IMAGE}"',
                ]
            },
        },
    }


#: On an instance of another architecture the container ends with "exec format error".
_PLATFORM_CHECK = (
    f'found=$(docker image inspect --format "{{{{.Os}}}}/{{{{.Architecture}}}}" "${IMAGE}") && '
    f'{{ test "$found" = "${_PLATFORM}" || {{ echo "The image is for $found, but ${_PLATFORM} was requested; use a base image of that '
    'platform"; exit 1; }; }'
)


def _login(host: str, region: str) -> str:
    """Return the command that logs in to a registry of ECR, both given as names of variables (Amazon ECR, registry_auth.html)."""
    return f'aws ecr get-login-password --region "${region}" | docker login --username AWS --password-stdin "${host}"'
