"""Links from a task to the AWS console, or to the page of the local AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol
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


#: The page of the local AWS (``local/server/browser_page.py``), below the address of its server.
LOCAL_PAGE = "/_sm_hosting/ui/"


class Connected(Protocol):
    """Where a connection leads to; the hooks are such."""

    @property
    def conn_partition(self) -> str:
        """The partition."""

    @property
    def conn_region_name(self) -> str:
        """The Region."""

    @property
    def local_aws(self) -> str | None:
        """The address of the local AWS; None for AWS itself."""


class ConsoleLink(BaseOperatorLink):
    """A link whose address the task pushes as an XCom while it runs: to AWS's console, or to the page of the local AWS.

    ``path`` is the path in the console, ``local_path`` that in the page of the local AWS.
    """

    key: str
    path: str
    local_path: str

    def persist(
        self,
        context: Context,
        *,
        partition: str,
        region: str,
        local_aws: str | None = None,
        **names: str,
    ) -> None:
        """Push the address; a partition whose console is not known has none.

        :param partition: The partition of the Region.
        :param region: The Region.
        :param local_aws: The address of the local AWS, if the task uses one.
        :param names: What the path names.
        """
        host = CONSOLES.get(partition)
        quoted = {name: quote(value, safe="") for name, value in names.items()}
        if local_aws is not None:
            address = f"{local_aws}{LOCAL_PAGE}{self.local_path.format(**quoted)}?region={region}"
        elif host is not None:
            address = f"https://{host.format(region=region)}/{self.path.format(region=region, **quoted)}"
        else:
            return
        context["ti"].xcom_push(key=self.key, value=address)

    def persist_for(self, context: Context, hook: Connected, **names: str) -> None:
        """Push the address for the connection of a hook.

        :param hook: The hook.
        :param names: What the path names.
        """
        self.persist(
            context,
            partition=hook.conn_partition,
            region=hook.conn_region_name,
            local_aws=hook.local_aws,
            **names,
        )

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address that the task pushed."""
        from airflow.sdk.execution_time.xcom import XCom

        address: Any = XCom.get_value(key=self.key, ti_key=ti_key)
        return address or ""


class EndpointLink(ConsoleLink):
    """The endpoint in the SageMaker console."""

    name = "Endpoint"
    key = "endpoint_link"
    local_path = "endpoints/{endpoint_name}"
    path = "sagemaker/home?region={region}#/endpoints/{endpoint_name}"


class EndpointLogsLink(ConsoleLink):
    """The endpoint's log group in the CloudWatch console."""

    name = "Endpoint logs"
    key = "endpoint_logs_link"
    local_path = "logs/endpoints/{endpoint_name}"
    # The console writes '%' of an encoded log group as '$25'.
    path = (
        "cloudwatch/home?region={region}#logsV2:log-groups/log-group/"
        "$252Faws$252Fsagemaker$252FEndpoints$252F{endpoint_name}"
    )


class ComponentLogsLink(ConsoleLink):
    """The inference component's log group in the CloudWatch console."""

    name = "Inference component logs"
    key = "inference_component_logs_link"
    local_path = "logs/components/{inference_component_name}"
    path = (
        "cloudwatch/home?region={region}#logsV2:log-groups/log-group/"
        "$252Faws$252Fsagemaker$252FInferenceComponents$252F{inference_component_name}"
    )


class AlarmLink(ConsoleLink):
    """The alarm in the CloudWatch console."""

    name = "Alarm"
    key = "alarm_link"
    local_path = "alarms/{alarm_name}"
    path = "cloudwatch/home?region={region}#alarmsV2:alarm/{alarm_name}"


class DashboardLink(ConsoleLink):
    """The dashboard in the CloudWatch console."""

    name = "Dashboard"
    key = "dashboard_link"
    local_path = "dashboards/{dashboard_name}"
    path = "cloudwatch/home?region={region}#dashboards/dashboard/{dashboard_name}"


class EndpointConfigLink(ConsoleLink):
    """The endpoint config in the SageMaker console."""

    name = "Endpoint config"
    key = "endpoint_config_link"
    local_path = "endpoint-configs/{endpoint_config_name}"
    path = "sagemaker/home?region={region}#/endpointConfig/{endpoint_config_name}"


class ModelLink(ConsoleLink):
    """The model in the SageMaker console."""

    name = "Model"
    key = "model_link"
    local_path = "models/{model_name}"
    path = "sagemaker/home?region={region}#/models/{model_name}"


class RepositoryLink(ConsoleLink):
    """The repository of the image in the ECR console."""

    name = "Repository"
    key = "repository_link"
    local_path = "repositories/{repository_name}"
    path = "ecr/repositories/private/{registry_id}/{repository_name}?region={region}"


class ArtifactLink(ConsoleLink):
    """The artifact in the S3 console."""

    name = "Artifact"
    key = "artifact_link"
    local_path = "objects/{bucket}/{object_key}"
    path = "s3/object/{bucket}?region={region}&prefix={object_key}"
