"""The tagged resources of moto's services."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from moto.core.resource_tagging import TaggableResourcesMixin, iter_taggable_backends

from airflow_sm_hosting.local.moto_bridge import repositories
from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID
from airflow_sm_hosting.local.wire.errors import AwsError

#: Kinds of resources that this package has: what moto may have of them is nobody's.
OURS = frozenset(
    {
        *(
            "sagemaker:endpoint",
            "sagemaker:endpoint-config",
            "sagemaker:model",
            "sagemaker:inference-component",
        ),
        *("sagemaker:model-package", "sagemaker:model-package-group"),
        *("cloudwatch:alarm", "application-autoscaling:scalable-target"),
    }
)
# Resources whose ARN has their name only.
_SIMPLE = {"s3": "bucket", "sqs": "queue", "sns": "topic"}


def resource_kind(arn: str) -> str:
    """Return ``service:type`` of a resource, as its ARN has them."""
    service, resource = arn.split(":", 5)[2], arn.split(":", 5)[5]
    kind, _, name = resource.replace(":", "/").partition("/")
    if not name or service in _SIMPLE:
        kind = _SIMPLE.get(service, "")
    return f"{service}:{kind}"


def resources(region: str) -> dict[str, dict[str, str]]:
    """Return the tags of all resources of moto in a Region, and of those without a Region, by ARN."""
    found: dict[str, dict[str, str]] = {}
    for backend in _backends(region):
        for one in list(backend.iter_tagged_resources()):
            if one.resource_type not in OURS:
                found[one.arn] = dict(one.tags)
    # moto's tagging API does not know ECR.
    ecr = repositories.ecr(region)
    for repository in list(ecr.repositories.values()):
        found[repository.arn] = ecr.tagger.get_tag_dict_for_resource(repository.arn)
    return found


def tag(region: str, arn: str, tags: Mapping[str, str]) -> None:
    """Add tags to a resource of moto.

    :raises AwsError: There is no such resource, or its service cannot.
    """
    if resource_kind(arn) == "ecr:repository":
        as_list = [{"Key": key, "Value": value} for key, value in tags.items()]
        _change(arn, lambda: repositories.ecr(region).tag_resource(arn, as_list))
    else:
        _change(arn, lambda: _owner(region, arn).tag_resource(arn, dict(tags)))


def untag(region: str, arn: str, keys: Sequence[str]) -> None:
    """Remove tags from a resource of moto; absent keys are ignored.

    :raises AwsError: There is no such resource, or its service cannot.
    """
    if resource_kind(arn) == "ecr:repository":
        _change(arn, lambda: repositories.ecr(region).untag_resource(arn, list(keys)))
    else:
        _change(arn, lambda: _owner(region, arn).untag_resource(arn, list(keys)))


def _backends(region: str) -> Iterator[TaggableResourcesMixin]:
    yield from iter_taggable_backends(ACCOUNT_ID, region)


def _owner(region: str, arn: str) -> TaggableResourcesMixin:
    owner = next((one for one in _backends(region) if one.owns_arn(arn)), None)
    if owner is None or resource_kind(arn) in OURS:
        raise AwsError("InvalidParameterException", f"There is no resource {arn} that can be tagged.")
    return owner


def _change(arn: str, change: Callable[[], object]) -> None:
    try:
        change()
    except AwsError:
        raise
    except NotImplementedError as error:
        # The words are moto's.
        raise AwsError("InternalServiceException", "Service not yet supported", status=404) from error
    except Exception as error:
        # Of moto: each service has refusals of its own.
        raise AwsError(
            "InvalidParameterException", f"The tags of {arn} cannot be changed: {error}"
        ) from error
