"""The identity policy of an Airflow worker, made from the table of permissions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.policies.document import allow, document
from airflow_sm_hosting.policies.permissions import (
    BOUNDED,
    CONDITIONS,
    CONDITIONS_ON,
    PERMISSIONS,
    SCALING_SERVICE,
    TAG_TARGET,
)
from airflow_sm_hosting.policies.resources import (
    ANY,
    Place,
    build_log_arns,
    group_arns,
    key_arns,
    log_group_arns,
    named_arns,
    package_arns,
    place,
    project_arns,
    queue_arns,
    repository_arns,
    role_arns,
    s3_places,
    sagemaker_arns,
    sagemaker_names,
)
from airflow_sm_hosting.spec.checks import is_rendered_later, nearest
from airflow_sm_hosting.spec.fleet_alarm import alarm_prefix
from airflow_sm_hosting.spec.rendered import as_list

SCALING_ROLE = (
    f"role/aws-service-role/{SCALING_SERVICE}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)


def worker(
    operators: Iterable[Any] | None = None,
    *,
    endpoints: Iterable[str] = (ANY,),
    endpoint_configs: Iterable[str] = (ANY,),
    inference_components: Iterable[str] = (ANY,),
    models: Iterable[str] = (ANY,),
    alarms: Iterable[str] | None = None,
    dashboards: Iterable[str] | None = None,
    repositories: Iterable[Any] | None = None,
    model_data: Iterable[Any] | None = None,
    execution_roles: Iterable[str] | None = None,
    kms_key_ids: Iterable[str] = (),
    volume_kms_key_ids: Iterable[str] = (),
    build_projects: Iterable[str] = (),
    build_roles: Iterable[str] = (),
    build_contexts: Iterable[Any] = (),
    async_inputs: Iterable[Any] = (),
    async_outputs: Iterable[Any] = (),
    captured_data: Iterable[Any] = (),
    model_package_groups: Iterable[str] = (),
    queues: Iterable[str] = (),
    permissions_boundary: str | None = None,
    others_scaling: bool = False,
    region_name: str = ANY,
    account_id: str = ANY,
    partition: str | None = None,
) -> dict[str, Any]:
    """Return the identity policy of the Airflow worker that runs these operators, sensors and triggers.

    Models and endpoint configs are named by their content: of ``model_name="churn"`` the name here is ``churn-*``.

    :param operators: Operators, sensors or triggers: names, classes or tasks (default: all of the package).
    :param endpoints: Names or ARNs of endpoints, ``*`` as a wildcard (default: all).
    :param endpoint_configs: Names or ARNs of endpoint configs (default: all).
    :param inference_components: Names or ARNs of inference components (default: all).
    :param models: Names or ARNs of models (default: all).
    :param alarms: Names or ARNs of CloudWatch alarms that tasks make, or whose actions are a scaling policy (default: the names that this
        package gives to alarms of ``endpoints``, ``<endpoint>-*``, and the literal ``alarm_name`` of each task in ``operators``).
    :param dashboards: Names of CloudWatch dashboards (default: those of ``endpoints``, ``sagemaker-<endpoint>``, and the literal
        ``dashboard_name`` of each task in ``operators``).
    :param repositories: ECR repositories, as for :func:`execution_role`; must be given where an operator needs them, ``[]`` for none.
    :param model_data: S3 URLs of objects or prefixes of the artifacts; must be given where an operator needs them, ``[]`` for none.
    :param execution_roles: Names or ARNs of the roles that are passed to SageMaker; must be given where an operator passes or
        makes them, ``[]`` for none.
    :param kms_key_ids: Keys that uploads and repositories are encrypted with.
    :param volume_kms_key_ids: Keys of the endpoint configs (``KmsKeyId``).
    :param build_projects: CodeBuild projects of ``builder="codebuild"``, by name or ARN, ``*`` as a wildcard (default: none, for other
        builders). The default names of projects are ``sm-hosting-amd64`` and ``sm-hosting-arm64``.
    :param build_roles: Names or ARNs of the service roles of these projects, see :func:`build_role`.
    :param build_contexts: ``s3://`` URLs of the prefixes of build contexts: ``s3://<bucket_name>/<key_prefix>/``.
    :param async_inputs: ``s3://`` URLs of the prefixes that requests to asynchronous endpoints are uploaded to: ``input_prefix`` (default:
        none).
    :param async_outputs: ``s3://`` URLs of the ``S3OutputPath`` and ``S3FailurePath`` of asynchronous endpoints (default: none).
    :param captured_data: ``s3://`` URLs of the ``DestinationS3Uri`` of captured data (default: none).
    :param model_package_groups: Names or ARNs of the model package groups of the model registry (default: none).
    :param queues: Names or ARNs of the SQS queues from which an asset's watcher receives events (default: none).
    :param permissions_boundary: ARN of the policy that bounds every role which the worker makes (default: none is required).
    :param others_scaling: Whether a deployment may restore the tags of scalable targets that others made (default: False: only targets
        with this package's tag are tagged). It is needed if the variants of an endpoint are scaled elsewhere, and those targets have tags.
    :param region_name: Region of resources given by name (default: any).
    :param account_id: Account of resources given by name (default: any).
    :param partition: ``aws``, ``aws-cn``, ``aws-us-gov``, … (default: the Region's).
    :raises InvalidSpecError: An operator is unknown, a name, ARN or URL malformed, or something that must be given is not.
    """
    at = place(region_name, account_id, partition)
    asked = list(PERMISSIONS) if operators is None else as_list("operators", operators)
    resources = _Resources(
        at,
        {
            "endpoints": endpoints,
            "endpoint_configs": endpoint_configs,
            "inference_components": inference_components,
            "models": models,
            "alarms": _alarms_of(endpoints, inference_components or (), asked, at)
            if alarms is None
            else alarms,
            "dashboards": _dashboards_of(endpoints, asked, at) if dashboards is None else dashboards,
            "repositories": repositories,
            "model_data": model_data,
            "execution_roles": execution_roles,
            "kms_key_ids": kms_key_ids,
            "volume_kms_key_ids": volume_kms_key_ids,
            "build_projects": build_projects,
            "build_roles": build_roles,
            "build_contexts": build_contexts,
            "async_inputs": async_inputs,
            "async_outputs": async_outputs,
            "captured_data": captured_data,
            "model_package_groups": model_package_groups,
            "queues": queues,
        },
    )
    return document(
        allow([action], arns, condition)
        for name in map(_name, asked)
        for permission in PERMISSIONS[name]
        for arns in [resources.arns(name, permission.on)]
        if arns
        for action in permission.actions
        for condition in _conditions(
            action, permission.on, permissions_boundary, others_scaling=others_scaling
        )
    )


def _alarms_of(
    endpoints: Iterable[str], components: Iterable[str], operators: Iterable[Any], at: Place
) -> list[str]:
    """Return the names of the alarms that the tasks make: those that they name, and by default ``<endpoint>-<variant>-<metric>``.

    The alarm that wakes an inference component is by default ``<inference component>-from-zero``.
    """
    tasks = [operator for operator in operators if not isinstance(operator, type)]
    named = [
        *(getattr(task, "alarm_name", None) for task in tasks),
        *(
            found.get("AlarmName")
            for task in tasks
            if isinstance(found := getattr(task, "from_zero", None), dict)
        ),
    ]
    defaults = [
        ANY if name == ANY else f"{name}-{ANY}"
        for name in sagemaker_names("endpoints", "endpoint", endpoints, at)
    ]
    if ANY not in defaults:
        defaults += [
            f"{name}-from-zero"
            for name in sagemaker_names("inference_components", "inference-component", components, at)
        ]
    return [*defaults, *(name for name in named if isinstance(name, str) and not is_rendered_later(name))]


def _dashboards_of(endpoints: Iterable[str], operators: Iterable[Any], at: Place) -> list[str]:
    """Return the names of the dashboards that the tasks make: ``sagemaker-<endpoint>``, and those that they name."""
    named = [
        getattr(operator, "dashboard_name", None) for operator in operators if not isinstance(operator, type)
    ]
    return [
        *(f"sagemaker-{name}" for name in sagemaker_names("endpoints", "endpoint", endpoints, at)),
        *(name for name in named if isinstance(name, str) and not is_rendered_later(name)),
    ]


class _Resources:
    """The ARNs of each kind of resource, from the parameters of :func:`worker`."""

    def __init__(self, at: Place, given: dict[str, Iterable[Any] | None]) -> None:
        self._at = at
        self._given = given

    def arns(self, operator: str, kinds: str) -> list[str]:
        """Return the ARNs of one or more kinds, separated by spaces."""
        return [arn for kind in kinds.split() for arn in self._of(operator, kind)]

    def _of(self, operator: str, kind: str) -> Iterator[str]:
        at = self._at
        match kind:
            case "any":
                yield ANY
            case "endpoint" | "endpoint-config" | "inference-component" | "model":
                where = f"{kind.replace('-', '_')}s"
                yield from sagemaker_arns(where, kind, self._names(operator, where), at)
            case "every-endpoint" | "every-endpoint-config" | "every-inference-component" | "every-model":
                yield at.arn("sagemaker", f"{kind.removeprefix('every-')}/*")
            case "endpoint-logs":
                yield from log_group_arns("endpoints", self._names(operator, "endpoints"), at)
            case "component-logs":
                names = self._names(operator, "inference_components")
                yield from log_group_arns("inference_components", names, at, kind="inference-component")
            case "every-alarm":
                yield at.arn("cloudwatch", "alarm:*")
            case "scaling-alarm":
                # autoscaling/application/userguide/target-tracking-scaling-policy-overview.html; a caller that needs no more has AWS's
                # own AmazonKeyspacesFullAccess_v2 (Keyspaces developer guide, "security-iam-awsmanpol").
                for name in sagemaker_names("endpoints", "endpoint", self._names(operator, "endpoints"), at):
                    yield at.arn("cloudwatch", f"alarm:TargetTracking-endpoint/{name}/variant/*")
            case "copies-alarm":
                names = self._names(operator, "inference_components")
                for name in sagemaker_names("inference_components", "inference-component", names, at):
                    yield at.arn("cloudwatch", f"alarm:TargetTracking-inference-component/{name}-*")
            case "rollout-alarm":
                for name in sagemaker_names("endpoints", "endpoint", self._names(operator, "endpoints"), at):
                    yield at.arn("cloudwatch", f"alarm:{alarm_prefix(name, ANY)}*")
            case "alarm":
                names = self._names(operator, "alarms")
                yield from named_arns(
                    "alarms",
                    names,
                    at,
                    service="cloudwatch",
                    resource="alarm:{}",
                    pattern=r".{1,255}",
                    noun="CloudWatch alarms",
                )
            case "dashboard":
                yield from named_arns(
                    "dashboards",
                    self._names(operator, "dashboards"),
                    at._replace(region=""),
                    service="cloudwatch",
                    resource="dashboard/{}",
                    pattern=r"[0-9A-Za-z_*?-]{1,255}",
                    noun="CloudWatch dashboards",
                )
            case "scalable-target":
                # AWS makes its id.
                yield at.arn("application-autoscaling", "scalable-target/*")
            case "scaling-role":
                yield f"arn:{at.partition}:iam::{at.account}:{SCALING_ROLE}"
            case "role":
                yield from role_arns("execution_roles", self._names(operator, "execution_roles"), at)
            case "config-role":
                # Only the endpoint configs of inference components have a role.
                yield from role_arns(
                    "execution_roles", as_list("execution_roles", self._given["execution_roles"]), at
                )
            case "repository":
                yield from repository_arns("repositories", self._names(operator, "repositories"), at)
            case "object" | "bucket":
                for bucket, key in s3_places("model_data", self._names(operator, "model_data")):
                    path = f"/{key}{ANY if key.endswith('/') else ''}" if kind == "object" else ""
                    yield f"arn:{at.partition}:s3:::{bucket}{path}"
            case "build-project":
                yield from project_arns("build_projects", self._names(operator, "build_projects"), at)
            case "build-logs":
                yield from build_log_arns("build_projects", self._names(operator, "build_projects"), at)
            case "build-role":
                yield from role_arns("build_roles", self._names(operator, "build_roles"), at)
            case "build-object" | "build-bucket":
                contexts = self._names(operator, "build_contexts")
                for bucket, key in s3_places("build_contexts", contexts, prefixes=True):
                    path = f"/{key}{ANY}" if kind == "build-object" else ""
                    yield f"arn:{at.partition}:s3:::{bucket}{path}"
            case "async-input" | "async-output" | "async-output-bucket":
                where = "async_inputs" if kind == "async-input" else "async_outputs"
                for bucket, key in s3_places(where, self._names(operator, where), prefixes=True):
                    path = "" if kind == "async-output-bucket" else f"/{key}{ANY}"
                    yield f"arn:{at.partition}:s3:::{bucket}{path}"
            case "captured-object" | "captured-bucket":
                for bucket, key in s3_places(
                    "captured_data", self._names(operator, "captured_data"), prefixes=True
                ):
                    path = f"/{key}{ANY}" if kind == "captured-object" else ""
                    yield f"arn:{at.partition}:s3:::{bucket}{path}"
            case "every-package":
                yield at.arn("sagemaker", "model-package/*")
            case "package-group":
                yield from group_arns(
                    "model_package_groups", self._names(operator, "model_package_groups"), at
                )
            case "packages":
                yield from package_arns(
                    "model_package_groups", self._names(operator, "model_package_groups"), at
                )
            case "queue":
                yield from queue_arns("queues", self._names(operator, "queues"), at)
            case "key":
                yield from key_arns("kms_key_ids", self._names(operator, "kms_key_ids"), at)
            case "volume-key":
                yield from key_arns("volume_kms_key_ids", self._names(operator, "volume_kms_key_ids"), at)
            case _:
                raise AssertionError(kind)

    def _names(self, operator: str, where: str) -> list[Any]:
        if self._given[where] is None:
            raise InvalidSpecError(
                f"{where} is missing, and {operator} needs it; allowed: a list; [] means none."
            )
        return as_list(where, self._given[where])


def _conditions(
    action: str, on: str, permissions_boundary: str | None, *, others_scaling: bool
) -> Iterable[dict[str, Any] | None]:
    """Return the conditions of an action; of several, one must hold."""
    if permissions_boundary and action in BOUNDED:
        return ({"StringEquals": {"iam:PermissionsBoundary": permissions_boundary}},)
    if others_scaling and action == TAG_TARGET:
        return (None,)
    found: Iterable[dict[str, Any] | None] | None = CONDITIONS_ON.get((action, on)) or CONDITIONS.get(action)
    return found or (None,)


def _name(operator: Any) -> str:
    """Return the name of an operator in the table: its own, or that of its base class."""
    if isinstance(operator, str):
        names = [operator]
    else:
        kind = operator if isinstance(operator, type) else type(operator)
        names = [parent.__name__ for parent in kind.__mro__]
    found = next((name for name in names if name in PERMISSIONS), None)
    if found is None:
        near = nearest(names[0], PERMISSIONS, 1)
        raise InvalidSpecError(
            f"operators: {names[0]!r} is not an operator, sensor or trigger of this package"
            + (f". Did you mean {near[0]!r}?" if near else "")
            + f"; allowed: {', '.join(PERMISSIONS)}."
        )
    return found
