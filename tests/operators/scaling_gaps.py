"""What the local AWS does not do of Application Auto Scaling yet, done on the client's side: it goes when the local AWS does it.

Tags of scalable targets and the dimension of provisioned concurrency. Nothing of ours is mocked: the requests are built, checked and
sent by botocore, and all that the local AWS can answer it answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from airflow_sm_hosting.spec.scaling_rules import INSTANCE_COUNT, PROVISIONED_CONCURRENCY
from tests.operators.conftest import event_hook

_ARN = "arn:aws:application-autoscaling:us-east-1:123456789012:scalable-target/none"
_OPERATIONS = (
    "RegisterScalableTarget",
    "DeregisterScalableTarget",
    "DescribeScalableTargets",
    "PutScalingPolicy",
    "DeleteScalingPolicy",
    "DescribeScalingPolicies",
    "PutScheduledAction",
    "DeleteScheduledAction",
    "DescribeScheduledActions",
)


def autoscaling_client() -> Any:
    """Return the client that the operators use under ``aws_default``."""
    from airflow_sm_hosting.hooks import ApplicationAutoScalingHook

    return ApplicationAutoScalingHook().conn


@contextmanager
def gaps_filled(client: Any) -> Iterator[None]:
    """Let a client's calls be answered as AWS answers them."""
    from airflow_sm_hosting.hooks import ApplicationAutoScalingHook

    if _none(ApplicationAutoScalingHook(config={"retries": {"total_max_attempts": 1}}).conn):
        yield
        return
    filler = _Filler()
    with ExitStack() as hooks:
        for operation in ("TagResource", "UntagResource", "ListTagsForResource"):
            hooks.enter_context(event_hook(client, f"before-call.*.{operation}", filler.answer))
        for operation in _OPERATIONS:
            hooks.enter_context(event_hook(client, f"before-call.*.{operation}", filler.before))
            hooks.enter_context(event_hook(client, f"after-call.*.{operation}", filler.after))
        yield


@cache
def _none(client: Any) -> bool:
    try:
        client.list_tags_for_resource(ResourceARN=_ARN)
    except ClientError as error:
        return error.response["Error"]["Code"] == "ResourceNotFoundException"
    except BotoCoreError:  # moto closes the connection
        return False
    return True


class _Filler:
    def __init__(self) -> None:
        self.tags: dict[str, dict[str, str]] = {}
        self.serverless: set[str] = set()

    def answer(self, model: Any, params: dict[str, Any], **_: Any) -> Any:
        """Answer an operation on tags."""
        body = json.loads(params["body"])
        tags = self.tags.setdefault(body["ResourceARN"], {})
        parsed: dict[str, Any] = {"ResponseMetadata": {"HTTPStatusCode": 200, "RetryAttempts": 0}}
        if model.name == "TagResource":
            tags.update(body["Tags"])
        elif model.name == "UntagResource":
            for key in body["TagKeys"]:
                tags.pop(key, None)
        else:
            parsed["Tags"] = dict(tags)
        return SimpleNamespace(status_code=200, headers={}, content=b""), parsed

    def before(self, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        """Send the other dimension in place of the one that the local AWS does not know."""
        body = json.loads(params["body"])
        context["scaling_gaps"] = body
        if body.get("ScalableDimension") == PROVISIONED_CONCURRENCY:
            self.serverless.add(body.get("ResourceId", "") or body["ResourceIds"][0])
            params["body"] = json.dumps({**body, "ScalableDimension": INSTANCE_COUNT}).encode()

    def after(self, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        """Keep the tags of a new target, and give the dimension back."""
        if "ScalableTargetARN" in parsed and "Tags" in context["scaling_gaps"]:
            self.tags.setdefault(parsed["ScalableTargetARN"], {}).update(context["scaling_gaps"]["Tags"])
        for found in (item for value in parsed.values() if isinstance(value, list) for item in value):
            if isinstance(found, dict) and found.get("ResourceId") in self.serverless:
                found["ScalableDimension"] = PROVISIONED_CONCURRENCY
