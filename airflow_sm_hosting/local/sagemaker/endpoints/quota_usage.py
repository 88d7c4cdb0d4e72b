"""What endpoints use of the account's quotas, and what a request adds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from airflow_sm_hosting.local.sagemaker.endpoints.endpoint import HostedEndpoint
from airflow_sm_hosting.local.sagemaker.endpoints.fleet import Fleet
from airflow_sm_hosting.local.sagemaker.endpoints.variant import VariantFleet
from airflow_sm_hosting.local.sagemaker.quotas import (
    SERVERLESS_CONCURRENCY,
    SERVERLESS_ENDPOINTS,
    SERVERLESS_MEMORY,
    Quotas,
    instance_quota,
)


def check_new_fleet(
    quotas: Quotas,
    endpoints: Iterable[HostedEndpoint],
    fleet: Fleet,
    first: Mapping[str, int | None],
    replaced: HostedEndpoint | None = None,
) -> None:
    """Refuse a fleet that exceeds a quota: at the call, not as a ``FailureReason``.

    :param endpoints: All endpoints.
    :param first: The instances of variants that come first, in a rolling deployment.
    :param replaced: The endpoint that is updated. Its instances stay until the new ones serve; that its serverless concurrency is
        not needed twice is assumed.
    :raises AwsError: ``ResourceLimitExceeded``.
    """
    held = list(endpoints)
    more: Counter[str] = Counter()
    for variant in fleet.all_variants:
        if instance_type := _type_of(variant):
            more[instance_type] += first.get(variant.name, variant.desired_instance_count) or 0
    for instance_type, count in more.items():
        quotas.check(instance_quota(instance_type), _instances(held, instance_type), count)
    serverless = [variant.serverless_config for variant in fleet.variants if variant.serverless_config]
    for config in serverless:
        quotas.check(SERVERLESS_MEMORY, 0, config["MemorySizeInMB"])
    if serverless:
        others = [one for endpoint in held if endpoint is not replaced for one in _serverless(endpoint)]
        quotas.check(SERVERLESS_ENDPOINTS, len(others), 1)
        quotas.check(
            SERVERLESS_CONCURRENCY,
            sum(one["MaxConcurrency"] for one in others),
            sum(one["MaxConcurrency"] for one in serverless),
        )


def check_more_instances(
    quotas: Quotas, endpoints: Iterable[HostedEndpoint], variant: VariantFleet, count: int
) -> None:
    """Refuse a new instance count of a variant that exceeds a quota.

    :raises AwsError: ``ResourceLimitExceeded``.
    """
    if instance_type := _type_of(variant):
        used = _instances(endpoints, instance_type)
        quotas.check(instance_quota(instance_type), used, count - (variant.instance_count or 0))


def _type_of(variant: VariantFleet) -> str | None:
    return variant.instance_type or next(iter(variant.instance_types), None)


def _instances(endpoints: Iterable[HostedEndpoint], instance_type: str) -> int:
    return sum(
        max(variant.instance_count or 0, variant.desired_instance_count or 0)
        for endpoint in endpoints
        for fleet in endpoint.serving.fleets()
        for variant in fleet.all_variants
        if _type_of(variant) == instance_type
    )


def _serverless(endpoint: HostedEndpoint) -> list[Mapping[str, int]]:
    fleets = endpoint.serving.fleets()
    return (
        [variant.serverless_config for variant in fleets[0].variants if variant.serverless_config]
        if fleets
        else []
    )
