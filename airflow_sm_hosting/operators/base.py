"""What all operators of this package share: the AWS parameters, and how details are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.fields import HasFields
from airflow_sm_hosting.hooks.parameters import DEFAULT_CONNECTION, AwsFields, AwsParameters
from airflow_sm_hosting.retries import RETRIES
from airflow_sm_hosting.spec.patterns import MAX_TAGS

if TYPE_CHECKING:
    from os import PathLike

    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late

#: Key of the second XCom, beside ``return_value``.
DETAILS = "details"

#: Tags that a user may give to what carries two of ours: the package's mark, and the digest of the content.
MOST_TAGS = MAX_TAGS - 2


class SageMakerHostingBaseOperator(AwsParameters, HasFields, BaseOperator):
    """Base of the operators.

    Their ``retry_policy`` fails at once what another try would meet again (Airflow 3.3 and newer; one of your own takes its place).

    :param aws_conn_id: The Airflow connection used for AWS credentials (default: ``aws_default``). None, and an ``aws_default`` that
        does not exist, mean the worker's own credentials; any other id that does not exist is an error. (templated)
    :param region_name: AWS Region (default: the connection's). (templated)
    :param verify: Whether to verify TLS certificates, or the path of a CA bundle (default: the connection's). (templated)
    :param botocore_config: Configuration of the botocore clients as a dict (default: the connection's ``config_kwargs``).
    """

    fields = AwsFields
    template_fields: Sequence[str] = AwsFields.template_fields
    ui_color = "#e8f0fb"

    def __init__(
        self,
        *,
        aws_conn_id: Late | None = DEFAULT_CONNECTION,
        region_name: Late | None = None,
        verify: bool | PathLike[str] | Late | None = None,
        botocore_config: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        if getattr(self, "retry_policy", None) is None:
            self.retry_policy = RETRIES  # type: ignore[assignment]  # see there

    def path_beside_dag(self, path: str) -> Path:
        """Return a path; a relative one is taken from the folder of the DAG file, wherever its bundle lies."""
        given = Path(path).expanduser()
        if given.is_absolute():
            return given
        fileloc = self.dag.fileloc if self.has_dag() else ""  # type: ignore[no-untyped-call]
        if not fileloc:
            raise InvalidSpecError(
                f"{path!r} is a relative path, and the task has no DAG file to take it from."
            )
        return Path(fileloc).parent / given

    @staticmethod
    def tell_details(context: Context, details: dict[str, Any]) -> None:
        """Push what there is to know beside the return value, as plain JSON."""
        context["ti"].xcom_push(key=DETAILS, value=details)
