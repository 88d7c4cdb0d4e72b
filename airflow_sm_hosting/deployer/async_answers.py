"""The inputs and answers of asynchronous endpoints, in S3."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from airflow_sm_hosting.deployer.adapters import StepRunner
from airflow_sm_hosting.deployer.batch_polls import BatchPolls
from airflow_sm_hosting.deployer.invocation import Accepted
from airflow_sm_hosting.deployment.steps import DeleteObject
from airflow_sm_hosting.exceptions import AccessError, InvalidSpecError, InvocationError
from airflow_sm_hosting.hooks.errors import (
    error_code,
    error_message,
    is_denied,
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


class AnswerPolls(BatchPolls):
    """Looks whether asynchronous answers are there; an id is the URLs of the answer and of the failure."""

    operation = "HeadObject"

    def ask(self, ids: Sequence[tuple[str, str | None]]) -> Mapping[Any, Mapping[str, Any]]:
        """Return the ids whose answer or failure is there."""
        return {urls: {} for urls in ids if any(is_there(self.hook, url) for url in urls)}

    def refused(self, error: Exception) -> Exception:
        """Return the error of a call that AWS refuses for good."""
        if isinstance(error, AccessError):
            return error
        return InvocationError(
            f"The answer cannot be looked for: {type(error).__name__}: {error}. The endpoint still writes it."
        )


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
        left -= set(polls.look(list(left)) or ())
        seconds = min(poll_interval, deadline - time.time())
        if not left or seconds <= 0:
            return
        time.sleep(seconds)
