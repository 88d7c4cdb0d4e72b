"""Tags of resources: kept by ARN, in the two shapes in which AWS services send them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from airflow_sm_hosting.local.wire.errors import AwsError


class TagStore:
    """The tags of a service's resources in one Region.

    :param most: How many tags a resource can have. None: no limit.
    :param too_many: The error code for more tags than that.
    :param noun: The kind of resource, for the error message.
    """

    def __init__(self, *, most: int | None = None, too_many: str = "", noun: str = "resource") -> None:
        self._most = most
        self._too_many = too_many
        self._noun = noun
        self._tags: dict[str, dict[str, str]] = {}

    def __contains__(self, arn: str) -> bool:
        """Return whether a resource is known here, with or without tags."""
        return arn in self._tags

    def add(self, arn: str, tags: Mapping[str, str]) -> None:
        """Add or overwrite tags of a resource.

        :raises AwsError: The resource would have too many.
        """
        merged = {**self._tags.get(arn, {}), **tags}
        if self._most is not None and len(merged) > self._most:
            raise AwsError(self._too_many, f"A {self._noun} can have at most {self._most} tags.")
        self._tags[arn] = merged

    def of(self, arn: str) -> dict[str, str]:
        """Return the tags of a resource."""
        return dict(self._tags.get(arn, {}))

    def remove(self, arn: str, keys: Iterable[str]) -> None:
        """Remove tags of a resource; absent keys are ignored."""
        for key in keys:
            self._tags.get(arn, {}).pop(key, None)

    def forget(self, arn: str) -> None:
        """Forget a resource that is deleted."""
        self._tags.pop(arn, None)

    def dump(self) -> dict[str, dict[str, str]]:
        """Return all tags by ARN, for the saved state."""
        return {arn: dict(tags) for arn, tags in list(self._tags.items())}

    def load(self, saved: Mapping[str, Mapping[str, str]]) -> None:
        """Restore saved tags."""
        self._tags.update({arn: dict(tags) for arn, tags in saved.items()})


def tags_as_dict(tags: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """Return ``[{"Key": …, "Value": …}]`` as a dict."""
    return {tag["Key"]: tag["Value"] for tag in tags or ()}


def tags_as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return a dict of tags as ``[{"Key": …, "Value": …}]``."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
