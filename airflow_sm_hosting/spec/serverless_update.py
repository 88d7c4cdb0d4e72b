"""A change of the concurrency of a serverless variant that serves."""

from __future__ import annotations

from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.shape import Get, Shape, Spell, Whole
from airflow_sm_hosting.spec.templated import TemplatedInt


def _check_both(where: str, spell: Spell, get: Get) -> None:
    most, provisioned = get("MaxConcurrency"), get("ProvisionedConcurrency")
    if most is None and provisioned is None:
        raise InvalidSpecError(
            f"{where} has neither {spell('MaxConcurrency')} nor {spell('ProvisionedConcurrency')}; allowed: one or both."
        )
    # botocore, ProductionVariantServerlessUpdateConfig: "less than or equal to MaxConcurrency".
    if isinstance(most, int) and isinstance(provisioned, int) and provisioned > most:
        raise InvalidSpecError(
            f"{spell('ProvisionedConcurrency')} is {provisioned}, and {spell('MaxConcurrency')} {most}; allowed: {most} at most."
        )


#: All limits: botocore, ProductionVariantServerlessUpdateConfig.
SERVERLESS_UPDATE = Shape(
    "ProductionVariantServerlessUpdateConfig",
    {
        "max_concurrency": ("MaxConcurrency", Whole(1, 200)),
        "provisioned_concurrency": ("ProvisionedConcurrency", Whole(1, 200)),
    },
    together=_check_both,
)


class ServerlessUpdate(dict[str, Any]):
    """The new concurrency of a serverless variant, without a new config, in the shape of ``ServerlessUpdateConfig``.

    :param max_concurrency: Requests served at once, 1 to 200 (default: unchanged). (templated)
    :param provisioned_concurrency: Requests with provisioned capacity, 1 to 200, at most ``max_concurrency`` (default: unchanged). (templated)
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariantServerlessUpdateConfig.html
    """

    def __init__(
        self,
        *,
        max_concurrency: TemplatedInt | None = None,
        provisioned_concurrency: TemplatedInt | None = None,
    ) -> None:
        super().__init__(SERVERLESS_UPDATE.made(type(self).__name__, locals(), {}))
