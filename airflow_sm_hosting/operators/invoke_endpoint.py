"""Invoke an endpoint: the smoke test of a deployment."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.configuration import conf  # only in airflow.sdk 3.2 and newer

from airflow_sm_hosting.exceptions import InvocationError
from airflow_sm_hosting.fields import (
    Boolean,
    Choice,
    FilePath,
    Integer,
    PathAsText,
    Resource,
    Seconds,
    Text,
    Value,
    optional,
)
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.arn import ENDPOINT
from airflow_sm_hosting.spec.checks import check_name
from airflow_sm_hosting.spec.smoke_test import (
    DEFAULT_POLL_INTERVAL,
    DEFAULT_TIMEOUT,
    KINDS,
    MEMBERS,
    MOST_SECONDS,
    SHORTEST_POLL_INTERVAL,
    check_test,
    rendered_test,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.deployer.invocation import Answer
    from airflow_sm_hosting.deployer.smoke_testing import SmokeTester
    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.spec.smoke_test import Kind


class InvokeEndpointFields(AwsFields):
    """The parameters of :class:`InvokeEndpointOperator`."""

    endpoint_name = Resource(ENDPOINT)
    body = optional(Value(json=True))
    content_type = Text(default="application/json")
    accept = optional(Text())
    target_variant = optional(Text(check_name))
    expect = optional(Value(json=True))
    push_response = Boolean(default=False, templated=False)
    kind = Choice(KINDS, default="auto")
    requests_file = optional(FilePath(instead="Download it first."))
    inference_component_name = optional(Text(check_name))
    target_model = optional(Text())
    target_container_hostname = optional(Text(check_name))
    session = optional(Text())
    custom_attributes = optional(Text())
    inference_id = optional(Text())
    enable_explanations = optional(Text())
    prefix_aware_id = optional(Text())
    input_location = optional(Text())
    input_prefix = optional(Text())
    request_ttl_seconds = optional(Integer(low=60, high=21_600))
    invocation_timeout_seconds = optional(Integer(low=1, high=3600))
    s3_output_path_extension = optional(Text())
    filename = optional(Text())
    wait_for_capacity = Seconds(low=0, high=MOST_SECONDS, default=0.0)
    timeout = Seconds(low=1, high=MOST_SECONDS, default=DEFAULT_TIMEOUT)
    poll_interval = Seconds(low=SHORTEST_POLL_INTERVAL, high=3600, default=DEFAULT_POLL_INTERVAL)
    deferrable = Boolean(default=False, templated=False)

    @property
    def given(self) -> dict[str, Any]:
        """The parameters of the smoke test that are given."""
        values = {name: getattr(self, name) for name in MEMBERS}
        return {name: value for name, value in values.items() if value is not None}

    def check_together(self, where: str) -> None:
        """Check that the parameters make one kind of request."""
        if self.rendered:
            return  # in execute, by rendered_test
        # A default needs no check.
        given = {
            name: value
            for name, value in self.values.items()
            if name in MEMBERS and value is not None and value is not self.declared[name].default
        }
        check_test(where, given)


#: Maximum bytes of the answers in ``details``.
MAX_PUSHED_BYTES = 16_384


class InvokeEndpointOperator(SageMakerHostingBaseOperator):
    """Invoke an endpoint, and compare its answers with the expected ones.

    Sends one request, or one for each row of a file, in real time (``sagemaker-runtime:InvokeEndpoint``), as a stream
    (``sagemaker-runtime:InvokeEndpointWithResponseStream``) or asynchronously (``sagemaker-runtime:InvokeEndpointAsync``). Exactly one of
    ``body``, ``requests_file`` and ``input_location`` is given.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#invokeendpointoperator
        API: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html

    :param endpoint_name: Name of the endpoint, or its ARN. (templated)
    :param body: The request: a string or bytes as they are, anything else as JSON; 6291456 bytes at most, of an asynchronous endpoint
        128000, or any number with ``input_prefix``. (templated)
    :param content_type: MIME type of the request (default: ``application/json``; ``text/csv`` for the rows of a CSV file). (templated)
    :param accept: MIME type of the answer (default: the container's). (templated)
    :param target_variant: The variant that answers (default: one by weight). (templated)
    :param expect: The expected answer: a string that it must contain, an :class:`~airflow_sm_hosting.Expectation`, or any other value that
        it must equal as JSON (default: any answer). (templated)
    :param push_response: Whether to put the answers into ``details``, at most 16384 bytes of them (default: False).
    :param kind: ``"auto"`` (default) sends real-time requests, and asynchronous ones to an asynchronous endpoint; ``"streamed"`` reads the
        answer as a stream; ``"real-time"``, ``"asynchronous"``. (templated)
    :param requests_file: A file of requests, one a row: JSON Lines (``.jsonl``, ``.ndjson``) or CSV (``.csv``); a relative path starts at
        the folder of the DAG file. (templated)
    :param inference_component_name: The inference component or adapter that answers. (templated)
    :param target_model: The model of a multi-model endpoint that answers, as a key below its prefix. (templated)
    :param target_container_hostname: The container that answers, where containers are invoked directly. (templated)
    :param session: Id of a session, or ``"NEW_SESSION"``, which opens one. (templated)
    :param custom_attributes: Sent to the container as they are, 1024 ASCII characters at most. (templated)
    :param inference_id: Id of the request in captured data, 1 to 64 characters. (templated)
    :param enable_explanations: A JMESPath expression that says which records are explained, e.g. ``"`true`"``. (templated)
    :param prefix_aware_id: Groups requests for prefix-aware routing, 1 to 64 characters. (templated)
    :param input_location: S3 URL of the input, of an asynchronous endpoint. (templated)
    :param input_prefix: ``s3://`` URL of the prefix that bodies are uploaded to, and deleted from afterwards, of an asynchronous endpoint
        (default: the body is sent in the request). (templated)
    :param request_ttl_seconds: Seconds that an asynchronous request may wait, 60 to 21600 (default: 21600). (templated)
    :param invocation_timeout_seconds: Seconds that the model may take for an asynchronous request, 1 to 3600 (default: 900). (templated)
    :param s3_output_path_extension: Appended to the output path of an asynchronous endpoint. (templated)
    :param filename: Name of the output of an asynchronous request (default: a new one). (templated)
    :param wait_for_capacity: Seconds, or a timedelta, that a request is repeated for, in the worker, while a component is scaled to zero, or
        a model of a multi-model endpoint is loaded; an asynchronous answer is awaited for as much longer (default: 0, an error at once).
        (templated)
    :param timeout: Seconds, or a timedelta, until an asynchronous answer must be there, 1 to 86400 (default: 1800). (templated)
    :param poll_interval: Seconds, or a timedelta, between two looks for it, 0.1 to 3600 (default: 10). (templated)
    :param deferrable: Whether asynchronous answers are awaited in the triggerer (default: ``[operators] default_deferrable``).
    :raises InvalidSpecError: For bad input, before the first AWS call.
    :raises NotFoundError: When the endpoint has no variant ``target_variant``; the message names the existing variants.
    :raises InvocationError: When the endpoint does not answer, or its answer differs from the expected one; the message names the row.
    :raises AccessError: When the worker may not read an asynchronous answer.
    :return: The endpoint's name; ``details`` (XCom): variant, content_type, bytes, milliseconds and what else the answer has, of several
        requests their number, bytes and the slowest; and the answers if requested.
    """

    fields = InvokeEndpointFields
    template_fields: Sequence[str] = InvokeEndpointFields.template_fields()
    template_fields_renderers: ClassVar[dict[str, str]] = InvokeEndpointFields.template_fields_renderers()

    requests_file = PathAsText()

    def __init__(
        self,
        *,
        endpoint_name: Late,
        body: Any = None,
        content_type: Late = "application/json",
        accept: Late | None = None,
        target_variant: Late | None = None,
        expect: Any = None,
        push_response: bool = False,
        kind: Kind | Late = "auto",
        requests_file: str | PathLike[str] | Late | None = None,
        inference_component_name: Late | None = None,
        target_model: Late | None = None,
        target_container_hostname: Late | None = None,
        session: Late | None = None,
        custom_attributes: Late | None = None,
        inference_id: Late | None = None,
        enable_explanations: Late | None = None,
        prefix_aware_id: Late | None = None,
        input_location: Late | None = None,
        input_prefix: Late | None = None,
        request_ttl_seconds: int | Late | None = None,
        invocation_timeout_seconds: int | Late | None = None,
        s3_output_path_extension: Late | None = None,
        filename: Late | None = None,
        wait_for_capacity: float | timedelta | Late = 0.0,
        timeout: float | timedelta | Late = DEFAULT_TIMEOUT,
        poll_interval: float | timedelta | Late = DEFAULT_POLL_INTERVAL,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
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
        self.kind = kind
        self.requests_file = requests_file
        self.inference_component_name = inference_component_name
        self.target_model = target_model
        self.target_container_hostname = target_container_hostname
        self.session = session
        self.custom_attributes = custom_attributes
        self.inference_id = inference_id
        self.enable_explanations = enable_explanations
        self.prefix_aware_id = prefix_aware_id
        self.input_location = input_location
        self.input_prefix = input_prefix
        self.request_ttl_seconds = request_ttl_seconds
        self.invocation_timeout_seconds = invocation_timeout_seconds
        self.s3_output_path_extension = s3_output_path_extension
        self.filename = filename
        self.wait_for_capacity = wait_for_capacity
        self.timeout = timeout
        self.poll_interval = poll_interval
        self.deferrable = deferrable

    def execute(self, context: Context) -> str:
        """Send the requests, wait for asynchronous answers, and compare all of them."""
        given = InvokeEndpointFields.of(self)
        tester = self._tester(given, given.endpoint_name)
        self.check_arns("endpoint_name")
        answers, pending = tester.send()
        if pending:
            self._defer_if_wanted(tester, pending)
            tester.wait(pending)
            answers = tester.collect(pending)
        return self._report(context, given, tester.endpoint_name, answers)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:
        """Compare the asynchronous answers after the deferred wait."""
        if event.get("error"):
            raise InvocationError(event["error"])
        given, carried = InvokeEndpointFields.of(self), event["carried"]
        name = carried["endpoint_name"]
        answers = self._tester(given, name).collect(carried["pending"])
        return self._report(context, given, name, answers)

    def _tester(self, given: InvokeEndpointFields, endpoint_name: str) -> SmokeTester:
        from airflow_sm_hosting.deployer.smoke_testing import SmokeTester

        test = rendered_test("", {MEMBERS[name]: value for name, value in given.given.items()})
        return SmokeTester(self, endpoint_name, test, path_of=self.path_beside_dag, log=self.log)

    def _defer_if_wanted(self, tester: SmokeTester, pending: list[dict[str, Any]]) -> None:
        """Defer the wait for asynchronous answers to the triggerer, and never return; if it is not deferrable, do nothing."""
        if not self.deferrable:
            return
        from airflow_sm_hosting.triggers.async_answer import AsyncAnswerTrigger

        self.defer(
            trigger=AsyncAnswerTrigger(
                pending=[{"output": one["output"], "failure": one["failure"]} for one in pending],
                deadline=time.time() + tester.patience,
                poll_interval=tester.poll_interval,
                carried={"endpoint_name": tester.endpoint_name, "pending": pending},
                **self.aws_parameters,
            ),
            method_name="execute_complete",
        )

    def _report(
        self, context: Context, given: InvokeEndpointFields, name: str, answers: Sequence[Answer]
    ) -> str:
        """Log and push what came; return the endpoint's name."""
        if given.requests_file is None:
            details = _details(answers[0])
            self.log.info(
                "Endpoint %s answered %d bytes of %s from variant %s",
                name,
                details["bytes"],
                details["content_type"],
                details["variant"],
            )
        else:
            times = [answer.milliseconds for answer in answers if answer.milliseconds is not None]
            details = {
                "requests": len(answers),
                "bytes": sum(len(answer.content) for answer in answers),
                "slowest_milliseconds": max(times, default=None),
            }
            self.log.info("Endpoint %s answered %d requests as expected", name, len(answers))
        if given.push_response:
            details["response"] = _shown(answers)
            if answers[0].custom_attributes is not None:
                details["custom_attributes"] = answers[0].custom_attributes
        self.push_details(context, details)
        return name


def _details(answer: Answer) -> dict[str, Any]:
    """Return the details of one answer; what it does not have is left out, but for what each answer has."""
    found = {
        "first_part_milliseconds": answer.first_part_ms,
        "session": answer.session,
        "closed_session": answer.closed_session,
        "output_location": answer.output_location,
    }
    return {
        "variant": answer.variant,
        "content_type": answer.content_type,
        "bytes": len(answer.content),
        "milliseconds": answer.milliseconds,
        **{name: value for name, value in found.items() if value is not None},
    }


def _shown(answers: Sequence[Answer]) -> str | list[str]:
    """Return the answers as text, at most 16384 bytes together; one answer by itself."""
    if len(answers) == 1:
        return answers[0].content[:MAX_PUSHED_BYTES].decode(errors="replace")
    left, shown = MAX_PUSHED_BYTES, []
    for answer in answers:
        shown.append(answer.content[:left].decode(errors="replace"))
        left -= min(left, len(answer.content))
    return shown
