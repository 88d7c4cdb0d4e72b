"""Links from a task to the AWS console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from airflow.sdk.types import TaskInstanceKey

#: AWS General Reference, "AWS service endpoints": the consoles of the partitions.
CONSOLES = {
    "aws": "{region}.console.aws.amazon.com",
    "aws-cn": "{region}.console.amazonaws.cn",
    "aws-us-gov": "{region}.console.amazonaws-us-gov.com",
    "aws-eusc": "{region}.console.amazonaws-eusc.eu",
}


class ConsoleLink(BaseOperatorLink):
    """A link whose address the task pushes as an XCom while it runs."""

    key: str
    path: str

    def persist(self, context: Context, *, partition: str, region: str, **names: str) -> None:
        """Push the address; a partition whose console is not known has none."""
        host = CONSOLES.get(partition)
        if host is None:
            return
        quoted = {name: quote(value, safe="") for name, value in names.items()}
        address = f"https://{host.format(region=region)}/{self.path.format(region=region, **quoted)}"
        context["ti"].xcom_push(key=self.key, value=address)

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address that the task pushed."""
        from airflow.sdk.execution_time.xcom import XCom

        address: Any = XCom.get_value(key=self.key, ti_key=ti_key)
        return address or ""


class EndpointLink(ConsoleLink):
    """The endpoint in the SageMaker console."""

    name = "Endpoint"
    key = "endpoint_link"
    path = "sagemaker/home?region={region}#/endpoints/{endpoint_name}"


class EndpointLogsLink(ConsoleLink):
    """The endpoint's log group in the CloudWatch console."""

    name = "Endpoint logs"
    key = "endpoint_logs_link"
    # The console writes '%' of an encoded log group as '$25'.
    path = (
        "cloudwatch/home?region={region}#logsV2:log-groups/log-group/"
        "$252Faws$252Fsagemaker$252FEndpoints$252F{endpoint_name}"
    )


class ComponentLogsLink(ConsoleLink):
    """The inference component's log group in the CloudWatch console."""

    name = "Inference component logs"
    key = "inference_component_logs_link"
    path = (
        "cloudwatch/home?region={region}#logsV2:log-groups/log-group/"
        "$252Faws$252Fsagemaker$252FInferenceComponents$252F{inference_component_name}"
    )


class AlarmLink(ConsoleLink):
    """The alarm in the CloudWatch console."""

    name = "Alarm"
    key = "alarm_link"
    path = "cloudwatch/home?region={region}#alarmsV2:alarm/{alarm_name}"


class DashboardLink(ConsoleLink):
    """The dashboard in the CloudWatch console."""

    name = "Dashboard"
    key = "dashboard_link"
    path = "cloudwatch/home?region={region}#dashboards/dashboard/{dashboard_name}"
