"""Rows of numbers: what scikit-learn, PyTorch, XGBoost and TensorFlow are asked, and one number for each row.

https://github.com/aws/sagemaker-inference-toolkit (decoder.py, encoder.py), https://github.com/aws/sagemaker-xgboost-container
(algorithm_mode/serve.py), https://github.com/aws/sagemaker-tensorflow-serving-container and
https://www.tensorflow.org/tfx/serving/api_rest. The status of a body that cannot be read is assumed.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import struct
from collections.abc import Callable
from typing import Any

from airflow_sm_hosting.local.stand_ins.container.exchange import (
    JSON,
    Question,
    RefusedQuestion,
    Reply,
    as_json,
    json_object,
    json_reply,
)
from airflow_sm_hosting.local.stand_ins.container.made_up import score_of

_NPY_MAGIC = b"\x93NUMPY"
_NPY_TYPES = {"f4": "f", "f8": "d", "i4": "i", "i8": "q", "i2": "h", "i1": "b", "u1": "B", "b1": "?"}
# https://mxnet.apache.org/versions/1.9.1/api/architecture/note_data_loading: the frame of each record.
_RECORD_MAGIC = 0xCED7230A


def answer_toolkit(question: Question) -> Reply:
    """Answer as scikit-learn's and PyTorch's containers do with their own encoders."""
    setting = question.setting
    # PyTorch's container can load a model by itself, scikit-learn's cannot.
    can_load = setting.has_model and setting.get("SM_HOSTING_STAND_IN_FAMILY") == "pytorch"
    if not setting.has_script and not can_load:
        raise RefusedQuestion(
            500, "Please provide a model_fn implementation (SAGEMAKER_PROGRAM or code/inference.py)."
        )
    decoders: dict[str, Callable[[bytes], list[Any]]] = {
        "text/csv": csv_rows,
        JSON: json_rows,
        "application/x-npy": npy_rows,
    }
    content_type = question.content_type or JSON
    if content_type not in decoders:
        raise RefusedQuestion(415, f"Content type {content_type} is not supported by this framework.")
    numbers = [score_of(row) for row in _read(decoders[content_type], question.body)]
    accept = question.accept or setting.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or JSON
    if accept == JSON:
        return json_reply(numbers)
    if accept == "text/csv":
        return Reply("".join(f"{number}\n" for number in numbers).encode(), "text/csv")
    if accept == "application/x-npy":
        return Reply(npy_bytes(numbers), "application/x-npy")
    raise RefusedQuestion(406, f"Accept type {accept} is not supported by this framework.")


def answer_xgboost(question: Question) -> Reply:
    """Answer as XGBoost's container does without a script of the user's."""
    if not question.body:
        return Reply(b"", "text/csv", 204)
    content_type = question.content_type or "text/csv"
    decoders: dict[str, Callable[[bytes], list[Any]]] = {
        "text/csv": csv_rows,
        "text/libsvm": libsvm_rows,
        "text/x-libsvm": libsvm_rows,
        "application/x-recordio-protobuf": records,
    }
    if content_type not in decoders:
        raise RefusedQuestion(415, f"Content-type {content_type} is not supported.")
    rows = _read(decoders[content_type], question.body)
    if content_type == "text/csv" and len({len(row) for row in rows}) > 1:
        raise RefusedQuestion(
            400, "Unable to evaluate payload provided: the rows differ in their number of features"
        )
    numbers = [score_of(row) for row in rows]
    accept = question.accept or "text/csv"
    if accept == "text/csv":
        between = "\n" if question.setting.get("SAGEMAKER_BATCH").lower() == "true" else ","
        return Reply(between.join(map(str, numbers)).encode(), "text/csv")
    if accept == JSON:
        return json_reply({"predictions": [{"score": number} for number in numbers]})
    if accept == "application/jsonlines":
        lines = b"".join(as_json({"score": number}) + b"\n" for number in numbers)
        return Reply(lines, "application/jsonlines")
    raise RefusedQuestion(406, f"Accept type {accept} is not supported.")


def answer_tensorflow(question: Question) -> Reply:
    """Answer as TensorFlow Serving does."""
    content_type = question.content_type or JSON
    if content_type == "text/csv":
        return json_reply({"predictions": [[score_of(row)] for row in _read(csv_rows, question.body)]})
    if content_type not in (JSON, "application/jsonlines", "application/jsons"):
        raise RefusedQuestion(415, {"error": f"Unsupported content-type {content_type}"})
    if content_type != JSON:
        lines = [line for line in question.body.splitlines() if line.strip()]
        return json_reply({"predictions": [[score_of(line)] for line in lines]})
    try:
        request = json_object(question)
    except ValueError as error:
        raise RefusedQuestion(400, {"error": f"JSON Parse error: {error}"}) from error
    if ("instances" in request) == ("inputs" in request):
        raise RefusedQuestion(400, {"error": "Request must have either 'instances' or 'inputs'"})
    if "instances" in request:
        if not isinstance(request["instances"], list) or not request["instances"]:
            raise RefusedQuestion(400, {"error": "'instances' must be a list that is not empty"})
        return json_reply({"predictions": [[score_of(row)] for row in request["instances"]]})
    inputs = request["inputs"]
    columns = next(iter(inputs.values())) if isinstance(inputs, dict) and inputs else inputs
    rows = columns if isinstance(columns, list) else [columns]
    return json_reply({"outputs": [[score_of(row)] for row in rows]})


def _read(decoder: Callable[[bytes], list[Any]], body: bytes) -> list[Any]:
    try:
        rows = decoder(body)
    except (ValueError, KeyError, TypeError, struct.error, SyntaxError, RecursionError) as error:
        raise RefusedQuestion(400, f"Unable to evaluate payload provided: {error}") from error
    if not rows:
        raise RefusedQuestion(400, "Unable to evaluate payload provided: there are no rows")
    return rows


def csv_rows(body: bytes) -> list[list[float]]:
    """Return the rows of CSV: numbers, no header."""
    rows = csv.reader(io.StringIO(body.decode()))
    return [[float(value) if value.strip() else float("nan") for value in row] for row in rows if row]


def json_rows(body: bytes) -> list[Any]:
    """Return the rows of JSON: a list, or one value."""
    value = json.loads(body)
    return value if isinstance(value, list) else [value]


def npy_rows(body: bytes) -> list[Any]:
    """Return the rows of an array as NumPy saves it (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html)."""
    if not body.startswith(_NPY_MAGIC) or len(body) < 12:
        raise ValueError("the body is not an .npy file")
    width, size = (2, "<H") if body[6] == 1 else (4, "<I")
    (length,) = struct.unpack(size, body[8 : 8 + width])
    described = ast.literal_eval(body[8 + width : 8 + width + length].decode("latin-1"))
    shape, order = described["shape"], described["descr"]
    letter, code = order[0], _NPY_TYPES[order[1:]]
    data = body[8 + width + length :]
    values = [one for (one,) in struct.iter_unpack((">" if letter == ">" else "<") + code, data)]
    rows = shape[0] if shape else 1
    if rows == 0 or len(values) % rows or (described["fortran_order"] and len(shape) > 1):
        raise ValueError(f"an array of the shape {shape} cannot be read")
    each = len(values) // rows
    return [values[index * each : (index + 1) * each] for index in range(rows)]


def npy_bytes(numbers: list[float]) -> bytes:
    """Return numbers as NumPy saves an array of them."""
    described = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({len(numbers)},), }}"
    # Magic, version and length are 10 bytes; all of it is a multiple of 64, and ends a line.
    padded = described + " " * (-(len(described) + 11) % 64) + "\n"
    head = _NPY_MAGIC + b"\x01\x00" + struct.pack("<H", len(padded)) + padded.encode("latin-1")
    return head + struct.pack(f"<{len(numbers)}d", *numbers)


def libsvm_rows(body: bytes) -> list[list[tuple[int, float]]]:
    """Return the rows of libsvm: a label, which is left out, and indexes with their values."""
    rows = []
    for line in body.decode().splitlines():
        words = line.split()
        features = [word.split(":", 1) for word in words if ":" in word]
        if len(words) - len(features) > 1:
            raise ValueError(f"{line!r} is not a row of libsvm")
        if words:
            rows.append([(int(index), float(value)) for index, value in features])
    return rows


def records(body: bytes) -> list[bytes]:
    """Return the records of recordio; what is in them is not looked at."""
    found, at = [], 0
    while at < len(body):
        magic, length = struct.unpack_from("<II", body, at)
        if magic != _RECORD_MAGIC or at + 8 + length > len(body):
            raise ValueError("the body is not recordio")
        found.append(body[at + 8 : at + 8 + length])
        at += 8 + length + -length % 4
    return found
