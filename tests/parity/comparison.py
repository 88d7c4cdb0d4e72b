"""Two lists of API calls held against each other: what the CDK's stack comes to, and what our tasks sent.

Expected strings may hold placeholders, ``<kind label>``, for names that are generated. Each stands for one name of ours, everywhere, and no
two of a kind for the same one. Numbers are equal as numbers, and both forms of an S3 URL are one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from tests.parity.statements import narrower

PLACEHOLDER = re.compile(r"<(?P<kind>[a-z]+) (?P<label>\w+)>")
#: A generated name has none of the characters that part an ARN, a URI or a resource id; an object's key may have folders.
GENERATED = {"artifact": r"[^:@\s]+"}
ANY_GENERATED = r"[^/:@\s]+"
#: Names of a role's inline policies, which another role may have, too.
NOT_UNIQUE = ("grants",)
S3_PATH_STYLE_URL = re.compile(r"https://s3\.[a-z0-9-]+\.amazonaws\.com/")
PUT_POLICY, POLICY = "iam:PutRolePolicy", "PolicyDocument"


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()


@dataclass(frozen=True)
class Call:
    """One API call.

    :param operation: Service and operation: ``sagemaker:CreateModel``.
    :param parameters: What was sent.
    """

    operation: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Difference:
    """What is not the same in both.

    :param operation: The call: ``sagemaker:CreateModel``.
    :param path: Where in it: ``ProductionVariants[0].InitialVariantWeight``; empty for a call that only one of the two makes.
    :param expected: What the CDK sends, or ``ABSENT``.
    :param found: What was sent, or ``ABSENT``.
    """

    operation: str
    path: str
    expected: Any
    found: Any

    def __str__(self) -> str:
        where = f"{self.operation} {self.path}".strip()
        return f"{where}: expected {self.expected!r}, found {self.found!r}"


class Names:
    """Which name of ours each placeholder stands for."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], str] = {}

    def match(self, template: str, text: str) -> bool:
        """Tell whether a text is a template with its placeholders' names, and keep those that are new."""
        pattern, keys = "", []
        rest = 0
        for placeholder in PLACEHOLDER.finditer(template):
            pattern += re.escape(template[rest : placeholder.start()])
            pattern += f"({GENERATED.get(placeholder['kind'], ANY_GENERATED)})"
            keys.append((placeholder["kind"], placeholder["label"]))
            rest = placeholder.end()
        matched = re.fullmatch(pattern + re.escape(template[rest:]), text)
        if not matched:
            return False
        new = dict(self._found)
        for key, name in zip(keys, matched.groups(), strict=True):
            if new.setdefault(key, name) != name:
                return False
        taken = [(kind, name) for (kind, _), name in new.items() if kind not in NOT_UNIQUE]
        if len(set(taken)) != len(taken):
            return False
        self._found = new
        return True

    def expand(self, value: Any) -> Any:
        """Return a value with the names that are known in place of their placeholders."""
        if isinstance(value, str):
            return PLACEHOLDER.sub(
                lambda found: self._found.get((found["kind"], found["label"]), found[0]), value
            )
        if isinstance(value, dict):
            return {key: self.expand(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.expand(item) for item in value]
        return value


@dataclass(frozen=True)
class Registry:
    """What the local registry knows.

    :param host: Its address.
    :param tags_of: Returns the tags of an image by repository and digest.
    """

    host: str
    tags_of: Callable[[str, str], list[str]]


@dataclass(frozen=True)
class Context:
    """What a difference is judged by."""

    names: Names
    registry: Registry


@dataclass(frozen=True)
class Allowed:
    """A difference that may be.

    :param name: What it is called in the test's output.
    :param reason: Why it is right.
    :param accepts: Tells whether a difference is of this kind.
    """

    name: str
    reason: str
    accepts: Callable[[Difference, Context], bool]


def differences(expected: list[Call], found: list[Call], context: Context) -> list[Difference]:
    """Return all differences, in the order of the calls; those of policies come last, when all names in them are known."""
    matcher = SequenceMatcher(
        None, [call.operation for call in expected], [call.operation for call in found], autojunk=False
    )
    result: list[Difference] = []
    policies: list[tuple[Any, Any]] = []
    for kind, low, high, found_low, found_high in matcher.get_opcodes():
        if kind == "equal":
            for one, other in zip(expected[low:high], found[found_low:found_high], strict=True):
                wanted, sent = dict(one.parameters), dict(other.parameters)
                if one.operation == PUT_POLICY:  # what a policy grants is judged as a whole
                    policies.append((wanted.pop(POLICY, ABSENT), sent.pop(POLICY, ABSENT)))
                result += [
                    Difference(one.operation, *each) for each in _compared(wanted, sent, "", context.names)
                ]
        else:
            result += [Difference(call.operation, "", call.parameters, ABSENT) for call in expected[low:high]]
            result += [
                Difference(call.operation, "", ABSENT, call.parameters)
                for call in found[found_low:found_high]
            ]
    return result + [
        Difference(PUT_POLICY, POLICY, wanted, sent)
        for wanted, sent in policies
        if context.names.expand(wanted) != sent
    ]


def judged(
    expected: list[Call], found: list[Call], context: Context, allowed: tuple[Allowed, ...]
) -> tuple[list[Difference], list[str]]:
    """Return the differences that no entry of the table allows, and the names of the entries that were needed."""
    refused, used = [], []
    for difference in differences(expected, found, context):
        entry = next((entry for entry in allowed if entry.accepts(difference, context)), None)
        if entry is None:
            refused.append(difference)
        else:
            used.append(entry.name)
    return refused, used


def _compared(expected: Any, found: Any, path: str, names: Names) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(expected, dict) and isinstance(found, dict):
        # Names are met where they are given before they are met where they are used.
        for member in [*expected, *(found.keys() - expected.keys())]:
            yield from _compared(
                expected.get(member, ABSENT),
                found.get(member, ABSENT),
                f"{path}.{member}".lstrip("."),
                names,
            )
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for index, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from _compared(one, other, f"{path}[{index}]", names)
    elif not _same(expected, found, names):
        yield path, expected, found


def _same(expected: Any, found: Any, names: Names) -> bool:
    if isinstance(expected, str) and isinstance(found, str):
        return names.match(_s3_url(expected), _s3_url(found))
    if _is_number(expected) and _is_number(found):
        return bool(expected == found)
    return type(expected) is type(found) and expected == found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _s3_url(text: str) -> str:
    return S3_PATH_STYLE_URL.sub("s3://", text)


# What may differ, and why

SERVICE_LINKED_ROLE = (
    "arn:aws:iam::123456789012:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)
FULL_ACCESS = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
PRIVATE_REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
OUR_TAG = re.compile(r"sm-hosting:[a-z0-9:-]+")


def _our_tags(difference: Difference, context: Context) -> bool:
    if difference.path != "Tags" or difference.expected is not ABSENT:
        return False
    tags = difference.found  # Application Auto Scaling takes a map
    keys = list(tags) if isinstance(tags, dict) else [tag["Key"] for tag in tags]
    return bool(keys) and all(OUR_TAG.fullmatch(key) for key in keys)


def _digest_of_the_tag(difference: Difference, context: Context) -> bool:
    if not re.fullmatch(r"(PrimaryContainer|Containers\[\d+\])\.Image", difference.path):
        return False
    image, _, digest = str(difference.found).partition("@")
    host, _, repository = image.partition("/")
    tags = context.registry.tags_of(repository, digest) if digest else []
    host = PRIVATE_REGISTRY if host == context.registry.host else host
    return any(context.names.match(difference.expected, f"{host}/{repository}:{tag}") for tag in tags)


def _service_linked_role(difference: Difference, context: Context) -> bool:
    return (
        difference.operation == "application-autoscaling:RegisterScalableTarget"
        and difference.path == "RoleARN"
        and difference.expected == SERVICE_LINKED_ROLE
        and difference.found is ABSENT
    )


def _description_and_path(difference: Difference, context: Context) -> bool:
    return (
        difference.operation == "iam:CreateRole"
        and difference.expected is ABSENT
        and (difference.path == "Description" or (difference.path, difference.found) == ("Path", "/"))
    )


def _no_full_access(difference: Difference, context: Context) -> bool:
    return (
        difference.operation == "iam:AttachRolePolicy"
        and difference.found is ABSENT
        and difference.expected["PolicyArn"] == FULL_ACCESS
    )


def _narrower_policy(difference: Difference, context: Context) -> bool:
    if (difference.operation, difference.path) != (PUT_POLICY, POLICY) or difference.found is ABSENT:
        return False
    return narrower(difference.found, context.names.expand(difference.expected))


#: Everything that may differ from what the CDK sends. What is not here fails.
ALLOWED_DIFFERENCES = (
    Allowed(
        "our tags",
        "They say whose a resource is, for reruns, rollbacks and ownership; the CDK's own mark is the stack.",
        _our_tags,
    ),
    Allowed(
        "digest in place of a tag",
        "A tag may move: what is sent is the digest that the tag has when the task runs. The registry is asked whether the digest is "
        "that tag's. The local AWS's registry, which stands for the account's, answers under an address of its own.",
        _digest_of_the_tag,
    ),
    Allowed(
        "no RoleARN of the scalable target",
        "Application Auto Scaling uses the service-linked role for SageMaker whatever is given, and makes it if it is missing "
        "(RegisterScalableTarget, RoleARN); sending it would only ask for iam:PassRole.",
        _service_linked_role,
    ),
    Allowed(
        "description and path of the role",
        "The description says what the role is for; '/' is what CreateRole takes where no path is given.",
        _description_and_path,
    ),
    Allowed(
        "no AmazonSageMakerFullAccess",
        "The role gets what the model needs and no more: reading its data, pulling its image, writing its logs and metrics.",
        _no_full_access,
    ),
    Allowed(
        "narrower policy",
        "Each statement of ours is within what the CDK grants (its inline policy and AmazonSageMakerFullAccess together): named "
        "actions in place of wildcards, the model's own key in place of the bucket.",
        _narrower_policy,
    ),
)


def as_calls(recorded: list[dict[str, Any]]) -> list[Call]:
    """Return the calls of a file of expectations."""
    return [Call(item["call"], item["with"]) for item in recorded]


def readable(operation: str, parameters: dict[str, Any]) -> Call:
    """Return a call as it was sent, with the policy documents in it parsed."""
    documents = {
        name: json.loads(value)
        for name, value in parameters.items()
        if name in ("PolicyDocument", "AssumeRolePolicyDocument") and isinstance(value, str)
    }
    return Call(operation, {**parameters, **documents})
