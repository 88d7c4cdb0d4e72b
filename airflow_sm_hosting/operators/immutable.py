"""Making what SageMaker never changes: models and endpoint configs, whose name is the only idempotency key."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.deployment.difference import differences, unwanted
from airflow_sm_hosting.exceptions import ConflictError
from airflow_sm_hosting.spec.naming import content_digest, content_name
from airflow_sm_hosting.spec.tags import CONTENT_DIGEST, OURS

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.sagemaker import SageMakerHostingHook

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind:
    """Which of the two immutable resources.

    :param noun: What to call it.
    :param operation: The API operation that makes it.
    :param name_member: Member of its name, in request and answer.
    :param arn_member: Member of its ARN in both answers.
    :param create: The client's method that makes it.
    :param describe: The hook's method that describes it.
    """

    noun: str
    operation: str
    name_member: str
    arn_member: str
    create: str
    describe: str


MODEL = Kind("model", "CreateModel", "ModelName", "ModelArn", "create_model", "describe_model")
ENDPOINT_CONFIG = Kind(
    "endpoint config",
    "CreateEndpointConfig",
    "EndpointConfigName",
    "EndpointConfigArn",
    "create_endpoint_config",
    "describe_endpoint_config",
)


@dataclass(frozen=True)
class Made:
    """What exists now, and whether this call made it."""

    name: str
    arn: str
    created: bool


def make_once(
    hook: SageMakerHostingHook,
    kind: Kind,
    base_name: str,
    request: Mapping[str, Any],
    *,
    resolved: Mapping[str, Any] | None = None,
    tags: Mapping[str, str],
    unique_name: bool,
) -> Made:
    """Make the resource unless it exists with this content.

    :param hook: Asks SageMaker.
    :param kind: Model or endpoint config.
    :param base_name: The name, or what the content name begins with.
    :param request: The completed request without name and tags.
    :param resolved: What mutable references were resolved to and is not sent.
    :param tags: Tags to set beside ours; on what exists they are reconciled.
    :param unique_name: Whether the name gets the digest of the content.
    :raises ConflictError: When something of that name exists with other content.
    :raises InvalidSpecError: When SageMaker would refuse the request.
    """
    from botocore.exceptions import ClientError

    from airflow_sm_hosting.hooks.errors import already_exists
    from airflow_sm_hosting.hooks.iam import until_role_is_seen
    from airflow_sm_hosting.service_model.request import validated_request
    from airflow_sm_hosting.service_model.shapes import input_shape
    from airflow_sm_hosting.spec.tags import tag_list

    # Checked and typed before it is named, so that "2" and 2 are the same content.
    typed = validated_request("sagemaker", kind.operation, {kind.name_member: base_name[:63], **request})
    typed.pop(kind.name_member)
    digest = content_digest(kind.operation, typed, resolved)
    name = content_name(base_name, digest) if unique_name else base_name
    all_tags = {**tags, **OURS, CONTENT_DIGEST: digest}
    create = validated_request(
        "sagemaker", kind.operation, {kind.name_member: name, **typed, "Tags": tag_list(all_tags)}
    )

    describe: Callable[[str], dict[str, Any] | None] = getattr(hook, kind.describe)
    described = describe(name)
    if described is None:
        try:
            answer = until_role_is_seen(partial(getattr(hook.conn, kind.create), **create))
        except ClientError as error:
            # Two runs at once: the other one was quicker.
            if not already_exists(error) or (described := describe(name)) is None:
                raise
        else:
            log.info("Created %s %s", kind.noun, name)
            return Made(name, answer[kind.arn_member], created=True)

    arn = described[kind.arn_member]
    members = set(input_shape("sagemaker", kind.operation).members) - {kind.name_member}
    different = [*differences(typed, described), *unwanted(typed, described, members)]
    if unique_name and not tags and not different:
        # The name carries the digest, and there is no tag to reconcile: ListTags would tell nothing new.
        log.info("The %s %s exists with this content; nothing to do", kind.noun, name)
        return Made(name, arn, created=False)
    found = hook.tags(arn)
    if found.get(CONTENT_DIGEST) == digest:
        # We made it of this very request; the differences are only in how AWS describes it.
        different = []
    if found.get(CONTENT_DIGEST, digest) != digest and not different:
        different = ["what lies behind it (image tag, model data) has changed since it was made"]
    if different:
        raise ConflictError(
            f"The {kind.noun} {name} exists and is not what was asked for: {'; '.join(different)}. SageMaker never changes a "
            f"{kind.noun}: use unique_name=True, which names it by its content, or another name."
        )
    hook.reconcile_tags(arn, found, tags)
    log.info("The %s %s exists with this content; nothing to do", kind.noun, name)
    return Made(name, arn, created=False)
