"""What SageMaker expects of a container; each rule with its source.

.. seealso:: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html ("the page" below)
"""

from __future__ import annotations

#: The container listens here, on all its interfaces (the page, "Requirements for inference containers").
PORT = 8080
#: ``docker run image serve`` (the page, "How SageMaker AI Runs Your Inference Image").
COMMAND = "serve"
#: "Your container has read-only access to /opt/ml/model" (the page, "How SageMaker AI Loads Your Model Artifacts").
MODEL_PATH = "/opt/ml/model"
#: "The request timeout on /ping attempts is 2 seconds" (the page, "Health Check (Ping) Requests").
PING_SECONDS = 2.0
#: SageMaker gives a container 8 minutes (the same section), or ContainerStartupHealthCheckTimeoutInSeconds; here less, so that a check is short.
STARTUP_SECONDS = 30.0
#: "Must respond to requests within 60 seconds" (the page, "Requirements for inference containers").
INVOCATION_SECONDS = 60.0
#: SIGKILL comes 30 seconds after SIGTERM (the page, "How SageMaker AI Runs Your Inference Image").
STOP_SECONDS = 30.0

#: Bytes of an answer of a real-time endpoint (sagemaker/latest/dg/deploy-model-options.html, "Real-time inference": 25 MB).
MAX_RESPONSE = 25 * 1024 * 1024
#: Bytes of a body in botocore's model (sagemaker-runtime, BodyBlob), which requests and answers have.
MAX_BODY_IN_MODEL = 6_291_456
#: Bytes of an answer of a serverless endpoint (sagemaker/latest/dg/serverless-endpoints-invoke.html).
MAX_SERVERLESS_RESPONSE = 4 * 1024 * 1024
#: Bytes of a serverless endpoint's image (sagemaker/latest/dg/serverless-endpoints.html, 10 GB); the refusal counts as "10737418240".
MAX_SERVERLESS_IMAGE = 10 * 1024**3

_CAPABILITIES = "com.amazonaws.sagemaker.capabilities"
#: The label of an image that listens where SAGEMAKER_BIND_TO_PORT says (sagemaker/latest/dg/multi-container-create.html). A pipeline needs it.
BIND_LABEL = f"{_CAPABILITIES}.accept-bind-to-port"
BIND_VARIABLE = "SAGEMAKER_BIND_TO_PORT"
#: Ports that the container may use for itself (sagemaker/latest/dg/multi-container-direct.html).
SAFE_PORTS_VARIABLE = "SAGEMAKER_SAFE_PORT_RANGE"
#: Where it is asked to listen in the check of that label.
OTHER_PORT = 18080
SAFE_PORTS = f"{OTHER_PORT + 1}-{OTHER_PORT + 999}"
#: The label of an image that serves many models, and the variable of its containers
#: (sagemaker/latest/dg/build-multi-model-build-container.html).
MULTI_MODEL_LABEL = f"{_CAPABILITIES}.multi-models"
MULTI_MODEL_VARIABLE = "SAGEMAKER_MULTI_MODEL"
#: Where a model of many lies, and what it is called in the check (sagemaker/latest/dg/mms-container-apis.html).
CHECKED_MODEL = "check"
CHECKED_MODEL_PATH = f"/opt/ml/models/{CHECKED_MODEL}/model"
INVOCATIONS = "/invocations"
INVOKE_MODEL = f"/models/{CHECKED_MODEL}/invoke"

#: The user and group of the check without root.
NOBODY = "65534:65534"
