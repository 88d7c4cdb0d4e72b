"""How much of the traffic of inference routers in other Regions an endpoint accepts; a plain dict, checked."""

from __future__ import annotations

from airflow_sm_hosting.spec.shape import Shape, Whole

#: botocore, CrossRegionTrafficConfig.
CROSS_REGION_TRAFFIC = Shape(
    "CrossRegionTrafficConfig",
    {
        "max_invocations_per_second_per_instance": ("MaxInvocationsPerSecondPerInstance", Whole(1, 10_000)),
        "max_cross_region_percent_per_endpoint": ("MaxCrossRegionPercentPerEndpoint", Whole(1, 100)),
    },
    required=("MaxInvocationsPerSecondPerInstance", "MaxCrossRegionPercentPerEndpoint"),
)
