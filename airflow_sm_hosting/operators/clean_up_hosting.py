"""Delete resources that no endpoint needs any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.fields import Boolean, Integer, ListOf, Seconds
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.checks import check_text

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late

DAY = 24 * 3600


def _check_prefixes(where: str, prefixes: list[Any]) -> None:
    for prefix in prefixes:
        check_text(where, prefix, pattern=r"s3://[^/]+(/.*)?", allowed="s3://bucket/prefix")


class CleanUpHostingFields(AwsFields):
    """The parameters of :class:`CleanUpHostingOperator`."""

    keep = Integer(low=0, high=4, default=3)
    older_than = Seconds(low=0, default=DAY)
    repository_names = ListOf()
    model_data_prefixes = ListOf(check=_check_prefixes)
    dry_run = Boolean(default=True, attribute="is_dry_run")


class CleanUpHostingOperator(SageMakerHostingBaseOperator):
    """Delete models, endpoint configs, image tags, artifacts and unfinished uploads that no endpoint needs; by default only report them.

    An endpoint needs its serving config, a pending config, possible rollback targets, and the models, images and artifacts of these.
    Only resources with this package's tags are deleted (images: tags set by ``BuildImageOperator``; artifacts: objects stored by
    ``UploadModelDataOperator``), and never an image or artifact of a model that stays.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#cleanuphostingoperator
        AWS: https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-delete-resources.html

    :param keep: How many configs each endpoint keeps for a rollback, 0 to 4 (default: 3). (templated)
    :param older_than: Seconds, or a timedelta: newer resources stay, as a current deployment may need them (default: a day). (templated)
    :param repository_names: ECR repositories to search for images (default: none). (templated)
    :param model_data_prefixes: ``s3://bucket/prefix`` to search for artifacts (default: none). (templated)
    :param dry_run: Whether to only report what would be deleted (default: True). (templated)
    :raises InvalidSpecError: For bad input, before the first AWS call.
    :return: The report as Markdown; ``details`` (XCom): dry_run, configs, models, images, artifacts, uploads (unfinished ones).
    """

    fields = CleanUpHostingFields
    template_fields: Sequence[str] = CleanUpHostingFields.template_fields()

    def __init__(
        self,
        *,
        keep: int | Late = 3,
        older_than: float | timedelta | Late = DAY,
        repository_names: Sequence[Late] | Late = (),
        model_data_prefixes: Sequence[Late] | Late = (),
        dry_run: bool | Late = True,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.keep = keep
        self.older_than = older_than
        self.repository_names = repository_names
        self.model_data_prefixes = model_data_prefixes
        self.is_dry_run = dry_run  # dry_run is a method of every operator

    def execute(self, context: Context) -> str:
        """Find resources that no endpoint needs, and delete them unless this is a dry run."""
        from airflow_sm_hosting.deployer.inventory import HostingInventory

        given = CleanUpHostingFields.of(self)
        dry_run = given.dry_run
        inventory = HostingInventory(self)
        found = inventory.unneeded(
            keep=given.keep,
            before=datetime.now(UTC) - timedelta(seconds=given.older_than),
            repository_names=given.repository_names,
            model_data_prefixes=given.model_data_prefixes,
        )
        kinds = {
            "configs": found.configs,
            "models": found.models,
            "images": found.images,
            "artifacts": found.artifacts,
            "uploads": found.uploads,
        }
        report = _report(kinds, dry_run=dry_run)
        self.log.info("%s", report)
        if not dry_run:
            inventory.delete(found)
        self.push_details(context, {"dry_run": dry_run, **kinds})
        return report


def _report(kinds: dict[str, list[str]], *, dry_run: bool) -> str:
    total = sum(map(len, kinds.values()))
    if not total:
        return "There are no unused resources.\n"
    title = f"{total} unused resources " + ("(dry run: nothing is deleted)" if dry_run else "are deleted")
    lines = [f"## {title}"]
    for kind, names in kinds.items():
        if names:
            lines += ["", f"### {kind}", "", *(f"- `{name}`" for name in names)]
    return "\n".join(lines) + "\n"
