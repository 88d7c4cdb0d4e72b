"""Triton's requests: the inference protocol of KServe, in JSON and with binary tensors.

https://github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md;
https://github.com/triton-inference-server/server, docs/protocol/extension_binary_data.md;
https://docs.aws.amazon.com/sagemaker/latest/dg/deploy-models-frameworks-triton.html. The name and shape of the outputs, where the request
does not name them, are made up: one number for each row of the first input.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from airflow_sm_hosting.local.stand_ins.container.exchange import (
    JSON,
    Question,
    RefusedQuestion,
    Reply,
    json_reply,
)
from airflow_sm_hosting.local.stand_ins.container.made_up import score_of

_BINARY_TYPE = "application/vnd.sagemaker-triton.binary+json"
_HEADER_SIZE = "json-header-size"
_DATATYPES = (
    "BOOL UINT8 UINT16 UINT32 UINT64 INT8 INT16 INT32 INT64 FP16 FP32 FP64 BF16 BYTES".split()  # of the protocol
)


def answer_triton(question: Question) -> Reply:
    """Answer as Triton does."""
    try:
        request, tensors = _parts(question)
        rows = _first_input(request, tensors)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RefusedQuestion(400, {"error": f"failed to parse the request: {error}"}) from error
    numbers = [score_of(index, row) for index, row in enumerate(rows)]
    wanted = request.get("outputs") or [{"name": "OUTPUT0"}]
    outputs: list[dict[str, Any]] = []
    data = b""
    for output in wanted:
        described: dict[str, Any] = {"name": output["name"], "datatype": "FP32", "shape": [len(numbers), 1]}
        if _is_binary(request, output):
            packed = struct.pack(f"<{len(numbers)}f", *numbers)
            described["parameters"] = {"binary_data_size": len(packed)}
            data += packed
        else:
            described["data"] = numbers
        outputs.append(described)
    model = question.setting.get("SAGEMAKER_TRITON_DEFAULT_MODEL_NAME") or "model"
    answer = {"model_name": model, "model_version": "1", "outputs": outputs}
    if "id" in request:
        answer["id"] = request["id"]
    if not data:
        return json_reply(answer)
    head = json.dumps(answer).encode()
    return Reply(head + data, f"{_BINARY_TYPE};{_HEADER_SIZE}={len(head)}")


def _parts(question: Question) -> tuple[dict[str, Any], bytes]:
    """Return the request, and the binary tensors that follow it."""
    size = len(question.body)
    if question.content_type == _BINARY_TYPE:
        size = int(question.type_parameters[_HEADER_SIZE])
    elif question.content_type not in (JSON, "", "application/octet-stream"):
        raise RefusedQuestion(415, {"error": f"Unsupported content type {question.content_type}"})
    request = json.loads(question.body[:size])
    if not isinstance(request, dict) or not isinstance(request.get("inputs"), list) or not request["inputs"]:
        raise ValueError("there are no inputs")
    outputs = request.get("outputs") or []
    if not all(isinstance(output["name"], str) for output in outputs):
        raise ValueError("each of outputs must have a name")
    return request, question.body[size:]


def _first_input(request: dict[str, Any], tensors: bytes) -> list[Any]:
    """Check all inputs, and return the rows of the first one."""
    rows: list[Any] | None = None
    for tensor in request["inputs"]:
        name, shape = tensor["name"], tensor["shape"]
        if tensor["datatype"] not in _DATATYPES:
            raise ValueError(f"input {name} has the datatype {tensor['datatype']!r}")
        if not isinstance(shape, list) or not all(isinstance(one, int) and one >= 0 for one in shape):
            raise ValueError(f"input {name} has the shape {shape!r}")
        count = shape[0] if shape else 1
        size = (tensor.get("parameters") or {}).get("binary_data_size")
        if size is None:
            found = _cut(_flat(tensor["data"]), shape, count, name)
        else:
            raw, tensors = tensors[:size], tensors[size:]
            if len(raw) < size:
                raise ValueError(f"input {name} has fewer bytes than its binary_data_size")
            found = [raw[len(raw) * i // count : len(raw) * (i + 1) // count] for i in range(count)]
        rows = found if rows is None else rows
    return rows or []


def _cut(values: list[Any], shape: list[int], count: int, name: str) -> list[Any]:
    size = 1
    for one in shape:
        size *= one
    if len(values) != size:
        raise ValueError(f"input {name} has {len(values)} values, and its shape {shape} has {size}")
    each = size // count if count else 0
    return [values[index * each : (index + 1) * each] for index in range(count)]


def _flat(data: Any) -> list[Any]:
    if not isinstance(data, list):
        return [data]
    return [value for one in data for value in _flat(one)]


def _is_binary(request: dict[str, Any], output: dict[str, Any]) -> bool:
    asked = (output.get("parameters") or {}).get("binary_data")
    if asked is None:
        asked = (request.get("parameters") or {}).get("binary_data_output")
    return asked is True
