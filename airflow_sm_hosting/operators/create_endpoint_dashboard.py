"""Create a CloudWatch dashboard of an endpoint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_hosting.exceptions import NotFoundError
from airflow_sm_hosting.fields import Boolean, ListOf, Resource, Text, WholeSeconds, optional
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.links import DashboardLink
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.arn import ENDPOINT
from airflow_sm_hosting.spec.checks import check_text
from airflow_sm_hosting.spec.metric import check_period

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late

#: What the default name of a dashboard begins with; the endpoint's name follows.
PREFIX = "sagemaker-"


def _check_name(where: str, value: Any) -> None:
    # PutDashboard, DashboardName
    check_text(
        where,
        value,
        pattern=r"[0-9A-Za-z_-]+",
        max_length=255,
        allowed="letters, digits, hyphens and underscores, 1 to 255 characters",
    )


class CreateEndpointDashboardFields(AwsFields):
    """The parameters of :class:`CreateEndpointDashboardOperator`."""

    endpoint_name = Resource(ENDPOINT)
    dashboard_name = optional(Text(_check_name, blank=False))
    alarm_names = ListOf()
    period = WholeSeconds(low=60, high=86_400, default=60)
    adopt = Boolean(default=False)

    def check_together(self, where: str) -> None:
        """Check that the period is one of CloudWatch's (PutDashboard, metric widget)."""
        check_period(f"{where}period", self.period)


class CreateEndpointDashboardOperator(SageMakerHostingBaseOperator):
    """Create or update a CloudWatch dashboard of an endpoint; write only differences (``cloudwatch:PutDashboard``).

    It shows each variant's requests, latency, errors, load, CPU and memory, and instances where it is scaled; the queue of an asynchronous
    endpoint; alarms; and a mark for each deployment that a run of this task has found. Graphs that this kind of endpoint does not publish are
    left out.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#createendpointdashboardoperator
        API: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html

    :param endpoint_name: Name of the endpoint, or its ARN. (templated)
    :param dashboard_name: Name of the dashboard, 1 to 255 letters, digits, hyphens and underscores (default: ``sagemaker-<endpoint>``).
        (templated)
    :param alarm_names: Names of the alarms to show, metric or composite, at most 100 (default: none). (templated)
    :param period: Seconds, or a timedelta, of a point, a multiple of 60, 60 to 86400 (default: 60). (templated)
    :param adopt: Whether the task may overwrite a dashboard with this name that this package did not make (default: False). (templated)
    :raises NotFoundError: When the endpoint or an alarm does not exist.
    :raises ConflictError: When others made a dashboard of this name.
    :return: The dashboard's name; ``details`` (XCom): written, marks.
    """

    fields: ClassVar[type[CreateEndpointDashboardFields]] = CreateEndpointDashboardFields
    template_fields: Sequence[str] = CreateEndpointDashboardFields.template_fields()
    operator_extra_links = (DashboardLink(),)

    def __init__(
        self,
        *,
        endpoint_name: Late,
        dashboard_name: Late | None = None,
        alarm_names: Sequence[Late] | Late = (),
        period: int | timedelta | Late = 60,
        adopt: bool | Late = False,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.endpoint_name = endpoint_name
        self.dashboard_name = dashboard_name
        self.alarm_names = alarm_names
        self.period = period
        self.adopt = adopt

    def execute(self, context: Context) -> str:
        """Describe the endpoint, compare its dashboard with the existing one, and put it if it differs."""
        from airflow_sm_hosting.deployment.dashboard import (
            check_owner,
            dashboard_body,
            mark_of,
            marks_of,
            parsed,
        )

        given = CreateEndpointDashboardFields.of(self)
        self.check_arns("endpoint_name")
        sagemaker, cloudwatch = self.sagemaker_hook, self.cloudwatch_hook
        described = sagemaker.describe_endpoint(given.endpoint_name)
        if described is None:
            raise NotFoundError(f"There is no endpoint {given.endpoint_name!r}.")
        name = given.dashboard_name or f"{PREFIX}{described['EndpointName']}"
        for link in self.operator_extra_links:
            link.persist_for(context, cloudwatch, dashboard_name=name)
        found = cloudwatch.dashboard(name)
        check_owner(name, found, adopt=given.adopt)
        before = parsed(found)
        marks = marks_of(before, mark_of(described))
        body = dashboard_body(
            described,
            sagemaker.describe_endpoint_config(described["EndpointConfigName"]) or {},
            region=cloudwatch.conn_region_name,
            period=given.period,
            alarm_arns=self._alarm_arns(given.alarm_names),
            scaling=self._scaling(described),
            marks=marks,
        )
        written = body != before
        if written:
            for message in cloudwatch.put_dashboard(name, json.dumps(body)):
                self.log.warning("Dashboard %s: %s", name, message)
        self.log.info("Dashboard %s is %s", name, "written" if written else "up to date")
        self.push_details(context, {"written": written, "marks": len(marks)})
        return str(name)

    def _alarm_arns(self, names: list[str]) -> list[str]:
        described = self.cloudwatch_hook.describe_alarms(names) if names else {}
        if missing := [name for name in names if name not in described]:
            raise NotFoundError(
                f"The dashboard shows alarms that do not exist: {', '.join(missing)}. Create them first."
            )
        return [str(described[name]["AlarmArn"]) for name in names]

    def _scaling(self, described: Any) -> dict[str, tuple[int, int]]:
        """Return the capacity of each variant that is a scalable target."""
        from airflow_sm_hosting.deployment.scaling_snapshot import variant_of
        from airflow_sm_hosting.spec.scaling_rules import INSTANCE_COUNT

        variants = [one["VariantName"] for one in described.get("ProductionVariants") or []]
        ids = [f"endpoint/{described['EndpointName']}/variant/{name}" for name in variants]
        targets = self.auto_scaling_hook.scalable_targets(ids) if ids else []
        return {
            variant_of(one["ResourceId"])[1]: (one["MinCapacity"], one["MaxCapacity"])
            for one in targets
            if one["ScalableDimension"] == INSTANCE_COUNT
        }
