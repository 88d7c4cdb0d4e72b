"""From one description of models, variants, scaling and alarms to the chain of tasks."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskGroup

from airflow_sm_hosting.deployment.feasibility import rollout_problem
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.hooks.parameters import DEFAULT_CONNECTION
from airflow_sm_hosting.operators.build_image import BuildImageOperator
from airflow_sm_hosting.operators.check_container import CheckContainerOperator
from airflow_sm_hosting.operators.configure_autoscaling import ConfigureAutoscalingOperator
from airflow_sm_hosting.operators.create_alarm import CreateEndpointAlarmOperator
from airflow_sm_hosting.operators.create_endpoint_config import CreateEndpointConfigOperator
from airflow_sm_hosting.operators.create_model import CreateModelOperator
from airflow_sm_hosting.operators.deploy_endpoint import DeployEndpointOperator
from airflow_sm_hosting.operators.invoke_endpoint import InvokeEndpointOperator
from airflow_sm_hosting.operators.upload_model_data import UploadModelDataOperator
from airflow_sm_hosting.spec.arn import ENDPOINT, check_resource, is_arn, resource_name
from airflow_sm_hosting.spec.checks import invalid, is_rendered_later
from airflow_sm_hosting.spec.from_zero import check_can_be_zero
from airflow_sm_hosting.spec.instance_type import platform_of
from airflow_sm_hosting.spec.model import not_for_serverless
from airflow_sm_hosting.spec.reference import kind_of
from airflow_sm_hosting.spec.rollout import completed
from airflow_sm_hosting.spec.scaling_rules import WORKING_HOURS, check_scaled_variant

if TYPE_CHECKING:
    from os import PathLike

    from airflow_sm_hosting.fields import Late


class ModelHostingTaskGroup(TaskGroup):
    """Create the tasks from folders and artifacts to a live, scaled and alarmed endpoint.

    A ``ContainerImage.from_asset`` becomes a :class:`BuildImageOperator`, a ``ModelData.from_asset`` an
    :class:`UploadModelDataOperator`; two containers of one folder or artifact share the task. Then come the models, the endpoint
    config, the deployment, a smoke test if one is given, and scaling and alarms.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#modelhostingtaskgroup

    :param endpoint_name: Name of the endpoint, or the ARN of one that exists. (templated)
    :param models: The containers of each model, by the model's name: ``{"churn": [ContainerDefinition(…)]}``.
    :param production_variants: The variants; ``model_name`` is one of ``models``, or the name or ARN of a model that exists.
    :param group_id: Id of the group (default: ``model_hosting``).
    :param repository_name: ECR repository of the images that are built. (templated)
    :param bucket_name: Bucket of the artifacts that are uploaded. (templated)
    :param key_prefix: What their keys begin with (default: nothing). (templated)
    :param execution_role: Role of the models, as name or ARN (default: none is sent). (templated)
    :param endpoint_config_name: Name of the config (default: the endpoint's); the digest of its content is added. (templated)
    :param scaling: Parameters of :class:`ConfigureAutoscalingOperator` by variant:
        ``{"main": {"max_capacity": 3, "policies": [InvocationsScaling(…)]}}``.
    :param alarms: Parameters of :class:`CreateEndpointAlarmOperator`, one dict an alarm:
        ``[{"variant_name": "main", "metric": EndpointMetric.model_latency(), "threshold": …, "evaluation_periods": 3}]``.
    :param smoke_test: Parameters of :class:`InvokeEndpointOperator`: ``{"body": …, "expect": …}`` (default: none).
    :param build_options: Further parameters of :class:`BuildImageOperator`, e.g. ``{"builder": "buildah", "secrets": {…}}``.
    :param upload_options: Further parameters of :class:`UploadModelDataOperator`.
    :param check_container: Whether a :class:`CheckContainerOperator` checks each container before its model is created, with the request of
        ``smoke_test``; or parameters of that operator (default: False). It needs a worker with a Docker Engine.
    :param model_options: Further parameters of :class:`CreateModelOperator`.
    :param endpoint_config_options: Further parameters of :class:`CreateEndpointConfigOperator`.
    :param deploy_options: Further parameters of :class:`DeployEndpointOperator`, e.g. ``{"rollout": Canary(…)}``.
    :param tags: Tags of all that is made. (templated)
    :param aws_conn_id: The Airflow connection used for AWS credentials (default: ``aws_default``). (templated)
    :param region_name: AWS Region (default: the connection's). (templated)
    :param verify: Whether to verify TLS certificates, or the path of a CA bundle. (templated)
    :param botocore_config: Configuration of the botocore clients as a dict.
    :param kwargs: Parameters of Airflow's ``TaskGroup``.
    :raises InvalidSpecError: When the description does not fit together.
    """

    def __init__(
        self,
        *,
        endpoint_name: Late,
        models: Mapping[str, Sequence[dict[str, Any]]],
        production_variants: Sequence[dict[str, Any]],
        group_id: str = "model_hosting",
        repository_name: Late | None = None,
        bucket_name: Late | None = None,
        key_prefix: Late = "",
        execution_role: Late | None = None,
        endpoint_config_name: Late | None = None,
        scaling: Mapping[str, Mapping[str, Any]] | None = None,
        alarms: Sequence[Mapping[str, Any]] = (),
        smoke_test: Mapping[str, Any] | None = None,
        build_options: Mapping[str, Any] | None = None,
        upload_options: Mapping[str, Any] | None = None,
        check_container: bool | Mapping[str, Any] = False,
        model_options: Mapping[str, Any] | None = None,
        endpoint_config_options: Mapping[str, Any] | None = None,
        deploy_options: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Late | None = None,
        aws_conn_id: Late | None = DEFAULT_CONNECTION,
        region_name: Late | None = None,
        verify: bool | PathLike[str] | Late | None = None,
        botocore_config: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(group_id=group_id, **kwargs)
        self._repository_name = repository_name
        self._bucket_name = bucket_name
        self._key_prefix = key_prefix
        self._aws: dict[str, Any] = {
            "aws_conn_id": aws_conn_id,
            "region_name": region_name,
            "verify": verify,
            "botocore_config": botocore_config,
        }
        self._build_options = dict(build_options or {})
        self._upload_options = dict(upload_options or {})
        self._assets: dict[str, Any] = {}
        self._check = _check_options(check_container, smoke_test)
        self._checks = 0
        check_resource("ModelHostingTaskGroup: endpoint_name", endpoint_name, ENDPOINT)
        _check_variants(production_variants, scaling or {}, alarms)
        _warn_of_models_without_variant(models, production_variants)
        _check_scaling(production_variants, scaling or {}, endpoint_config_options or {})
        _check_serverless(production_variants, models, model_options or {})
        _check_rollout(production_variants, deploy_options or {})
        _check_platforms(production_variants, models)
        with self:
            names = {
                name: self._create_model(
                    name,
                    containers,
                    len(models),
                    execution_role,
                    tags,
                    model_options or {},
                    _place_of(name, production_variants),
                )
                for name, containers in models.items()
            }
            variants = [
                _with_model(variant, names[variant["ModelName"]])
                if isinstance(variant.get("ModelName"), str) and variant["ModelName"] in names
                else variant
                for variant in production_variants
            ]
            config = CreateEndpointConfigOperator(
                task_id="create_endpoint_config",
                endpoint_config_name=endpoint_config_name
                or (
                    resource_name("endpoint_name", endpoint_name, ENDPOINT)
                    if is_arn(endpoint_name)
                    else endpoint_name
                ),
                production_variants=variants,
                tags=tags,
                **(endpoint_config_options or {}),
                **self._aws,
            )
            #: The task that deploys; its ``.output`` is the endpoint's name.
            self.deploy = DeployEndpointOperator(
                task_id="deploy_endpoint",
                endpoint_name=endpoint_name,
                endpoint_config_name=config.output,
                tags=tags,
                **(deploy_options or {}),
                **self._aws,
            )
            live: Any = self.deploy
            if smoke_test is not None:
                live = InvokeEndpointOperator(
                    task_id="smoke_test",
                    endpoint_name=self.deploy.output,
                    **smoke_test,
                    **self._aws,
                )
            for variant_name, options in (scaling or {}).items():
                live >> ConfigureAutoscalingOperator(
                    task_id=_task_id("configure_autoscaling", variant_name, len(scaling or {})),
                    endpoint_name=self.deploy.output,
                    variant_name=variant_name,
                    **{"tags": tags, **options},
                    **self._aws,
                )
            for index, alarm in enumerate(alarms):
                live >> CreateEndpointAlarmOperator(
                    task_id=_task_id("create_alarm", str(index + 1), len(alarms)),
                    endpoint_name=self.deploy.output,
                    tags=tags,
                    **alarm,
                    **self._aws,
                )

    def _create_model(
        self,
        name: str,
        containers: Sequence[dict[str, Any]],
        number: int,
        execution_role: Late | None,
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Late | None,
        options: Mapping[str, Any],
        place: Mapping[str, Any],
    ) -> Any:
        completed = [self._without_assets(container) for container in containers]
        if self._check is not None:
            completed = [
                self._checked(container, place, self._check, is_alone=len(containers) == 1)
                for container in completed
            ]
        made = CreateModelOperator(
            task_id=_task_id("create_model", name, number),
            model_name=name,
            containers=completed,
            execution_role=execution_role,
            tags=tags,
            **options,
            **self._aws,
        )
        return made.output

    def _without_assets(self, container: dict[str, Any]) -> dict[str, Any]:
        """Return the container with the outputs of the tasks that make its assets."""
        completed = copy(container)  # of the same class, so that its environment is hidden
        if kind_of(container.get("Image")) == "ImageAsset":
            completed["Image"] = self._build(container["Image"])
        if kind_of(container.get("ModelDataUrl")) == "ModelDataAsset":
            completed["ModelDataUrl"] = self._upload(container["ModelDataUrl"])
        return completed

    def _checked(
        self,
        container: dict[str, Any],
        place: Mapping[str, Any],
        options: Mapping[str, Any],
        *,
        is_alone: bool,
    ) -> dict[str, Any]:
        """Return the container with the output of the task that checks it, if it names its image."""
        if container.get("Image") is None:
            return container
        self._checks += 1
        given = {
            # Of a multi-model container that is the prefix of all models; a pipeline's containers take each other's answers.
            "model_data": None if container.get("Mode") == "MultiModel" else container.get("ModelDataUrl"),
            "environment": container.get("Environment"),
            **place,
            **(options if is_alone else {name: options[name] for name in options if name != "requests"}),
        }
        checked = copy(container)
        checked["Image"] = CheckContainerOperator(
            task_id="check_container" if self._checks == 1 else f"check_container_{self._checks}",
            image=container["Image"],
            **given,
            **self._aws,
        ).output
        return checked

    def _build(self, image: dict[str, Any]) -> Any:
        repository = image.get("RepositoryName") or self._repository_name
        if repository is None:
            raise InvalidSpecError(
                "repository_name is missing; the image of ContainerImage.from_asset(…) is pushed to this "
                "repository."
            )
        # What an image says of itself holds for it, the options for all.
        of_image = {
            "dockerfile": image.get("Dockerfile"),
            "build_args": image.get("BuildArgs"),
            "target": image.get("Target"),
            "platform": image.get("Platform"),
            "labels": image.get("Labels"),
            "cache_from": image.get("CacheFrom"),
            "cache_to": image.get("CacheTo"),
            "build_contexts": image.get("BuildContexts"),
        }
        return self._once(
            image,
            "build_image",
            lambda task_id: BuildImageOperator(
                task_id=task_id,
                directory=image["Directory"],
                repository_name=repository,
                **{**self._build_options, **{name: one for name, one in of_image.items() if one is not None}},
                **self._aws,
            ),
        )

    def _upload(self, model_data: dict[str, Any]) -> Any:
        if self._bucket_name is None:
            raise InvalidSpecError(
                "bucket_name is missing; the artifact of ModelData.from_asset(…) is uploaded to this bucket."
            )
        bucket = self._bucket_name
        form = {"uncompressed": True} if model_data.get("Uncompressed") else {}
        return self._once(
            model_data,
            "upload_model_data",
            lambda task_id: UploadModelDataOperator(
                task_id=task_id,
                path=model_data["Path"],
                bucket_name=bucket,
                key_prefix=self._key_prefix,
                **{**self._upload_options, **form},
                **self._aws,
            ),
        )

    def _once(self, asset: dict[str, Any], task_id: str, make: Any) -> Any:
        """Return the output of the task that makes an asset, one task for equal assets."""
        key = f"{task_id}: {json.dumps(asset, sort_keys=True, default=repr)}"
        if key not in self._assets:
            before = sum(known.startswith(f"{task_id}:") for known in self._assets)
            self._assets[key] = make(f"{task_id}_{before + 1}" if before else task_id).output
        return self._assets[key]


def _task_id(task_id: str, name: str, number: int) -> str:
    return task_id if number == 1 else f"{task_id}_{name}"


def _check_options(
    check_container: bool | Mapping[str, Any], smoke_test: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """Return the parameters of the tasks that check containers; None if there are none."""
    if check_container is False:
        return None
    if check_container is not True and not isinstance(check_container, Mapping):
        raise invalid(
            "ModelHostingTaskGroup: check_container",
            check_container,
            "True, False, or a dict of parameters of CheckContainerOperator",
        )
    # The check compares with a string or with JSON, and sends requests that the DAG file has.
    test = smoke_test if smoke_test and "body" in smoke_test else {}
    request = {name: test[name] for name in ("body", "content_type", "accept", "expect") if name in test}
    if kind_of(request.get("expect")):
        del request["expect"]
    return {
        **({"requests": [request]} if request else {}),
        **(check_container if isinstance(check_container, Mapping) else {}),
    }


def _place_of(name: str, variants: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return where a model's containers run, as parameters of CheckContainerOperator: the type or the memory of its only variant."""
    serving = [variant for variant in variants if variant.get("ModelName") == name]
    if len(serving) != 1:
        return {}
    serverless = serving[0].get("ServerlessConfig")
    if isinstance(serverless, dict):
        return {"memory_size_in_mb": serverless.get("MemorySizeInMB")}
    return {"instance_type": serving[0].get("InstanceType")}


def _with_model(variant: dict[str, Any], model_name: Any) -> dict[str, Any]:
    """Return a copy of the variant, of the same class, with another model."""
    named = copy(variant)
    named["ModelName"] = model_name
    return named


def _check_variants(
    variants: Sequence[dict[str, Any]],
    scaling: Mapping[str, Any],
    alarms: Sequence[Mapping[str, Any]],
) -> None:
    names = [variant.get("VariantName") for variant in variants]
    if any(is_rendered_later(name) for name in names):
        return
    asked = [*scaling, *(alarm.get("variant_name") for alarm in alarms)]
    for name in asked:
        if not is_rendered_later(name) and name not in names:
            raise InvalidSpecError(
                f"scaling and alarms name the variant {name!r}; production_variants has: {', '.join(map(str, names))}."
            )


def _warn_of_models_without_variant(models: Mapping[str, Any], variants: Sequence[dict[str, Any]]) -> None:
    """Warn of models that are declared and that no variant serves: they would be made for nothing."""
    used = [variant.get("ModelName") for variant in variants]
    for name in models:
        if name not in used:
            warnings.warn(
                f"ModelHostingTaskGroup: models declares {name!r}, and no variant serves it: the ModelName of production_variants is "
                f"{', '.join(map(str, used))}. The model is created and not used.",
                stacklevel=4,
            )


def _check_serverless(
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


def _check_rollout(variants: Sequence[dict[str, Any]], deploy_options: Mapping[str, Any]) -> None:
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
            stacklevel=3,
        )


def _check_platforms(
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


def _check_scaling(
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
