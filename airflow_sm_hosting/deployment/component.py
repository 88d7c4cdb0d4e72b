"""An inference component in the members of an endpoint: what serves is its specification, where an endpoint has its config.

So the same rules decide about both. SageMaker has no name for a specification, and DescribeInferenceComponent shows only the one that
serves: the name here is made of its content, and whether the wanted one serves is a comparison of contents.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_sm_hosting.deployment.difference import differences, unwanted
from airflow_sm_hosting.deployment.status import Described, Kind
from airflow_sm_hosting.spec.inference_component import is_adapter
from airflow_sm_hosting.spec.naming import DIGEST_LENGTH, content_digest
from airflow_sm_hosting.spec.reference import present

#: The variant that stands for the copies of a component.
COPIES = "copies"

#: Members that AWS may add to a specification by itself (assumed; a recorded description after an update has none:
#: aws-samples/sagemaker-genai-hosting-examples, ic_rolling_deployment).
_DEFAULTS: Mapping[str, Any] = {
    "DataCacheConfig": {"EnableCaching": False},
    "SchedulingConfig": {"PlacementStrategy": "SPREAD"},
}


@dataclass(frozen=True)
class WantedComponent:
    """The inference component of a requested deployment.

    :param endpoint_name: The endpoint on whose instances it runs.
    :param variant_name: The variant of this endpoint; None for an adapter, which is where its base is.
    :param specifications: Its specifications, as requests have them.
    :param is_list: Whether the request has a list of specifications, one for each instance type.
    :param copy_count: The number of copies; None to leave it as it is.
    """

    endpoint_name: str
    variant_name: str | None
    specifications: tuple[Mapping[str, Any], ...]
    is_list: bool = False
    copy_count: int | None = None

    @property
    def name(self) -> str:
        """The name of what should serve."""
        return specification_name(self.comparable)

    @property
    def comparable(self) -> tuple[dict[str, Any], ...]:
        """The specifications in comparable form."""
        return comparable(self.specifications)

    @property
    def base(self) -> str | None:
        """The base of an adapter; None for a component with its own copies."""
        found: str | None = self.specifications[0].get("BaseInferenceComponentName")
        return found

    @property
    def members(self) -> dict[str, Any]:
        """The members of a request that say what runs."""
        if self.is_list:
            return {"Specifications": [dict(one) for one in self.specifications]}
        return {"Specification": dict(self.specifications[0])}

    def creation(self, name: str) -> dict[str, Any]:
        """Return the request that creates the component, without its tags.

        CreateInferenceComponent refuses 0 copies (stdapi-ai/stdapi.ai#43), so that it begins with one. An adapter has no copies of its own
        (developer guide, "realtime-endpoints-adapt").

        :param name: The component.
        """
        copies = None if self.base else {"CopyCount": max(1, self.copy_count or 1)}
        return {
            "InferenceComponentName": name,
            "EndpointName": self.endpoint_name,
            **present(VariantName=self.variant_name),
            **self.members,
            **present(RuntimeConfig=copies),
        }


def comparable(specifications: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Return specifications in the form in which requested and described ones are compared; environments become digests.

    DescribeInferenceComponent has ``DeployedImage`` for ``Image``, and numbers of devices as 1.0.

    :param specifications: Of a request or of a description.
    """
    found = [_comparable(one) for one in specifications]
    return tuple(sorted(found, key=lambda one: str(one.get("InstanceType", ""))))


def specification_name(specifications: Sequence[Mapping[str, Any]]) -> str:
    """Return the name of comparable specifications: the model, adapter or container, and a digest of the content.

    :param specifications: In comparable form.
    """
    digest = content_digest("InferenceComponent", {"Specifications": list(specifications)})[:DIGEST_LENGTH]
    first = specifications[0] if specifications else {}
    what = first.get("ModelName") or ("adapter" if is_adapter(first) else "container")
    return f"{what}@{digest}"


def model_of_name(name: str) -> str:
    """Return the model in the name of specifications; a container or an adapter has none, and then it is no name of a model.

    :param name: As :func:`specification_name` makes it.
    """
    return name.partition("@")[0]


def described_component(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return DescribeInferenceComponent's answer in the members of an endpoint.

    :param answer: The answer.
    """
    given = answer.get("Specifications") or [one for one in [answer.get("Specification")] if one]
    specifications = comparable(given)
    images = [(one.get("Container") or {}).get("DeployedImage") for one in given]
    runtime = answer.get("RuntimeConfig")
    copies = {
        "VariantName": COPIES,
        "DesiredInstanceCount": (runtime or {}).get("DesiredCopyCount"),
        "CurrentInstanceCount": (runtime or {}).get("CurrentCopyCount"),
        "DeployedImages": [image for image in images if image],
    }
    return {
        **component_row(answer),
        "EndpointConfigName": specification_name(specifications) if specifications else None,
        **present(FailureReason=answer.get("FailureReason")),
        "ProductionVariants": [copies] if runtime else [],
        "HostName": answer.get("EndpointName"),
        "HostVariant": answer.get("VariantName"),
        "Specifications": list(specifications),
    }


def component_row(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of ListInferenceComponents in the members of one of ListEndpoints.

    :param answer: The row.
    """
    return {
        "Kind": str(Kind.COMPONENT),
        "EndpointName": answer["InferenceComponentName"],
        "EndpointArn": answer["InferenceComponentArn"],
        "EndpointStatus": answer["InferenceComponentStatus"],
        **present(CreationTime=answer.get("CreationTime"), LastModifiedTime=answer.get("LastModifiedTime")),
    }


def as_compared(
    described: Described | None, specifications: Sequence[Mapping[str, Any]], name: str | None = None
) -> Described | None:
    """Return a description in which what serves has the name of the wanted specifications, if it is them.

    :param described: A component in the members of an endpoint; rows and endpoints are returned unchanged.
    :param specifications: The wanted specifications in comparable form; none for any.
    :param name: Their name.
    """
    if described is None or not specifications or "Specifications" not in described:
        return described
    found = described["Specifications"]
    lines = specification_differences(specifications, found)
    if not lines:
        return {**described, "EndpointConfigName": name or specification_name(specifications)}
    return {**described, "Differences": lines}


def specification_differences(
    wanted: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Return a line for every difference between two comparable specifications; values of environments are not shown."""
    if len(wanted) != len(found):
        return [f"there are {len(found)} specifications, requested {len(wanted)}"]
    lines: list[str] = []
    for one, other in zip(wanted, found, strict=True):
        rest = {
            member: value
            for member, value in other.items()
            if member in one or _DEFAULTS.get(member, ...) != value
        }
        place = f"{one['InstanceType']}: " if len(wanted) > 1 else ""
        # An environment that was not requested is told by the first alone, without its digest.
        more = [line for line in unwanted(one, rest) if "Environment" not in line]
        lines += [f"{place}{line}" for line in (*differences(one, rest), *more)]
    return lines


def _comparable(specification: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in specification.items() if value not in (None, {}, "")}
    container = found.get("Container")
    if isinstance(container, Mapping):
        plain = {name: value for name, value in container.items() if value not in (None, {}, "")}
        image = plain.pop("DeployedImage", None)
        if image and "Image" not in plain:
            # DeployedImage has the image as it was asked for, and what its tag meant then.
            plain["Image"] = image.get("SpecifiedImage") or image.get("ResolvedImage")
        if "Environment" in plain:
            plain["Environment"] = _digest(plain["Environment"])
        found["Container"] = plain
    return found


def _digest(environment: Mapping[str, Any]) -> str:
    text = json.dumps({name: str(value) for name, value in environment.items()}, sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
