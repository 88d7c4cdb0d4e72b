"""The operations on projects.

Rules, unless said otherwise: https://docs.aws.amazon.com/codebuild/latest/APIReference/ and botocore's model.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.moto_bridge.account import regional_arn
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.paging import page

#: API_ListProjects.html, API_ListBuildsForProject.html
PAGE_SIZE = 100
#: botocore, CreateProjectInput.timeoutInMinutes; the API's page says 8 hours for the queue.
_TIMEOUT, _QUEUED_TIMEOUT = 60, 480


class Projects:
    """The projects of one Region.

    :param region: The Region's name.
    :param clock: The clock.
    """

    def __init__(self, region: str, clock: Clock) -> None:
        self._region = region
        self._clock = clock
        self._projects: dict[str, dict[str, Any]] = {}

    def arn(self, name: str) -> str:
        """Return the ARN of a project."""
        return regional_arn("codebuild", self._region, f"project/{name}")

    def named(self, name: str) -> dict[str, Any]:
        """Return a project by name or ARN.

        :raises AwsError: It does not exist.
        """
        found = self.find(name)
        if found is None:
            raise AwsError("ResourceNotFoundException", f"Project cannot be found: {self.arn(_name(name))}")
        return found

    def find(self, name: str) -> dict[str, Any] | None:
        """Return a project by name or ARN, None if there is none."""
        return self._projects.get(_name(name))

    # The operations, called with the lock of the Region's CodeBuild held.

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """Create a project."""
        name = request["name"]
        if name in self._projects:
            raise AwsError("ResourceAlreadyExistsException", f"Project already exists: {self.arn(name)}")
        now = self._clock.now()
        project = {
            "timeoutInMinutes": _TIMEOUT,
            "queuedTimeoutInMinutes": _QUEUED_TIMEOUT,
            "tags": [],
            "cache": {"type": "NO_CACHE"},
            "badge": {"badgeEnabled": False},
            "encryptionKey": regional_arn("kms", self._region, "alias/aws/s3"),
            **request,
            "arn": self.arn(name),
            "created": now,
            "lastModified": now,
        }
        self._projects[name] = _complete(project)
        return {"project": project}

    def update(self, request: dict[str, Any]) -> dict[str, Any]:
        """Update a project; what is not given stays."""
        before = self.named(request["name"])
        project = _complete({**before, **request, "lastModified": self._clock.now()})
        self._projects[before["name"]] = project
        return {"project": project}

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """Delete a project; its builds stay, and one that does not exist is none the less deleted (assumed)."""
        self._projects.pop(_name(request["name"]), None)
        return {}

    def batch_get(self, request: dict[str, Any]) -> dict[str, Any]:
        """Describe projects by name or ARN."""
        found = {name: self.find(name) for name in request["names"]}
        return {
            "projects": [project for project in found.values() if project],
            "projectsNotFound": [name for name, project in found.items() if not project],
        }

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """List the names of projects."""
        keys = {"NAME": "name", "CREATED_TIME": "created", "LAST_MODIFIED_TIME": "lastModified"}
        key = keys[request.get("sortBy", "NAME")]
        rows = sorted(
            self._projects.values(),
            key=lambda project: _sort_key(project[key]),
            reverse=request.get("sortOrder") == "DESCENDING",
        )
        found, token = page([row["name"] for row in rows], request.get("nextToken"), PAGE_SIZE)
        return {"projects": found, **({"nextToken": token["NextToken"]} if token else {})}

    def dump(self) -> dict[str, Any]:
        """Return what is saved over a restart."""
        return self._projects

    def load(self, saved: Mapping[str, Any]) -> None:
        """Restore saved state."""
        self._projects.update(saved)


def _complete(project: dict[str, Any]) -> dict[str, Any]:
    source = project["source"]
    if source["type"] == "NO_SOURCE" and not source.get("buildspec"):
        # API_ProjectSource.html, buildspec: without one, the source must have the file. The words are assumed.
        raise AwsError(
            "InvalidInputException", "Invalid input: a project without a source needs an inline buildspec"
        )
    environment = project["environment"]
    environment.setdefault("environmentVariables", [])
    environment.setdefault("privilegedMode", False)
    environment.setdefault("imagePullCredentialsType", "CODEBUILD")
    for variable in environment["environmentVariables"]:
        variable.setdefault("type", "PLAINTEXT")
    return project


def _name(name_or_arn: str) -> str:
    return name_or_arn.rpartition("/")[2]


def _sort_key(value: str | datetime) -> str:
    return value.isoformat() if isinstance(value, datetime) else value
