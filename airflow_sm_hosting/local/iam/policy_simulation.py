"""IAM's SimulatePrincipalPolicy, which moto does not have: the SageMaker Python SDK asks it about an execution role before it makes a model.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html. Which statements matched and which context keys are
missing is not in the answer. What would change the answer and is not simulated here (resource policies) is an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_sm_hosting.local.iam.policy_evaluation import (
    Context,
    Effect,
    NotEvaluatedError,
    evaluate_policies,
)
from airflow_sm_hosting.local.moto_bridge import identities
from airflow_sm_hosting.local.wire.errors import AwsError

OPERATIONS = ("SimulatePrincipalPolicy",)
_NOT_SIMULATED = ("CallerArn", "ResourceHandlingOption", "ResourceOwner", "ResourcePolicy")
_DECISIONS = {
    Effect.ALLOWED: "allowed",
    Effect.NOT_ALLOWED: "implicitDeny",
    Effect.DENIED: "explicitDeny",
}


def simulate_principal_policy(_operation: str, request: Mapping[str, Any], _region: str) -> dict[str, Any]:
    """Return what a user, a group or a role may do.

    :raises AwsError: There is no such user, group or role, or its policies cannot be evaluated.
    """
    if given := [member for member in _NOT_SIMULATED if request.get(member)]:
        raise AwsError("InvalidInput", f"The local AWS does not simulate {', '.join(given)}.")
    try:
        return {"EvaluationResults": list(_results(request)), "IsTruncated": False}
    except NotEvaluatedError as error:
        raise AwsError("PolicyEvaluation", str(error)) from error


def _results(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    arn = request["PolicySourceArn"]
    identity = identities.identity_of_arn(arn)
    if identity is None:
        # The code is the API reference's, the sentence is assumed.
        raise AwsError("NoSuchEntity", f"The entity {arn} cannot be found.")
    policies = [*identity.policies, *map(json.loads, request.get("PolicyInputList", ()))]
    boundary = identity.boundary
    if given := request.get("PermissionsBoundaryPolicyInputList"):
        boundary = [json.loads(document) for document in given]
    context: Context = {
        entry["ContextKeyName"]: entry["ContextKeyValues"] for entry in request.get("ContextEntries", ())
    }
    for action in request["ActionNames"]:
        # "If this parameter is not provided, then the value defaults to * (all resources)."
        for resource in request.get("ResourceArns") or ("*",):
            effect = evaluate_policies(policies, action, resource, context, boundary=boundary)
            result = {
                "EvalActionName": action,
                "EvalResourceName": resource,
                "EvalDecision": _DECISIONS[effect],
                "MatchedStatements": [],
                "MissingContextValues": [],
            }
            if boundary is not None:
                within = evaluate_policies(boundary, action, resource, context) is Effect.ALLOWED
                result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": within}
            yield result
