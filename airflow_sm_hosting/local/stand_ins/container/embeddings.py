"""Embeddings and ranks: the request schema of TEI.

https://github.com/huggingface/text-embeddings-inference, docs/openapi.json; that ranks are answered at ``/invocations`` is assumed.
"""

from __future__ import annotations

from typing import Any

from airflow_sm_hosting.local.stand_ins.container.exchange import (
    Question,
    RefusedQuestion,
    Reply,
    json_object,
    json_reply,
)
from airflow_sm_hosting.local.stand_ins.container.made_up import made_up_vector, score_of


def answer_tei(question: Question) -> Reply:
    """Answer as TEI does."""
    try:
        request = json_object(question)
    except ValueError as error:
        raise _tei_refusal(str(error)) from error
    if "query" in request:
        texts: Any = request.get("texts")
        if not isinstance(request["query"], str) or not _is_texts(texts):
            raise _tei_refusal("query must be a string and texts a list of strings")
        ranks = [
            {"index": index, "score": score_of(request["query"], text)} for index, text in enumerate(texts)
        ]
        return json_reply(sorted(ranks, key=lambda rank: -rank["score"]))
    inputs = request.get("inputs")
    texts = [inputs] if isinstance(inputs, str) else inputs
    if not _is_texts(texts):
        raise _tei_refusal("inputs must be a string or a list of strings, and not empty")
    return json_reply([made_up_vector(text) for text in texts])


def _is_texts(texts: Any) -> bool:
    return isinstance(texts, list) and bool(texts) and all(isinstance(text, str) and text for text in texts)


def _tei_refusal(message: str) -> RefusedQuestion:
    return RefusedQuestion(422, {"error": f"Input validation error: {message}", "error_type": "Validation"})
