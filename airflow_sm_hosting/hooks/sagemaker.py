"""SageMaker hosting: models, endpoint configs, endpoints, and their tags."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

import botocore
from botocore.exceptions import ClientError
from tenacity import (
    Retrying,
    retry_if_exception,
    retry_if_result,
    stop_after_delay,
    wait_exponential,
    wait_exponential_jitter,
    wait_random,
)

from airflow_sm_hosting.exceptions import InvalidSpecError, NotFoundError
from airflow_sm_hosting.hooks.clients import SharedClients
from airflow_sm_hosting.hooks.errors import error_code, error_message, is_absent
from airflow_sm_hosting.service_model.request import validated_request
from airflow_sm_hosting.spec.arn import arn_parts, is_arn
from airflow_sm_hosting.spec.checks import nearest
from airflow_sm_hosting.spec.tags import tag_list

if TYPE_CHECKING:
    from types_boto3_sagemaker.client import SageMakerClient
    from types_boto3_sagemaker.type_defs import (
        DescribeEndpointConfigOutputTypeDef,
        DescribeEndpointOutputTypeDef,
        DescribeInferenceComponentOutputTypeDef,
        DescribeModelOutputTypeDef,
        InferenceComponentSummaryTypeDef,
        ProductionVariantSummaryTypeDef,
    )
    from types_boto3_sagemaker_runtime.client import SageMakerRuntimeClient

Answer = TypeVar("Answer", bound=Mapping[str, Any])

#: Seconds after which a resource that SageMaker does not see counts as absent.
CONSISTENT_AFTER = 20


class SageMakerHostingHook(SharedClients):
    """Interact with Amazon SageMaker hosting.

    Provide thin wrapper around :external+boto3:py:class:`boto3.client("sagemaker") <SageMaker.Client>`: a resource that does not
    exist is described as None, and deleting it is not an error.

    .. seealso:: :class:`airflow_sm_hosting.hooks.clients.SharedClients` for the parameters.
    """

    conn: SageMakerClient

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "client_type": "sagemaker"})

    def call(self, operation: str, **members: Any) -> dict[str, Any]:
        """Call an operation of SageMaker by AWS's own names, for what this package has no operator for, and return its answer.

        The request is validated before it is sent. ``hook.call("PutEndpointPolicy", EndpointName="churn", ResourcePolicy="…")``

        :param operation: The API operation, e.g. ``CreateInferenceRouter``.
        :param members: The members of the request.
        :raises InvalidSpecError: When the installed botocore does not know the operation, or SageMaker would refuse the request.
        :raises ClientError: When SageMaker refuses it.
        """
        known = self.conn.meta.method_to_api_mapping
        method = next((name for name, api in known.items() if api == operation), None)
        if method is None:
            near = nearest(operation, list(known.values()), 3)
            raise InvalidSpecError(
                f"The operation {operation!r} of SageMaker is not known to the installed botocore {botocore.__version__}"
                + (f"; nearest: {', '.join(near)}" if near else "")
                + ". Correct its name, or install a newer boto3."
            )
        request = validated_request("sagemaker", operation, members)
        answer: Mapping[str, Any] = getattr(self.conn, method)(**request)
        return {member: value for member, value in answer.items() if member != "ResponseMetadata"}

    def describe_model(self, name: str) -> DescribeModelOutputTypeDef | None:
        """Return DescribeModel's answer, or None when the model does not exist."""
        return self._described(self.conn.describe_model, ModelName=name)

    def describe_endpoint_config(self, name: str) -> DescribeEndpointConfigOutputTypeDef | None:
        """Return DescribeEndpointConfig's answer, or None when the config does not exist."""
        return self._described(self.conn.describe_endpoint_config, EndpointConfigName=name)

    def describe_endpoint(self, name: str) -> DescribeEndpointOutputTypeDef | None:
        """Return DescribeEndpoint's answer, or None when the endpoint does not exist."""
        return self._described(self.conn.describe_endpoint, EndpointName=name)

    def describe_inference_component(self, name: str) -> DescribeInferenceComponentOutputTypeDef | None:
        """Return DescribeInferenceComponent's answer, or None when the inference component does not exist."""
        return self._described(self.conn.describe_inference_component, InferenceComponentName=name)

    def inference_components(
        self, endpoint_name: str | None = None
    ) -> list[InferenceComponentSummaryTypeDef]:
        """Return the rows of the inference components in any status (``sagemaker:ListInferenceComponents``).

        :param endpoint_name: The endpoint; None for the components of all.
        """
        only: Any = {"EndpointNameEquals": endpoint_name} if endpoint_name else {}
        pages = self.conn.get_paginator("list_inference_components").paginate(**only)
        return [row for page in pages for row in page["InferenceComponents"]]

    def models_of_inference_components(self) -> list[str]:
        """Return the sorted names of the models that inference components serve: one call a page, one a component."""
        models: set[str] = set()
        for row in self.inference_components():
            found = self.describe_inference_component(row["InferenceComponentName"])
            described: Mapping[str, Any] = found or {}
            specifications = [described.get("Specification") or {}, *(described.get("Specifications") or ())]
            models |= {one["ModelName"] for one in specifications if one.get("ModelName")}
        return sorted(models)

    def find_production_variant(
        self, endpoint_name: str, variant_name: str
    ) -> ProductionVariantSummaryTypeDef:
        """Return a variant of an endpoint as DescribeEndpoint describes it.

        :raises NotFoundError: When the endpoint or the variant does not exist; the message names the existing variants.
        """
        described = self.describe_endpoint(endpoint_name)
        if described is None:
            raise NotFoundError(f"There is no endpoint {endpoint_name!r} in {self.conn_region_name}.")
        variants = described.get("ProductionVariants") or []
        for variant in variants:
            if variant["VariantName"] == variant_name:
                return variant
        names = ", ".join(variant["VariantName"] for variant in variants) or "none yet"
        raise NotFoundError(
            f"Endpoint {endpoint_name} has no production variant {variant_name!r}; it has: {names}."
        )

    def check_arns(self, given: Mapping[str, Any]) -> None:
        """Check that the ARNs among these values belong to this connection's Region and account.

        SageMaker accepts names, and looks them up in the caller's own account and Region. The account is read
        (``sts:GetCallerIdentity``) only if an ARN is given.

        :param given: Names and ARNs, by field.
        :raises InvalidSpecError: When an ARN belongs to another Region or account.
        """
        for where, value in given.items():
            parts = arn_parts(value) if is_arn(value) else {}
            if not parts:
                continue
            own = {"partition": self.conn_partition, "Region": self.conn_region_name}
            if all(parts[what.lower()] == ours for what, ours in own.items()):
                own["account"] = self.account_id
            for what, ours in own.items():
                if parts[what.lower()] != ours:
                    raise InvalidSpecError(
                        f"{where} is {value}, in {what} {parts[what.lower()]}, but the connection uses {what} "
                        f"{ours}; allowed: resources in the connection's account and Region."
                    )

    def tags(self, arn: str) -> dict[str, str]:
        """Return a resource's tags (``sagemaker:ListTags``)."""
        pages = self.conn.get_paginator("list_tags").paginate(ResourceArn=arn)
        return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}

    def tags_with(self, arn: str, keys: Collection[str]) -> dict[str, str]:
        """Return a resource's tags once they contain the just written tags, or the current tags after 20 s.

        It is not documented whether ListTags shows at once what AddTags wrote.
        """
        retrying = Retrying(
            retry=retry_if_result(lambda found: not set(keys) <= set(found)),
            wait=wait_exponential(multiplier=0.5, max=4) + wait_random(0, 1),
            stop=stop_after_delay(CONSISTENT_AFTER),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else {},
        )
        found: dict[str, str] = retrying(self.tags, arn)
        return found

    def reconcile_tags(self, arn: str, found: Mapping[str, str], wanted: Mapping[str, str]) -> None:
        """Set missing or different tags (``sagemaker:AddTags``), and leave all other tags unchanged."""
        missing = {key: value for key, value in wanted.items() if found.get(key) != value}
        if missing:
            self.conn.add_tags(ResourceArn=arn, Tags=tag_list(missing))
            self.log.debug("Tagged %s: %s", arn, ", ".join(sorted(missing)))

    def models_of_config(self, name: str) -> list[str]:
        """Return the sorted model names of an endpoint config's variants; empty for a config that does not exist."""
        config: Mapping[str, Any] = self.describe_endpoint_config(name) or {}
        variants = [*config.get("ProductionVariants", []), *config.get("ShadowProductionVariants", [])]
        return sorted({variant["ModelName"] for variant in variants if variant.get("ModelName")})

    def needed_by_endpoints(self) -> dict[str, list[str]]:
        """Return the models of every endpoint config that an endpoint serves or is being updated to, by the config's name.

        One call a page of endpoints, one an endpoint, one a config (``sagemaker:ListEndpoints`` does not return the config).
        """
        configs: set[str] = set()
        for page in self.conn.get_paginator("list_endpoints").paginate():
            for row in page["Endpoints"]:
                described: Mapping[str, Any] = self.describe_endpoint(row["EndpointName"]) or {}
                pending = described.get("PendingDeploymentSummary") or {}
                configs |= {described.get("EndpointConfigName", ""), pending.get("EndpointConfigName", "")}
        return {config: self.models_of_config(config) for config in configs if config}

    def until_consistent(self, call: Callable[[], Any]) -> Any:
        """Call an operation that refers to a just created resource, and retry while SageMaker does not see the resource.

        CreateEndpoint reads its config with eventual consistency, and AWS advises a retry (CreateEndpoint documentation).
        """
        retrying = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, ClientError) and is_absent(error)),
            wait=wait_exponential_jitter(max=8),
            stop=stop_after_delay(CONSISTENT_AFTER),
            reraise=True,
        )
        return retrying(call)

    def role_arn(self, role: str | None) -> str | None:
        """Return the ARN of a role given by name, with or without its path, or by ARN (``iam:GetRole``); None if no role is given."""
        if not role or role.startswith("arn:"):
            return role or None
        # GetRole accepts only the name; a path before it is no ARN.
        try:
            found = self.client("iam").get_role(RoleName=role.rpartition("/")[2])
        except ClientError as error:
            if error_code(error) != "NoSuchEntity":
                raise
            raise NotFoundError(f"There is no IAM role {role!r}.") from None
        return str(found["Role"]["Arn"])

    def delete_model(self, name: str) -> bool:
        """Delete a model; return False when there was none."""
        return self._deleted(self.conn.delete_model, ModelName=name)

    def delete_endpoint_config(self, name: str) -> bool:
        """Delete an endpoint config; return False when there was none."""
        return self._deleted(self.conn.delete_endpoint_config, EndpointConfigName=name)

    def delete_endpoint(self, name: str) -> bool:
        """Begin to delete an endpoint; return False when there was none."""
        return self._deleted(self.conn.delete_endpoint, EndpointName=name)

    def delete_inference_component(self, name: str) -> bool:
        """Begin to delete an inference component; return False when there was none."""
        return self._deleted(self.conn.delete_inference_component, InferenceComponentName=name)

    def _described(self, describe: Callable[..., Answer], **name: str) -> Answer | None:
        try:
            answer = describe(**name)
        except ClientError as error:
            if is_absent(error):
                return None
            raise
        members = {member: value for member, value in answer.items() if member != "ResponseMetadata"}
        return cast("Answer", members)

    def _deleted(self, delete: Callable[..., Any], **name: str) -> bool:
        try:
            delete(**name)
        except ClientError as error:
            if is_absent(error):
                self.log.info("Nothing to delete: %s", error_message(error))
                return False
            raise
        return True


class SageMakerRuntimeHook(SharedClients):
    """Invoke endpoints of Amazon SageMaker hosting.

    Provide thin wrapper around :external+boto3:py:class:`boto3.client("sagemaker-runtime") <SageMakerRuntime.Client>`.

    .. seealso:: :class:`airflow_sm_hosting.hooks.clients.SharedClients` for the parameters.
    """

    conn: SageMakerRuntimeClient

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "client_type": "sagemaker-runtime"})
