"""The smoke test of a new deployment: a request and its expected answer."""

from __future__ import annotations

from typing import Any, TypeAlias

from airflow_sm_hosting.spec.checks import check_name, invalid
from airflow_sm_hosting.spec.reference import Reference
from airflow_sm_hosting.spec.templated import RenderedLater, TemplatedStr

#: A value that is sent as JSON; a string may be Jinja.
Json: TypeAlias = dict[str, Any] | list[Any] | tuple[Any, ...] | str | int | float | bool


class SmokeTest(Reference):
    """One invocation of an endpoint after a deployment, and the expected answer.

    :param body: The request: a string as it is, anything else as JSON; 6291456 bytes at most. (templated)
    :param content_type: MIME type of the request (default: ``application/json``). (templated)
    :param accept: MIME type wanted of the answer (default: the container's). (templated)
    :param target_variant: The variant that answers (default: one by weight). (templated)
    :param expect: The expected answer: a string that it must contain, or any other value that it must equal as JSON
        (default: any answer). (templated)
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
    """

    def __init__(
        self,
        *,
        body: Json | RenderedLater,
        content_type: TemplatedStr | None = "application/json",
        accept: TemplatedStr | None = None,
        target_variant: TemplatedStr | None = None,
        expect: Json | RenderedLater | None = None,
    ) -> None:
        if body is None or isinstance(body, bytes):
            raise invalid("SmokeTest: body", body, "a string, or a value that can be serialised as JSON")
        if target_variant is not None:
            check_name("SmokeTest: target_variant", target_variant)
        super().__init__(
            "SmokeTest",
            Body=body,
            ContentType=content_type,
            Accept=accept,
            TargetVariant=target_variant,
            Expect=expect,
        )
