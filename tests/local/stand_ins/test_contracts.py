"""What the stand-in of each family asks for, takes and answers: the table of families and contracts."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.local.stand_ins.container.arrays import npy_bytes, npy_rows
from airflow_sm_hosting.local.stand_ins.container.contracts import CONTRACTS
from airflow_sm_hosting.local.stand_ins.container.exchange import Reply, Setting
from airflow_sm_hosting.local.stand_ins.container.service import StandInService

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
HF = {"HF_MODEL_ID": "team/model"}


def service(family: str, *, model: bool = True, script: bool = True, **environment: str) -> StandInService:
    setting = Setting({"SM_HOSTING_STAND_IN_FAMILY": family, **environment}, model, script)
    return StandInService(CONTRACTS[family], setting)


def ask(
    family: str,
    body: Any,
    content_type: str = JSON,
    accept: str = "",
    *,
    model: bool = True,
    script: bool = True,
    **environment: str,
) -> Reply:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    asked = service(family, model=model, script=script, **environment)
    return asked.post("/invocations", data, {"content-type": content_type, "accept": accept})


def told(reply: Reply, status: int = 200) -> Any:
    assert reply.status == status, reply.body
    assert reply.content_type == JSON
    return json.loads(reply.body)


def streamed(reply: Reply, content_type: str) -> list[bytes]:
    assert (reply.status, reply.content_type) == (200, content_type)
    assert reply.parts is not None
    return list(reply.parts)


def events(reply: Reply) -> list[Any]:
    """Return the data of server-sent events, JSON where it is."""
    text = b"".join(streamed(reply, "text/event-stream")).decode()
    assert text.endswith("\n\n")
    data = [event.removeprefix("data:").strip() for event in text.split("\n\n")[:-1]]
    return [one if one == "[DONE]" else json.loads(one) for one in data]


# What each family must be started with

HAS: dict[str, list[dict[str, str]]] = {
    "lmi": [{}, HF],
    "vllm": [{}, HF, {"SM_VLLM_MODEL": "m"}],
    "sglang": [{}, {"SM_SGLANG_MODEL_PATH": "m"}],
    "llamacpp": [{}, HF],
    "tgi": [HF],
    "tei": [HF],
    "huggingface": [{}, {**HF, "HF_TASK": "fill-mask"}],
    "pytorch": [{}],
    "sklearn": [{}],
    "xgboost": [{}],
    "tensorflow": [{}],
    "triton": [{}],
}
#: Of these, the ones that serve without model data.
BY_ENVIRONMENT = {family: [one for one in found if one] for family, found in HAS.items()}


def test_the_table_has_every_family() -> None:
    assert set(HAS) == set(CONTRACTS)


@pytest.mark.parametrize("family", CONTRACTS)
def test_a_family_that_has_what_it_needs_passes_its_pings(family: str) -> None:
    for environment in HAS[family]:
        assert service(family, **environment).get("/ping").status == 200
    for environment in BY_ENVIRONMENT[family]:
        assert service(family, model=False, script=False, **environment).get("/ping").status == 200


@pytest.mark.parametrize("family", [f for f in CONTRACTS if f not in ("pytorch", "sklearn")])
def test_a_family_without_a_model_does_not_pass_its_pings_or_ends(family: str) -> None:
    setting = Setting({}, has_model=False)
    assert CONTRACTS[family].lacks(setting)
    assert CONTRACTS[family].exits == (family in ("tgi", "tei", "vllm", "sglang", "llamacpp"))
    reply = StandInService(CONTRACTS[family], setting).get("/ping")
    assert reply.status == 500
    assert json.loads(reply.body)["error"] == CONTRACTS[family].lacks(setting)


@pytest.mark.parametrize("family", [f for f in CONTRACTS if BY_ENVIRONMENT[f]])
def test_a_model_that_would_be_downloaded_needs_a_network_and_one_in_a_folder_needs_model_data(
    family: str,
) -> None:
    contract = CONTRACTS[family]
    offline = {"SM_HOSTING_STAND_IN_OFFLINE": "true"}
    for environment in BY_ENVIRONMENT[family]:
        assert not contract.lacks(Setting(environment, has_model=False))
        assert "EnableNetworkIsolation" in contract.lacks(
            Setting({**environment, **offline}, has_model=False)
        )
        here = {
            name: "/opt/ml/model" if value in ("m", "team/model") else value
            for name, value in environment.items()
        }
        assert "no model data in /opt/ml/model" in contract.lacks(Setting(here, has_model=False))
        for one in (environment, here):
            assert not contract.lacks(Setting({**one, **offline}, has_model=True))


def test_hugging_face_needs_the_task_with_the_model() -> None:
    assert service("huggingface", model=False, **HF).get("/ping").status == 500


@pytest.mark.parametrize("family", CONTRACTS)
def test_pings_fail_until_the_model_is_loaded(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    setting = Setting({**HF, "HF_TASK": "fill-mask"}, has_model=True)
    starting = StandInService(CONTRACTS[family], setting, 30)
    assert starting.get("/ping").status == 503
    now[0] += 29.9
    assert starting.get("/ping").status == 503
    now[0] += 0.2
    assert starting.get("/ping").status == 200


# The right request of each family, and requests of others

RIGHT: dict[str, tuple[Any, str]] = {
    "lmi": ({"inputs": "Hello"}, JSON),
    "vllm": ({"messages": [{"role": "user", "content": "Hello"}]}, JSON),
    "sglang": ({"prompt": "Hello"}, JSON),
    "llamacpp": ({"messages": [{"role": "user", "content": "Hello"}]}, JSON),
    "tgi": ({"inputs": "Hello"}, JSON),
    "tei": ({"inputs": ["Hello", "World"]}, JSON),
    "huggingface": ({"inputs": "Hello"}, JSON),
    "pytorch": ([[1, 2], [3, 4]], JSON),
    "sklearn": (b"1,2\n3,4\n", CSV),
    "xgboost": (b"1,2\n3,4\n", CSV),
    "tensorflow": ({"instances": [[1], [2]]}, JSON),
    "triton": ({"inputs": [{"name": "x", "shape": [2, 1], "datatype": "FP32", "data": [1, 2]}]}, JSON),
}
#: Of whom each family refuses the right request, and with which status: a smoke test with a wrong body must fail.
REFUSED = {
    "lmi": (424, ("tensorflow", "triton", "sklearn")),
    "vllm": (400, ("lmi", "tgi", "tei", "sklearn", "triton")),
    "sglang": (400, ("lmi", "tgi", "tei")),
    "llamacpp": (400, ("lmi", "tgi", "tei")),
    "tgi": (422, ("tei", "sglang", "sklearn", "tensorflow")),
    "tei": (422, ("vllm", "sklearn", "triton")),
    "huggingface": (400, ("vllm", "tensorflow", "triton")),
    "xgboost": (415, ("tgi", "vllm", "tensorflow")),
    "tensorflow": (400, ("vllm", "sglang")),
    "triton": (400, ("vllm", "tensorflow", "lmi")),
}


def answer_of(family: str, asked: tuple[Any, str]) -> Reply:
    return ask(family, *asked)


@pytest.mark.parametrize("family", CONTRACTS)
def test_the_right_request_is_answered_and_always_the_same(family: str) -> None:
    first, second = answer_of(family, RIGHT[family]), answer_of(family, RIGHT[family])
    assert first.status == 200, first.body
    assert _timeless(first) == _timeless(second)


def _timeless(reply: Reply) -> Any:
    if reply.content_type != JSON:
        return reply.body
    value = json.loads(reply.body)
    return {**value, "created": 0} if isinstance(value, dict) else value


@pytest.mark.parametrize(
    ("family", "other"), [(family, other) for family, (_, others) in REFUSED.items() for other in others]
)
def test_the_request_of_another_family_is_refused(family: str, other: str) -> None:
    body, content_type = RIGHT[other]
    if (family, other) in (("triton", "lmi"), ("tei", "sklearn")):
        content_type = JSON
    reply = ask(family, body, content_type)
    assert reply.status == REFUSED[family][0], reply.body


@pytest.mark.parametrize("family", CONTRACTS)
@given(body=st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(
        ["inputs", "messages", "prompt", "role", "content", "parameters", "instances", "name", "shape", "datatype", "data", "query",
         "texts", "outputs", "stream", "max_tokens", "model"]), inner, max_size=4),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode()), content_type=st.sampled_from([JSON, CSV, NPY, "text/libsvm", "", "image/png",
    "application/x-recordio-protobuf", "application/vnd.sagemaker-triton.binary+json;json-header-size=5",
    "application/vnd.sagemaker-triton.binary+json"]), accept=st.sampled_from(["", "*/*", JSON, CSV, NPY, "x/y"]))  # fmt: skip
def test_any_request_has_an_answer_or_a_refusal(
    family: str, body: bytes, content_type: str, accept: str
) -> None:
    reply = ask(family, body, content_type, accept)
    assert reply.status in (200, 204, 400, 404, 406, 415, 422, 424, 500)
    if reply.parts is not None:
        assert list(reply.parts)
    if reply.status == 500:
        pytest.fail(str(reply.body))
    if reply.status >= 400 and CONTRACTS[family].takes_adapters:
        assert json.loads(reply.body), "errors of LLM families are JSON"


# LMI


def test_lmi_generates_text_in_its_own_schema() -> None:
    answer = told(ask("lmi", {"inputs": "Hello", "parameters": {"max_new_tokens": 5, "details": True}}))
    assert answer["generated_text"].startswith("Stand-in says:")
    assert answer["details"]["finish_reason"] == "length"
    assert answer["details"]["generated_tokens"] == len(answer["details"]["tokens"]) == 5
    assert "".join(token["text"] for token in answer["details"]["tokens"]) == answer["generated_text"]
    assert set(answer["details"]["tokens"][0]) == {"id", "text", "log_prob"}
    assert "details" not in told(ask("lmi", {"inputs": "Hello"}))


def test_lmi_answers_a_batch_in_order() -> None:
    both = told(ask("lmi", {"inputs": ["a", "b"]}))
    assert both == [told(ask("lmi", {"inputs": text})) for text in ("a", "b")]
    assert both[0] != both[1]


def test_lmi_streams_lines_of_json_and_the_whole_text_on_the_last() -> None:
    reply = ask("lmi", {"inputs": "Hello", "parameters": {"max_new_tokens": 4}, "stream": True})
    lines = [json.loads(part) for part in streamed(reply, "application/jsonlines")]
    assert [sorted(line) for line in lines] == [["token"]] * 3 + [["generated_text", "token"]]
    assert "".join(line["token"]["text"] for line in lines) == lines[-1]["generated_text"]


def test_an_error_while_lmi_generates_is_told_by_the_last_line_of_a_stream_only() -> None:
    wrong = {"inputs": "Hello", "parameters": {"max_new_tokens": "many"}}
    answer = told(ask("lmi", wrong), 424)
    assert (answer["generated_text"], answer["details"]["finish_reason"]) == ("", "error")
    (line,) = streamed(ask("lmi", {**wrong, "stream": True}), "application/jsonlines")
    assert json.loads(line)["details"]["finish_reason"] == "error"


def test_lmi_answers_chats_with_lines_and_as_tgi_if_it_is_told_to() -> None:
    chat = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3}
    assert told(ask("lmi", chat))["object"] == "chat.completion"
    lines = streamed(ask("lmi", {**chat, "stream": True}), "application/jsonlines")
    assert [json.loads(line)["object"] for line in lines] == ["chat.completion.chunk"] * 3
    (answer,) = told(ask("lmi", {"inputs": "Hello"}, OPTION_TGI_COMPAT="true"))
    assert set(answer) == {"generated_text"}


def test_a_refusal_of_lmi_has_its_code() -> None:
    assert told(ask("lmi", b"not json"), 424)["code"] == 424
    assert service("lmi").get("/ping").body == b'{"health": "healthy!"}'


# OpenAI's schema


def test_a_chat_completion_has_the_members_of_openai() -> None:
    chat = {"messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hello you"}]}
    answer = told(ask("vllm", {**chat, "max_tokens": 4}, **HF))
    assert (answer["object"], answer["model"]) == ("chat.completion", "team/model")
    (choice,) = answer["choices"]
    assert choice["message"]["role"] == "assistant"
    assert choice["finish_reason"] == "length"
    assert answer["usage"] == {"prompt_tokens": 4, "completion_tokens": 4, "total_tokens": 8}
    assert len(told(ask("vllm", {**chat, "n": 2}))["choices"]) == 2


def test_a_streamed_chat_ends_with_done_and_has_its_usage_if_it_is_asked_for() -> None:
    chat = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3, "stream": True}
    *chunks, done = events(ask("vllm", chat))
    assert done == "[DONE]"
    assert [chunk["object"] for chunk in chunks] == ["chat.completion.chunk"] * 3
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, "length"]
    whole = told(ask("vllm", {**chat, "stream": False}))["choices"][0]["message"]["content"]
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks) == whole
    *_, usage, done = events(ask("vllm", {**chat, "stream_options": {"include_usage": True}}))
    assert (usage["choices"], usage["usage"]["completion_tokens"], done) == ([], 3, "[DONE]")


def test_a_prompt_is_completed() -> None:
    answer = told(ask("sglang", {"prompt": "Once"}))
    assert answer["object"] == "text_completion"
    assert answer["choices"][0]["text"].startswith("Stand-in says:")
    *chunks, _ = events(ask("sglang", {"prompt": "Once", "stream": True}))
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == answer["choices"][0]["text"]


@pytest.mark.parametrize(
    ("model", "status"), [(None, 200), ("", 200), ("team/model", 200), ("other", 404), (7, 400)]
)
def test_a_model_is_served_under_its_own_name_only(model: Any, status: int) -> None:
    chat = {"messages": [{"role": "user", "content": "Hello"}]}
    reply = ask("vllm", {**chat, "model": model}, **HF)
    assert reply.status == status, reply.body
    if status != 200:
        assert json.loads(reply.body)["error"]["code"] == status


@pytest.mark.parametrize(
    "request_body",
    [
        {},
        {"messages": []},
        {"messages": "Hello"},
        {"messages": [{"content": "Hello"}]},
        {"messages": [{"role": "user", "content": 7}]},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 0},
        {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": True},
        {"prompt": ""},
        {"prompt": ["a", "b"]},
        ["no", "object"],
    ],
)
def test_a_wrong_chat_is_a_bad_request(request_body: Any) -> None:
    assert told(ask("vllm", request_body), 400)["error"]["type"] == "BadRequestError"


# TGI and TEI


def test_tgi_answers_with_a_list_and_streams_events() -> None:
    (answer,) = told(ask("tgi", {"inputs": "Hello", "parameters": {"details": True, "max_new_tokens": 3}}))
    assert answer["details"]["generated_tokens"] == len(answer["details"]["tokens"]) == 3
    stream = events(ask("tgi", {"inputs": "Hello", "parameters": {"max_new_tokens": 3}, "stream": True}))
    assert [event["generated_text"] for event in stream] == [None, None, answer["generated_text"]]
    assert "".join(event["token"]["text"] for event in stream) == answer["generated_text"]
    (full,) = told(ask("tgi", {"inputs": "Hello ", "parameters": {"return_full_text": True}}))
    assert full["generated_text"].startswith("Hello Stand-in")


def test_tgi_answers_messages_and_whatever_model_they_name() -> None:
    chat = {"model": "tgi", "messages": [{"role": "user", "content": "Hello"}]}
    assert told(ask("tgi", chat))["object"] == "chat.completion"
    assert events(ask("tgi", {**chat, "stream": True}))[-1] == "[DONE]"


def test_tgi_refuses_more_than_its_limits() -> None:
    limits = {"MAX_INPUT_LENGTH": "2", "MAX_TOTAL_TOKENS": "5"}
    long = told(ask("tgi", {"inputs": "one two three"}, **limits), 422)
    assert "must have less than 2 tokens" in long["error"]
    many = told(ask("tgi", {"inputs": "one", "parameters": {"max_new_tokens": 5}}, **limits), 422)
    assert many["error_type"] == "validation"


def test_tei_answers_with_a_list_of_vectors_and_with_ranks() -> None:
    one = told(ask("tei", {"inputs": "Hello"}))
    two = told(ask("tei", {"inputs": ["Hello", "World"]}))
    assert [len(vector) for vector in two] == [384, 384]
    assert one == two[:1]
    assert two[0] != two[1]
    assert sum(value**2 for value in one[0]) == pytest.approx(1, abs=1e-3)
    ranks = told(ask("tei", {"query": "q", "texts": ["a", "b", "c"]}))
    assert sorted(rank["index"] for rank in ranks) == [0, 1, 2]
    assert [rank["score"] for rank in ranks] == sorted((rank["score"] for rank in ranks), reverse=True)


# Hugging Face's pipelines


@pytest.mark.parametrize(
    ("task", "inputs", "parameters", "members"),
    [
        ("text-classification", "I like it", {}, {"label", "score"}),
        ("text-generation", "Once", {"max_new_tokens": 3}, {"generated_text"}),
        ("text2text-generation", "Once", {}, {"generated_text"}),
        ("summarization", "Long", {}, {"summary_text"}),
        ("translation_en_to_de", "Hello", {}, {"translation_text"}),
        ("token-classification", "I saw Berlin", {}, {"entity", "score", "index", "word", "start", "end"}),
        ("question-answering", {"question": "Who?", "context": "It was Ann"}, {}, {"score", "start", "end", "answer"}),
        ("zero-shot-classification", "text", {"candidate_labels": ["a", "b"]}, {"sequence", "labels", "scores"}),
        ("fill-mask", "I [MASK] it", {}, {"score", "token", "token_str", "sequence"}),
    ],
)  # fmt: skip
def test_a_pipeline_answers_by_its_task(task: str, inputs: Any, parameters: Any, members: set[str]) -> None:
    answer = told(ask("huggingface", {"inputs": inputs, "parameters": parameters}, HF_TASK=task))
    found = answer[0] if isinstance(answer, list) else answer
    assert set(found) == members
    if task == "question-answering":
        assert inputs["context"][found["start"] : found["end"]] == found["answer"]
    if task == "zero-shot-classification":
        assert sum(found["scores"]) == pytest.approx(1)


def test_a_pipeline_refuses_what_its_task_cannot_take() -> None:
    assert told(ask("huggingface", {"inputs": "x"}, HF_TASK="question-answering"), 400)["code"] == 400
    assert told(ask("huggingface", {"inputs": "no mask"}, HF_TASK="fill-mask"), 400)["code"] == 400
    assert (
        "does not know the task"
        in told(ask("huggingface", {"inputs": "x"}, HF_TASK="text-to-image"), 400)["message"]
    )
    labels = told(ask("huggingface", b"\x89PNG", "image/png", HF_TASK="image-classification"))
    assert [set(label) for label in labels] == [{"label", "score"}] * 3


# Rows of numbers


@pytest.mark.parametrize("family", ["sklearn", "pytorch"])
def test_toolkits_decode_and_encode_by_content_type(family: str) -> None:
    rows = [[1.0, 2.0], [3.0, 4.0]]
    numbers = told(ask(family, rows))
    assert len(numbers) == 2
    assert told(ask(family, b"1,2\n3,4\n", CSV, JSON)) == numbers
    lines = ask(family, b"1,2\n3,4\n", CSV, CSV)
    assert (lines.content_type, [float(line) for line in lines.body.split()]) == (CSV, numbers)
    npy = ask(family, rows, JSON, NPY)
    assert [row for (row,) in npy_rows(npy.body)] == numbers
    assert ask(family, rows, "text/plain").status == 415
    assert ask(family, rows, JSON, "text/html").status == 406
    assert ask(family, b"1,two\n", CSV).status == 400
    assert ask(family, rows, SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT=CSV).content_type == CSV


def test_scikit_learn_needs_a_script_and_pytorch_a_script_or_a_model() -> None:
    for family, model, status in (("sklearn", True, 500), ("pytorch", True, 200), ("pytorch", False, 500)):
        assert ask(family, [[1]], model=model, script=False).status == status
        assert service(family, model=model, script=False).get("/ping").status == 200


def test_arrays_are_read_and_written_as_numpy_does() -> None:
    numpy = pytest.importorskip("numpy")
    for dtype in ("f4", "f8", "i4", "i8", ">f8", "u1", "?"):
        buffer = io.BytesIO()
        numpy.save(buffer, numpy.arange(6).reshape(3, 2).astype(dtype))
        assert npy_rows(buffer.getvalue()) == numpy.arange(6).reshape(3, 2).astype(dtype).tolist()
    assert numpy.load(io.BytesIO(npy_bytes([0.5, 1.5]))).tolist() == [0.5, 1.5]
    assert numpy.load(io.BytesIO(npy_bytes([]))).tolist() == []


def test_xgboost_joins_its_predictions_by_commas() -> None:
    reply = ask("xgboost", b"1,2\n3,4\n", CSV)
    assert reply.content_type == CSV
    numbers = [float(number) for number in reply.body.decode().split(",")]
    assert len(numbers) == 2
    assert told(ask("xgboost", b"1,2\n3,4\n", CSV, JSON)) == {"predictions": [{"score": n} for n in numbers]}
    assert ask("xgboost", b"1,2\n3,4\n", CSV, SAGEMAKER_BATCH="true").body.count(b"\n") == 1


def test_xgboost_takes_libsvm_and_recordio_and_refuses_the_rest() -> None:
    assert ask("xgboost", b"0 1:1 3:2.5\n1 2:4\n", "text/libsvm").body.count(b",") == 1
    record = struct.pack("<II", 0xCED7230A, 3) + b"abc\0"
    assert ask("xgboost", record * 2, "application/x-recordio-protobuf").body.count(b",") == 1
    assert ask("xgboost", record[:-2], "application/x-recordio-protobuf").status == 400
    assert ask("xgboost", b"", CSV).status == 204
    assert ask("xgboost", b"1,2\n3\n", CSV).status == 400
    assert ask("xgboost", b"a,b\n", CSV).status == 400
    assert ask("xgboost", b"[1]", JSON).status == 415
    limits = told(service("xgboost").get("/execution-parameters"))
    assert set(limits) == {"MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"}


def test_tensorflow_answers_by_row_and_by_column() -> None:
    rows = told(ask("tensorflow", {"instances": [[1], [2]]}))["predictions"]
    assert told(ask("tensorflow", {"inputs": {"x": [[1], [2]]}}))["outputs"] == rows
    assert len(told(ask("tensorflow", b"1,2\n3,4\n", CSV))["predictions"]) == 2
    assert ask("tensorflow", {"instances": [1], "inputs": [1]}).status == 400
    assert ask("tensorflow", b"x", "text/plain").status == 415


# Triton

BINARY = "application/vnd.sagemaker-triton.binary+json"


def test_triton_answers_the_outputs_that_are_asked_for() -> None:
    inputs = [{"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2], [3, 4]]}]
    answer = told(ask("triton", {"id": "7", "inputs": inputs, "outputs": [{"name": "a"}, {"name": "b"}]}))
    assert [output["name"] for output in answer["outputs"]] == ["a", "b"]
    assert answer["outputs"][0]["shape"] == [2, 1]
    assert len(answer["outputs"][0]["data"]) == 2
    assert answer["id"] == "7"
    assert told(ask("triton", {"inputs": inputs}))["outputs"][0]["data"] == answer["outputs"][0]["data"]


def test_triton_takes_and_gives_binary_tensors() -> None:
    packed = struct.pack("<2f", 1, 2)
    tensor = {
        "name": "x",
        "shape": [2, 1],
        "datatype": "FP32",
        "parameters": {"binary_data_size": len(packed)},
    }
    head = json.dumps(
        {"inputs": [tensor], "outputs": [{"name": "y", "parameters": {"binary_data": True}}]}
    ).encode()
    reply = ask("triton", head + packed, f"{BINARY};json-header-size={len(head)}")
    assert reply.status == 200, reply.body
    kind, _, size = reply.content_type.partition(";json-header-size=")
    assert kind == BINARY
    (output,) = json.loads(reply.body[: int(size)])["outputs"]
    assert output["parameters"]["binary_data_size"] == len(reply.body) - int(size) == 8
    short = ask("triton", head + packed[:-1], f"{BINARY};json-header-size={len(head)}")
    assert short.status == 400


@pytest.mark.parametrize(
    "change", [{"datatype": "FLOAT"}, {"shape": [3, 1]}, {"shape": "x"}, {"data": None}, {"name": None}]
)
def test_triton_refuses_a_wrong_tensor(change: dict[str, Any]) -> None:
    tensor = {"name": "x", "shape": [2, 1], "datatype": "FP32", "data": [1, 2], **change}
    right = {key: value for key, value in tensor.items() if value is not None}
    assert told(ask("triton", {"inputs": [right]}), 400)["error"]


# Adapters and multi-model containers

LLMS = [family for family, contract in CONTRACTS.items() if contract.takes_adapters]


@pytest.mark.parametrize("family", LLMS)
def test_an_adapter_is_loaded_asked_and_unloaded(family: str) -> None:
    asked = service(family, **HF)
    body = json.dumps(RIGHT["vllm"][0]).encode()
    named = {"content-type": JSON, "x-amzn-sagemaker-adapter-identifier": "law"}
    assert asked.post("/invocations", body, named).status == 404
    load = json.dumps({"name": "law", "src": "/opt/ml/models/law/model"}).encode()
    assert asked.post("/adapters", load, {}).status == 200
    assert asked.post("/adapters", load, {}).status == 409
    with_adapter = json.loads(asked.post("/invocations", body, named).body)
    without = json.loads(asked.post("/invocations", body, {"content-type": JSON}).body)
    assert (with_adapter["model"], without["model"]) == ("law", "team/model")
    assert with_adapter["choices"] != without["choices"]
    assert asked.delete("/adapters/law").status == 200
    assert asked.delete("/adapters/law").status == 404


def test_other_families_take_no_adapters() -> None:
    assert LLMS == ["lmi", "vllm", "sglang"]
    for family in set(CONTRACTS) - set(LLMS):
        assert service(family).post("/adapters", b'{"name": "a", "src": "b"}', {}).status == 404


def test_a_multi_model_container_loads_lists_asks_and_unloads_models() -> None:
    asked = service("sklearn", model=False, script=True, SAGEMAKER_MULTI_MODEL="true")

    def load(name: str) -> bytes:
        return json.dumps({"model_name": name, "url": "/m"}).encode()

    assert asked.get("/ping").status == 200
    assert asked.post("/models/a/invoke", b"[[1]]", {}).status == 404
    assert asked.post("/models", load("a"), {}).status == 200
    assert asked.post("/models", load("a"), {}).status == 409
    assert told(asked.get("/models")) == {"models": [{"modelName": "a", "modelUrl": "/m"}]}
    assert told(asked.get("/models/a"))["modelName"] == "a"
    assert asked.post("/models/a/invoke", b"[[1]]", {}).status == 200
    assert asked.delete("/models/a").status == 200
    assert asked.get("/models/a").status == 404
    assert service("sklearn").get("/models").status == 404


def test_metrics_count_invocations() -> None:
    asked = service("tgi", **HF)
    for _ in range(3):
        asked.post("/invocations", b"{}", {})
    assert b"stand_in_invocations_total 3\n" in asked.get("/metrics").body
