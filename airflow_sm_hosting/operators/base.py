"""Shared parts of all operators of this package: the AWS parameters, and the XCom with details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.fields import HasFields
from airflow_sm_hosting.guarded_task import GuardedTask
from airflow_sm_hosting.hooks.parameters import DEFAULT_CONNECTION, AwsFields, AwsParameters
from airflow_sm_hosting.retries import RETRIES
from airflow_sm_hosting.spec.patterns import MAX_TAGS

if TYPE_CHECKING:
    from os import PathLike

    from airflow.sdk import Context
    from airflow.sdk.definitions.retry_policy import RetryPolicy

    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.stat_cache import StatCache

#: Key of the second XCom, beside ``return_value``.
DETAILS = "details"

#: Maximum number of user tags on a resource with two of ours: the package's mark, and the digest of the content.
MOST_TAGS = MAX_TAGS - 2


#: Airflow sets this after the construction of a task; from then on, setting an attribute may make an upstream edge.
_INSTANTIATED = "_BaseOperator__instantiated"


@cache
def _special_attributes(owner: type) -> frozenset[str]:
    """Return the attributes of a class that Airflow converts when they are set, or that have a setter."""
    return frozenset(
        name.removeprefix("_convert_")
        for name, value in vars(owner).items()
        if name.startswith("_convert_") or hasattr(value, "__set__")
    )


#: Default of a parameter that a DAG's ``default_args`` may give.
_NOT_GIVEN: Any = object()


class _AwsArguments(AwsParameters):
    """The constructor of the operators' base, in a separate class: Airflow wraps an operator's own constructor, which costs 6 us a task."""

    if TYPE_CHECKING:
        retry_policy: RetryPolicy | None

    def __init__(
        self,
        *,
        aws_conn_id: Late | None = _NOT_GIVEN,
        region_name: Late | None = _NOT_GIVEN,
        verify: bool | PathLike[str] | Late | None = _NOT_GIVEN,
        botocore_config: Mapping[str, Any] | None = _NOT_GIVEN,
        **kwargs: Any,
    ) -> None:
        # The wrapper of the operator's own constructor adds this argument.
        defaults = kwargs.get("default_args") or {}
        super().__init__(**kwargs)
        if aws_conn_id is _NOT_GIVEN:
            aws_conn_id = defaults.get("aws_conn_id", DEFAULT_CONNECTION)
        if region_name is _NOT_GIVEN:
            region_name = defaults.get("region_name")
        if verify is _NOT_GIVEN:
            verify = defaults.get("verify")
        if botocore_config is _NOT_GIVEN:
            botocore_config = defaults.get("botocore_config")
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        if getattr(self, "retry_policy", None) is None:
            self.retry_policy = RETRIES  # type: ignore[assignment]  # see there


class SageMakerHostingBaseOperator(GuardedTask, _AwsArguments, HasFields, BaseOperator):
    """Base of the operators.

    Their ``retry_policy`` fails at once on errors that another try cannot fix (Airflow 3.3 and newer; your own policy replaces it).

    :param aws_conn_id: The Airflow connection used for AWS credentials (default: ``aws_default``). None, and an ``aws_default`` that
        does not exist, mean the worker's own credentials; any other id that does not exist is an error. (templated)
    :param region_name: AWS Region (default: the connection's). (templated)
    :param verify: Whether to verify TLS certificates, or the path of a CA bundle (default: the connection's). (templated)
    :param botocore_config: Configuration of the botocore clients as a dict (default: the connection's ``config_kwargs``).
    """

    fields = AwsFields
    template_fields: Sequence[str] = AwsFields.template_fields()
    ui_color = "#e8f0fb"

    #: Attributes for which setting does more than write an entry of ``__dict__``.
    _not_plain: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._not_plain = frozenset().union(*map(_special_attributes, cls.__mro__))

    if hasattr(BaseOperator, _INSTANTIATED):  # otherwise Airflow's method is another one

        def __setattr__(self, key: str, value: Any) -> None:
            """Set an attribute; during construction, without Airflow's work on later changes.

            A task has 80 attributes, and Airflow's own is a third of the CPU of making one, at every parse of its DAG file.
            """
            attributes = self.__dict__
            if _INSTANTIATED in attributes or key in self._not_plain:
                super().__setattr__(key, value)
            else:
                attributes[key] = value

    def path_beside_dag(self, path: str) -> Path:
        """Return a path; a relative path starts at the folder of the DAG file, in any bundle."""
        given = Path(path).expanduser()
        if given.is_absolute():
            return given
        fileloc = self.dag.fileloc if self.has_dag() else ""  # type: ignore[no-untyped-call]
        if not fileloc:
            raise InvalidSpecError(
                f"{path!r} is a relative path, and the task has no DAG file that it could be relative to."
            )
        return Path(fileloc).parent / given

    @staticmethod
    def stat_cache() -> StatCache | None:
        """Return what remembers the digests of files on this worker; None if Airflow's configuration switches it off."""
        from airflow.configuration import conf

        from airflow_sm_hosting.stat_cache import StatCache

        return StatCache() if conf.getboolean("sm_hosting", "stat_cache", fallback=True) else None

    @staticmethod
    def push_details(context: Context, details: dict[str, Any]) -> None:
        """Push details in addition to the return value, as plain JSON."""
        context["ti"].xcom_push(key=DETAILS, value=details)
