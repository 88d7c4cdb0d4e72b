"""Model packages of the model registry, as the source of a container's image and model data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from airflow_sm_hosting.spec.checks import invalid, is_rendered_later
from airflow_sm_hosting.spec.reference import Reference, kind_of
from airflow_sm_hosting.spec.reference_parts import PACKAGE_KINDS, checked_reference

if TYPE_CHECKING:
    from airflow_sm_hosting.spec.templated import TemplatedStr

#: The ARN in the payload of the last of an asset's events that a ``ModelPackageEventTrigger`` yielded; nothing if there is none. Queues
#: give messages in any order, so the last change of the package counts.
_OF_EVENT = (
    "{{% set events = (triggering_asset_events | default({{}})).items() | selectattr('0.name', 'equalto', {name!r}) | map(attribute=1)"
    " | sum(start=[]) | selectattr('extra.payload', 'defined') | sort(attribute='extra.payload.modified_at') %}}"
    "{{% if events %}}{{{{ events[-1].extra.payload.arn }}}}{{% endif %}}"
)


class NamedAsset(Protocol):
    """An ``airflow.sdk.Asset``, of which only the name counts here."""

    name: str


class ModelPackage:
    """A version of a model package group: the one approved last, a certain one, or the one of an event.

    CreateModelOperator resolves it before it names the model: another version is another model. A version that is not Approved and
    Completed is an error before the first call that changes anything.
    """

    @staticmethod
    def latest_approved(group: TemplatedStr) -> Reference:
        """Return the approved version with the highest number.

        That is the newest one, not the one that was approved last: after the approval of version 4, an approved version 5 still counts.

        :param group: Name of the group; its ARN if it is of another account. (templated)
        :raises InvalidSpecError: When a literal value can never work.

        .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListModelPackages.html
        """
        return checked_reference(Reference("LatestApprovedPackage", Group=group))

    @staticmethod
    def version(arn: TemplatedStr) -> Reference:
        """Return a certain version.

        :param arn: Its ARN, e.g. the output of a ``RegisterModelOperator``, or ``<group>/<version>``. (templated)
        :raises InvalidSpecError: When a literal value can never work.

        .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeModelPackage.html
        """
        return checked_reference(Reference("PackageVersion", Arn=arn))

    @staticmethod
    def from_event(asset: str | NamedAsset, *, group: TemplatedStr | None = None) -> Reference:
        """Return the version whose event started the run.

        Of several events, the one with the last change of a package counts.

        :param asset: The asset, or its name, whose watcher has a ``ModelPackageEventTrigger``.
        :param group: The group whose latest approved version is taken in a run that no such event started (default: that is an
            error). (templated)
        :raises InvalidSpecError: When a literal value can never work.
        """
        name = getattr(asset, "name", asset)
        if not isinstance(name, str) or not name:
            raise invalid("ModelPackage.from_event: asset", asset, "an asset, or its name")
        return checked_reference(Reference("PackageOfEvent", Arn=_OF_EVENT.format(name=name), Group=group))


def check_model_package(where: str, package: Any) -> None:
    """Check the value of a container's model package.

    :raises InvalidSpecError: When it can never work.
    """
    if is_rendered_later(package) or kind_of(package) in PACKAGE_KINDS:
        return
    if not isinstance(package, str) or not package or package != package.strip():
        raise invalid(where, package, "the name or ARN of a model package, or a ModelPackage")
    if ":model-package-group/" in package:
        raise invalid(
            where,
            package,
            "a model package",
            hint="Use ModelPackage.latest_approved(…) for the newest approved version of a group.",
        )
