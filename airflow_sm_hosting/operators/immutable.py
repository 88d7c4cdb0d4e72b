"""Create immutable resources: models and endpoint configs, whose name is the only idempotency key."""

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
    """A kind of immutable resource.

    :param noun: The noun for messages.
    :param operation: The API operation that creates it.
    :param name_member: Member of its name, in request and answer.
    :param arn_member: Member of its ARN in both answers.
    :param create: The client's method that creates it.
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
    """The existing resource, and whether this call created it."""

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
    """Create the resource unless it exists with this content.

    :param hook: The SageMaker hook.
    :param kind: Model or endpoint config.
    :param base_name: The name, or the prefix of the name from content.
    :param request: The completed request without name and tags.
    :param resolved: Resolved values of mutable references that are not part of the request.
    :param tags: Tags to set in addition to ours; on an existing resource they are reconciled.
    :param unique_name: Whether the name gets the digest of the content.
    :raises ConflictError: When a resource with this name exists with other content.
    :raises InvalidSpecError: When SageMaker would refuse the request.
    """
    from botocore.exceptions import ClientError

    from airflow_sm_hosting.hooks.errors import already_exists
    from airflow_sm_hosting.hooks.iam import until_role_is_seen
    from airflow_sm_hosting.service_model.request import validated_request
    from airflow_sm_hosting.service_model.shapes import input_shape
    from airflow_sm_hosting.spec.tags import tag_list

    # Check and convert the request before deriving the name, so that "2" and 2 are the same content.
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
            # Two runs at once: the other one created it first.
            if not already_exists(error) or (described := describe(name)) is None:
                raise
        else:
            log.info("Created %s %s", kind.noun, name)
            return Made(name, answer[kind.arn_member], created=True)

    arn = described[kind.arn_member]
    members = set(input_shape("sagemaker", kind.operation).members) - {kind.name_member}
    different = [*differences(typed, described), *unwanted(typed, described, members)]
    if unique_name and not tags and not different:
        # The name carries the digest, and there is no tag to reconcile: ListTags would show nothing new.
        log.info("The %s %s exists with this content; nothing to do", kind.noun, name)
        return Made(name, arn, created=False)
    found = hook.tags(arn)
    if found.get(CONTENT_DIGEST) == digest:
        # We created it from this request; only AWS's description differs.
        different = []
    if found.get(CONTENT_DIGEST, digest) != digest and not different:
        different = ["its image tag or model data has changed since it was created"]
    if different:
        raise ConflictError(
            f"The {kind.noun} {name} exists with different content: {'; '.join(different)}. SageMaker cannot "
            f"change a {kind.noun}: use unique_name=True, which derives the name from the content, or another "
            "name."
        )
    hook.reconcile_tags(arn, found, tags)
    log.info("The %s %s exists with this content; nothing to do", kind.noun, name)
    return Made(name, arn, created=False)
