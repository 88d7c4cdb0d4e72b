"""Chat completions and completions: the schema of OpenAI, as vLLM, SGLang, llama.cpp, LMI and TGI answer it.

https://docs.vllm.ai/en/stable/serving/openai_compatible_server.html
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True)
class _Completion:
    """What is answered."""

    is_chat: bool
    model: str
    prompt: str
    tokens: list[str]
    finish_reason: str
    choices: int

    @property
    def identity(self) -> dict[str, Any]:
        kind = "chatcmpl" if self.is_chat else "cmpl"
        number = number_of(self.is_chat, self.model, self.prompt, self.tokens) % 16**24
        return {"id": f"{kind}-{number:024x}", "created": int(time.time()), "model": self.model}

    @property
    def usage(self) -> dict[str, int]:
        given, made = token_count(self.prompt), len(self.tokens) * self.choices
        return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}


def answer_openai(question: Question, *, lines: bool = False) -> Reply:
    """Answer a chat, or a prompt.

    :param lines: Whether a stream is lines of JSON, and not events.
    """
    try:
        request = json_object(question)
    except ValueError as error:
        raise _bad_request(str(error)) from error
    completion = _completion(question, request)
    if request.get("stream") is True:
        options = request.get("stream_options")
        with_usage = isinstance(options, dict) and options.get("include_usage") is True
        chunks = _chunks(completion, with_usage)
        if lines:
            return Reply(content_type="application/jsonlines", parts=(as_json(one) + b"\n" for one in chunks))
        return Reply(content_type="text/event-stream", parts=_events(chunks))
    return json_reply(_whole(completion))


def served_names(question: Question) -> list[str]:
    """Return the names under which a request may ask for the model; the first is the one that answers tell."""
    name = question.setting.get(
        *(
            "SM_VLLM_SERVED_MODEL_NAME",
            "SM_VLLM_MODEL",
            "SM_SGLANG_SERVED_MODEL_NAME",
            "SM_SGLANG_MODEL_PATH",
        ),
        *("OPTION_SERVED_MODEL_NAME", "OPTION_MODEL_ID", "HF_MODEL_ID"),
    )
    return [name or "/opt/ml/model", *question.adapters]


def _bad_request(message: str, status: int = 400) -> RefusedQuestion:
    kind = "NotFoundError" if status == 404 else "BadRequestError"
    return RefusedQuestion(
        status, {"error": {"message": message, "type": kind, "param": None, "code": status}}
    )


def _completion(question: Question, request: dict[str, Any]) -> _Completion:
    is_chat = "messages" in request
    if is_chat:
        prompt = _chat_text(request["messages"])
    elif "prompt" in request:
        prompt = _prompt_text(request["prompt"])
    else:
        raise _bad_request("Field required: messages, or prompt")
    limit = _whole_number(request, "max_completion_tokens") or _whole_number(request, "max_tokens")
    model = question.adapter or _model(question, request)
    return _Completion(
        is_chat,
        model,
        prompt,
        made_up_tokens(limit, prompt, model),
        "length" if limit else "stop",
        _whole_number(request, "n") or 1,
    )


def _model(question: Question, request: dict[str, Any]) -> str:
    known, asked = served_names(question), request.get("model") or ""
    if not isinstance(asked, str):
        raise _bad_request("model must be a string")
    # LMI and TGI serve one model, and do not look at the name; TGI's examples have "tgi" there.
    is_strict = not question.setting.get("OPTION_ROLLING_BATCH") and question.setting.get(
        "SM_HOSTING_STAND_IN_FAMILY"
    ) not in (
        "lmi",
        "tgi",
    )
    if asked and asked not in known and is_strict:
        raise _bad_request(f"The model `{asked}` does not exist.", 404)
    return asked or known[0]


def _chat_text(messages: Any) -> str:
    if not isinstance(messages, list) or not messages:
        raise _bad_request("messages must be a list with at least one message")
    texts = []
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise _bad_request("each of messages must be an object with a role")
        content = message.get("content")
        if isinstance(content, list):
            # Parts: texts, and images, which count by their address or data.
            texts += [
                str(part.get("text", part)) if isinstance(part, dict) else str(part) for part in content
            ]
        elif isinstance(content, str):
            texts.append(content)
        elif content is not None or message["role"] not in ("assistant", "tool"):
            raise _bad_request("the content of a message must be a string or a list of parts")
    return "\n".join(texts)


def _prompt_text(prompt: Any) -> str:
    if isinstance(prompt, str) and prompt:
        return prompt
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        return prompt[0]
    raise _bad_request("prompt must be a string that is not empty; a stand-in takes no lists of several")


def _whole_number(request: dict[str, Any], name: str) -> int | None:
    value = request.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _bad_request(f"{name} must be at least 1, got {value!r}.")
    return value


def _whole(completion: _Completion) -> dict[str, Any]:
    text = "".join(completion.tokens)
    content = {"message": {"role": "assistant", "content": text}} if completion.is_chat else {"text": text}
    choices = [
        {"index": index, **content, "logprobs": None, "finish_reason": completion.finish_reason}
        for index in range(completion.choices)
    ]
    kind = "chat.completion" if completion.is_chat else "text_completion"
    return {**completion.identity, "object": kind, "choices": choices, "usage": completion.usage}


def _chunks(completion: _Completion, with_usage: bool) -> Iterator[dict[str, Any]]:
    kind = "chat.completion.chunk" if completion.is_chat else "text_completion"
    head = {**completion.identity, "object": kind}
    for index, token in enumerate(completion.tokens):
        role = {"role": "assistant"} if index == 0 else {}
        content = {"delta": {**role, "content": token}} if completion.is_chat else {"text": token}
        is_last = index == len(completion.tokens) - 1
        reason = completion.finish_reason if is_last else None
        yield {**head, "choices": [{"index": 0, **content, "logprobs": None, "finish_reason": reason}]}
    if with_usage:
        yield {**head, "choices": [], "usage": completion.usage}


def _events(chunks: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    for chunk in chunks:
        yield b"data: " + as_json(chunk) + b"\n\n"
    yield b"data: [DONE]\n\n"
