"""From one description of a release to its chain of tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskGroup

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.hooks.parameters import DEFAULT_CONNECTION
from airflow_sm_hosting.operators.check_container import CheckContainerOperator
from airflow_sm_hosting.operators.clean_up_hosting import CleanUpHostingOperator
from airflow_sm_hosting.operators.configure_autoscaling import ConfigureAutoscalingOperator
from airflow_sm_hosting.operators.create_alarm import CreateEndpointAlarmOperator
from airflow_sm_hosting.operators.create_endpoint_config import CreateEndpointConfigOperator
from airflow_sm_hosting.operators.create_endpoint_dashboard import CreateEndpointDashboardOperator
from airflow_sm_hosting.operators.create_model import CreateModelOperator
from airflow_sm_hosting.operators.deploy_endpoint import DeployEndpointOperator
from airflow_sm_hosting.operators.deploy_inference_component import DeployInferenceComponentOperator
from airflow_sm_hosting.operators.ensure_execution_role import EnsureExecutionRoleOperator
from airflow_sm_hosting.operators.invoke_endpoint import InvokeEndpointOperator
from airflow_sm_hosting.operators.plan_deployment import PlanDeploymentOperator
from airflow_sm_hosting.operators.register_model import RegisterModelOperator
from airflow_sm_hosting.sensors.model_package import ModelPackageApprovedSensor
from airflow_sm_hosting.spec.arn import ENDPOINT, check_resource, is_arn, resource_name
from airflow_sm_hosting.spec.checks import invalid, is_rendered_later
from airflow_sm_hosting.spec.container import ContainerDefinition
from airflow_sm_hosting.spec.inference_component import InferenceComponentSpecification
from airflow_sm_hosting.spec.model_package import ModelPackage
from airflow_sm_hosting.spec.reference import kind_of
from airflow_sm_hosting.task_groups.asset_tasks import AssetTasks
from airflow_sm_hosting.task_groups.checks import (
    check_components,
    check_kinds,
    check_names,
    check_options,
    check_platforms,
    check_registration,
    check_rollout,
    check_scaling,
    check_serverless,
    check_smoke_test,
    check_waits,
    warn_of_models_without_variant,
)

if TYPE_CHECKING:
    from os import PathLike

    from airflow_sm_hosting.fields import Late


class ModelHostingTaskGroup(TaskGroup):
    """Create the tasks from folders and artifacts to a live, scaled and alarmed endpoint: those that are asked for, in the right order.

    The order: images and artifacts, the execution role, a version in the model registry, models, the endpoint config, rollback alarms, the
    plan, its approval, the deployment, the smoke test, inference components, adapters, scaling and alarms, the clean-up; a smoke test of an
    inference component follows the components. A
    ``ContainerImage.from_asset`` becomes a :class:`BuildImageOperator`, a ``ModelData.from_asset`` an :class:`UploadModelDataOperator`; two
    containers of one folder or artifact share the task.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#modelhostingtaskgroup

    :param endpoint_name: Name of the endpoint, or the ARN of one that exists. (templated)
    :param production_variants: The variants; ``model_name`` is one of ``models``, or the name or ARN of a model that exists. One without
        ``model_name`` is for ``components``.
    :param models: The containers of each model, by the model's name: ``{"churn": [ContainerDefinition(…)]}`` (default: none).
    :param shadow_production_variants: Shadow variants, as ``production_variants`` (default: none).
    :param components: Inference components by name: an :class:`InferenceComponentSpecification`, or parameters of
        :class:`DeployInferenceComponentOperator` (default: none). A specification's ``model_name`` may be one of ``models``; the variant is
        the only one without a model, unless ``variant_name`` is given.
    :param adapters: Adapters by their base among ``components``: ``{"llama": {"llama-fr": ModelData.from_asset("adapters/fr")}}``; an
        artifact is an ``s3://`` URL, the output of a task, or a ``ModelData.from_asset`` (default: none).
    :param group_id: Id of the group (default: ``model_hosting``).
    :param repository_name: ECR repository of the images that are built. (templated)
    :param bucket_name: Bucket of the artifacts that are uploaded. (templated)
    :param key_prefix: What their keys begin with (default: nothing). (templated)
    :param execution_role: Role of the models, and of the config for inference components, as name or ARN (default: none is sent). (templated)
    :param role_options: Further parameters of :class:`EnsureExecutionRoleOperator`, which makes ``execution_role``, a name (default: it
        exists already).
    :param register: Parameters of :class:`RegisterModelOperator`; each model is then made from its version in the registry, of the group of the
        model's name unless ``model_package_group_name`` is given. ``approval_status`` is ``"Approved"`` by default; with another one, a
        :class:`ModelPackageApprovedSensor` waits for the approval (default: no registry).
    :param endpoint_config_name: Name of the config (default: the endpoint's); the digest of its content is added. (templated)
    :param rollback_alarms: Parameters of :class:`CreateEndpointAlarmOperator`, one dict an alarm. They are made before the deployment, and roll
        an update back (default: none).
    :param plan: Whether a :class:`PlanDeploymentOperator` shows the deployment first (default: False).
    :param approval: Whether a person approves the plan in an :class:`ApproveDeploymentOperator`; or parameters of that operator
        (default: False). Nobody is asked about a plan without changes; a plan that is rejected skips the rest; one that is not approved within
        a day (``response_timeout``) fails. Only the approved plan is carried out.
    :param scaling: Parameters of :class:`ConfigureAutoscalingOperator` by variant or component:
        ``{"main": {"max_capacity": 3, "policies": [InvocationsScaling(…)]}}``.
    :param alarms: Parameters of :class:`CreateEndpointAlarmOperator`, one dict an alarm:
        ``[{"variant_name": "main", "metric": EndpointMetric.model_latency(), "threshold": …, "evaluation_periods": 3}]``.
    :param dashboard: Whether a :class:`CreateEndpointDashboardOperator` makes a dashboard, which shows the alarms of this group; or parameters
        of that operator (default: False).
    :param smoke_test: Parameters of :class:`InvokeEndpointOperator`: ``{"body": …, "expect": …}`` (default: none).
    :param clean_up: Whether a :class:`CleanUpHostingOperator` deletes what no endpoint needs any more, after all else; or parameters of that
        operator (default: False). Its ``dry_run`` is False here, unless given.
    :param build_options: Further parameters of :class:`BuildImageOperator`, e.g. ``{"builder": "buildah", "secrets": {…}}``.
    :param upload_options: Further parameters of :class:`UploadModelDataOperator`.
    :param check_container: Whether a :class:`CheckContainerOperator` checks each container before its model is created, with the request of
        ``smoke_test``; or parameters of that operator (default: False). It needs a worker with a Docker Engine.
    :param model_options: Further parameters of :class:`CreateModelOperator`.
    :param endpoint_config_options: Further parameters of :class:`CreateEndpointConfigOperator`.
    :param deploy_options: Further parameters of :class:`DeployEndpointOperator`, e.g. ``{"rollout": Canary(…)}``.
    :param component_options: Further parameters of each :class:`DeployInferenceComponentOperator`.
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
        production_variants: Sequence[dict[str, Any]],
        models: Mapping[str, Sequence[dict[str, Any]]] | None = None,
        shadow_production_variants: Sequence[dict[str, Any]] = (),
        components: Mapping[str, Mapping[str, Any]] | None = None,
        adapters: Mapping[str, Mapping[str, Any]] | None = None,
        group_id: str = "model_hosting",
        repository_name: Late | None = None,
        bucket_name: Late | None = None,
        key_prefix: Late = "",
        execution_role: Late | None = None,
        role_options: Mapping[str, Any] | None = None,
        register: Mapping[str, Any] | None = None,
        endpoint_config_name: Late | None = None,
        rollback_alarms: Sequence[Mapping[str, Any]] = (),
        plan: bool = False,
        approval: bool | Mapping[str, Any] = False,
        scaling: Mapping[str, Mapping[str, Any]] | None = None,
        alarms: Sequence[Mapping[str, Any]] = (),
        dashboard: bool | Mapping[str, Any] = False,
        smoke_test: Mapping[str, Any] | None = None,
        clean_up: bool | Mapping[str, Any] = False,
        build_options: Mapping[str, Any] | None = None,
        upload_options: Mapping[str, Any] | None = None,
        check_container: bool | Mapping[str, Any] = False,
        model_options: Mapping[str, Any] | None = None,
        endpoint_config_options: Mapping[str, Any] | None = None,
        deploy_options: Mapping[str, Any] | None = None,
        component_options: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Late | None = None,
        aws_conn_id: Late | None = DEFAULT_CONNECTION,
        region_name: Late | None = None,
        verify: bool | PathLike[str] | Late | None = None,
        botocore_config: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        check_kinds(
            booleans={"plan": plan},
            switches={
                "approval": approval,
                "clean_up": clean_up,
                "dashboard": dashboard,
                "check_container": check_container,
            },
            parameters={
                "models": models,
                "components": components,
                "adapters": adapters,
                "role_options": role_options,
                "register": register,
                "scaling": scaling,
                "smoke_test": smoke_test,
                "build_options": build_options,
                "upload_options": upload_options,
                "model_options": model_options,
                "endpoint_config_options": endpoint_config_options,
                "deploy_options": deploy_options,
                "component_options": component_options,
            },
            lists={
                **{f"models[{name!r}]": one for name, one in _items(models)},
                "production_variants": production_variants,
                "shadow_production_variants": shadow_production_variants,
                "rollback_alarms": rollback_alarms,
                "alarms": alarms,
            },
        )
        check_options(
            {
                "role_options": (role_options, ("role_name",)),
                "register": (register, ("containers",)),
                "build_options": (build_options, ("directory", "repository_name")),
                "upload_options": (upload_options, ("path", "bucket_name", "key_prefix")),
                "model_options": (model_options, ("model_name", "containers", "execution_role", "tags")),
                "endpoint_config_options": (
                    endpoint_config_options,
                    ("endpoint_config_name", "production_variants", "tags")
                    + (("shadow_production_variants",) if shadow_production_variants else ()),
                ),
                "deploy_options": (deploy_options, ("endpoint_name", "endpoint_config_name")),
                "component_options": (
                    component_options,
                    ("inference_component_name", "endpoint_name", "specification", "specifications"),
                ),
                "smoke_test": (smoke_test, ("endpoint_name",)),
                **{
                    f"scaling[{name!r}]": (one, ("endpoint_name", "variant_name", "inference_component_name"))
                    for name, one in _items(scaling)
                },
                **{
                    f"components[{name!r}]": (one, ("inference_component_name", "endpoint_name"))
                    for name, one in _items(components)
                    if isinstance(one, Mapping)
                },
            }
        )
        check_smoke_test(smoke_test)
        check_registration(register, models or ())
        check_waits(
            deploy_options or {},
            {"smoke_test": smoke_test, "components": components, "scaling": scaling, "alarms": alarms},
        )
        super().__init__(group_id=group_id, **kwargs)
        self._aws: dict[str, Any] = {
            "aws_conn_id": aws_conn_id,
            "region_name": region_name,
            "verify": verify,
            "botocore_config": botocore_config,
        }
        self._tags = tags
        self._endpoint_name = endpoint_name
        self._execution_role = execution_role
        self._register = None if register is None else dict(register)
        self._model_options = dict(model_options or {})
        self._assets = AssetTasks(
            repository_name=repository_name,
            bucket_name=bucket_name,
            key_prefix=key_prefix,
            build_options=build_options or {},
            upload_options=upload_options or {},
            aws=self._aws,
        )
        self._check = _check_options(check_container, smoke_test)
        self._checks = 0
        models, scaling = models or {}, scaling or {}
        config_options = dict(endpoint_config_options or {})
        variants = [*production_variants, *shadow_production_variants]
        deployed = {
            name: _component_options(name, one, component_options or {})
            for name, one in (components or {}).items()
        }
        check_resource("ModelHostingTaskGroup: endpoint_name", endpoint_name, ENDPOINT)
        check_names(
            production_variants, deployed, scaling, {"alarms": alarms, "rollback_alarms": rollback_alarms}
        )
        check_components(
            production_variants,
            deployed,
            adapters or {},
            has_role=execution_role is not None or config_options.get("execution_role") is not None,
            asynchronous=config_options.get("async_inference_config") is not None,
            smoke_test=smoke_test,
        )
        warn_of_models_without_variant(models, variants, _models_of(deployed))
        check_scaling(production_variants, scaling, config_options)
        check_serverless(variants, models, self._model_options)
        check_rollout(production_variants, deploy_options or {})
        check_platforms(variants, models)
        with self:
            if role_options is not None:
                self._execution_role = self._ensure_role(execution_role, role_options)
            names = {
                name: self._create_model(name, containers, len(models), _place_of(name, variants))
                for name, containers in models.items()
            }
            config = self._create_config(
                endpoint_config_name,
                [_with_model(variant, names) for variant in production_variants],
                [_with_model(variant, names) for variant in shadow_production_variants],
                config_options,
            )
            #: The task that deploys; its ``.output`` is the endpoint's name.
            self.deploy = self._deploy(
                config, rollback_alarms, dict(deploy_options or {}), approval, plan=plan
            )
            live: list[Any] = [self.deploy]
            # A component is tested when it is deployed; an endpoint before anything else is deployed to it.
            of_component = smoke_test is not None and smoke_test.get("inference_component_name") is not None
            if smoke_test is not None and not of_component:
                live = [self._invoke(smoke_test)]
            #: The tasks that deploy inference components and adapters, by name.
            self.components: dict[str, DeployInferenceComponentOperator] = {}
            hosts = [variant["VariantName"] for variant in production_variants if "ModelName" not in variant]
            for name, options in deployed.items():
                self._deploy_component(
                    name, {"variant_name": hosts[0], **self._serving(options, names)}, live
                )
            for base, artifacts in (adapters or {}).items():
                for name, artifact in artifacts.items():
                    self._deploy_adapter(name, base, artifact, component_options or {})
            live = [*live, *self.components.values()]
            if smoke_test is not None and of_component:
                test = self._invoke(smoke_test)
                [*self.components.values()] >> test
                live = [*live, test]
            scaled, watched = self._scale(scaling, live), self._watch(alarms, live)
            last = [*scaled, *watched] or live
            if dashboard is not False:
                last = [self._show(last, watched, dashboard)]
            if clean_up is not False:
                last >> CleanUpHostingOperator(
                    task_id="clean_up",
                    **{"dry_run": False, **(clean_up if isinstance(clean_up, Mapping) else {})},
                    **self._aws,
                )

    def _ensure_role(self, name: Late | None, options: Mapping[str, Any]) -> Any:
        if name is None or is_arn(name):
            raise invalid(
                "ModelHostingTaskGroup: execution_role",
                name,
                "with role_options the name of the role to make",
            )
        role = EnsureExecutionRoleOperator(
            task_id="ensure_execution_role", role_name=name, **{"tags": self._tags, **options}, **self._aws
        )
        return role.output

    # Models

    def _create_model(
        self,
        name: str,
        containers: Sequence[dict[str, Any]],
        number: int,
        place: Mapping[str, Any],
    ) -> Any:
        made = [self._assets.container(container) for container in containers]
        if self._check is not None:
            made = [
                self._checked(container, place, self._check, is_alone=len(containers) == 1)
                for container in made
            ]
        approved = None
        if self._register is not None:
            version, approved = self._registered(name, made, number)
            made = [version]
        model = CreateModelOperator(
            task_id=_task_id("create_model", name, number),
            model_name=name,
            containers=made,
            execution_role=self._execution_role,
            tags=self._tags,
            **self._model_options,
            **self._aws,
        )
        if approved is not None:
            approved >> model
        return model.output

    def _registered(
        self, name: str, containers: list[dict[str, Any]], number: int
    ) -> tuple[dict[str, Any], ModelPackageApprovedSensor | None]:
        """Return a container that names the version of the containers in the registry, and the task that waits for its approval."""
        options = {
            "model_package_group_name": name,
            "approval_status": "Approved",
            "tags": self._tags,
            **(self._register or {}),
        }
        registered = RegisterModelOperator(
            task_id=_task_id("register_model", name, number),
            containers=containers,
            **options,
            **self._aws,
        )
        approved = None
        if options["approval_status"] != "Approved":
            approved = ModelPackageApprovedSensor(
                task_id=_task_id("wait_for_approval", name, number),
                model_package=registered.output,
                deferrable=True,
                **self._aws,
            )
        return ContainerDefinition(model_package=ModelPackage.version(registered.output)), approved

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

    # The endpoint

    def _create_config(
        self,
        name: Late | None,
        variants: list[dict[str, Any]],
        shadows: list[dict[str, Any]],
        options: dict[str, Any],
    ) -> Any:
        if any("ModelName" not in variant for variant in variants):
            options.setdefault("execution_role", self._execution_role)
        if shadows:
            options.setdefault("shadow_production_variants", shadows)
        endpoint = self._endpoint_name
        config = CreateEndpointConfigOperator(
            task_id="create_endpoint_config",
            endpoint_config_name=name
            or (resource_name("endpoint_name", endpoint, ENDPOINT) if is_arn(endpoint) else endpoint),
            production_variants=variants,
            tags=self._tags,
            **options,
            **self._aws,
        )
        return config.output

    def _deploy(
        self,
        config: Any,
        rollback_alarms: Sequence[Mapping[str, Any]],
        options: dict[str, Any],
        approval: bool | Mapping[str, Any],
        *,
        plan: bool,
    ) -> DeployEndpointOperator:
        """Return the task that deploys, after the alarms, the plan and the approval."""
        alarms = [
            CreateEndpointAlarmOperator(
                task_id=f"create_rollback_alarm_{number}"
                if len(rollback_alarms) > 1
                else "create_rollback_alarm",
                # The alarm must be there before the deployment, and so before an endpoint that is new.
                **{
                    "endpoint_name": self._endpoint_name,
                    "check_endpoint": False,
                    "tags": self._tags,
                    **alarm,
                },
                **self._aws,
            )
            for number, alarm in enumerate(rollback_alarms, 1)
        ]
        if alarms:
            others = options.get("auto_rollback_alarms") or ()
            if is_rendered_later(others):
                raise InvalidSpecError(
                    "rollback_alarms are given, and auto_rollback_alarms in deploy_options is known only later; allowed: one of both, or a list."
                )
            options["auto_rollback_alarms"] = [*others, *(alarm.output for alarm in alarms)]
        given = {
            "endpoint_name": self._endpoint_name,
            "endpoint_config_name": config,
            "tags": self._tags,
            **options,
            **self._aws,
        }
        planned = None
        approved: dict[str, Any] = {}
        if plan or approval is not False:
            planned = PlanDeploymentOperator(task_id="plan", **given)
        if planned is not None and approval is not False:
            approved["approval"] = _approval(planned, approval)
        deploy = DeployEndpointOperator(task_id="deploy_endpoint", **given, **approved)
        if planned is not None and not approved:
            planned >> deploy
        return deploy

    def _invoke(self, smoke_test: Mapping[str, Any]) -> InvokeEndpointOperator:
        return InvokeEndpointOperator(
            task_id="smoke_test", endpoint_name=self.deploy.output, **smoke_test, **self._aws
        )

    # Inference components

    def _deploy_component(self, name: str, options: Mapping[str, Any], live: Sequence[Any]) -> None:
        self.components[name] = DeployInferenceComponentOperator(
            task_id=f"deploy_component_{name}",
            inference_component_name=name,
            endpoint_name=self.deploy.output,
            **{"tags": self._tags, **options},
            **self._aws,
        )
        for task in live:
            task >> self.components[name]

    def _serving(self, options: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters with the outputs of the tasks that make models, images and artifacts."""
        made = dict(options)
        if isinstance(made.get("specification"), dict):
            made["specification"] = self._specification(made["specification"], names)
        if isinstance(made.get("specifications"), list | tuple):
            made["specifications"] = [
                self._specification(one, names) if isinstance(one, dict) else one
                for one in made["specifications"]
            ]
        return made

    def _specification(self, given: dict[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
        container = given.get("Container")
        if not isinstance(container, dict):
            return _with_model(given, names)
        made = copy(given)
        made["Container"] = {
            member: self._assets.made(value) if member in ("Image", "ArtifactUrl") else value
            for member, value in container.items()
        }
        return made

    def _deploy_adapter(self, name: str, base: str, artifact: Any, options: Mapping[str, Any]) -> None:
        shared = {key: value for key, value in options.items() if key not in ("rollout", "copy_count")}
        specification = InferenceComponentSpecification(
            base_inference_component_name=base, artifact_url=self._assets.made(artifact)
        )
        self._deploy_component(name, {**shared, "specification": specification}, live=[self.components[base]])

    # Around it

    def _scale(self, scaling: Mapping[str, Mapping[str, Any]], live: Sequence[Any]) -> list[Any]:
        tasks = []
        for name, options in scaling.items():
            target: dict[str, Any] = (
                {"inference_component_name": self.components[name].output}
                if name in self.components
                else {"endpoint_name": self.deploy.output, "variant_name": name}
            )
            task = ConfigureAutoscalingOperator(
                task_id=_task_id("configure_autoscaling", name, len(scaling)),
                **target,
                **{"tags": self._tags, **options},
                **self._aws,
            )
            live >> task
            tasks.append(task)
        return tasks

    def _show(
        self, after: Sequence[Any], alarms: Sequence[Any], options: bool | Mapping[str, Any]
    ) -> CreateEndpointDashboardOperator:
        """Return the task that makes the dashboard, with the alarms of this group."""
        guards = self.deploy.auto_rollback_alarms or ()
        shown = [*(guards if isinstance(guards, list | tuple) else ()), *(alarm.output for alarm in alarms)]
        task = CreateEndpointDashboardOperator(
            task_id="create_dashboard",
            endpoint_name=self.deploy.output,
            **{"alarm_names": shown, **(options if isinstance(options, Mapping) else {})},
            **self._aws,
        )
        for one in after:
            one >> task
        return task

    def _watch(self, alarms: Sequence[Mapping[str, Any]], live: Sequence[Any]) -> list[Any]:
        tasks = []
        for number, alarm in enumerate(alarms, 1):
            is_of_component = alarm.get("inference_component_name") is not None
            target = {} if is_of_component else {"endpoint_name": self.deploy.output}
            task = CreateEndpointAlarmOperator(
                task_id="create_alarm" if len(alarms) == 1 else f"create_alarm_{number}",
                **{**target, "tags": self._tags, **alarm},
                **self._aws,
            )
            live >> task
            tasks.append(task)
        return tasks


def _approval(plan: PlanDeploymentOperator, options: bool | Mapping[str, Any]) -> Any:
    """Return what the task tells in which a person approves the plan; a plan that nobody approves in time is not carried out."""
    from airflow_sm_hosting.operators.approve_deployment import ApproveDeploymentOperator

    given = dict(options) if isinstance(options, Mapping) else {}
    if isinstance(plan.endpoint_name, str):
        given.setdefault("subject", f"Deploy to endpoint {plan.endpoint_name}?")
    approve = ApproveDeploymentOperator(
        **{"task_id": "approve", "body": plan.output, **given}, plan=plan.output["details"]
    )
    return approve.output["details"]


def _items(given: Any) -> list[tuple[str, Any]]:
    return list(given.items()) if isinstance(given, Mapping) else []


def _component_options(name: str, given: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a component's deployment."""
    if not isinstance(given, Mapping):
        raise invalid(
            f"ModelHostingTaskGroup: components[{name!r}]",
            given,
            "an InferenceComponentSpecification, or a dict of parameters of DeployInferenceComponentOperator",
        )
    if "specification" in given or "specifications" in given:
        return {**shared, **given}
    return {**shared, "specification": given}


def _specifications(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    one, several = options.get("specification"), options.get("specifications") or ()
    known = [one, *several] if isinstance(several, list | tuple) else [one]
    return [each for each in known if isinstance(each, dict)]


def _models_of(components: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    return [one.get("ModelName") for options in components.values() for one in _specifications(options)]


def _with_model(named: dict[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Return what names one of these models with the output of the task that makes it: a copy, of the same class."""
    model = named.get("ModelName")
    if not isinstance(model, str) or model not in names:
        return named
    made = copy(named)
    made["ModelName"] = names[model]
    return made


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
