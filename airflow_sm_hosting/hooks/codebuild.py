"""CodeBuild: projects, builds and their logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from airflow_sm_hosting.hooks.clients import SharedClients
from airflow_sm_hosting.hooks.errors import error_code
from airflow_sm_hosting.hooks.iam import until_role_is_seen

if TYPE_CHECKING:
    from types_boto3_codebuild.client import CodeBuildClient
    from types_boto3_codebuild.type_defs import TagTypeDef

#: https://docs.aws.amazon.com/codebuild/latest/APIReference/API_BatchGetBuilds.html: the maximum of ids.
MOST_BUILDS = 100


class CodeBuildHook(SharedClients):
    """Interact with AWS CodeBuild.

    Provide thin wrapper around :external+boto3:py:class:`boto3.client("codebuild") <CodeBuild.Client>`.

    .. seealso:: :class:`airflow_sm_hosting.hooks.clients.SharedClients` for the parameters.
    """

    conn: CodeBuildClient

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "client_type": "codebuild"})

    def project(self, name: str) -> Mapping[str, Any] | None:
        """Return a project (``codebuild:BatchGetProjects``), or None when it does not exist."""
        found: Sequence[Mapping[str, Any]] = self.conn.batch_get_projects(names=[name])["projects"]
        return found[0] if found else None

    def create_project(self, definition: Mapping[str, Any], tags: Mapping[str, str]) -> bool:
        """Create a project (``codebuild:CreateProject``); return False when there is one meanwhile."""
        tag_list: list[TagTypeDef] = [{"key": key, "value": value} for key, value in tags.items()]
        try:
            until_role_is_seen(lambda: self.conn.create_project(**definition, tags=tag_list))
        except ClientError as error:
            if error_code(error) != "ResourceAlreadyExistsException":
                raise
            return False
        return True

    def update_project(self, definition: Mapping[str, Any]) -> None:
        """Update a project (``codebuild:UpdateProject``)."""
        until_role_is_seen(lambda: self.conn.update_project(**definition))

    def builds(self, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Return builds by their id (``codebuild:BatchGetBuilds``), without those that do not exist.

        :param ids: 100 at most.
        """
        return {found["id"]: found for found in self.conn.batch_get_builds(ids=list(ids))["builds"]}

    def newest_builds(self, project: str) -> Iterator[Mapping[str, Any]]:
        """Yield the builds of a project, newest first (``codebuild:ListBuildsForProject``, ``BatchGetBuilds``)."""
        # Without sortOrder, which is an error for a project with more than 100 builds; the default is newest first
        # (botocore, ListBuildsForProjectInput.sortOrder).
        request: dict[str, Any] = {"projectName": project}
        while True:
            page = self.conn.list_builds_for_project(**request)
            if page["ids"]:
                found = self.builds(page["ids"])
                yield from (found[one] for one in page["ids"] if one in found)
            if not page.get("nextToken"):
                return
            request["nextToken"] = page["nextToken"]

    def start_build(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Start a build (``codebuild:StartBuild``)."""
        started: Mapping[str, Any] = self.conn.start_build(**request)["build"]
        return started

    def log_lines(self, group: str, stream: str, token: str | None) -> tuple[list[str], str | None]:
        """Return the lines of a log since a token, and the token of the next ones (``logs:GetLogEvents``).

        :param token: None for the beginning.
        """
        request: dict[str, Any] = {"logGroupName": group, "logStreamName": stream, "startFromHead": True}
        lines: list[str] = []
        while True:
            if token:
                request["nextToken"] = token
            try:
                answer = self.client("logs").get_log_events(**request)
            except ClientError as error:
                # The build makes both, with its first line.
                if error_code(error) != "ResourceNotFoundException":
                    raise
                return lines, token
            lines += [event["message"].rstrip("\n") for event in answer["events"]]
            # "If you have reached the end of the stream, it returns the same token you passed in" (API_GetLogEvents.html).
            if answer["nextForwardToken"] == token:
                return lines, token
            token = answer["nextForwardToken"]
