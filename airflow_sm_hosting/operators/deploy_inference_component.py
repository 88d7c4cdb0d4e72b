"""Deploy an inference component to an endpoint, and verify that what was asked for serves."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.configuration import conf  # only in airflow.sdk 3.2 and newer

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.fields import Boolean, Field, Integer, ListOf, Resource, Structure, Text, optional
from airflow_sm_hosting.operators.deploy_endpoint import DEFAULT_POLL_INTERVAL
from airflow_sm_hosting.operators.deploying import OneSmokeTest
from airflow_sm_hosting.operators.deploying_component import (
    ComponentDeployingOperator,
    ComponentDeploymentFields,
)
from airflow_sm_hosting.spec.arn import ENDPOINT
from airflow_sm_hosting.spec.checks import check_name, is_rendered_later
from airflow_sm_hosting.spec.inference_component import (
    InferenceComponentSpecification,
    check_specification,
    check_specification_list,
    is_adapter,
    rendered_specification,
)
from airflow_sm_hosting.spec.reference import kind_of
from airflow_sm_hosting.spec.secret import (
    HidesSpecifications,
    hide_specifications,
    reveal_environments,
    specification_values,
)
from airflow_sm_hosting.spec.smoke_test import ASYNCHRONOUS, REAL_TIME, known_kind

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.deployer.smoke_testing import SmokeTester
    from airflow_sm_hosting.deployment.component import WantedComponent
    from airflow_sm_hosting.deployment.wanted import Wanted
    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.spec.rollout import Rolling
    from airflow_sm_hosting.spec.smoke_test import SmokeTest

#: What stands for references before the first call, so that the rest of the request can be validated.
UNRESOLVED = {"Image": "unresolved", "ArtifactUrl": "s3://unresolved/unresolved"}


class OneSpecification(Structure):
    """An :class:`~airflow_sm_hosting.InferenceComponentSpecification`."""

    def check(self, where: str, value: Any) -> None:
        """Check a literal specification."""
        super().check(where, value)
        if isinstance(value, dict):
            check_specification(where, value)

    def value(self, where: str, given: Any) -> dict[str, Any]:
        """Return the specification with its environment, whose values are hidden up to here."""
        return super().value(where, reveal_environments(given))


class SeveralSpecifications(ListOf):
    """A list of them, one for each instance type."""

    def value(self, where: str, given: Any) -> list[Any]:
        """Return the specifications with their environments, whose values are hidden up to here."""
        return super().value(where, reveal_environments(given))


class DeployInferenceComponentFields(ComponentDeploymentFields):
    """The parameters of :class:`DeployInferenceComponentOperator`."""

    endpoint_name = Resource(ENDPOINT)
    variant_name: Field[str | None] = optional(Text(check_name))
    specification = optional(
        OneSpecification(
            words="an InferenceComponentSpecification, or a dict in its shape",
            of="InferenceComponentSpecification",
        )
    )
    specifications = optional(
        SeveralSpecifications(
            literal_check=check_specification_list,
            of="InferenceComponentSpecification",
            default=None,
            json=True,
        )
    )
    copy_count = optional(Integer(low=0))
    replace_failed_component = Boolean(default=True)
    smoke_test = optional(OneSmokeTest(json=True))

    def check_together(self, where: str) -> None:
        """Check the parameters that depend on each other, as far as they are known."""
        one, several = self.specification, self.specifications
        # API_CreateInferenceComponent: "either this parameter or the singular Specification parameter, but not both".
        if (one is None) == (several is None):
            found = "both" if one is not None else "neither"
            raise InvalidSpecError(
                f"{where}specification and specifications: {found} given; allowed: one of the two."
            )
        adapter = isinstance(one, dict) and is_adapter(one)
        # https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-adapt.html
        if adapter and self.copy_count is not None:
            raise InvalidSpecError(
                f"{where}copy_count is given for an adapter; allowed: none, as an adapter is in the copies of its base."
            )
        if adapter and self.rollout is not None:
            raise InvalidSpecError(f"{where}rollout is given for an adapter; allowed: none.")
        if isinstance(self.smoke_test, dict):
            self._check_smoke_test(where)
        known = isinstance(one, dict) or several is not None
        if known and not adapter and self.variant_name is None and not is_rendered_later(one):
            raise InvalidSpecError(
                f"{where}variant_name is not given; allowed: the variant of the endpoint (only an adapter is where its base is)."
            )
        super().check_together(where)

    def _check_smoke_test(self, where: str) -> None:
        """Check that the smoke test can reach the component."""
        test: dict[str, Any] = self.smoke_test or {}
        if self.copy_count == 0:
            raise InvalidSpecError(
                f"{where}smoke_test is given, and copy_count is 0; allowed: one copy or more, as a component without copies does not answer."
            )
        if known_kind(test) == ASYNCHRONOUS:
            raise InvalidSpecError(
                f"{where}smoke_test is asynchronous; allowed: in real time or streamed, as an asynchronous endpoint has no inference components."
            )
        named, name = test.get("InferenceComponentName"), self.inference_component_name
        if named is not None and named != name and not is_rendered_later([named, name]):
            raise InvalidSpecError(
                f"{where}smoke_test invokes inference component {named!r}; allowed: {name!r}, which is also the default."
            )


class DeployInferenceComponentOperator(ComponentDeployingOperator):
    """Deploy an inference component: create it, update it, set its copies, or do nothing.

    Success means that the component is ``InService`` with the requested specification and all its copies. SageMaker rolls back an
    update silently: the component is then ``InService`` with the old specification. The task compares what serves with what was asked
    for, and fails. A newer run's deployment is not undone; a killed task's change continues in AWS, and the next try goes on from there.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#deployinferencecomponentoperator
        API: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateInferenceComponent.html

    :param inference_component_name: Name of the component, unique in account and Region, or the ARN of an existing one. (templated)
    :param endpoint_name: The endpoint on whose instances it runs, by name or ARN. Its variants have no models. (templated)
    :param variant_name: The variant of the endpoint; required but for adapters, which are where their base is. (templated)
    :param specification: An :class:`~airflow_sm_hosting.InferenceComponentSpecification`; a dict in the AWS shape is accepted
        too. Values of its environment are shown as ``***``. (templated)
    :param specifications: In place of ``specification``, 1 to 5 of them, one for each instance type of the endpoint. (templated)
    :param copy_count: Number of copies, 0 or more (default: 1 for a new component; an existing one keeps its own). It is left to
        autoscaling where the copies are a scalable target. (templated)
    :param rollout: :class:`~airflow_sm_hosting.Rolling`, in copies or percent, for an update (default: all copies at once, beside the old
        ones). (templated)
    :param auto_rollback_alarms: Names of CloudWatch alarms that roll back an update, in addition to those of ``rollout``; at most
        10. (templated)
    :param replace_failed_component: Whether to delete a component in status Failed and create it again (default: True). (templated)
    :param adopt: Whether the task may change a component without this package's tags (default: False). (templated)
    :param allow_older: Whether this run deploys even if a newer run has already deployed (default: False). (templated)
    :param wait_for_alarms: Whether the task waits, in the worker and within its time budget, for rollback alarms that are in ALARM before
        the update (default: False: ``AlarmGoingOffError``). (templated)
    :param smoke_test: A :class:`~airflow_sm_hosting.SmokeTest` to run after the deployment, on this component, in real time or streamed
        (default: none). After a wrong answer the new specification continues to serve:
        :class:`~airflow_sm_hosting.RollbackInferenceComponentOperator` goes back. A first request to copies that autoscaling has taken to
        zero needs its ``wait_for_capacity``. (templated)
    :param tags: Tags, as a dict; on an existing component they are reconciled, other people's tags stay unchanged. (templated)
    :param deferrable: Whether the task waits in the triggerer (default: ``[operators] default_deferrable``).
    :param poll_interval: Seconds, or a timedelta, between two polls, 0.1 or more (default: 30). (templated)
    :param timeout: Time budget of one try, in seconds or as a timedelta, for the sync and the deferred wait
        (default: derived from the rollout and AWS's limits of startup and download). (templated)
    :raises DeploymentRolledBackError: When the old specification serves after the update.
    :raises DeploymentFailedError: When the component does not serve the requested specification, or has not the requested copies.
    :raises DeploymentTimeoutError: When the time budget ended first.
    :raises SmokeTestFailedError: When the smoke test fails.
    :raises ConflictError: When the component is not ours, or is on another endpoint, variant or base.
    :raises NotFoundError: When the endpoint, the model or the base does not exist.
    :raises InvalidSpecError: For bad input, before the first AWS call.
    :return: The component's name; ``details`` (XCom): action, endpoint_name, specification_name, previous_specification_name,
        specification or specifications as they serve, copy_count, inference_component_arn, seconds.
    """

    fields: ClassVar[type[DeployInferenceComponentFields]] = DeployInferenceComponentFields
    template_fields: Sequence[str] = DeployInferenceComponentFields.template_fields()
    template_fields_renderers: ClassVar[dict[str, str]] = (
        DeployInferenceComponentFields.template_fields_renderers()
    )

    specification = HidesSpecifications()
    specifications = HidesSpecifications()

    def __init__(
        self,
        *,
        inference_component_name: Late,
        endpoint_name: Late,
        variant_name: Late | None = None,
        specification: InferenceComponentSpecification | Mapping[str, Any] | Late | None = None,
        specifications: Sequence[InferenceComponentSpecification | Mapping[str, Any] | Late]
        | Late
        | None = None,
        copy_count: int | Late | None = None,
        rollout: Rolling | Mapping[str, Any] | Late | None = None,
        auto_rollback_alarms: Sequence[Late] | Late | None = None,
        replace_failed_component: bool | Late = True,
        adopt: bool | Late = False,
        allow_older: bool | Late = False,
        wait_for_alarms: bool | Late = False,
        smoke_test: SmokeTest | Late | None = None,
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Late | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta | Late = DEFAULT_POLL_INTERVAL,
        timeout: float | timedelta | Late | None = None,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.inference_component_name = inference_component_name
        self.endpoint_name = endpoint_name
        self.variant_name = variant_name
        # A value that is not a spec object may come from upstream to a mapped task, and stays unchanged: see HidesEnvironments.
        literal = isinstance(specification, InferenceComponentSpecification)
        self.specification = hide_specifications(specification) if literal else specification
        several = isinstance(specifications, list | tuple) and any(
            isinstance(one, InferenceComponentSpecification) for one in specifications
        )
        self.specifications = hide_specifications(specifications) if several else specifications
        self.copy_count = copy_count
        self.rollout = rollout
        self.auto_rollback_alarms = auto_rollback_alarms
        self.replace_failed_component = replace_failed_component
        self.adopt = adopt
        self.allow_older = allow_older
        self.wait_for_alarms = wait_for_alarms
        self.smoke_test = smoke_test
        self.tags = tags
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.timeout = timeout
        self._resolved: list[dict[str, Any]] | None = None

    def hidden_values(self) -> set[str]:
        """Return the values of the containers' environments."""
        return specification_values(self.specification) | specification_values(self.specifications)

    def execute(self, context: Context) -> str:
        """Check the parameters, then observe, plan, apply and wait until the deployment has ended."""
        from airflow_sm_hosting.deployment.progress import Progress

        self._resolved = None
        self._check_before_asking(self._wanted(context))
        self.check_arns("inference_component_name", "endpoint_name")
        self._resolved = self._resolve()
        wanted = self._wanted(context)
        now = time.time()
        progress = Progress(started_at=now, deadline=now + self._budget())
        return self._deploy(context, self._deployer(wanted, progress))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:
        """Continue after the deferred wait, with the same images."""
        self._resolved = event["carried"].get("containers")
        return super().execute_complete(context, event)

    def _carried(self) -> dict[str, Any]:
        return {"containers": self._resolved} if self._resolved else {}

    def _resolve(self) -> list[dict[str, Any]]:
        """Return image and artifact of each specification's container, resolved: images by digest."""
        from airflow_sm_hosting.deployer.references import ReferenceResolver

        hook = self.sagemaker_hook
        resolver = ReferenceResolver(
            ecr=self.ecr_hook, s3=lambda: self.model_data_hook, region=lambda: hook.conn_region_name
        )
        return [resolver.component(one.get("Container") or {}) for one in self._rendered()[0]]

    def _rendered(self) -> tuple[list[dict[str, Any]], bool]:
        """Return the rendered specifications, and whether they were given as a list."""
        given = self.fields.of(self)
        if given.specifications is None:
            return [rendered_specification("specification", given.specification or {})], False
        check_specification_list("specifications", given.specifications)
        return [
            rendered_specification(f"specifications[{index}]", each)
            for index, each in enumerate(given.specifications)
        ], True

    def _component(self) -> WantedComponent:
        from airflow_sm_hosting.deployment.component import WantedComponent
        from airflow_sm_hosting.service_model.request import validated_request

        given = self.fields.of(self)
        specifications, is_list = self._rendered()
        resolved = self._resolved or [
            {
                member: UNRESOLVED[member]
                for member, value in (one.get("Container") or {}).items()
                if kind_of(value)
            }
            for one in specifications
        ]
        specifications = [
            {**one, "Container": {**one["Container"], **container}} if container else one
            for one, container in zip(specifications, resolved, strict=True)
        ]
        asked = WantedComponent(
            endpoint_name=given.endpoint_name,
            variant_name=given.variant_name,
            specifications=tuple(specifications),
            is_list=is_list,
            copy_count=given.copy_count,
        )
        # Numbers that Jinja made strings become numbers, so that they compare equal to those that AWS describes.
        request = validated_request(
            "sagemaker", "CreateInferenceComponent", asked.creation(given.inference_component_name)
        )
        found = request["Specifications"] if asked.is_list else [request["Specification"]]
        return WantedComponent(
            endpoint_name=asked.endpoint_name,
            variant_name=asked.variant_name,
            specifications=tuple(found),
            is_list=asked.is_list,
            copy_count=asked.copy_count,
        )

    def _wanted(self, context: Context) -> Wanted:
        replaces = self.fields.of(self).replace_failed_component
        test = self.fields.of(self).smoke_test
        return replace(
            super()._wanted(context),
            replace_failed_endpoint=replaces,
            smoke_test=test is not None,
            smoke_request=test or {},
        )

    def _smoke_tester(self, name: str) -> SmokeTester:
        from airflow_sm_hosting.deployer.smoke_testing import SmokeTester

        given = self.fields.of(self)
        test = {"Kind": REAL_TIME, **(given.smoke_test or {}), "InferenceComponentName": name}
        if test["Kind"] == "auto":
            test["Kind"] = REAL_TIME
        return SmokeTester(self, given.endpoint_name, test, path_of=self.path_beside_dag, log=self.log)

    def _check_before_asking(self, wanted: Wanted) -> None:
        super()._check_before_asking(wanted)
        if wanted.smoke_test:
            self._smoke_tester(wanted.endpoint_name)
