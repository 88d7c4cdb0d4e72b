"""What the commands show of an endpoint, as plain data: from the descriptions that AWS gives, without a call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_sm_hosting.deployment.endpoint_tags import EndpointTags, Run, RunState, moment_of
from airflow_sm_hosting.deployment.history import rollback_target
from airflow_sm_hosting.deployment.status import Described, pending_config


@dataclass(frozen=True)
class VariantView:
    """A variant of an endpoint.

    :param variant_name: Its name.
    :param is_shadow: Whether it is a shadow variant.
    :param traffic_percent: Its share of the traffic; of a shadow variant, of the copied requests. None if AWS does not tell weights.
    :param weight: Its weight now.
    :param desired_weight: The weight that was asked for.
    :param instances: The instances that it has; None for a serverless variant.
    :param desired_instances: The instances that were asked for.
    :param min_instances: The least that autoscaling sets; None without autoscaling.
    :param max_instances: The most that autoscaling sets.
    :param max_concurrency: The concurrency of a serverless variant.
    :param instance_type: The instance type, from the endpoint config.
    :param model_name: The model, from the endpoint config.
    :param images: The images that were deployed.
    """

    variant_name: str
    is_shadow: bool = False
    traffic_percent: float | None = None
    weight: float | None = None
    desired_weight: float | None = None
    instances: int | None = None
    desired_instances: int | None = None
    min_instances: int | None = None
    max_instances: int | None = None
    max_concurrency: int | None = None
    instance_type: str | None = None
    model_name: str | None = None
    images: Sequence[str] = ()


@dataclass(frozen=True)
class StageView:
    """Where the deployment in progress of a variant is.

    :param variant_name: The variant.
    :param stage: Its stage, in AWS's word: ``Creating``, ``Baking``, ``ActivatingTraffic``, …; None if AWS tells none.
    :param message: What AWS says of it.
    :param since: When the stage began.
    :param instances: The instances of the new fleet.
    :param desired_instances: The instances that it is to have.
    """

    variant_name: str
    stage: str | None
    message: str | None
    since: datetime | None
    instances: int | None
    desired_instances: int | None


@dataclass(frozen=True)
class AlarmView:
    """An alarm of an endpoint.

    :param alarm_name: Its name.
    :param state: Its state; None if there is no such alarm.
    :param rolls_back: Whether it rolls a deployment back.
    """

    alarm_name: str
    state: str | None
    rolls_back: bool


@dataclass(frozen=True)
class DeploymentView:
    """A config that an endpoint serves, has served, or is being updated to.

    :param endpoint_config_name: The config.
    :param state: ``deploying``, ``serving``, ``served before``, ``rolled back`` (by a rollback), ``unverified`` (its verification failed, or
        never ended) or ``undone`` (SageMaker rolled its deployment back, or a rollback or another run undid it).
    :param deployed_at: When AWS accepted its last update, or since when it serves after a rollback; None if the tags do not tell.
    :param run_due: The due time of the DAG run that deployed it last; None if the tags do not tell.
    :param models: Its models; None if it was deleted.
    """

    endpoint_config_name: str
    state: str
    deployed_at: datetime | None = None
    run_due: datetime | None = None
    models: Sequence[str] | None = None


@dataclass(frozen=True)
class RollbackView:
    """What a rollback would go back to.

    :param endpoint_config_name: The config.
    :param exists: Whether it still exists.
    """

    endpoint_config_name: str
    exists: bool


@dataclass(frozen=True)
class EndpointView:
    """An endpoint.

    :param endpoint_name: Its name.
    :param endpoint_arn: Its ARN.
    :param status: Its status.
    :param failure_reason: Why it failed, in AWS's words.
    :param endpoint_config_name: The config that serves.
    :param serving_since: Since when; None if the endpoint's tags do not tell.
    :param deploying: The config of a deployment in progress.
    :param created_at: When it was created.
    :param last_modified_at: Its last change, of any kind.
    :param is_ours: Whether this package deploys it.
    :param variants: Its variants, the shadow variants last.
    :param stages: Where the deployment in progress is, by variant.
    :param alarms: Its alarms, those that roll back first.
    :param rollback: What a rollback would go back to; None if nothing is known.
    :param history: The known configs, newest first.
    :param not_read: What could not be read for lack of a permission.
    """

    endpoint_name: str
    endpoint_arn: str
    status: str
    failure_reason: str | None
    endpoint_config_name: str | None
    serving_since: datetime | None
    deploying: str | None
    created_at: datetime | None
    last_modified_at: datetime | None
    is_ours: bool
    variants: Sequence[VariantView] = ()
    stages: Sequence[StageView] = ()
    alarms: Sequence[AlarmView] = ()
    rollback: RollbackView | None = None
    history: Sequence[DeploymentView] = ()
    not_read: Sequence[str] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    def summary(self) -> dict[str, Any]:
        """Return what a list shows of it, as plain data."""
        variants = [asdict(one) for one in self.variants]
        members = ("variant_name", "is_shadow", "traffic_percent", "instances", "desired_instances")
        return {
            "endpoint_name": self.endpoint_name,
            "status": self.status,
            "endpoint_config_name": self.endpoint_config_name,
            "serving_since": self.serving_since,
            "deploying": self.deploying,
            "last_modified_at": self.last_modified_at,
            "variants": [{member: one[member] for member in members} for one in variants],
        }


def deployments(
    described: Described, tags: EndpointTags, configs: Mapping[str, Described | None]
) -> list[DeploymentView]:
    """Return the known configs of an endpoint, the newest first.

    :param described: DescribeEndpoint's answer.
    :param tags: The deployment state in the endpoint's tags.
    :param configs: Descriptions of the configs, by name; None for a deleted one.
    """
    return [
        DeploymentView(
            endpoint_config_name=name,
            state=_state(name, described, tags),
            deployed_at=serving_since(described, tags)
            if name == described.get("EndpointConfigName")
            else _accepted(run),
            run_due=run.due if run else None,
            models=_models(configs[name]) if configs.get(name) else None,
        )
        for name in known_configs(described, tags)
        for run in [_last_run_of(name, tags)]
    ]


def known_configs(described: Described, tags: EndpointTags) -> list[str]:
    """Return the configs that an endpoint serves, has served, or is being updated to, the newest first."""
    runs = sorted(tags.runs, key=lambda run: run.moment, reverse=True)
    back = tags.rolled_back
    names = [
        pending_config(described),
        described.get("EndpointConfigName"),
        *((back.source, back.target) if back else ()),
        *tags.history,
        *(run.endpoint_config_name for run in runs if run.state is not RunState.CLAIMED),
    ]
    return list(dict.fromkeys(name for name in names if name))


def serving_since(described: Described, tags: EndpointTags) -> datetime | None:
    """Return since when the serving config serves; a rollback is only known by the due time of its run."""
    serving = described.get("EndpointConfigName")
    run, back = _last_run_of(serving, tags), tags.rolled_back
    found = [_accepted(run)] if run and run.state is RunState.DEPLOYED else []
    if back and back.target == serving:
        found.append(moment_of(back.run_after))
    return max((moment for moment in found if moment), default=None)


def rollback_of(
    described: Described, tags: EndpointTags, configs: Mapping[str, Described | None]
) -> RollbackView | None:
    """Return what a rollback would go back to; the parameters are those of :func:`deployments`."""
    name = rollback_target(
        tags.history, serving=described.get("EndpointConfigName"), unverified=tags.unverified
    )
    return RollbackView(name, configs.get(name) is not None) if name else None


def variants_of(
    described: Described, config: Described | None, targets: Mapping[str, Mapping[str, Any]]
) -> list[VariantView]:
    """Return the variants of an endpoint.

    :param described: DescribeEndpoint's answer.
    :param config: DescribeEndpointConfig's answer for the serving config.
    :param targets: The scalable targets, by variant.
    """
    found: list[VariantView] = []
    for member, is_shadow in (("ProductionVariants", False), ("ShadowProductionVariants", True)):
        configured = {one["VariantName"]: one for one in (config or {}).get(member) or []}
        variants = described.get(member) or []
        total = sum(one.get("CurrentWeight") or 0 for one in variants)
        for one in variants:
            name, weight = one["VariantName"], one.get("CurrentWeight")
            in_config, target = configured.get(name, {}), targets.get(name, {})
            serverless = one.get("CurrentServerlessConfig") or {}
            found.append(
                VariantView(
                    variant_name=name,
                    is_shadow=is_shadow,
                    traffic_percent=None
                    if weight is None
                    else round(100 * weight / total, 1)
                    if total
                    else 0.0,
                    weight=weight,
                    desired_weight=one.get("DesiredWeight"),
                    instances=None if serverless else one.get("CurrentInstanceCount"),
                    desired_instances=None if serverless else one.get("DesiredInstanceCount"),
                    min_instances=target.get("MinCapacity"),
                    max_instances=target.get("MaxCapacity"),
                    max_concurrency=serverless.get("MaxConcurrency"),
                    instance_type=in_config.get("InstanceType"),
                    model_name=in_config.get("ModelName"),
                    images=[str(image.get("SpecifiedImage")) for image in one.get("DeployedImages") or []],
                )
            )
    return found


def stages_of(described: Described) -> list[StageView]:
    """Return where the deployment in progress is, by variant; empty if none is."""
    pending = described.get("PendingDeploymentSummary") or {}
    found = []
    for one in pending.get("ProductionVariants") or []:
        stages = one.get("VariantStatus") or [{}]
        # In the order of their beginning (ProductionVariantStatus): the last one lasts.
        last = stages[-1]
        found.append(
            StageView(
                variant_name=one["VariantName"],
                stage=last.get("Status"),
                message=last.get("StatusMessage"),
                since=last.get("StartTime"),
                instances=one.get("CurrentInstanceCount"),
                desired_instances=one.get("DesiredInstanceCount"),
            )
        )
    return found


def rollback_alarms(described: Described) -> list[str]:
    """Return the alarms that roll the last deployment back, or the one in progress."""
    config = (described.get("PendingDeploymentSummary") or {}).get("DeploymentConfig") or described.get(
        "LastDeploymentConfig"
    )
    rollback = (config or {}).get("AutoRollbackConfiguration") or {}
    return [alarm["AlarmName"] for alarm in rollback.get("Alarms") or []]


def alarms_of(
    rolling_back: Iterable[str], states: Mapping[str, str], others: Mapping[str, str]
) -> list[AlarmView]:
    """Return the alarms of an endpoint.

    :param rolling_back: The names of those that roll back.
    :param states: The states of those, by name.
    :param others: The states of the other alarms on the endpoint, by name.
    """
    first = [AlarmView(name, states.get(name), rolls_back=True) for name in rolling_back]
    names = {alarm.alarm_name for alarm in first}
    return first + [
        AlarmView(name, state, rolls_back=False) for name, state in others.items() if name not in names
    ]


def _state(name: str, described: Described, tags: EndpointTags) -> str:
    back = tags.rolled_back
    if name == described.get("EndpointConfigName"):
        return "deploying" if name == pending_config(described) else "serving"
    if name == pending_config(described):
        return "deploying"
    if name in tags.unverified:
        return "unverified"
    if back and back.source == name:
        return "rolled back"
    return "served before" if name in tags.history else "undone"


def _last_run_of(name: str | None, tags: EndpointTags) -> Run | None:
    runs = [
        run for run in tags.runs if run.endpoint_config_name == name and run.state is not RunState.CLAIMED
    ]
    return max(runs, key=lambda run: run.moment, default=None)


def _accepted(run: Run | None) -> datetime | None:
    return datetime.fromtimestamp(run.moment, UTC) if run else None


def _models(config: Described | None) -> list[str]:
    variants = (config or {}).get("ProductionVariants") or []
    return sorted({one["ModelName"] for one in variants if one.get("ModelName")})
