"""A language model whose copies and instances go to zero when nobody asks, and come back with the first request."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_sm_hosting import (
    ComputeRequirements,
    ContainerDefinition,
    ContainerImage,
    InferenceComponentSpecification,
    InstanceProductionVariant,
    ManagedInstanceScaling,
    ModelHostingTaskGroup,
    Routing,
    ScaleFromZero,
    SmokeTest,
)

PATIENCE = timedelta(minutes=10)
SETTINGS = {
    "HF_MODEL_ID": "Qwen/Qwen3-4B",
    "HF_TOKEN": "{{ conn.hugging_face.password }}",
    "SERVING_FAIL_FAST": "true",
    "OPTION_ASYNC_MODE": "true",
    "OPTION_ROLLING_BATCH": "disable",
    "OPTION_MAX_MODEL_LEN": "16384",
    "OPTION_ENTRYPOINT": "djl_python.lmi_vllm.vllm_async_service",
}
QUESTION = {"messages": [{"role": "user", "content": "Where should I walk in Lisbon?"}]}

with DAG("from_zero", schedule=None, start_date=datetime(2026, 1, 1)):
    ModelHostingTaskGroup(
        group_id="llm",
        endpoint_name="guide",
        models={
            "guide": [
                ContainerDefinition(
                    image=ContainerImage.from_dlc("djl-inference", "0.34.0-lmi16.0.0-cu128"),
                    environment=SETTINGS,
                )
            ]
        },
        production_variants=[
            InstanceProductionVariant(
                variant_name="main",
                instance_type="ml.g5.12xlarge",
                container_startup_health_check_timeout=PATIENCE,
                routing=Routing(strategy="LEAST_OUTSTANDING_REQUESTS"),
                managed_instance_scaling=ManagedInstanceScaling(min_instance_count=0, max_instance_count=2),
            )
        ],
        components={
            "guide": {
                "specification": InferenceComponentSpecification(
                    model_name="guide",
                    requirements=ComputeRequirements(min_memory_in_mb=4096, accelerators=1),
                    container_startup_health_check_timeout=PATIENCE,
                    model_data_download_timeout=PATIENCE,
                ),
                "smoke_test": SmokeTest(body=QUESTION, wait_for_capacity=900),
            }
        },
        scaling={
            "guide": {
                "max_capacity": 2,
                "from_zero": ScaleFromZero(
                    target_value=3,
                    predefined_metric="SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution",
                ),
            }
        },
        execution_role="SageMakerHostingRole",
    )
