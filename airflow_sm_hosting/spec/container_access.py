"""How a container's image is reached, and how it keeps several models."""

from __future__ import annotations

from typing import Any, Literal

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.shape import Get, Shape, Spell, choice, text
from airflow_sm_hosting.spec.templated import TemplatedStr

#: botocore, MultiModelConfig.
MULTI_MODEL = Shape(
    "MultiModelConfig", {"model_cache_setting": ("ModelCacheSetting", choice("Enabled", "Disabled"))}
)


class MultiModel(dict[str, Any]):
    """How a container with many models keeps them, in the shape of ``MultiModelConfig``; the container's mode is ``"MultiModel"``.

    :param model_cache_setting: ``"Enabled"`` or ``"Disabled"``: without the cache, each request loads its model (default: AWS's,
        Enabled). (templated)
    :param members: Further members of the AWS shape as they are.
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_MultiModelConfig.html
    """

    def __init__(
        self,
        *,
        model_cache_setting: Literal["Enabled", "Disabled"] | TemplatedStr | None = None,
        **members: Any,
    ) -> None:
        super().__init__(MULTI_MODEL.made(type(self).__name__, locals(), members))


_PROVIDER = "RepositoryAuthConfig.RepositoryCredentialsProviderArn"


def _check_credentials(where: str, spell: Spell, get: Get) -> None:
    # botocore, ImageConfig: "only if you specified Vpc as the value for the RepositoryAccessMode field".
    if get(_PROVIDER) is not None and get("RepositoryAccessMode") == "Platform":
        raise InvalidSpecError(f"{spell(_PROVIDER)} is given with 'Platform'; allowed: only with 'Vpc'.")


#: botocore, ImageConfig; the provider is a Lambda function (RepositoryAuthConfig).
IMAGE_ACCESS = Shape(
    "ImageConfig",
    {
        "repository_access_mode": ("RepositoryAccessMode", choice("Platform", "Vpc")),
        "repository_credentials_provider_arn": (
            _PROVIDER,
            text(r"arn:aws[a-z\-]*:lambda:.+", 2048, "the ARN of a Lambda function"),
        ),
    },
    required=("RepositoryAccessMode",),
    together=_check_credentials,
)


class ImageAccess(dict[str, Any]):
    """Where an image's registry is, in the shape of ``ImageConfig``.

    :param repository_access_mode: ``"Platform"`` (Amazon ECR) or ``"Vpc"`` (a registry in the model's VPC). (templated)
    :param repository_credentials_provider_arn: ARN of the Lambda function that gives the credentials of a registry in the VPC (default:
        none). (templated)
    :param members: Further members of the AWS shape as they are.
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ImageConfig.html
    """

    def __init__(
        self,
        *,
        repository_access_mode: Literal["Platform", "Vpc"] | TemplatedStr,
        repository_credentials_provider_arn: TemplatedStr | None = None,
        **members: Any,
    ) -> None:
        super().__init__(IMAGE_ACCESS.made(type(self).__name__, locals(), members))
