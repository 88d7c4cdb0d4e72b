"""Invoke an endpoint: the smoke test of a deployment."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_hosting.exceptions import InvocationError
from airflow_sm_hosting.fields import Boolean, Resource, Text, Value, optional
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.arn import ENDPOINT
from airflow_sm_hosting.spec.checks import check_name

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.deployer.invocation import Answer
    from airflow_sm_hosting.fields import Late


class InvokeEndpointFields(AwsFields):
    """The parameters of :class:`InvokeEndpointOperator`."""

    endpoint_name = Resource(ENDPOINT)
    body = Value(json=True)
    content_type = Text(default="application/json")
    accept = optional(Text())
    target_variant = optional(Text(check_name))
    expect = optional(Value(json=True))
    push_response = Boolean(default=False, templated=False)


#: Maximum bytes of an answer in ``details``.
MAX_PUSHED_BYTES = 16_384


class InvokeEndpointOperator(SageMakerHostingBaseOperator):
    """Invoke an endpoint once, and compare its answer with the expected one (``sagemaker-runtime:InvokeEndpoint``).

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#invokeendpointoperator
        API: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html

    :param endpoint_name: Name of the endpoint, or its ARN. (templated)
    :param body: The request: a string or bytes as they are, anything else as JSON; 6291456 bytes at most. (templated)
    :param content_type: MIME type of the request (default: ``application/json``). (templated)
    :param accept: MIME type of the answer (default: the container's). (templated)
    :param target_variant: The variant that answers (default: one by weight). (templated)
    :param expect: The expected answer: a string that it must contain, or any other value that it must equal as JSON
        (default: any answer). (templated)
    :param push_response: Whether to put the answer into ``details``, at most 16384 bytes of it (default: False).
    :raises NotFoundError: When the endpoint has no variant ``target_variant``; the message names the existing variants.
    :raises InvocationError: When the endpoint does not answer, or its answer differs from the expected one.
    :return: The endpoint's name; ``details`` (XCom): variant, content_type, bytes, and the answer if requested.
    """

    fields = InvokeEndpointFields
    template_fields: Sequence[str] = InvokeEndpointFields.template_fields()
    template_fields_renderers: ClassVar[dict[str, str]] = InvokeEndpointFields.template_fields_renderers()

    def __init__(
        self,
        *,
        endpoint_name: Late,
        body: Any,
        content_type: Late = "application/json",
        accept: Late | None = None,
        target_variant: Late | None = None,
        expect: Any = None,
        push_response: bool = False,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.endpoint_name = endpoint_name
        self.body = body
        self.content_type = content_type
        self.accept = accept
        self.target_variant = target_variant
        self.expect = expect
        self.push_response = push_response

    def execute(self, context: Context) -> str:
        """Invoke the endpoint once, and compare the answer."""
        from airflow_sm_hosting.deployer.invocation import compare, encoded

        given = InvokeEndpointFields.of(self)
        name = given.endpoint_name
        body = encoded(given.body)
        self.check_arns("endpoint_name")
        try:
            answer = self._answer(given, name, body)
        except InvocationError as error:
            # InvokeEndpoint compares the name exactly, the other operations do not (API_CreateEndpoint, EndpointName).
            other = self.name_in_its_case(name) if error.code == "ValidationError" else None
            if other is None:
                raise
            self.log.info("Endpoint %s is %s; it is invoked by that name", name, other)
            name = other
            answer = self._answer(given, name, body)
        compare(self.runtime_hook, name, answer.content, given.expect)
        self.log.info(
            "Endpoint %s answered %d bytes of %s from variant %s",
            name,
            len(answer.content),
            answer.content_type,
            answer.variant,
        )
        details: dict[str, Any] = {
            "variant": answer.variant,
            "content_type": answer.content_type,
            "bytes": len(answer.content),
        }
        if given.push_response:
            details["response"] = answer.content[:MAX_PUSHED_BYTES].decode(errors="replace")
        self.push_details(context, details)
        return name

    def _answer(self, given: InvokeEndpointFields, name: str, body: bytes) -> Answer:
        from airflow_sm_hosting.deployer.invocation import invoke

        variant = given.target_variant
        try:
            return invoke(
                self.runtime_hook,
                name,
                body,
                content_type=given.content_type,
                accept=given.accept,
                target_variant=variant,
            )
        except InvocationError as error:
            if variant is not None and error.code == "ValidationError":
                self._check_variant(name, variant)
            raise

    def _check_variant(self, name: str, variant: str) -> None:
        """Raise an error with the existing variants, if the requested variant does not exist."""
        from botocore.exceptions import ClientError

        # The permission to describe is optional; without it, AWS's own message must suffice.
        with suppress(ClientError):
            self.sagemaker_hook.find_production_variant(name, variant)
