"""Build an image with CodeBuild: join the build of the same content, or upload the context, ensure the project and start one."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from airflow_sm_hosting.artifacts.packing import pack_stream
from airflow_sm_hosting.artifacts.upload import Storage, UploadDeniedError, content_key, upload_if_absent
from airflow_sm_hosting.deployer.batch_polls import BatchPolls
from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.hooks.errors import are_credentials_refused, is_passing
from airflow_sm_hosting.images.codebuild.outcome import (
    LAST_LINES,
    failure,
    is_complete,
    is_successful,
    log_of,
    status_line,
)
from airflow_sm_hosting.images.codebuild.project import (
    BuildPlace,
    check_foreign,
    differing,
    is_ours,
    project_definition,
)
from airflow_sm_hosting.images.codebuild.request import image_of, start_request
from airflow_sm_hosting.spec.tags import OURS
from airflow_sm_hosting.work_folder import work_folder

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.codebuild import CodeBuildHook
    from airflow_sm_hosting.hooks.s3 import ModelDataHook
    from airflow_sm_hosting.images.builders import Log
    from airflow_sm_hosting.images.recipe import BuildRecipe

#: How long a build that was just started may not be found yet, in seconds: reads of AWS may lag (assumed).
UNSEEN_AWAITED = 30.0

#: How long the last lines of the log of a failed build are awaited at most, in seconds.
LAST_LINES_AWAITED = 5.0

#: Builds of a project that are looked at for one of the same content, beside those in progress: a page of ListBuildsForProject.
LOOKED_AT = 100


class ImageBuild:
    """Builds one image in a project.

    :param hook: the CodeBuild hook
    :param place: where and how CodeBuild builds
    :param image: ``<repository URI>:<tag>`` to push
    :param log: logger of the task
    """

    def __init__(self, hook: CodeBuildHook, place: BuildPlace, image: str, log: Log) -> None:
        self._hook = hook
        self._place = place
        self._image = image
        self._log = log

    def begin(self, recipe: BuildRecipe, s3: ModelDataHook) -> str:
        """Return the id of the build: of one in progress with the same content, or of a new one.

        :param recipe: the build
        :param s3: the hook of the bucket for build contexts
        """
        is_new = self._ensure_project()
        last = None if is_new else self._last_build()
        if last is not None and not is_complete(last):
            self._log.info(
                "CodeBuild already builds this content: joining %s, %s", last["id"], status_line(last)
            )
            return str(last["id"])
        context = self._upload(recipe, s3)
        after = str(last["id"]) if last else None
        request = start_request(recipe, self._place, image=self._image, context_uri=context, after=after)
        build = self._hook.start_build(request)
        self._log.info("Started build %s", build["id"])
        return str(build["id"])

    def _ensure_project(self) -> bool:
        """Create or update the project; return whether it is new."""
        definition = project_definition(self._place)
        name = self._place.project
        found = self._hook.project(name)
        if found is None and self._hook.create_project(definition, OURS):
            self._log.info("Created CodeBuild project %s", name)
            return True
        found = found or self._hook.project(name) or {}
        changed = differing(found, definition)
        if not changed:
            return False
        if not is_ours(found):
            check_foreign(found, definition)
            self._log.info(
                "The CodeBuild project %s was not made by this package, and differs in %s: it is used as it is",
                name,
                ", ".join(changed),
            )
            return False
        self._hook.update_project(definition)
        self._log.info("Updated CodeBuild project %s: %s", name, ", ".join(changed))
        return False

    def _last_build(self) -> Mapping[str, Any] | None:
        """Return the last build of this content.

        The builds of a project may be many: beyond the first page, the search ends with the first build that has ended.
        """
        for index, build in enumerate(self._hook.newest_builds(self._place.project)):
            if image_of(build) == self._image:
                return build
            if index >= LOOKED_AT and is_complete(build):
                break
        return None

    def _upload(self, recipe: BuildRecipe, s3: ModelDataHook) -> str:
        place = self._place
        with work_folder() as folder, recipe.context.tar() as tar:
            artifact = pack_stream(tar, workdir=folder)
            key = content_key(place.key_prefix, "", artifact.sha256)
            try:
                return upload_if_absent(
                    s3.conn,
                    artifact,
                    bucket=place.bucket,
                    key=key,
                    storage=Storage(kms_key_id=place.kms_key_id),
                    log=self._log,
                ).uri
            except UploadDeniedError as error:
                raise UploadDeniedError(f"{error}. The task runs as {s3.worker}") from error.__cause__


class BuildPolls(BatchPolls):
    """Looks at builds (BatchGetBuilds)."""

    operation = "BatchGetBuilds"

    def ask(self, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Return builds by id."""
        found: dict[str, Mapping[str, Any]] = self.hook.builds(ids)
        return found

    def refused(self, error: Exception) -> ImageBuildError:
        """Return the error of a build that cannot be looked at."""
        return ImageBuildError(
            f"The build cannot be looked at: {type(error).__name__}: {error}. It continues; run the task again to join it."
        )


class BuildLog:
    """Copies the log of a build into the log of the task.

    :param hook: the CodeBuild hook
    :param log: logger of the task
    :param mask: replaces secrets in a text
    """

    def __init__(self, hook: CodeBuildHook, log: Log, mask: Callable[[str], str]) -> None:
        self._hook = hook
        self._log = log
        self._mask = mask
        self._token: str | None = None
        self._is_readable = True
        self.last: deque[str] = deque(maxlen=LAST_LINES)

    def copy(self, build: Mapping[str, Any]) -> None:
        """Copy the lines that are new; without the permission to read them, the build goes on without."""
        place = log_of(build)
        if place is None or not self._is_readable:
            return
        try:
            lines, self._token = self._hook.log_lines(*place, self._token)
        except (BotoCoreError, ClientError) as error:
            if not is_passing(error) and not are_credentials_refused(error):
                self._is_readable = False
                self._log.warning("The log of the build cannot be read: %s", error)
            return
        for line in lines:
            shown = self._mask(line)
            self.last.append(shown)
            self._log.info("%s", shown)


def wait(
    polls: BuildPolls, build_id: str, copied: BuildLog, log: Log, *, poll_interval: float
) -> Mapping[str, Any]:
    """Wait in this process until a build has ended, and return it.

    :raises ImageBuildError: There is no such build.
    """
    status, began = "", time.monotonic()
    while True:
        found = polls.look([build_id])
        build = None if found is None else existing(found, build_id, waited=time.monotonic() - began)
        if build is not None:
            if status != status_line(build):
                status = status_line(build)
                log.info("Build %s: %s", build_id, status)
            copied.copy(build)
            if is_complete(build):
                if not is_successful(build):
                    # CloudWatch Logs may show the last lines, the cause among them, a little later.
                    time.sleep(min(poll_interval, LAST_LINES_AWAITED))
                    copied.copy(build)
                return build
        time.sleep(poll_interval)


def existing(
    found: Mapping[str, Mapping[str, Any]], build_id: str, *, waited: float
) -> Mapping[str, Any] | None:
    """Return a build of an answer; None as long as reads of AWS may lag behind its start.

    :param found: the answer
    :param build_id: the build
    :param waited: seconds since the wait began
    :raises ImageBuildError: There is no such build.
    """
    if build_id not in found and waited >= UNSEEN_AWAITED:
        raise ImageBuildError(f"CodeBuild has no build {build_id}; was it deleted? Run the task again.")
    return found.get(build_id)


def check_success(build: Mapping[str, Any], copied: BuildLog, mask: Callable[[str], str]) -> None:
    """Check that a build has ended well.

    :raises ImageBuildError: It has not; the message has the reason and the last lines of the log.
    """
    if not is_successful(build):
        raise ImageBuildError(mask(failure(build, copied.last)))
