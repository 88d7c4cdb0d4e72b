"""Carry out a smoke test: send its requests, wait for asynchronous answers, compare them with the expected ones."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from airflow_sm_hosting.deployer.async_answers import (
    AnswerPolls,
    content_of,
    delete_input,
    is_there,
    put_input,
    wait_for_answers,
)
from airflow_sm_hosting.deployer.environments import masked_answer
from airflow_sm_hosting.deployer.invocation import (
    MAX_TOLD_CHARACTERS,
    Accepted,
    Answer,
    checked_request,
    encoded,
    invoke,
    takes_async_body,
)
from airflow_sm_hosting.deployment.answer_check import Checks, shortened, wrong_with
from airflow_sm_hosting.deployment.request_rows import Row, rows
from airflow_sm_hosting.deployment.smoke_test import may_be_asynchronous, request_members
from airflow_sm_hosting.exceptions import InvalidSpecError, InvocationError, NotFoundError
from airflow_sm_hosting.spec.expectation import expectation
from airflow_sm_hosting.spec.smoke_test import (
    ASYNCHRONOUS,
    DEFAULT_POLL_INTERVAL,
    DEFAULT_TIMEOUT,
    REAL_TIME,
    known_kind,
    row_format,
)

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.parameters import AwsParameters
    from airflow_sm_hosting.images.builders import Log


class SmokeTester:
    """Sends the requests of a smoke test, and judges the answers.

    :param aws: Makes the hooks.
    :param endpoint_name: The endpoint.
    :param test: The members of the smoke test, rendered.
    :param path_of: Makes an absolute path of one that the user has given.
    :param log: Logger of the task.
    :raises InvalidSpecError: Before the first call, for what can never work.
    """

    def __init__(
        self,
        aws: AwsParameters,
        endpoint_name: str,
        test: Mapping[str, Any],
        *,
        path_of: Callable[[str], Path],
        log: Log,
    ) -> None:
        self._aws = aws
        self.endpoint_name = endpoint_name
        self._test = test
        self._log = log
        self._expected = test.get("Expect") or {}
        self._functions = _functions(self._expected)
        _check_schema(self._expected)
        self._rows = _rows(test, path_of)
        self._kind = known_kind(test)
        for kind in (REAL_TIME, ASYNCHRONOUS) if self._kind is None else (self._kind,):
            if kind != ASYNCHRONOUS or self._kind or may_be_asynchronous(test):
                checked_request(kind, endpoint_name, request_members(test, kind))
        # An input that is in S3 already has no body.
        self._bodies = (
            [] if "InputLocation" in test else [encoded(row.body, row.name or "body") for row in self._rows]
        )
        if self._kind == ASYNCHRONOUS:
            self._check_sizes()

    @property
    def poll_interval(self) -> float:
        """Seconds between two looks for an asynchronous answer."""
        return float(self._test.get("PollInterval", DEFAULT_POLL_INTERVAL))

    @property
    def patience(self) -> float:
        """Seconds until an asynchronous answer must be there."""
        return float(self._test.get("Timeout", DEFAULT_TIMEOUT)) + self._wait_for_capacity

    @property
    def _wait_for_capacity(self) -> float:
        return float(self._test.get("WaitForCapacity", 0))

    def run(self) -> list[Answer]:
        """Send the requests, wait in this process, and return the answers, which are as expected.

        :raises InvocationError: When one is not.
        """
        answers, pending = self.send()
        if not pending:
            return answers
        self.wait(pending)
        return self.collect(pending)

    def wait(self, pending: Sequence[Mapping[str, Any]]) -> None:
        """Wait in this process until all asynchronous requests have ended, or it is too late.

        :param pending: The requests, as :meth:`send` returned them.
        """
        wait_for_answers(
            AnswerPolls(lambda: self._aws.model_data_hook, self._log),
            [accepted_of(one) for one in pending],
            deadline=time.time() + self.patience,
            poll_interval=self.poll_interval,
        )

    def send(self) -> tuple[list[Answer], list[dict[str, Any]]]:
        """Send the requests; return the answers, compared already, or the asynchronous requests that are accepted.

        :raises InvocationError: When the endpoint does not answer, or not as expected.
        :raises NotFoundError: When it has no such variant; the message names those that it has.
        """
        answers: list[Answer] = []
        pending: list[dict[str, Any]] = []
        for index, row in enumerate(self._rows):
            with _named(row):
                found = self._answer(index)
            if isinstance(found, Answer):
                self._compare(row, found)
                answers.append(found)
            else:
                pending.append({"row": index, **found})
        if pending:
            self._log.info(
                "Endpoint %s accepted %d asynchronous requests; the first answer will be at %s",
                self.endpoint_name,
                len(pending),
                pending[0]["output"],
            )
        return answers, pending

    def collect(self, pending: Sequence[Mapping[str, Any]]) -> list[Answer]:
        """Read the asynchronous answers, compare them, and delete the uploaded inputs of requests that have ended.

        :param pending: The requests, as :meth:`send` returned them.
        :raises InvocationError: When one failed, is not there in time, or is not as expected.
        """
        hook = self._aws.model_data_hook
        answers = []
        try:
            for one in pending:
                row = self._rows[one["row"]] if one["row"] < len(self._rows) else Row("", None)
                with _named(row):
                    answer = self._collected(one)
                self._compare(row, answer)
                answers.append(answer)
        finally:
            for one in pending:
                # A request that waits still needs its input.
                if one.get("input") and (is_there(hook, one["output"]) or is_there(hook, one.get("failure"))):
                    delete_input(self._aws, one["input"])
        return answers

    def _collected(self, one: Mapping[str, Any]) -> Answer:
        hook = self._aws.model_data_hook
        content = content_of(hook, one["output"])
        if content is not None:
            return Answer(content, output_location=one["output"])
        failure = content_of(hook, one.get("failure"))
        if failure is not None:
            told = self._masked(failure.decode(errors="replace"), lambda shown: shown[:MAX_TOLD_CHARACTERS])
            raise InvocationError(
                f"Endpoint {self.endpoint_name} failed to answer: {told}", code="ModelError"
            )
        raise self._too_late(one)

    def _too_late(self, one: Mapping[str, Any]) -> InvocationError:
        described: Mapping[str, Any] = {}
        with suppress(ClientError):
            described = self._aws.sagemaker_hook.describe_endpoint(self.endpoint_name) or {}
        variants = described.get("ProductionVariants") or []
        # Requests are kept while there are no instances: async-inference-autoscale.html
        none = bool(variants) and not any(variant.get("CurrentInstanceCount") for variant in variants)
        why = (
            " The endpoint has no instances: something must scale it out, such as a step scaling policy on "
            "HasBacklogWithoutCapacity; give wait_for_capacity=… for the minutes that this takes."
            if none
            else ""
        )
        lost = (
            "" if one.get("failure") else " Its config has no S3FailurePath, so a failure is written nowhere."
        )
        return InvocationError(
            f"Endpoint {self.endpoint_name} has not answered within {self.patience:g} s: there is nothing at {one['output']}.{why}{lost} "
            "The request is still in its queue.",
            refused=none,
        )

    # Asking

    def _answer(self, index: int) -> Answer | dict[str, Any]:
        """Send a request; the first one finds out the kind of the endpoint, and the spelling of its name."""
        try:
            return self._sent(index, self._kind or REAL_TIME)
        except InvocationError as error:
            if index or error.code != "ValidationError" or error.no_capacity or not self._has_learned():
                raise
        return self._sent(index, self._kind or REAL_TIME)

    def _has_learned(self) -> bool:
        """Describe an endpoint that refused a request, and return whether another request may suit it.

        The permission ``sagemaker:DescribeEndpoint`` is optional; without it, AWS's own message must suffice.

        :raises NotFoundError: When it has no such variant.
        """
        try:
            described: Mapping[str, Any] = (
                self._aws.sagemaker_hook.describe_endpoint(self.endpoint_name) or {}
            )
        except ClientError:
            return False
        before = self.endpoint_name, self._kind
        # InvokeEndpoint compares the name exactly, the other operations do not (API_CreateEndpoint, EndpointName).
        name = str(described.get("EndpointName", self.endpoint_name))
        if name != self.endpoint_name:
            self._log.info("Endpoint %s is %s; it is invoked by that name", self.endpoint_name, name)
            self.endpoint_name = name
        if described.get("AsyncInferenceConfig"):
            if self._kind is None and may_be_asynchronous(self._test):
                self._log.info("Endpoint %s is asynchronous; it is invoked so", name)
                self._kind = ASYNCHRONOUS
                self._check_sizes()
                if "MaxLatencyMs" in self._expected:
                    raise InvalidSpecError(
                        f"Endpoint {name} is asynchronous, and expect has max_latency_ms; allowed: for other endpoints."
                    )
        elif described:
            self._check_variant(described)
        return (self.endpoint_name, self._kind) != before

    def _check_variant(self, described: Mapping[str, Any]) -> None:
        target = self._test.get("TargetVariant")
        names = [variant["VariantName"] for variant in described.get("ProductionVariants") or []]
        if target is not None and target not in names:
            raise NotFoundError(
                f"Endpoint {self.endpoint_name} has no production variant {target!r}; it has: {', '.join(names) or 'none yet'}."
            )

    def _check_sizes(self) -> None:
        if "InputPrefix" in self._test:
            return
        for row, body in zip(self._rows, self._bodies, strict=False):
            if not takes_async_body(len(body)):
                raise InvalidSpecError(
                    f"{row.name or 'body'} has {len(body)} bytes, more than an asynchronous request takes (128000; none with a botocore "
                    "older than 1.43.29); allowed: any size with input_prefix."
                )

    def _sent(self, index: int, kind: str) -> Answer | dict[str, Any]:
        test = self._test
        request = checked_request(kind, self.endpoint_name, request_members(test, kind))
        uploaded: dict[str, Any] = {}
        if "InputLocation" not in request:
            body = self._bodies[index]
            if kind == ASYNCHRONOUS and "InputPrefix" in test:
                url = put_input(
                    self._aws.model_data_hook,
                    test["InputPrefix"],
                    self.endpoint_name,
                    body,
                    request.get("ContentType"),
                )
                request["InputLocation"], uploaded = url, {"input": url}
            else:
                request["Body"] = body
        try:
            answer = invoke(
                self._aws.runtime_hook,
                kind,
                request,
                wait_for_capacity=self._wait_for_capacity,
                log=self._log.info,
            )
        except InvocationError:
            if uploaded:
                delete_input(self._aws, uploaded["input"])
            raise
        if isinstance(answer, Accepted):
            return {"output": answer.output, "failure": answer.failure, **uploaded}
        return answer

    # Judging

    def _compare(self, row: Row, answer: Answer) -> None:
        """Compare an answer with what is expected of all, and of this row.

        :raises InvocationError: When it differs.
        """
        expected = self._expected
        found = self._wrong(answer, expected)
        if found is None and row.expect is not None:
            own = expectation(f"{row.name}: expect", row.expect)
            tolerances = {
                name: expected[name] for name in ("Tolerance", "RelativeTolerance") if name in expected
            }
            found = self._wrong(answer, {**own, **tolerances})
        if found is None:
            return
        wrong, lines = found
        raise InvocationError(f"{_place_of(row)}Endpoint {self.endpoint_name} answered {wrong}.{lines}")

    def _wrong(self, answer: Answer, expected: Mapping[str, Any]) -> tuple[str, str] | None:
        checks = Checks(_schema_problem, lambda name: _function_problem(self._functions[name], name, answer))
        wrong = wrong_with(answer.text, answer.milliseconds, expected, checks)
        if wrong is None:
            return None
        told = wrong.found
        if told is None:
            told = self._masked(answer.text, lambda shown: repr(shown[:MAX_TOLD_CHARACTERS]))
        elif wrong.is_foreign:
            told = self._masked(told, lambda shown: repr(shown[:MAX_TOLD_CHARACTERS]))
        lines = ""
        if wrong.difference:
            lines = "\n" + self._masked(
                "\n".join(wrong.difference), lambda shown: "\n".join(shortened(shown.split("\n")))
            )
        return f"{told}; expected: {wrong.expected}", lines

    def _masked(self, text: str, show: Callable[[str], str]) -> str:
        client = self._aws.sagemaker_hook.conn
        return masked_answer(
            client, self.endpoint_name, text, show, component=self._test.get("InferenceComponentName")
        )


def accepted_of(pending: Mapping[str, Any]) -> Accepted:
    """Return an accepted request as it travels in a deferred task."""
    return Accepted(pending["output"], pending.get("failure"))


@contextmanager
def _named(row: Row) -> Iterator[None]:
    """Name the row in an error of its request."""
    try:
        yield
    except InvocationError as error:
        error.args = (f"{_place_of(row)}{error}",)
        raise


def _place_of(row: Row) -> str:
    """Return what an error of a row begins with."""
    return f"{row.name[0].upper()}{row.name[1:]}: " if row.name else ""


def _rows(test: Mapping[str, Any], path_of: Callable[[str], Path]) -> list[Row]:
    """Return the requests of a smoke test.

    :raises InvalidSpecError: When their file cannot be read.
    """
    if "RequestsFile" not in test:
        return [Row("", test.get("Body"))]
    given = test["RequestsFile"]
    path = path_of(given)
    try:
        # The byte order mark of spreadsheets is no part of the first row.
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return rows(lines, row_format("requests_file", given), path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSpecError(f"requests_file is {given!r}, which cannot be read: {error}.") from None


def _functions(expected: Mapping[str, Any]) -> dict[str, Callable[[Answer], Any]]:
    """Import the function that checks answers.

    :raises InvalidSpecError: When it cannot be imported, or is no function.
    """
    name = expected.get("Check")
    if name is None:
        return {}
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # its module may raise anything
        raise InvalidSpecError(
            f"expect: check is {name!r}, which the worker cannot import: {type(error).__name__}: {error}; allowed: the dotted name of a "
            "function that is installed on the worker, or is in the DAG bundle."
        ) from error
    if not callable(found):
        raise InvalidSpecError(
            f"expect: check is {name!r}, a {type(found).__name__}; allowed: the dotted name of a function."
        )
    return {name: found}


def _function_problem(function: Callable[[Answer], Any], name: str, answer: Answer) -> str | None:
    """Call the function that checks answers; return what is wrong, None if nothing is."""
    try:
        result = function(answer)
    except AssertionError as error:
        return str(error) or "an AssertionError"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if result is None or result is True:
        return None
    return result if isinstance(result, str) else f"{name} returned {result!r}"


def _check_schema(expected: Mapping[str, Any]) -> None:
    """Check a JSON schema itself.

    :raises InvalidSpecError: When it is none.
    """
    if "Schema" not in expected:
        return
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    schema = expected["Schema"]
    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        raise InvalidSpecError(f"expect: schema is no JSON schema: {error.message}.") from None


def _schema_problem(value: Any, schema: Any) -> str | None:
    """Return what does not fit a JSON schema, without what came; None if the value fits.

    :raises InvalidSpecError: When the schema refers to another one, which is not fetched.
    """
    from jsonschema.exceptions import best_match
    from jsonschema.validators import validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        error = best_match(validator_for(schema)(schema, registry=Registry()).iter_errors(value))
    except Unresolvable as unknown:
        raise InvalidSpecError(
            f"expect: schema refers to another schema, which is not fetched ({unknown}); allowed: references within it."
        ) from None
    if error is None:
        return None
    rule = repr(error.validator_value)
    return f"{error.json_path} breaks {error.validator!r}: {rule if len(rule) <= 120 else f'{rule[:120]}…'}"
