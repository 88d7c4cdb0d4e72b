"""Report how a shadow variant does beside the production variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.exceptions import NotFoundError
from airflow_sm_hosting.fields import Integer, Number, Resource, Seconds
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.arn import ENDPOINT

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late

#: How far back CloudWatch keeps values of a minute (GetMetricData), in seconds.
LONGEST_LOOKBACK = 15 * 24 * 3600


class ReportShadowFields(AwsFields):
    """The parameters of :class:`ReportShadowOperator`."""

    endpoint_name = Resource(ENDPOINT)
    lookback = Seconds(low=60, high=LONGEST_LOOKBACK, default=3600)
    tolerance = Number(low=0, default=0.0)
    relative_tolerance = Number(low=0, default=0.0)
    max_files = Integer(low=1, default=100)


class ReportShadowOperator(SageMakerHostingBaseOperator):
    """Compare a shadow variant with the production variant: requests, latency and errors, and how far their captured answers agree.

    The metrics are those of CloudWatch (``cloudwatch:GetMetricData``). Answers are compared if the endpoint config captures data of both
    variants: those to requests with the same ``InferenceId``, or with the same body. The table is in the log and in ``details``.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#reportshadowoperator
        AWS: https://docs.aws.amazon.com/sagemaker/latest/dg/shadow-tests-view-monitor-edit.html

    :param endpoint_name: Name of the endpoint, or its ARN. (templated)
    :param lookback: Seconds, or a timedelta, until now, 60 to 1296000 (default: 3600). (templated)
    :param tolerance: How far numbers of JSON answers may be from each other, 0 or more (default: 0). (templated)
    :param relative_tolerance: The same, as a part of the larger number (default: 0). (templated)
    :param max_files: Captured files that are read of each variant at most, 1 or more, the newest (default: 100). (templated)
    :raises NotFoundError: When the endpoint does not exist, or has no shadow variant.
    :return: The endpoint's name; ``details`` (XCom): production and shadow, each with variant, invocations, mean_latency_ms, max_latency_ms,
        errors_4xx and errors_5xx; compared, equal, agreement (0 to 1, None if nothing was compared), different (some inference ids), table.
    """

    fields = ReportShadowFields
    template_fields: Sequence[str] = ReportShadowFields.template_fields()

    def __init__(
        self,
        *,
        endpoint_name: Late,
        lookback: float | timedelta | Late = 3600,
        tolerance: float | Late = 0.0,
        relative_tolerance: float | Late = 0.0,
        max_files: int | Late = 100,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.endpoint_name = endpoint_name
        self.lookback = lookback
        self.tolerance = tolerance
        self.relative_tolerance = relative_tolerance
        self.max_files = max_files

    def execute(self, context: Context) -> str:
        """Read metrics and captured answers, and report them."""
        from airflow_sm_hosting.deployer.shadow_reading import captured_answers, variant_metrics
        from airflow_sm_hosting.deployment.shadow import agreement, report_table, variants_of

        given = ReportShadowFields.of(self)
        self.check_arns("endpoint_name")
        endpoint, config = self._described(given.endpoint_name)
        found = variants_of(config)
        if found is None:
            raise NotFoundError(
                f"Endpoint {endpoint} serves endpoint config {config.get('EndpointConfigName')}, which has no shadow variant."
            )
        production, shadow = (one["VariantName"] for one in found)
        end = datetime.now(UTC)
        start = end - timedelta(seconds=given.lookback)
        # The minute that has not ended is asked for, too.
        metrics = [
            variant_metrics(self, endpoint, name, start, end + timedelta(minutes=1))
            for name in (production, shadow)
        ]
        captured = [
            captured_answers(self, config, endpoint, name, start=start, end=end, most=given.max_files)
            for name in (production, shadow)
        ]
        answers = None
        if captured[0] is not None and captured[1] is not None:
            answers = agreement(
                captured[0], captured[1], tolerance=given.tolerance, relative=given.relative_tolerance
            )
        table = report_table((production, metrics[0]), (shadow, metrics[1]), answers)
        for line in table:
            self.log.info("%s", line)
        self.push_details(
            context,
            {
                "production": {"variant": production, **metrics[0].as_json()},
                "shadow": {"variant": shadow, **metrics[1].as_json()},
                "compared": answers.compared if answers else 0,
                "equal": answers.equal if answers else 0,
                "agreement": answers.share if answers else None,
                "different": list(answers.different) if answers else [],
                "table": "\n".join(table),
            },
        )
        return given.endpoint_name

    def _described(self, name: str) -> tuple[str, Mapping[str, Any]]:
        """Return the name of the endpoint as AWS describes it, and its config."""
        hook = self.sagemaker_hook
        described = hook.describe_endpoint(name)
        if described is None:
            raise NotFoundError(f"There is no endpoint {name!r}.")
        config: Mapping[str, Any] = hook.describe_endpoint_config(described["EndpointConfigName"]) or {}
        return described["EndpointName"], config
