"""The checks of a whole description, while the DAG file is parsed: what each part says fits the others."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from airflow_sm_hosting.deployment.feasibility import rollout_problem
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.checks import Problems, invalid, is_rendered_later
from airflow_sm_hosting.spec.from_zero import check_can_be_zero
from airflow_sm_hosting.spec.instance_type import platform_of
from airflow_sm_hosting.spec.model import not_for_serverless
from airflow_sm_hosting.spec.reference import kind_of
from airflow_sm_hosting.spec.rollout import completed
from airflow_sm_hosting.spec.scaling_rules import WORKING_HOURS, check_scaled_variant

#: Parameters that every task of a group has from the group.
_OF_THE_GROUP = ("task_id", "aws_conn_id", "region_name", "verify", "botocore_config")


def check_kinds(
    *,
    booleans: Mapping[str, Any],
    switches: Mapping[str, Any],
    parameters: Mapping[str, Any],
    lists: Mapping[str, Any],
) -> None:
    """Check what kinds of values are given: a switch that is None or ``"False"`` would be on, and a clean-up deletes.

    :param booleans: Parameters that are True or False.
    :param switches: Parameters that are True, False, or a dict of parameters of their task.
    :param parameters: Parameters that are dicts, or None.
    :param lists: Parameters that are lists of dicts.
    :raises InvalidSpecError: For another kind.
    """
    problems = Problems()
    for name, value in booleans.items():
        with problems:
            _check_kind(name, value, bool, "True or False")
    for name, value in switches.items():
        with problems:
            _check_kind(name, value, bool | Mapping, "True, False, or a dict of parameters of its task")
    for name, value in parameters.items():
        if value is not None:
            with problems:
                _check_kind(name, value, Mapping, "a dict")
    scaling = parameters.get("scaling")
    for name, value in scaling.items() if isinstance(scaling, Mapping) else ():
        with problems:
            _check_kind(f"scaling[{name!r}]", value, Mapping, "a dict of parameters of its task")
    for name, value in lists.items():
        with problems:
            _check_kind(name, value, list | tuple, "a list of dicts")
            for index, entry in enumerate(value):
                _check_kind(f"{name}[{index}]", entry, Mapping, "a dict")
    problems.tell()


def _check_kind(name: str, value: Any, kind: Any, allowed: str) -> None:
    """Check the kind of a value.

    :param name: The parameter of the group.
    :param value: The value.
    :param kind: The allowed types.
    :param allowed: The same in words.
    :raises InvalidSpecError: For another kind.
    """
    if isinstance(value, kind):
        return
    hint = ""
    if is_rendered_later(value):
        hint = "The tasks of a DAG are laid out while its file is parsed."
    raise invalid(f"ModelHostingTaskGroup: {name}", value, allowed, hint=hint)


def check_options(options: Mapping[str, tuple[Mapping[str, Any] | None, Collection[str]]]) -> None:
    """Check that further parameters of a task do not have what the group gives it: another endpoint would be deployed than is described.

    :param options: By parameter of the group, its value, and the names that the group gives.
    :raises InvalidSpecError: For such a name.
    """
    for where, (given, own) in options.items():
        names = [name for name in given or () if name in own or name in _OF_THE_GROUP]
        if names:
            raise InvalidSpecError(
                f"ModelHostingTaskGroup: {where} has {', '.join(names)}; allowed: other parameters, as the group gives its tasks these."
            )


def check_smoke_test(smoke_test: Mapping[str, Any] | None) -> None:
    """Check that the smoke test of the group is not that of the deployment.

    :param smoke_test: Parameters of an ``InvokeEndpointOperator``.
    :raises InvalidSpecError: When it is a :class:`~airflow_sm_hosting.SmokeTest`.
    """
    if kind_of(smoke_test) == "SmokeTest":
        raise InvalidSpecError(
            "ModelHostingTaskGroup: smoke_test is a SmokeTest; allowed: parameters of InvokeEndpointOperator, e.g. {'body': …}. A SmokeTest "
            "belongs into deploy_options={'smoke_test': SmokeTest(…)}."
        )


def check_names(
    variants: Sequence[dict[str, Any]],
    components: Collection[str],
    scaling: Mapping[str, Any],
    alarms: Mapping[str, Sequence[Mapping[str, Any]]],
) -> None:
    """Check that scaling and alarms name what is described.

    :param variants: The production variants.
    :param components: The names of the inference components.
    :param scaling: Parameters of the scaling by variant or component.
    :param alarms: Parameters of alarms by the parameter that has them.
    :raises InvalidSpecError: When a variant or a component is named that is not there.
    """
    names = [variant.get("VariantName") for variant in variants]
    if any(is_rendered_later(name) for name in names):
        return
    both = {*names, *components}
    if len(both) < len(names) + len(components):
        raise InvalidSpecError(
            f"production_variants and components have the same names: {', '.join(sorted({*components} & {*map(str, names)}))}; allowed: "
            "different ones, as scaling names them."
        )
    asked = [
        *(("scaling", name, both) for name in scaling),
        *((where, one.get("variant_name"), names) for where, several in alarms.items() for one in several),
        *(
            (where, one.get("inference_component_name"), components)
            for where, several in alarms.items()
            for one in several
        ),
    ]
    for where, name, allowed in asked:
        if name is not None and not is_rendered_later(name) and name not in allowed:
            kind = "inference component" if allowed is components else "variant"
            raise InvalidSpecError(
                f"{where}: there is no {kind} {name!r}; production_variants{' and components' if components else ''} "
                f"{'have' if components else 'has'}: {', '.join(sorted(map(str, both)))}."
            )


def check_components(
    variants: Sequence[dict[str, Any]],
    components: Mapping[str, Mapping[str, Any]],
    adapters: Mapping[str, Mapping[str, Any]],
    *,
    has_role: bool,
    asynchronous: bool,
    smoke_test: Mapping[str, Any] | None,
) -> None:
    """Check that inference components have a place: a variant without a model, on a config with a role.

    :param variants: The production variants.
    :param components: Parameters of the deployments by component.
    :param adapters: The adapters' artifacts by their base's name.
    :param has_role: Whether an execution role is given.
    :param asynchronous: Whether the endpoint is asynchronous.
    :param smoke_test: The smoke test of the endpoint.
    :raises InvalidSpecError: When one has none.
    """
    hosts = [str(variant.get("VariantName")) for variant in variants if "ModelName" not in variant]
    taken = [*components]
    for base, artifacts in adapters.items():
        if base not in components:
            raise InvalidSpecError(
                f"adapters names the base {base!r}; components has: {', '.join(components) or 'none'}."
            )
        _check_kind(f"adapters[{base!r}]", artifacts, Mapping, "a dict of artifacts by adapter")
        for name in artifacts:
            if name in taken:
                raise InvalidSpecError(
                    f"adapters[{base!r}] has {name!r}, which is the name of another component or adapter; allowed: different names, as "
                    "they are those of inference components."
                )
            taken.append(name)
    if hosts and not has_role:
        # API_CreateEndpointConfig.html, ExecutionRoleArn: required where models are deployed as inference components
        raise InvalidSpecError(
            f"variant {hosts[0]} has no model, and execution_role is missing; allowed: the role under which its inference components run."
        )
    if not components:
        return
    if not hosts:
        raise InvalidSpecError(
            "components are given, but each variant has a model of its own; allowed: on InstanceProductionVariant(…) without model_name."
        )
    if asynchronous:
        # InvokeEndpointAsync has no InferenceComponentName (botocore)
        raise InvalidSpecError(
            "components are given, and the endpoint is asynchronous; allowed: components on real-time endpoints, as an asynchronous "
            "request cannot name one."
        )
    if (
        len(hosts) == len(variants)
        and smoke_test is not None
        and "inference_component_name" not in smoke_test
    ):
        raise InvalidSpecError(
            "smoke_test names no inference_component_name, and all variants have components; allowed: with "
            "inference_component_name, or the smoke_test=SmokeTest(…) of a component."
        )
    tested = (smoke_test or {}).get("inference_component_name")
    if tested is not None and not is_rendered_later(tested) and tested not in taken:
        raise InvalidSpecError(
            f"smoke_test invokes inference component {tested!r}; components and adapters have: {', '.join(taken)}."
        )
    for name, options in components.items():
        variant = options.get("variant_name")
        if variant is None and len(hosts) > 1:
            raise InvalidSpecError(
                f"components[{name!r}] has no variant_name; allowed: one of {', '.join(hosts)}."
            )
        if variant is not None and not is_rendered_later(variant) and variant not in hosts:
            raise InvalidSpecError(
                f"components[{name!r}] is on variant {variant!r}; allowed: a variant without a model: {', '.join(hosts)}."
            )


def check_registration(register: Mapping[str, Any] | None, models: Collection[str]) -> None:
    """Check that there is something to register, and that it can be deployed.

    :param register: Parameters of the registration.
    :param models: The models.
    :raises InvalidSpecError: When there is no model, or its version would be rejected.
    """
    if register is None:
        return
    if not models:
        raise InvalidSpecError("register is given without models; allowed: with the models to register.")
    if register.get("approval_status") == "Rejected":
        raise InvalidSpecError(
            "register: approval_status is 'Rejected'; allowed: 'Approved' or 'PendingManualApproval', as no model is made of a rejected version."
        )


def check_waits(deploy_options: Mapping[str, Any], following: Mapping[str, Any]) -> None:
    """Check that the deployment is awaited if something follows that needs it.

    :param deploy_options: Parameters of the deployment.
    :param following: What follows, by its parameter.
    :raises InvalidSpecError: When the deployment is not awaited.
    """
    names = [name for name, value in following.items() if value]
    if names and deploy_options.get("wait_for_completion", True) is False:
        raise InvalidSpecError(
            f"deploy_options: wait_for_completion is False, and {', '.join(names)} need the endpoint in service; allowed: without it."
        )


def warn_of_models_without_variant(
    models: Mapping[str, Any], variants: Sequence[dict[str, Any]], components: Collection[Any] = ()
) -> None:
    """Warn of models that are declared and that nothing serves: they would be made for nothing.

    :param models: The models.
    :param variants: The variants, shadows too.
    :param components: The models of the inference components.
    """
    used = [variant.get("ModelName") for variant in variants] + list(components)
    if any(is_rendered_later(name) for name in components):
        return
    for name in models:
        if name not in used:
            warnings.warn(
                f"ModelHostingTaskGroup: models declares {name!r}, and no variant serves it: the ModelName of production_variants is "
                f"{', '.join(map(str, used))}. The model is created and not used.",
                stacklevel=5,
            )


def check_serverless(
    variants: Sequence[dict[str, Any]],
    models: Mapping[str, Sequence[dict[str, Any]]],
    options: Mapping[str, Any],
) -> None:
    """Check that a serverless variant's model has nothing that serverless endpoints exclude."""
    for variant in variants:
        name = (
            variant.get("ModelName") if isinstance(variant, dict) and "ServerlessConfig" in variant else None
        )
        excluded = (
            not_for_serverless(models[name], options) if isinstance(name, str) and name in models else []
        )
        if excluded:
            raise InvalidSpecError(
                f"models[{name!r}] has {', '.join(excluded)}, and a serverless variant uses it; allowed: only "
                "on instance variants."
            )


def check_rollout(variants: Sequence[dict[str, Any]], deploy_options: Mapping[str, Any]) -> None:
    """Warn of a rollout that no update of the described variants can use: the first deployment has none, so it would not show there."""
    rollout, strict = deploy_options.get("rollout"), deploy_options.get("strict", True)
    if not isinstance(rollout, dict) or is_rendered_later(rollout) or not isinstance(strict, bool):
        return
    if not all(
        isinstance(variant, dict) and isinstance(variant.get("VariantName"), str) for variant in variants
    ):
        return
    # Steps larger than half of a fleet are checked when the rollout is rendered. Autoscaling may start with the initial count at most.
    counts = {variant["VariantName"]: 1 for variant in variants if variant.get("InitialInstanceCount") == 1}
    problem = rollout_problem(
        completed(rollout), serving=variants, wanted=variants, counts=counts, strict=strict
    )
    if problem:
        warnings.warn(
            f"ModelHostingTaskGroup: no update of this endpoint can use its rollout: {problem}.",
            UserWarning,
            stacklevel=4,
        )


def check_platforms(
    variants: Sequence[dict[str, Any]], models: Mapping[str, Sequence[dict[str, Any]]]
) -> None:
    """Refuse an image that is built for another processor than the instances have: it would fail with "exec format error" after minutes."""
    for variant in variants:
        wanted = platform_of(variant.get("InstanceType"))
        for container in models.get(str(variant.get("ModelName")), ()):
            image: Any = container.get("Image")
            if not wanted or kind_of(image) != "ImageAsset" or is_rendered_later(image["Platform"]):
                continue
            if image["Platform"] != wanted:
                raise InvalidSpecError(
                    f"ModelHostingTaskGroup: the image of model {variant['ModelName']!r} is built for {image['Platform']}, but the instances of "
                    f"variant {variant.get('VariantName')!r} ({variant.get('InstanceType')}) need {wanted}; give "
                    f"ContainerImage.from_asset(…, platform={wanted!r}), or another instance type."
                )


def check_scaling(
    variants: Sequence[dict[str, Any]],
    scaling: Mapping[str, Mapping[str, Any]],
    endpoint_config_options: Mapping[str, Any],
) -> None:
    """Check what is known of the scaled variants: an instance type that cannot be scaled, capacities that do not hold the initial one."""
    for variant in variants:
        name = variant.get("VariantName")
        if isinstance(name, str) and (options := scaling.get(name)):
            asynchronous = endpoint_config_options.get("async_inference_config") is not None
            from_zero = options.get("from_zero") is not None
            if from_zero:
                check_can_be_zero(variant, asynchronous=asynchronous)
            check_scaled_variant(
                variant,
                minimum=0 if from_zero else options.get("min_capacity"),
                maximum=options.get("max_capacity"),
                scheduled_minimums=_least_of(options.get("scheduled_actions")),
                asynchronous=asynchronous,
            )


def _least_of(actions: Any) -> list[Any]:
    """Return the minimum capacities that scheduled actions set, as far as they are known."""
    if isinstance(actions, str | Mapping) or not isinstance(actions, Iterable):
        return []
    given = [action for action in actions if isinstance(action, Mapping)]
    found = [
        action.get("NightCapacity")
        if kind_of(action) == WORKING_HOURS
        else (action.get("ScalableTargetAction") or {}).get("MinCapacity")
        for action in given
    ]
    return [least for least in found if least is not None]
