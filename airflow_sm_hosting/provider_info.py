"""What Airflow asks of an installed provider (entry point ``apache_airflow_provider``)."""

from __future__ import annotations

from typing import Any

import airflow_sm_hosting

INTEGRATION = "Amazon SageMaker hosting"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata, valid under Airflow's ``provider_info.schema.json``."""

    def modules(*names: str) -> list[dict[str, Any]]:
        return [
            {
                "integration-name": INTEGRATION,
                "python-modules": [f"airflow_sm_hosting.{name}" for name in names],
            }
        ]

    return {
        "package-name": "airflow-provider-sm-hosting",
        "name": "SageMaker hosting",
        "description": "Deploy machine-learning models to Amazon SageMaker hosting.",
        "versions": [airflow_sm_hosting.__version__],
        "integrations": [
            {
                "integration-name": INTEGRATION,
                "external-doc-url": "https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints.html",
                "tags": ["aws"],
            }
        ],
        "operators": modules(
            "operators.approve_deployment",
            "operators.approve_model",
            "operators.build_image",
            "operators.check_container",
            "operators.clean_up_hosting",
            "operators.configure_autoscaling",
            "operators.copy_image",
            "operators.copy_model_data",
            "operators.create_alarm",
            "operators.create_composite_alarm",
            "operators.create_endpoint_config",
            "operators.create_endpoint_dashboard",
            "operators.create_model",
            "operators.delete_endpoint",
            "operators.delete_inference_component",
            "operators.deploy_endpoint",
            "operators.deploy_inference_component",
            "operators.ensure_execution_role",
            "operators.grant_access",
            "operators.invoke_endpoint",
            "operators.plan_deployment",
            "operators.plan_inference_component",
            "operators.promote_shadow",
            "operators.register_model",
            "operators.rollback_endpoint",
            "operators.rollback_inference_component",
            "operators.remove_autoscaling",
            "operators.report_shadow",
            "operators.shift_traffic",
            "operators.upload_model_data",
        ),
        "sensors": modules(
            "sensors.endpoint",
            "sensors.endpoint_drift",
            "sensors.inference_component",
            "sensors.model_package",
        ),
        "hooks": modules(
            "hooks.application_auto_scaling",
            "hooks.cloudwatch",
            "hooks.codebuild",
            "hooks.ecr",
            "hooks.endpoint_logs",
            "hooks.iam",
            "hooks.model_registry",
            "hooks.s3",
            "hooks.sagemaker",
        ),
        "triggers": modules(
            "triggers.async_answer",
            "triggers.endpoint",
            "triggers.image_build",
            "triggers.model_package",
            "triggers.package_events",
        ),
        "asset-uris": [
            {
                "schemes": ["sagemaker"],
                "handler": "airflow_sm_hosting.ui.assets.sanitize_uri",
                "to_openlineage_converter": "airflow_sm_hosting.ui.assets.to_openlineage",
            }
        ],
        "config": {
            "sm_hosting": {
                "description": "Defaults of the SageMaker hosting operators.",
                "options": {
                    "image_builder": {
                        "description": "Default of BuildImageOperator's parameter builder: auto, docker, buildx, buildah, "
                        "assembler (for workers without an engine), or codebuild (AWS CodeBuild).",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "assembler",
                        "default": "auto",
                    },
                    "stat_cache": {
                        "description": "Whether the digests of build contexts and artifacts are kept in the user's cache folder of the "
                        "worker, as long as no file changes (by inode, size and ctime).",
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": "False",
                        "default": "True",
                    },
                    "calls_per_second": {
                        "description": "Maximum number of calls per second of all deferred waits of a triggerer together, "
                        "for each AWS credentials and Region; 0.1 to 1000.",
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": "20",
                        "default": "9",
                    },
                    "lists_per_second": {
                        "description": "Maximum number of these calls that are ListEndpoints; 0 to 1000, 0 disables "
                        "ListEndpoints.",
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": "2",
                        "default": "1",
                    },
                },
            }
        },
        "extra-links": [
            "airflow_sm_hosting.links.AlarmLink",
            "airflow_sm_hosting.links.ArtifactLink",
            "airflow_sm_hosting.links.ComponentLogsLink",
            "airflow_sm_hosting.links.DashboardLink",
            "airflow_sm_hosting.links.EndpointConfigLink",
            "airflow_sm_hosting.links.EndpointLink",
            "airflow_sm_hosting.links.EndpointLogsLink",
            "airflow_sm_hosting.links.ModelLink",
            "airflow_sm_hosting.links.RepositoryLink",
        ],
    }
