"""The inputs and answers of asynchronous endpoints, in S3."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from airflow_sm_hosting.deployer.adapters import StepRunner
from airflow_sm_hosting.deployer.invocation import Accepted
from airflow_sm_hosting.deployer.waiting import CONNECTION_KEPT, ROTATION_AWAITED
from airflow_sm_hosting.deployment.steps import DeleteObject
from airflow_sm_hosting.exceptions import AccessError, InvalidSpecError, InvocationError
from airflow_sm_hosting.hooks.errors import (
    are_credentials_refused,
    error_code,
    error_message,
    is_denied,
    is_passing,
)
from airflow_sm_hosting.spec.s3_location import S3Location

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.parameters import AwsParameters
    from airflow_sm_hosting.hooks.s3 import ModelDataHook

log = logging.getLogger(__name__)

#: Ends of the names of uploaded inputs, by their content type; others have none.
_ENDS = {"application/json": ".json", "text/csv": ".csv", "text/plain": ".txt"}


def location(url: str) -> S3Location:
    """Return the place of an object.

    :raises InvocationError: For a URL that is none of S3.
    """
    found = S3Location.parse(url)
    if found is None:
        raise InvocationError(f"{url} is not a URL of an object in S3.")
    return found


def put_input(
    hook: ModelDataHook, prefix: str, endpoint_name: str, content: bytes, content_type: str | None
) -> str:
    """Upload the input of an asynchronous request under a new key, and return its URL (``s3:PutObject``).

    :param hook: The hook of S3.
    :param prefix: ``s3://`` URL of the prefix.
    :param endpoint_name: The endpoint, whose name is a part of the key.
    :param content: The input.
    :param content_type: Its MIME type.
    """
    place = S3Location.parse(prefix)
    if place is None:
        raise InvalidSpecError(f"input_prefix is {prefix!r}; allowed: the s3:// URL of a prefix.")
    folder = place.key if not place.key or place.key.endswith("/") else f"{place.key}/"
    key = f"{folder}{endpoint_name}/{uuid4()}{_ENDS.get(content_type or '', '')}"
    hook.put(place.bucket, key, content, content_type)
    return S3Location(place.bucket, key).url


def delete_input(aws: AwsParameters, url: str) -> None:
    """Delete an uploaded input (``s3:DeleteObject``); one that cannot be deleted is left, with a warning."""
    place = location(url)
    try:
        StepRunner(aws).apply(DeleteObject({"Bucket": place.bucket, "Key": place.key}, url))
    except (ClientError, BotoCoreError) as error:
        log.warning("The input %s was not deleted: %s", url, error)


def content_of(hook: ModelDataHook, url: str | None) -> bytes | None:
    """Return an object's content (``s3:GetObject``); None when there is no such object.

    :raises AccessError: When the worker may not read it.
    """
    if url is None:
        return None
    place = location(url)
    try:
        return hook.conn.get_object(Bucket=place.bucket, Key=place.key)["Body"].read()
    except ClientError as error:
        if not _is_absent(hook, url, error):
            raise
        return None


def is_there(hook: ModelDataHook, url: str | None) -> bool:
    """Return whether there is an object (``s3:GetObject``).

    :raises AccessError: When the worker may not read it.
    """
    if url is None:
        return False
    place = location(url)
    try:
        hook.conn.head_object(Bucket=place.bucket, Key=place.key)
    except ClientError as error:
        if not _is_absent(hook, url, error):
            raise
        return False
    return True


def _is_absent(hook: ModelDataHook, url: str, error: ClientError) -> bool:
    """Return whether S3 says that there is no such object.

    :raises AccessError: When the worker may not read it.
    """
    code = error_code(error)
    if code in ("NoSuchKey", "404"):
        return True
    # A HEAD answer has no body, so its code is the status (S3, API_HeadObject).
    if code != "403" and not is_denied(error):
        return False
    worker = hook.worker
    # S3 answers so for an object that is absent, too, without s3:ListBucket (API_HeadObject, API_GetObject).
    raise AccessError(
        f"{worker[0].upper()}{worker[1:]} may not read {url} ({error_message(error)}): it needs s3:GetObject on it, and s3:ListBucket on its "
        "bucket, without which S3 does not say that an object does not exist. airflow_sm_hosting.policies.worker(async_outputs=[…]) prints "
        "the policy."
    ) from None


class AnswerPolls:
    """Looks whether asynchronous answers are there, and survives temporary errors and rotated credentials.

    :param make_hook: Makes the hook of S3: at its first use it looks up the connection.
    :param log: Takes a line for a person watching, with ``%s`` arguments.
    """

    def __init__(self, make_hook: Callable[[], ModelDataHook], log: Callable[..., object]) -> None:
        self._make_hook = make_hook
        self._hook: ModelDataHook | None = None
        self._log = log
        self._refused_since = math.inf
        self._looked_up_at = -math.inf

    @property
    def hook(self) -> ModelDataHook:
        """The hook, made at the first use."""
        if self._hook is None:
            self._hook = self._make_hook()
        return self._hook

    @property
    def account(self) -> tuple[str, str]:
        """The owner of the rate limits: the credentials, and the Region."""
        hook = self.hook
        credentials = hook.get_session(region_name=hook.region_name).get_credentials()
        return ((credentials.access_key if credentials else None) or "", hook.conn.meta.region_name)

    def look(self, keys: Iterable[tuple[str, str | None]]) -> set[tuple[str, str | None]] | None:
        """Return the requests whose answer or failure is there (HeadObject); None when S3 did not answer this time.

        :param keys: The URLs of the answer and of the failure of each.

        :raises AccessError: When the worker may not read them.
        :raises InvocationError: When S3 refuses the call for good.
        """
        try:
            found = {urls for urls in keys if self._has_ended(urls)}
        except AccessError:
            raise
        except Exception as error:
            if is_passing(error):
                self._log("HeadObject failed (%s); retrying", error)
                return None
            if not are_credentials_refused(error) or not self._may_be_rotated():
                raise InvocationError(
                    f"The answer cannot be looked for: {type(error).__name__}: {error}. The endpoint still writes it."
                ) from error
            self._log("AWS refuses the credentials (%s); retrying with those found then", error)
            return None
        self._refused_since = math.inf
        return found

    def _has_ended(self, urls: tuple[str, str | None]) -> bool:
        return any(is_there(self.hook, url) for url in urls)

    def _may_be_rotated(self) -> bool:
        """Look up the connection again, and return whether refused credentials may still be rotated."""
        now = time.monotonic()
        self._refused_since = min(self._refused_since, now)
        if now - self._looked_up_at >= CONNECTION_KEPT:
            self._looked_up_at = now
            self.hook.look_up_again()
        return now - self._refused_since <= ROTATION_AWAITED


def wait_for_answers(
    polls: AnswerPolls, wanted: Iterable[Accepted], *, deadline: float, poll_interval: float
) -> None:
    """Wait in this process until all requests have an answer or a failure, or the deadline has passed.

    :param polls: Looks for them.
    :param wanted: The requests.
    :param deadline: In seconds since the epoch.
    :param poll_interval: Seconds between two looks.
    """
    left: set[tuple[str, str | None]] = set(wanted)
    while True:
        left -= polls.look(left) or set()
        seconds = min(poll_interval, deadline - time.time())
        if not left or seconds <= 0:
            return
        time.sleep(seconds)
