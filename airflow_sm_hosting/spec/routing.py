"""How a variant spreads its requests over instances."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.checks import is_rendered_later
from airflow_sm_hosting.spec.shape import Get, Shape, Spell, Whole, choice
from airflow_sm_hosting.spec.templated import TemplatedInt, TemplatedStr

RoutingStrategy: TypeAlias = Literal["LEAST_OUTSTANDING_REQUESTS", "RANDOM", "PREFIX_AWARE", "KV_AWARE"]
STRATEGIES = ("LEAST_OUTSTANDING_REQUESTS", "RANDOM", "PREFIX_AWARE", "KV_AWARE")
_NUMBERS = ("PrefixAwareRoutingConfig.PrefixLength", "PrefixAwareRoutingConfig.ConcurrencyThreshold")


def _check_prefix(where: str, spell: Spell, get: Get) -> None:
    """Check the numbers of prefix-aware routing (botocore, PrefixAwareRoutingConfig: only, and both, with PREFIX_AWARE)."""
    strategy = get("RoutingStrategy")
    if is_rendered_later(strategy):
        return
    for path in _NUMBERS:
        if strategy == "PREFIX_AWARE" and get(path) is None:
            raise InvalidSpecError(f"{spell(path)} is not given with 'PREFIX_AWARE'; allowed: with a number.")
        if strategy != "PREFIX_AWARE" and get(path) is not None:
            raise InvalidSpecError(
                f"{spell(path)} is given with the strategy {strategy!r}; allowed: only with 'PREFIX_AWARE'."
            )


#: All limits: botocore, ProductionVariantRoutingConfig.
ROUTING = Shape(
    "ProductionVariantRoutingConfig",
    {
        "strategy": ("RoutingStrategy", choice(*STRATEGIES)),
        "prefix_length": (_NUMBERS[0], Whole(1024, 65536)),
        "concurrency_threshold": (_NUMBERS[1], Whole(1, 1024)),
    },
    required=("RoutingStrategy",),
    together=_check_prefix,
)


class Routing(dict[str, Any]):
    """How requests reach the instances of a variant, in the shape of ``RoutingConfig``.

    :param strategy: ``"LEAST_OUTSTANDING_REQUESTS"``, ``"RANDOM"``, ``"PREFIX_AWARE"`` (the same beginning of a prompt goes to the same
        instance) or ``"KV_AWARE"`` (only for containers that report their cache). (templated)
    :param prefix_length: With ``"PREFIX_AWARE"``: bytes of the body that count as its beginning, 1024 to 65536. (templated)
    :param concurrency_threshold: With ``"PREFIX_AWARE"``: requests in flight at which another instance is taken, 1 to 1024. (templated)
    :param members: Further members of the AWS shape as they are.
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariantRoutingConfig.html
    """

    def __init__(
        self,
        *,
        strategy: RoutingStrategy | TemplatedStr,
        prefix_length: TemplatedInt | None = None,
        concurrency_threshold: TemplatedInt | None = None,
        **members: Any,
    ) -> None:
        super().__init__(ROUTING.made(type(self).__name__, locals(), members))
