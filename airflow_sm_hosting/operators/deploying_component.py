"""What the operators share that deploy an inference component, or roll one back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.fields import Boolean, ListOf, Resource, Seconds, Structure, Tags, optional
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.links import ComponentLogsLink, EndpointLink
from airflow_sm_hosting.operators.deploy_endpoint import (
    DEFAULT_POLL_INTERVAL,
    DOWNLOAD_SECONDS,
    MAX_TIMEOUT,
    PROVISION_SECONDS,
    SHIFT_SECONDS,
    SHORTEST_POLL_INTERVAL,
    STARTUP_SECONDS,
)
from airflow_sm_hosting.operators.deploying import DeployingOperator
from airflow_sm_hosting.spec.arn import INFERENCE_COMPONENT
from airflow_sm_hosting.spec.checks import is_rendered_later
from airflow_sm_hosting.spec.inference_component import component_deployment_config
from airflow_sm_hosting.spec.rollout import auto_rollback, check_alarm_names, completed, longest_seconds

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.deployer.deployment import EndpointDeployer
    from airflow_sm_hosting.deployment.component import WantedComponent
    from airflow_sm_hosting.deployment.planning import End
    from airflow_sm_hosting.deployment.progress import Progress
    from airflow_sm_hosting.deployment.wanted import Wanted
    from airflow_sm_hosting.hooks.sagemaker import SageMakerHostingHook


class ComponentDeploymentFields(AwsFields):
    """The parameters that deployments and rollbacks of inference components have."""

    inference_component_name = Resource(INFERENCE_COMPONENT)
    rollout = optional(
        Structure(
            words="Rolling, or a dict in the shape of InferenceComponentDeploymentConfig",
            of="InferenceComponentDeploymentConfig",
        )
    )
    auto_rollback_alarms = ListOf(check=check_alarm_names)
    adopt = Boolean(default=False)
    allow_older = Boolean(default=False)
    wait_for_alarms = Boolean(default=False)
    tags = Tags()
    deferrable = Boolean(default=False, templated=False)
    poll_interval = Seconds(low=SHORTEST_POLL_INTERVAL, default=DEFAULT_POLL_INTERVAL)
    timeout = optional(Seconds(low=1, high=MAX_TIMEOUT))

    def check_together(self, where: str) -> None:
        """Check the rollout, as far as it is known."""
        if self.auto_rollback_alarms and self.rollout is None:
            # InferenceComponentDeploymentConfig requires RollingUpdatePolicy.
            raise InvalidSpecError(
                f"{where}auto_rollback_alarms is given without rollout; allowed: with rollout=Rolling(…)."
            )
        if isinstance(self.rollout, dict) and not is_rendered_later(self.rollout):
            component_deployment_config(f"{where}rollout", self.rollout)


class ComponentDeployingOperator(DeployingOperator):
    """Base of the operators that deploy an inference component."""

    fields: ClassVar[type[ComponentDeploymentFields]] = ComponentDeploymentFields
    operator_extra_links = (EndpointLink(), ComponentLogsLink())
    wait_for_completion = True
    inference_component_name: Any

    def on_kill(self) -> None:
        """Log what continues in AWS: no operation stops a deployment in progress."""
        self.log.warning(
            "This task was killed; its deployment of inference component %s continues in AWS. Run the task again to go on from there.",
            self.inference_component_name,
        )
        super().on_kill()

    def recorded_name(self) -> dict[str, Any]:
        """Return the component's name; its endpoint is in its description."""
        from airflow_sm_hosting.deployment.status import Kind

        name = self.resource_name("inference_component_name", INFERENCE_COMPONENT)
        return {"name": name, "kind": str(Kind.COMPONENT)}

    def _report(self, context: Context, deployer: EndpointDeployer, end: End) -> str:
        """Push the details; return the component's name, or raise the deployment's error."""
        from airflow_sm_hosting.deployer.report import component_details, error_of

        progress = deployer.progress
        name = self.fields.of(self).inference_component_name
        component = self._component()
        details = component_details(progress, end, deployer.described, component.endpoint_name)
        self.push_details(context, details)
        if end.ending == "succeeded":
            return name
        if end.ending == "skipped":
            from airflow.providers.common.compat.sdk import AirflowSkipException  # moved between 3.1 and 3.2

            raise AirflowSkipException(end.message)
        raise error_of(end, progress, self, name, details, component)

    # Values derived from the parameters.

    def _deployer(self, wanted: Wanted, progress: Progress) -> EndpointDeployer:
        from airflow_sm_hosting.deployer.deployment import EndpointDeployer

        return EndpointDeployer(wanted, self, progress, self._answer_failure)

    def _component(self) -> WantedComponent:
        """Return the wanted component, rendered and validated."""
        raise NotImplementedError

    def _wanted(self, context: Context) -> Wanted:
        from airflow_sm_hosting.deployment.wanted import Wanted

        given, component = self.fields.of(self), self._component()
        return Wanted(
            endpoint_name=given.inference_component_name,
            endpoint_config_name=component.name,
            deployment_config=self._deployment_config(),
            adopt=given.adopt,
            allow_older=given.allow_older,
            wait_for_alarms=given.wait_for_alarms,
            tags=given.tags,
            run_after=self._run_after(context),
            retried=getattr(context["ti"], "try_number", 1) > 1,
            task=self._task(context),
            component=component,
        )

    def _check_before_asking(self, wanted: Wanted) -> None:
        """Validate the possible requests before the first call."""
        from airflow_sm_hosting.service_model.request import validated_request
        from airflow_sm_hosting.spec.tags import tag_list

        component = self._component()
        validated_request(
            "sagemaker",
            "CreateInferenceComponent",
            {**component.creation(wanted.endpoint_name), "Tags": tag_list(wanted.tags)},
        )
        update = {"InferenceComponentName": wanted.endpoint_name, **component.members}
        if wanted.deployment_config:
            update["DeploymentConfig"] = wanted.deployment_config
        validated_request("sagemaker", "UpdateInferenceComponent", update)

    def _deployment_config(self) -> dict[str, Any] | None:
        given = self.fields.of(self)
        if given.rollout is None:
            return None
        config = component_deployment_config("rollout", completed(given.rollout))
        alarms = given.auto_rollback_alarms
        if alarms:
            named = config.get("AutoRollbackConfiguration", {}).get("Alarms", [])
            names = [*(alarm["AlarmName"] for alarm in named), *alarms]
            config |= auto_rollback(type(self).__name__, list(dict.fromkeys(names)))
        return config

    def _interval(self) -> float:
        return self.fields.of(self).poll_interval

    def _budget(self) -> float:
        given = self.fields.of(self)
        if given.timeout is not None:
            return given.timeout
        shift = longest_seconds(self._deployment_config())
        return (shift or SHIFT_SECONDS) + DOWNLOAD_SECONDS + STARTUP_SECONDS + PROVISION_SECONDS

    def _persist_links(self, context: Context, hook: SageMakerHostingHook) -> None:
        names = {
            "endpoint_name": self._component().endpoint_name,
            "inference_component_name": self.fields.of(self).inference_component_name,
        }
        for link in self.operator_extra_links:
            link.persist_for(context, hook, **names)
