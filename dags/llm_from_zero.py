"""Serve a language model with two adapters on shared instances, from zero copies to two and back.

The image is AWS's LMI container, the model an inference component, and each adapter a component on top of it. Without requests the
component goes down to zero copies, and the endpoint to zero instances; the first request wakes it. ``adapters/fr`` and ``adapters/de`` are
folders beside this file.
"""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG, Param

from airflow_sm_hosting import (
    ComputeRequirements,
    ContainerDefinition,
    ContainerImage,
    InferenceComponentSpecification,
    InstanceProductionVariant,
    ManagedInstanceScaling,
    ModelData,
    ModelHostingTaskGroup,
    ScaleFromZero,
    SmokeTest,
)

LMI = ContainerImage.from_dlc("djl-inference", "0.36.0-lmi28.0.0-cu130")
SETTINGS = {"HF_MODEL_ID": "{{ params.hugging_face_model }}", "OPTION_ENABLE_LORA": "true"}
PROMPT = {"inputs": "Hello", "parameters": {"max_new_tokens": 4}}
POLLS = {"poll_interval": "{{ params.poll_interval }}"}

with DAG(
    "llm_from_zero",
    description="Serve a language model with two adapters, from zero copies to two and back.",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),
    max_active_runs=1,
    tags=["sm-hosting", "example"],
    params={
        "endpoint_name": Param("llm", type="string", title="Endpoint"),
        "hugging_face_model": Param("team/model", type="string", title="Model"),
        "bucket_name": Param("sm-hosting-models", type="string", title="Bucket of the adapters"),
        "execution_role": Param("SageMakerHostingRole", type="string", title="Execution role"),
        "poll_interval": Param(30, type="number", minimum=0.1, title="Seconds between two polls"),
    },
):
    ModelHostingTaskGroup(
        group_id="llm",
        endpoint_name="{{ params.endpoint_name }}",
        models={"llama": [ContainerDefinition(image=LMI, environment=SETTINGS)]},
        production_variants=[
            InstanceProductionVariant(
                variant_name="main",
                instance_type="ml.g5.2xlarge",
                managed_instance_scaling=ManagedInstanceScaling(min_instance_count=0, max_instance_count=2),
            )
        ],
        components={
            "llama": {
                "specification": InferenceComponentSpecification(
                    model_name="llama",
                    requirements=ComputeRequirements(min_memory_in_mb=8192, accelerators=1),
                ),
                "smoke_test": SmokeTest(body=PROMPT, wait_for_capacity=900),
            }
        },
        adapters={
            "llama": {
                "llama-fr": ModelData.from_asset("adapters/fr"),
                "llama-de": ModelData.from_asset("adapters/de"),
            }
        },
        bucket_name="{{ params.bucket_name }}",
        execution_role="{{ params.execution_role }}",
        scaling={"llama": {"min_capacity": 0, "max_capacity": 2, "from_zero": ScaleFromZero(target_value=5)}},
        deploy_options=POLLS,
        component_options=POLLS,
    )
