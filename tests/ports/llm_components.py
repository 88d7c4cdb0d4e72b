"""A language model as an inference component, and a LoRA adapter on top of it."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_sm_hosting import (
    ComputeRequirements,
    ContainerDefinition,
    ContainerImage,
    InferenceComponentSpecification,
    InstanceProductionVariant,
    InvokeEndpointOperator,
    ModelData,
    ModelHostingTaskGroup,
    Routing,
)

PATIENCE = {
    "container_startup_health_check_timeout": timedelta(minutes=15),
    "model_data_download_timeout": timedelta(minutes=15),
}
SETTINGS = {
    "HF_MODEL_ID": "s3://llm-weights/llama-8b/",
    "OPTION_ROLLING_BATCH": "lmi-dist",
    "OPTION_MAX_ROLLING_BATCH_SIZE": "16",
    "OPTION_TENSOR_PARALLEL_DEGREE": "max",
    "OPTION_ENABLE_LORA": "true",
    "OPTION_MAX_LORAS": "30",
    "OPTION_MAX_CPU_LORAS": "70",
    "OPTION_DTYPE": "fp16",
    "OPTION_MAX_MODEL_LEN": "6000",
}
QUESTION = {"inputs": "What did the company earn?", "parameters": {"max_new_tokens": 125, "top_p": 0.9}}

with DAG("llm_components", schedule=None, start_date=datetime(2026, 1, 1)):
    llm = ModelHostingTaskGroup(
        group_id="llm",
        endpoint_name="analyst",
        models={
            "analyst": [
                ContainerDefinition(
                    image=ContainerImage.from_dlc("djl-inference", "0.31.0-lmi13.0.0-cu124"),
                    environment=SETTINGS,
                )
            ]
        },
        production_variants=[
            InstanceProductionVariant(
                variant_name="main",
                instance_type="ml.g5.12xlarge",
                routing=Routing(strategy="LEAST_OUTSTANDING_REQUESTS"),
                **PATIENCE,
            )
        ],
        components={
            "analyst": InferenceComponentSpecification(
                model_name="analyst",
                requirements=ComputeRequirements(min_memory_in_mb=32000, accelerators=4),
                **PATIENCE,
            )
        },
        adapters={"analyst": {"analyst-earnings": ModelData.from_asset("earnings_adapter")}},
        bucket_name="llm-weights",
        execution_role="SageMakerHostingRole",
    )
    llm >> InvokeEndpointOperator.partial(
        task_id="ask", endpoint_name="analyst", body=QUESTION, push_response=True
    ).expand(inference_component_name=["analyst", "analyst-earnings"])
