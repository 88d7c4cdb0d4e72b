"""The last handler: which service answers a request."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from werkzeug.wrappers import Request, Response

from airflow_sm_hosting.local.cloudformation.service import operation_names
from airflow_sm_hosting.local.ecr.registry import Registry
from airflow_sm_hosting.local.ecr.registry_api import RegistryApi
from airflow_sm_hosting.local.ecr.service import OWN_OPERATIONS, Ecr
from airflow_sm_hosting.local.iam.requests import check_iam_request
from airflow_sm_hosting.local.moto_bridge import s3
from airflow_sm_hosting.local.moto_bridge.application import MotoApplication
from airflow_sm_hosting.local.moto_bridge.operations import replace_operations
from airflow_sm_hosting.local.server.incoming import Following, IncomingRequest
from airflow_sm_hosting.local.server.regions import Regions
from airflow_sm_hosting.local.stand_ins.choice import StandIns
from airflow_sm_hosting.local.wire.checksums import check_checksums
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.operations import invocation
from airflow_sm_hosting.local.wire.requests import form_members, json_body
from airflow_sm_hosting.local.wire.responses import json_response
from airflow_sm_hosting.local.wire.validation import check_request

# The runtimes of inference routers and gateways, which are signed for as SageMaker, too: botocore's models of both.
_OTHER_RUNTIMES = ("/inference-routers/", "/global-inference-gateway/")


class AnswerServices:
    """Has the service of a request answer it: one of this package, or else moto.

    :param regions: SageMaker, its runtime and its scaling, by Region.
    :param registry: The container registry.
    :param moto: All other services.
    :param stand_ins: What runs in place of images that are not here.
    """

    def __init__(
        self, regions: Regions, registry: Registry, moto: MotoApplication, stand_ins: StandIns
    ) -> None:
        self._regions = regions
        self._registry_api = RegistryApi(registry)
        self._moto = moto
        # moto closes the content of an object that is overwritten while another request reads it.
        self._s3_lock = threading.Lock()
        self._ecr = Ecr(registry, moto.answer, stand_ins)
        self._cloudformation_lock = threading.Lock()
        self._has_cloudformation = False

    def __call__(self, asked: IncomingRequest, following: Following) -> Response:
        """Answer."""
        match asked.service:
            case "registry":
                return self._registry_api.answer(asked.request)
            case "sagemaker-runtime":
                return self._invoke(asked)
            case "sagemaker":
                return self._sagemaker(asked)
            case "application-autoscaling":
                return self._scaling(asked)
            case "ecr":
                return self._ecr_answer(asked)
            case "codebuild":
                codebuild = self._regions.of(asked.region).codebuild
                return json_response(codebuild.answer(asked.operation, json_body(asked.request)))
            case "cloudformation":
                self._replace_cloudformation()
            case "s3":
                return self._s3(asked)
            case "iam":
                check_iam_request(asked.operation, form_members(asked.request))
        return self._moto.answer(asked.request)

    def _invoke(self, asked: IncomingRequest) -> Response:
        found = invocation(asked.request)
        assert found is not None  # noqa: S101 - that makes it a request to the runtime
        operation, endpoint_name = found
        return self._regions.of(asked.region).runtime.answer(operation, asked.request, endpoint_name)

    def _sagemaker(self, asked: IncomingRequest) -> Response:
        if asked.request.path.startswith(_OTHER_RUNTIMES):
            raise NotImplementedError(asked.operation)
        sagemaker, members = self._regions.of(asked.region).sagemaker, json_body(asked.request)
        if sagemaker.answers(asked.operation, members):
            return json_response(sagemaker.answer(asked.operation, members))
        return self._moto.answer(asked.request)

    def _scaling(self, asked: IncomingRequest) -> Response:
        scaling, members = self._regions.of(asked.region).scaling, json_body(asked.request)
        if scaling.answers(members):
            return json_response(scaling.answer(asked.operation, members))
        return self._moto.answer(asked.request)

    def _s3(self, asked: IncomingRequest) -> Response:
        if asked.request.method in ("PUT", "POST"):
            # moto stores checksums as they are sent.
            check_checksums(asked.request.headers.get, lambda: _sent_to_s3(asked.request))
        with self._s3_lock:
            # Two requests may complete one upload at once, and moto would answer the later one with an internal error.
            _check_upload(asked.request)
            answer = self._moto.answer(asked.request)
        # API_HeadBucket; that answers about objects have it, too, is assumed.
        if region := s3.region_of(asked.request.path.lstrip("/").partition("/")[0]):
            answer.headers.setdefault("x-amz-bucket-region", region)
        return answer

    def _replace_cloudformation(self) -> None:
        """Have this package answer for CloudFormation, in moto's protocol; with the first request, as it brings most of moto."""
        with self._cloudformation_lock:
            if not self._has_cloudformation:
                replace_operations(
                    "cloudformation", operation_names(), self._answer_cloudformation, all_of_them=True
                )
                self._has_cloudformation = True

    def _answer_cloudformation(
        self, operation: str, members: Mapping[str, Any], region: str
    ) -> dict[str, Any]:
        return self._regions.of(region).cloudformation.answer(operation, members)

    def _ecr_answer(self, asked: IncomingRequest) -> Response:
        assert asked.credential is not None  # noqa: S101 - its key was checked
        members = json_body(asked.request)
        if asked.operation in OWN_OPERATIONS:
            check_request("ecr", asked.operation, members)
        return self._ecr.answer(
            asked.request, asked.operation, members, asked.region, asked.credential.access_key
        )


def _check_upload(request: Request) -> None:
    """Check that an upload exists (API_UploadPart and API_CompleteMultipartUpload, NoSuchUpload); moto has an internal error for it.

    To complete an upload again is no error.
    """
    bucket, _, key = request.path.lstrip("/").partition("/")
    upload_id = request.args.get("uploadId")
    if not upload_id or request.method not in ("PUT", "POST") or s3.has_upload(bucket, key, upload_id):
        return
    if request.method == "PUT" or not s3.is_completed(bucket, key, upload_id):
        message = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
        raise AwsError("NoSuchUpload", message, status=404)


def _sent_to_s3(request: Request) -> bytes | None:
    """Return the bytes of which a request gives the checksum: the body, or all parts of an upload; None where that is not known."""
    if request.method == "PUT":
        # A body in chunks has its checksum in a trailer, which moto reads.
        return None if "aws-chunked" in request.headers.get("Content-Encoding", "") else request.get_data()
    bucket, _, key = request.path.lstrip("/").partition("/")
    upload_id = request.args.get("uploadId")
    return s3.uploaded_parts(bucket, key, upload_id) if upload_id else None
