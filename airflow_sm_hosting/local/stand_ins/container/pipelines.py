"""Hugging Face's pipelines by ``HF_TASK``: the request schema of its inference toolkit.

https://github.com/huggingface/sagemaker-huggingface-inference-toolkit, and the outputs of
https://huggingface.co/docs/transformers/main_classes/pipelines.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from airflow_sm_hosting.local.stand_ins.container.exchange import (
    Question,
    RefusedQuestion,
    Reply,
    json_object,
    json_reply,
)
from airflow_sm_hosting.local.stand_ins.container.made_up import (
    made_up_tokens,
    made_up_vector,
    number_of,
    score_of,
)

#: What the toolkit takes as it is, for tasks about images and sound.
_BINARY = ("image/", "audio/", "application/octet-stream")
#: The task of an artifact without ``HF_TASK``: the toolkit reads it in the model's configuration, which a stand-in does not.
_USUAL_TASK = "text-classification"


def answer_pipeline(question: Question) -> Reply:
    """Answer as the toolkit does, by task."""
    task = question.setting.get("HF_TASK") or _USUAL_TASK
    answer = _ANSWERS.get(task) or (_translation if task.startswith("translation") else None)
    if answer is None:
        raise _pipeline_refusal(f"the stand-in does not know the task {task!r}")
    if question.content_type.startswith(_BINARY):
        return json_reply(answer(question.body.hex(), {}))
    if question.content_type not in ("application/json", "text/csv", ""):
        raise RefusedQuestion(
            415, {"code": 415, "type": "UnsupportedMediaType", "message": question.content_type}
        )
    if question.content_type == "text/csv":
        rows = question.body.decode("utf-8", "replace").splitlines()
        request: dict[str, Any] = {"inputs": [row for row in rows if row != "inputs"]}
    else:
        try:
            request = json_object(question)
        except ValueError as error:
            raise _pipeline_refusal(str(error)) from error
    if "inputs" not in request:
        raise _pipeline_refusal("the body must have inputs")
    parameters = request.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise _pipeline_refusal("parameters must be an object")
    try:
        return json_reply(answer(request["inputs"], parameters))
    except (KeyError, TypeError, AttributeError) as error:
        raise _pipeline_refusal(f"inputs are not those of the task {task}: {error!r}") from error


def _pipeline_refusal(message: str) -> RefusedQuestion:
    return RefusedQuestion(400, {"code": 400, "type": "InternalServerException", "message": message})


def _texts(inputs: Any) -> list[str]:
    found = inputs if isinstance(inputs, list) else [inputs]
    if not all(isinstance(text, str) for text in found):
        raise TypeError("inputs must be a string or a list of strings")
    return found


def _text(text: str, parameters: dict[str, Any]) -> str:
    limit = parameters.get("max_new_tokens")
    return "".join(made_up_tokens(limit if isinstance(limit, int) and limit > 0 else None, text))


def _classes(inputs: Any, parameters: dict[str, Any]) -> Any:
    return [
        {
            "label": "POSITIVE" if number_of(text) % 2 else "NEGATIVE",
            "score": round(0.5 + score_of(text) / 2, 6),
        }
        for text in _texts(inputs)
    ]


def _entities(inputs: Any, parameters: dict[str, Any]) -> Any:
    found = []
    for text in _texts(inputs):
        entities, start = [], 0
        for index, word in enumerate(text.split()):
            start = text.index(word, start)
            end = start + len(word)
            if word[:1].isupper():
                entity = {"entity": "I-MISC", "score": score_of(word), "index": index + 1, "word": word}
                entities.append({**entity, "start": start, "end": end})
            start = end
        found.append(entities)
    return found if isinstance(inputs, list) else found[0]


def _extract(inputs: Any, parameters: dict[str, Any]) -> Any:
    words = inputs["context"].split()
    answer = words[number_of(inputs["question"], inputs["context"]) % len(words)] if words else ""
    start = inputs["context"].index(answer)
    return {
        "score": score_of(inputs["question"]),
        "start": start,
        "end": start + len(answer),
        "answer": answer,
    }


def _zero_shot(inputs: Any, parameters: dict[str, Any]) -> Any:
    labels = parameters["candidate_labels"]
    labels = labels if isinstance(labels, list) else [label.strip() for label in labels.split(",")]
    found = []
    for text in _texts(inputs):
        raw = {label: 0.01 + score_of(text, label) for label in labels}
        ranked = sorted(labels, key=lambda label: -raw[label])
        scores = [raw[label] / sum(raw.values()) for label in ranked]
        found.append({"sequence": text, "labels": ranked, "scores": scores})
    return found if isinstance(inputs, list) else found[0]


def _fill(inputs: Any, parameters: dict[str, Any]) -> Any:
    found = []
    for text in _texts(inputs):
        mask = next((mask for mask in ("[MASK]", "<mask>") if mask in text), None)
        if mask is None:
            raise TypeError("no mask in the input")
        (word,) = made_up_tokens(3, text)[2:]
        sequence = text.replace(mask, word.strip())
        score = {"score": score_of(text), "token": number_of(word) % 30_000}
        found.append([{**score, "token_str": word, "sequence": sequence}])
    return found if isinstance(inputs, list) else found[0]


def _under(name: str) -> Callable[[Any, dict[str, Any]], Any]:
    def answer(inputs: Any, parameters: dict[str, Any]) -> Any:
        return [{name: _text(text, parameters)} for text in _texts(inputs)]

    return answer


def _generated(inputs: Any, parameters: dict[str, Any]) -> Any:
    # The pipeline returns the prompt, too, unless it is told not to.
    full = parameters.get("return_full_text", True)
    return [{"generated_text": (text if full else "") + _text(text, parameters)} for text in _texts(inputs)]


_translation = _under("translation_text")


def _features(inputs: Any, parameters: dict[str, Any]) -> Any:
    return [[[made_up_vector(text, word) for word in text.split()]] for text in _texts(inputs)]


def _image_classes(inputs: Any, parameters: dict[str, Any]) -> Any:
    what = json.dumps(inputs)
    scores = sorted(((score_of(what, label), label) for label in ("cat", "dog", "bird")), reverse=True)
    return [{"label": label, "score": score} for score, label in scores]


def _speech(inputs: Any, parameters: dict[str, Any]) -> Any:
    return {"text": _text(json.dumps(inputs), parameters)}


_ANSWERS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "text-classification": _classes,
    "sentiment-analysis": _classes,
    "token-classification": _entities,
    "ner": _entities,
    "question-answering": _extract,
    "zero-shot-classification": _zero_shot,
    "fill-mask": _fill,
    "summarization": _under("summary_text"),
    "text-generation": _generated,
    "text2text-generation": _under("generated_text"),
    "feature-extraction": _features,
    "image-classification": _image_classes,
    "audio-classification": _image_classes,
    "automatic-speech-recognition": _speech,
}
