"""CodeBuild of one Region: its operations on projects and builds.

Rules, unless said otherwise: https://docs.aws.amazon.com/codebuild/latest/APIReference/ and botocore's model.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.codebuild.build import LOG_GROUP, HostedBuild, merged_environment
from airflow_sm_hosting.local.codebuild.buildspec import unknown_parts
from airflow_sm_hosting.local.codebuild.projects import PAGE_SIZE, Projects
from airflow_sm_hosting.local.codebuild.runner import BuildRunner, is_supported
from airflow_sm_hosting.local.engines.engine import Engine
from airflow_sm_hosting.local.moto_bridge.account import regional_arn
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.paging import page
from airflow_sm_hosting.local.wire.validation import check_request

#: botocore, StartBuildInput.idempotencyToken.
_TOKEN_VALID = timedelta(minutes=5)
#: wolfeidau/buildkite-serverless-agent#35
_LONGEST_VARIABLE = 4096
#: What StartBuild may override here.
_OVERRIDES = {
    "artifactsOverride",
    "projectName",
    "buildspecOverride",
    "computeTypeOverride",
    "environmentTypeOverride",
    "environmentVariablesOverride",
    "idempotencyToken",
    "imageOverride",
    "logsConfigOverride",
    "privilegedModeOverride",
    "queuedTimeoutInMinutesOverride",
    "serviceRoleOverride",
    "sourceTypeOverride",
    "timeoutInMinutesOverride",
}


class CodeBuild:
    """CodeBuild of one Region.

    :param region: The Region's name.
    :param engine: Runs the containers of builds.
    :param clock: The clock.
    :param endpoint_url: Returns where the local AWS is.
    """

    def __init__(self, region: str, engine: Engine, clock: Clock, endpoint_url: Callable[[], str]) -> None:
        self._region = region
        self._engine = engine
        self._clock = clock
        self._endpoint_url = endpoint_url
        self._lock = threading.RLock()
        self._projects = Projects(region, clock)
        self._builds: dict[str, HostedBuild] = {}
        self._numbers: dict[str, int] = {}
        self._tokens: dict[str, tuple[datetime, dict[str, Any], str]] = {}
        self._operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "CreateProject": self._projects.create,
            "UpdateProject": self._projects.update,
            "DeleteProject": self._projects.delete,
            "BatchGetProjects": self._projects.batch_get,
            "ListProjects": self._projects.list,
            "StartBuild": self._start,
            "StopBuild": self._stop,
            "BatchGetBuilds": self._batch_get,
            "ListBuildsForProject": self._list,
        }

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Answer an operation.

        :raises AwsError: The refusal.
        :raises NotImplementedError: This operation, or a part of it, is not here.
        """
        if operation not in self._operations:
            raise NotImplementedError
        try:
            check_request("codebuild", operation, request)
        except AwsError as refusal:
            # The only code for it in the model of each operation; the wording is assumed.
            code = refusal.code.replace("ValidationException", "InvalidInputException")
            raise AwsError(code, refusal.message) from refusal
        with self._lock:
            # What is kept and what is answered must not be the same objects: both are changed later.
            return copy.deepcopy(self._operations[operation](copy.deepcopy(request)))

    def stop_all(self) -> None:
        """End all builds, and forget everything."""
        with self._lock:
            builds = list(self._builds.values())
            self._builds.clear()
        for build in builds:
            build.forget()

    # Saved state

    def dump(self) -> dict[str, Any]:
        """Return what is saved over a restart."""
        with self._lock:
            return {
                "projects": self._projects.dump(),
                "builds": {name: build.description for name, build in self._builds.items()},
                "numbers": self._numbers,
            }

    def load(self, saved: Mapping[str, Any]) -> None:
        """Restore saved state; a build that was in progress is a fault."""
        with self._lock:
            self._projects.load(saved["projects"])
            self._numbers.update(saved["numbers"])
            for name, description in saved["builds"].items():
                build = self._builds[name] = HostedBuild(description, self._region, self._clock.now)
                if not build.is_complete:
                    build.leave("FAULT", "INTERNAL_ERROR", "The local AWS was restarted.")
                    build.end("FAULT")

    # Builds

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        project = self._projects.named(request["projectName"])
        now = self._clock.now()
        token = request.pop("idempotencyToken", None)
        if token and (before := self._tokens.get(token)) and now - before[0] < _TOKEN_VALID:
            if before[1] != request:
                # The wording is assumed.
                raise AwsError(
                    "InvalidInputException", "The idempotency token was used with other parameters"
                )
            return {"build": self._builds[before[2]].description}
        environment = merged_environment(project, request)
        self._check(project, request, environment)
        build = self._new_build(project, request, environment, now)
        self._builds[build.id] = build
        if token:
            self._tokens[token] = (now, request, build.id)
        text = request.get("buildspecOverride") or project["source"]["buildspec"]
        runner = BuildRunner(build, text, self._engine, self._region, self._endpoint_url())
        minutes = build.description["timeoutInMinutes"]
        self._clock.call_later(60 * minutes, partial(build.stop, "TIMED_OUT"))
        # Not by the clock: a virtual one would wait for the build, which its timeout may have to end.
        threading.Thread(target=runner.run, name=f"build-{build.id}", daemon=True).start()
        return {"build": build.description}

    def _check(
        self, project: Mapping[str, Any], request: Mapping[str, Any], environment: Mapping[str, Any]
    ) -> None:
        for variable in environment["environmentVariables"]:
            if len(variable["value"]) > _LONGEST_VARIABLE:
                raise AwsError(
                    "InvalidInputException",
                    f"EnvironmentVariable should be at most {_LONGEST_VARIABLE} characters",
                )
        source = request.get("sourceTypeOverride", project["source"]["type"])
        artifacts = request.get("artifactsOverride", project["artifacts"])["type"]
        text = request.get("buildspecOverride") or project["source"].get("buildspec", "")
        missing = [
            *sorted(set(request) - _OVERRIDES),
            *([f"the source type {source}"] if source != "NO_SOURCE" else []),
            *([f"artifacts {artifacts}"] if artifacts != "NO_ARTIFACTS" else []),
            *(
                []
                if is_supported(environment)
                else [f"{environment['type']} with the image {environment['image']}"]
            ),
            *(f"{part} of a buildspec" for part in unknown_parts(text)),
        ]
        if missing:
            raise AwsError(
                "NotImplemented",
                f"CodeBuild of the local AWS does not have {', '.join(missing)}.",
                status=501,
            )

    def _new_build(
        self,
        project: Mapping[str, Any],
        request: Mapping[str, Any],
        environment: dict[str, Any],
        now: datetime,
    ) -> HostedBuild:
        name, stream = project["name"], str(uuid4())
        number = self._numbers[name] = self._numbers.get(name, 0) + 1
        config = request.get("logsConfigOverride", project.get("logsConfig", {})).get("cloudWatchLogs", {})
        group = config.get("groupName") or LOG_GROUP.format(project=name)
        prefix = f"{config['streamName']}/" if config.get("streamName") else ""
        description: dict[str, Any] = {
            "id": f"{name}:{stream}",
            "arn": regional_arn("codebuild", self._region, f"build/{name}:{stream}"),
            "buildNumber": number,
            "startTime": now,
            "currentPhase": "SUBMITTED",
            "buildStatus": "IN_PROGRESS",
            "buildComplete": False,
            "projectName": name,
            "phases": [],
            "source": {"type": "NO_SOURCE"},
            "artifacts": {"location": ""},
            "cache": {"type": "NO_CACHE"},
            "environment": environment,
            "serviceRole": request.get("serviceRoleOverride", project["serviceRole"]),
            "logs": {
                "groupName": group,
                "streamName": f"{prefix}{stream}",
                "deepLink": f"https://console.aws.amazon.com/cloudwatch/home?region={self._region}#logsV2:log-groups",
                "cloudWatchLogs": {"status": "ENABLED"},
            },
            "timeoutInMinutes": request.get("timeoutInMinutesOverride", project["timeoutInMinutes"]),
            "queuedTimeoutInMinutes": project["queuedTimeoutInMinutes"],
            "initiator": "root",
            "encryptionKey": project["encryptionKey"],
        }
        build = HostedBuild(description, self._region, self._clock.now)
        build.enter("SUBMITTED")
        return build

    def _stop(self, request: dict[str, Any]) -> dict[str, Any]:
        build = self._builds.get(_build_id(request["id"]))
        if build is None:
            raise AwsError("ResourceNotFoundException", f"Build cannot be found: {request['id']}")
        build.stop("STOPPED")
        return {"build": build.description}

    def _batch_get(self, request: dict[str, Any]) -> dict[str, Any]:
        found = {one: self._builds.get(_build_id(one)) for one in request["ids"]}
        return {
            "builds": [build.description for build in found.values() if build],
            "buildsNotFound": [one for one, build in found.items() if not build],
        }

    def _list(self, request: dict[str, Any]) -> dict[str, Any]:
        name = self._projects.named(request["projectName"])["name"]
        builds = [build for build in self._builds.values() if build.description["projectName"] == name]
        if "sortOrder" in request and len(builds) > PAGE_SIZE:
            # botocore, ListBuildsForProjectInput.sortOrder; the wording is assumed.
            raise AwsError(
                "InvalidInputException", f"sortOrder cannot be given for more than {PAGE_SIZE} builds"
            )
        builds.sort(
            key=lambda build: build.description["buildNumber"],
            reverse=request.get("sortOrder", "DESCENDING") == "DESCENDING",
        )
        found, token = page([build.id for build in builds], request.get("nextToken"), PAGE_SIZE)
        return {"ids": found, **({"nextToken": token["NextToken"]} if token else {})}


def _build_id(id_or_arn: str) -> str:
    return id_or_arn.rpartition("build/")[2]
