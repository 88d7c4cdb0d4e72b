"""The instances of a variant: managed scaling, pools of several types, and reserved capacity."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.arn import MODEL, check_resource
from airflow_sm_hosting.spec.checks import check_instance_type, check_instance_type_form
from airflow_sm_hosting.spec.shape import Get, Shape, Spell, Whole, choice, text
from airflow_sm_hosting.spec.templated import TemplatedInt, TemplatedStr

ScaleInStrategy: TypeAlias = Literal["IDLE_RELEASE", "CONSOLIDATION"]


def _check_managed(where: str, spell: Spell, get: Get) -> None:
    least, most = get("MinInstanceCount"), get("MaxInstanceCount")
    # That the maximum is not below the minimum follows from the names.
    if isinstance(least, int) and isinstance(most, int) and most < least:
        raise InvalidSpecError(
            f"{spell('MaxInstanceCount')} is {most}, and {spell('MinInstanceCount')} {least}; allowed: a maximum of {least} or more."
        )
    strategy = get("ScaleInPolicy.Strategy")
    given = [
        path
        for path in ("ScaleInPolicy.MaximumStepSize", "ScaleInPolicy.CooldownInMinutes")
        if get(path) is not None
    ]
    if (
        given and strategy is None
    ):  # botocore, ProductionVariantManagedInstanceScalingScaleInPolicy (required)
        raise InvalidSpecError(
            f"{spell(given[0])} is given without {spell('ScaleInPolicy.Strategy')}; allowed: with the strategy."
        )
    if get("ScaleInPolicy.MaximumStepSize") is not None and strategy == "IDLE_RELEASE":
        # The same structure: the step size is that of "a consolidation scale-in operation"; that AWS refuses another is assumed.
        raise InvalidSpecError(
            f"{spell('ScaleInPolicy.MaximumStepSize')} is given with the strategy 'IDLE_RELEASE'; allowed: only with 'CONSOLIDATION'."
        )


#: All limits: botocore, ProductionVariantManagedInstanceScaling.
MANAGED_SCALING = Shape(
    "ProductionVariantManagedInstanceScaling",
    {
        "min_instance_count": ("MinInstanceCount", Whole(0)),
        "max_instance_count": ("MaxInstanceCount", Whole(1)),
        "status": ("Status", choice("ENABLED", "DISABLED")),
        "scale_in_strategy": ("ScaleInPolicy.Strategy", choice("IDLE_RELEASE", "CONSOLIDATION")),
        "scale_in_maximum_step_size": ("ScaleInPolicy.MaximumStepSize", Whole(1, 100)),
        "scale_in_cooldown_in_minutes": ("ScaleInPolicy.CooldownInMinutes", Whole(5, 1440)),
    },
    together=_check_managed,
)


class ManagedInstanceScaling(dict[str, Any]):
    """How many instances SageMaker keeps for the copies of inference components, in the shape of ``ManagedInstanceScaling``.

    Only for a variant without a model. Some Regions refuse a minimum of 0.

    :param min_instance_count: Least number of instances, 0 or more. (templated)
    :param max_instance_count: Most instances, ``min_instance_count`` or more. (templated)
    :param status: ``"ENABLED"`` (default) or ``"DISABLED"``. (templated)
    :param scale_in_strategy: ``"IDLE_RELEASE"`` ends instances without copies, ``"CONSOLIDATION"`` moves copies together first (default:
        AWS's). (templated)
    :param scale_in_maximum_step_size: Instances that a consolidation ends at once, 1 to 100 (default: AWS's, 1). (templated)
    :param scale_in_cooldown_in_minutes: Minutes after the last operation before the next consolidation, 5 to 1440 (default: AWS's, 20).
        (templated)
    :param members: Further members of the AWS shape as they are.
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariantManagedInstanceScaling.html
    """

    def __init__(
        self,
        *,
        min_instance_count: TemplatedInt | None = None,
        max_instance_count: TemplatedInt | None = None,
        status: Literal["ENABLED", "DISABLED"] | TemplatedStr = "ENABLED",
        scale_in_strategy: ScaleInStrategy | TemplatedStr | None = None,
        scale_in_maximum_step_size: TemplatedInt | None = None,
        scale_in_cooldown_in_minutes: TemplatedInt | None = None,
        **members: Any,
    ) -> None:
        super().__init__(MANAGED_SCALING.made(type(self).__name__, locals(), members))


#: All limits: botocore, InstancePool.
INSTANCE_POOL = Shape(
    "InstancePool",
    {
        "instance_type": ("InstanceType", check_instance_type_form),
        "priority": ("Priority", Whole(1, 5)),
        "model_name_override": (
            "ModelNameOverride",
            lambda where, value: check_resource(where, value, MODEL),
        ),
    },
    required=("InstanceType", "Priority"),
)


class InstancePool(dict[str, Any]):
    """An instance type of a variant with several, in the shape of ``InstancePool``.

    SageMaker takes instances of the pool with the lowest number that has capacity.

    :param instance_type: Instance type. (templated)
    :param priority: 1 (the first to be tried) to 5. (templated)
    :param model_name_override: Model for this instance type, in place of the variant's: a name, an ARN, or the output of a
        ``CreateModelOperator`` (default: the variant's). (templated)
    :param members: Further members of the AWS shape as they are.
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_InstancePool.html
    """

    def __init__(
        self,
        *,
        instance_type: TemplatedStr,
        priority: TemplatedInt,
        model_name_override: TemplatedStr | None = None,
        **members: Any,
    ) -> None:
        made = INSTANCE_POOL.made(type(self).__name__, locals(), members)
        check_instance_type(f"{type(self).__name__}: instance_type", instance_type)
        super().__init__(made)


#: All limits: botocore, ProductionVariantCapacityReservationConfig.
CAPACITY_RESERVATION = Shape(
    "ProductionVariantCapacityReservationConfig",
    {
        "ml_reservation_arn": (
            "MlReservationArn",
            text(
                r"arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:[0-9]{12}:[a-z0-9\-]{1,14}/.*",
                258,
                "the ARN of a training plan: 'arn:aws:sagemaker:<region>:<account>:training-plan/<name>'",
            ),
        ),
        "preference": ("CapacityReservationPreference", choice("capacity-reservations-only")),
    },
)


class CapacityReservation(dict[str, Any]):
    """Reserved capacity of a variant, in the shape of ``CapacityReservationConfig``.

    The variant has the instance type of the reservation. An endpoint fails when the reservation ends or is full.

    :param ml_reservation_arn: ARN of the training plan. (templated)
    :param preference: ``"capacity-reservations-only"``, the only one (default). (templated)
    :param members: Further members of the AWS shape as they are.
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariantCapacityReservationConfig.html
    """

    def __init__(
        self,
        *,
        ml_reservation_arn: TemplatedStr,
        preference: Literal["capacity-reservations-only"] | TemplatedStr = "capacity-reservations-only",
        **members: Any,
    ) -> None:
        super().__init__(CAPACITY_RESERVATION.made(type(self).__name__, locals(), members))
