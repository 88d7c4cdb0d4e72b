"""What SageMaker refuses of an inference component's specifications beyond its model of the request: each rule with its source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_sm_hosting.local.sagemaker.components.component import specifications
from airflow_sm_hosting.local.sagemaker.refusal import refuse


def check_specifications(request: Mapping[str, Any]) -> None:
    """Validate the specifications of a component with its own copies; the models that they name are not looked up."""
    # API_CreateInferenceComponent.html: "either this parameter or the singular Specification parameter, but not both".
    if ("Specification" in request) == ("Specifications" in request):
        refuse("Exactly one of Specification and Specifications must be specified.")
    found = specifications(request)
    types = [one.get("InstanceType") for one in found]
    if len(types) > 1 and (None in types or len(set(types)) < len(types)):
        # API_InferenceComponentSpecification.html: "Required when using … multiple entries."
        refuse("Each of several Specifications must have an InstanceType of its own.")
    for specification in found:
        if "BaseInferenceComponentName" in specification:
            # Assumed, for what is none yet, and for one of several specifications.
            refuse("BaseInferenceComponentName can be specified only for an adapter.")
        if ("ModelName" in specification) == ("Container" in specification):
            refuse("Exactly one of ModelName and Container must be specified for a specification.")
        # API_InferenceComponentSpecification.html: to be omitted for adapters only.
        needs = specification.get("ComputeResourceRequirements")
        if needs is None:
            refuse("ComputeResourceRequirements must be specified.")
        most = needs.get("MaxMemoryRequiredInMb")
        if most is not None and most < needs["MinMemoryRequiredInMb"]:
            refuse("MaxMemoryRequiredInMb must not be less than MinMemoryRequiredInMb.")
