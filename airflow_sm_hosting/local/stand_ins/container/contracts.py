"""The contract of each family: what it must be started with, whether it takes adapters, and what answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from airflow_sm_hosting.local.stand_ins.container.arrays import (
    answer_tensorflow,
    answer_toolkit,
    answer_xgboost,
)
from airflow_sm_hosting.local.stand_ins.container.embeddings import answer_tei
from airflow_sm_hosting.local.stand_ins.container.exchange import Question, Reply, Setting
from airflow_sm_hosting.local.stand_ins.container.generated_text import answer_lmi, answer_tgi
from airflow_sm_hosting.local.stand_ins.container.kserve import answer_triton
from airflow_sm_hosting.local.stand_ins.container.openai_schema import answer_openai
from airflow_sm_hosting.local.stand_ins.container.pipelines import answer_pipeline


@dataclass(frozen=True)
class Contract:
    """What a family is asked, and asks for.

    :param answer: Answers ``POST /invocations``.
    :param lacks: Returns what it lacks in order to serve, or an empty string.
    :param exits: Whether it ends at once if it lacks something; otherwise its pings fail.
    :param takes_adapters: Whether it takes ``/adapters``.
    :param ping: The body of a successful ping.
    """

    answer: Callable[[Question], Reply]
    lacks: Callable[[Setting], str]
    exits: bool = False
    takes_adapters: bool = False
    ping: bytes = b""


def _nothing(setting: Setting) -> str:
    return ""


def _model_id(*names: str, data: bool = True) -> Callable[[Setting], str]:
    """Return what tells whether a model is named by an environment variable or, with ``data``, is in ``/opt/ml/model``."""

    def lacks(setting: Setting) -> str:
        named = setting.get(*names)
        if named:
            return _unreachable(named, setting)
        if data and setting.has_model:
            return ""
        where = ", nor model data in /opt/ml/model" if data else ""
        return f"there is no model: {' or '.join(names)} is not set{where}"

    return lacks


def _unreachable(model: str, setting: Setting) -> str:
    """Return why a model cannot be had: a path needs model data, and a name a network."""
    if setting.has_model:
        return ""
    if model.startswith("/"):
        return f"there is no model data in {model}"
    # botocore's model of CreateModel, EnableNetworkIsolation: no outbound calls.
    if setting.get("SM_HOSTING_STAND_IN_OFFLINE"):
        return (
            f"the model {model} cannot be downloaded, as the container has no network: EnableNetworkIsolation"
        )
    return ""


def _pipeline_model(setting: Setting) -> str:
    if setting.has_model:
        return ""
    if not (setting.get("HF_MODEL_ID") and setting.get("HF_TASK")):
        return "there is no model: neither HF_MODEL_ID with HF_TASK, nor model data in /opt/ml/model"
    return _unreachable(setting.get("HF_MODEL_ID"), setting)


def _artifact(setting: Setting) -> str:
    return "" if setting.has_model else "there is no model data in /opt/ml/model"


#: By family. Sources: containers' own documentation, in the modules that answer; that vLLM and SGLang end without a model, and that pings of
#: XGBoost, TensorFlow, Triton and the Hugging Face toolkit fail without model data, is assumed.
CONTRACTS = {
    "lmi": Contract(
        answer_lmi,
        _model_id("HF_MODEL_ID", "OPTION_MODEL_ID"),
        takes_adapters=True,
        ping=b'{"health": "healthy!"}',
    ),
    "vllm": Contract(
        answer_openai, _model_id("SM_VLLM_MODEL", "HF_MODEL_ID"), exits=True, takes_adapters=True
    ),
    "sglang": Contract(
        answer_openai, _model_id("SM_SGLANG_MODEL_PATH", "HF_MODEL_ID"), exits=True, takes_adapters=True
    ),
    "llamacpp": Contract(answer_openai, _model_id("HF_MODEL_ID"), exits=True),
    "tgi": Contract(answer_tgi, _model_id("HF_MODEL_ID", data=False), exits=True),
    "tei": Contract(answer_tei, _model_id("HF_MODEL_ID", data=False), exits=True),
    "huggingface": Contract(answer_pipeline, _pipeline_model),
    "pytorch": Contract(answer_toolkit, _nothing),
    "sklearn": Contract(answer_toolkit, _nothing),
    "xgboost": Contract(answer_xgboost, _artifact),
    "tensorflow": Contract(answer_tensorflow, _artifact),
    "triton": Contract(answer_triton, _artifact),
}
