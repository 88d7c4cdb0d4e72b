"""Generated text: the request schemas of LMI and of TGI.

LMI: https://github.com/deepjavalibrary/djl-serving, serving/docs/lmi/user_guides/lmi_input_output_schema.md.
TGI: https://github.com/huggingface/text-generation-inference, docs/openapi.json.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_sm_hosting.local.stand_ins.container.exchange import (
    Question,
    RefusedQuestion,
    Reply,
    as_json,
    json_object,
    json_reply,
)
from airflow_sm_hosting.local.stand_ins.container.made_up import made_up_tokens, number_of, token_count
from airflow_sm_hosting.local.stand_ins.container.openai_schema import answer_openai

_JSON_LINES, _EVENTS = "application/jsonlines", "text/event-stream"


def answer_lmi(question: Question) -> Reply:
    """Answer as LMI (DJL Serving) does."""
    try:
        request = json_object(question)
    except ValueError as error:
        raise _lmi_refusal(str(error)) from error
    if "inputs" not in request and ("messages" in request or "prompt" in request):
        # Streamed chats are lines of JSON here, not events. That a prompt is answered as a completion is assumed.
        return answer_openai(question, lines=True)
    if question.setting.get("OPTION_TGI_COMPAT").lower() == "true":
        return answer_tgi(question)
    inputs = request.get("inputs")
    if not isinstance(inputs, (str, list)) or not all(isinstance(one, str) for one in inputs) or not inputs:
        raise _lmi_refusal("inputs must be a string or a list of strings")
    parameters = request.get("parameters", {})
    if not isinstance(parameters, dict):
        raise _lmi_refusal("parameters must be an object")
    stream = request.get("stream") is True
    if wrong := _wrong_parameter(parameters):
        failed = {"generated_text": "", "details": {"finish_reason": "error", "error": wrong}}
        if stream:
            # The status is sent already when generating fails: only the last line tells.
            token = {"token": {"id": -1, "text": "", "log_prob": -1}}
            return Reply(content_type=_JSON_LINES, parts=iter([as_json({**token, **failed}) + b"\n"]))
        return json_reply(failed, 424)
    if stream:
        if isinstance(inputs, list):
            raise _lmi_refusal("a batch cannot be streamed")
        return Reply(content_type=_JSON_LINES, parts=_lmi_lines(question, inputs, parameters))
    if isinstance(inputs, list):
        return json_reply([_lmi_text(question, one, parameters) for one in inputs])
    return json_reply(_lmi_text(question, inputs, parameters))


def _lmi_refusal(message: str) -> RefusedQuestion:
    return RefusedQuestion(424, {"error": message, "code": 424})


def _wrong_parameter(parameters: dict[str, Any]) -> str:
    """Return what is wrong with the parameters of a generation, or an empty string."""
    limit = parameters.get("max_new_tokens")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        return f"max_new_tokens must be a positive integer, not {limit!r}"
    temperature = parameters.get("temperature")
    if temperature is not None and (not isinstance(temperature, (int, float)) or temperature < 0):
        return f"temperature must be a number from 0 on, not {temperature!r}"
    return ""


def _tokens(question: Question, text: str, parameters: dict[str, Any]) -> list[str]:
    return made_up_tokens(parameters.get("max_new_tokens"), text, question.adapter)


def _finish_reason(parameters: dict[str, Any]) -> str:
    return "length" if parameters.get("max_new_tokens") else "eos_token"


def _lmi_token(text: str) -> dict[str, Any]:
    return {"id": number_of(text) % 32_000, "text": text, "log_prob": -0.5}


def _lmi_text(question: Question, text: str, parameters: dict[str, Any]) -> dict[str, Any]:
    tokens = _tokens(question, text, parameters)
    before = text if parameters.get("return_full_text") else ""
    answer: dict[str, Any] = {"generated_text": before + "".join(tokens)}
    if parameters.get("details"):
        answer["details"] = {
            "finish_reason": _finish_reason(parameters),
            "generated_tokens": len(tokens),
            "inputs": text,
            "tokens": [_lmi_token(token) for token in tokens],
        }
    return answer


def _lmi_lines(question: Question, text: str, parameters: dict[str, Any]) -> Iterator[bytes]:
    tokens = _tokens(question, text, parameters)
    for index, token in enumerate(tokens):
        line: dict[str, Any] = {"token": _lmi_token(token)}
        if index == len(tokens) - 1:
            line["generated_text"] = "".join(tokens)
            if parameters.get("details"):
                line["details"] = {
                    "finish_reason": _finish_reason(parameters),
                    "generated_tokens": len(tokens),
                }
        yield as_json(line) + b"\n"


def answer_tgi(question: Question) -> Reply:
    """Answer as TGI does."""
    try:
        request = json_object(question)
    except ValueError as error:
        raise _tgi_refusal(str(error)) from error
    if "messages" in request:
        return answer_openai(question)
    text, parameters = request.get("inputs"), request.get("parameters") or {}
    if not isinstance(text, str):
        raise _tgi_refusal("inputs must be a string")
    if not text:
        raise _tgi_refusal("inputs cannot be empty")
    if not isinstance(parameters, dict):
        raise _tgi_refusal("parameters must be an object")
    wrong = _wrong_parameter(parameters) or _beyond_the_limits(question, text, parameters)
    if wrong:
        raise _tgi_refusal(wrong)
    tokens = _tokens(question, text, parameters)
    if request.get("stream") is True:
        return Reply(content_type=_EVENTS, parts=_tgi_events(tokens, parameters))
    before = text if parameters.get("return_full_text") else ""
    answer: dict[str, Any] = {"generated_text": before + "".join(tokens)}
    if parameters.get("details"):
        answer["details"] = {
            **_tgi_details(tokens, parameters),
            "prefill": [],
            "tokens": [_tgi_token(one) for one in tokens],
        }
    return json_reply([answer])


def _tgi_refusal(message: str) -> RefusedQuestion:
    return RefusedQuestion(422, {"error": f"Input validation error: {message}", "error_type": "validation"})


def _beyond_the_limits(question: Question, text: str, parameters: dict[str, Any]) -> str:
    given = token_count(text)
    if (most := question.setting.get("MAX_INPUT_LENGTH", "MAX_INPUT_TOKENS")) and given > int(most):
        return f"`inputs` must have less than {most} tokens. Given: {given}"
    total = given + (parameters.get("max_new_tokens") or 0)
    if (most := question.setting.get("MAX_TOTAL_TOKENS")) and total > int(most):
        return f"`inputs` tokens + `max_new_tokens` must be <= {most}. Given: {total}"
    return ""


def _tgi_token(text: str) -> dict[str, Any]:
    return {"id": number_of(text) % 32_000, "text": text, "logprob": -0.5, "special": False}


def _tgi_details(tokens: list[str], parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        "finish_reason": _finish_reason(parameters),
        "generated_tokens": len(tokens),
        "seed": parameters.get("seed"),
    }


def _tgi_events(tokens: list[str], parameters: dict[str, Any]) -> Iterator[bytes]:
    for index, token in enumerate(tokens):
        is_last = index == len(tokens) - 1
        event = {
            "index": index + 1,
            "token": _tgi_token(token),
            "generated_text": "".join(tokens) if is_last else None,
            "details": _tgi_details(tokens, parameters) if is_last else None,
        }
        yield b"data:" + as_json(event) + b"\n\n"
