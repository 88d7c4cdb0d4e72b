"""The VPC of a model, or of the instances of inference components."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_sm_hosting.spec.checks import check_ids, invalid
from airflow_sm_hosting.spec.patterns import MAX_SECURITY_GROUPS, MAX_SUBNETS
from airflow_sm_hosting.spec.shape import Rule, Shape
from airflow_sm_hosting.spec.templated import RenderedLater, TemplatedStr


def _ids(most: int) -> Rule:
    def check(where: str, value: Any) -> None:
        if value is None:
            raise invalid(where, value, f"a list of 1 to {most} IDs")
        check_ids(where, value, most)

    return check


VPC = Shape(
    "VpcConfig",
    {
        "subnets": ("Subnets", _ids(MAX_SUBNETS)),
        "security_group_ids": ("SecurityGroupIds", _ids(MAX_SECURITY_GROUPS)),
    },
    required=("Subnets", "SecurityGroupIds"),
)


class VpcConfig(dict[str, Any]):
    """Where containers have their network interfaces, in the shape of ``VpcConfig``.

    :param subnets: Subnets, 1 to 16. (templated)
    :param security_group_ids: Security groups of the same VPC, 1 to 5. (templated)
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_VpcConfig.html
    """

    def __init__(
        self,
        *,
        subnets: Sequence[TemplatedStr] | RenderedLater,
        security_group_ids: Sequence[TemplatedStr] | RenderedLater,
    ) -> None:
        super().__init__(VPC.made(type(self).__name__, locals(), {}))
