"""What is there before the run in which a worker is killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow_sm_hosting.local import LocalAws
from tests.crashes.tasks import FIRST_RUN, IMAGE, SECOND_RUN, chain
from tests.crashes.worker import run_here


class Before:
    """Makes what is there before the run in which the worker is killed.

    :param aws: Which the connection ``aws_default`` leads to.
    :param project: The files of :func:`tests.crashes.tasks.make_project`.
    """

    def __init__(self, aws: LocalAws, project: Path) -> None:
        self.aws = aws
        self.project = project

    def nothing(self) -> dict[str, Any]:
        self.aws.client("s3").create_bucket(Bucket="models")
        return {}

    def old_and_the_image(self) -> dict[str, Any]:
        """The image is not built anew."""
        self.old()
        return {"image": IMAGE}

    def old(self) -> dict[str, Any]:
        """The old version serves; it was not built here. Somebody else's alarm scales it, and somebody else the variant beside."""
        self.nothing()
        aws = self.aws
        jobs = [job for job in chain(self.project, "old") if job.name not in ("image", "artifact", "alarm")]
        run_here(jobs, {"image": IMAGE, "artifact": None}, FIRST_RUN)
        scaling = aws.client("application-autoscaling")
        # Of two targets, one may be off already when a worker is killed.
        scaling.register_scalable_target(
            ServiceNamespace="sagemaker",
            ResourceId="endpoint/churn/variant/beside",
            ScalableDimension="sagemaker:variant:DesiredInstanceCount",
            MinCapacity=1,
            MaxCapacity=2,
        )
        policies = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")
        [step] = [one for one in policies["ScalingPolicies"] if one["PolicyType"] == "StepScaling"]
        aws.client("cloudwatch").put_metric_alarm(
            AlarmName="backlog",
            Namespace="AWS/SageMaker",
            MetricName="Invocations",
            Dimensions=[{"Name": "EndpointName", "Value": "churn"}, {"Name": "VariantName", "Value": "main"}],
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=5.0,
            ComparisonOperator="GreaterThanThreshold",
            AlarmActions=[step["PolicyARN"]],
        )
        return {}

    def old_and_another_config(self) -> dict[str, Any]:
        """The new config is there, too: the old model on another instance type, and on more instances."""
        self.old()
        jobs = chain(self.project, "old", instance_type="ml.c5.large", unscaled=2)
        done = run_here([jobs[2], jobs[3]], {"image": IMAGE, "artifact": None}, SECOND_RUN)
        return {"config": done["config"]}

    def failed(self) -> dict[str, Any]:
        done = self.old_and_another_config()
        self.aws.set_endpoint_status("churn", "Failed")
        return done

    def new(self) -> dict[str, Any]:
        """The new config serves."""
        done = self.old_and_another_config()
        run_here([chain(self.project, "old")[4]], done, SECOND_RUN)
        return {}
