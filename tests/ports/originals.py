"""The public deployments that the files of this folder are ports of: where they are, what was counted, and how many lines that is.

``python -m tests.ports.originals FOLDER`` counts them again, in checkouts ``FOLDER/<owner>/<name>`` of the commits.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.ports.counting import lines_of_code, lines_of_notebook, lines_of_text


@dataclass(frozen=True)
class Part:
    """What of a file is counted.

    :param cells: Cells of a notebook, from 0.
    :param only: Functions of a Python file. Default: all of the file.
    :param without: Functions of a Python file that are not counted.
    """

    cells: tuple[int, ...] = ()
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    def lines(self, path: Path) -> int:
        text = path.read_text()
        if self.cells:
            return lines_of_notebook(text, self.cells)
        if path.suffix == ".py":
            return lines_of_code(text, without=self.without, only=self.only)
        return lines_of_text(text)


@dataclass(frozen=True)
class Original:
    """A public deployment.

    :param kind: What kind of deployment it is.
    :param repository: ``owner/name`` on GitHub.
    :param commit: The commit that was read.
    :param licence: Its licence, if it states one.
    :param written: What it is written in.
    :param folder: What the paths of ``parts`` begin with.
    :param parts: What of which files deploys, and is counted.
    :param lines: How many lines of code that is.
    :param does: What it does.
    :param in_short: What the port does beside, in a few words.
    :param beside: The same in sentences.
    :param not_ported: What it does that the port does not.
    """

    kind: str
    repository: str
    commit: str
    licence: str
    written: str
    folder: str
    parts: Mapping[str, Part]
    lines: int
    does: str
    in_short: str
    beside: str
    not_ported: str

    @property
    def url(self) -> str:
        path = next(iter(self.parts)) if len(self.parts) == 1 else ""
        what = "blob" if path else "tree"
        where = "/".join(filter(None, (self.folder, path))).replace(" ", "%20")
        return f"https://github.com/{self.repository}/{what}/{self.commit}/{where}".rstrip("/")


_ALL = Part()

#: The originals by the name of the port's file, which is the id of its DAG.
ORIGINALS = {
    "llm_components": Original(
        kind="LLM with components and adapters",
        repository="aws-samples/sagemaker-genai-hosting-examples",
        commit="80ee5ebf3755815277bce18a7421303aa1d0a663",
        licence="MIT-0",
        written="notebook, boto3 and SDK",
        folder="06-examples/Multi-LoRA-Adapters/SM-Managed-Multi-Adapter-Deployment",
        parts={
            "multi-adapter-sm-ic-hosting.ipynb": Part(
                cells=(7, 10, 16, 18, 21, 22, 24, 25, 27, 29, 32, 37, 40, 46, 48, 50, 55, 57)
            )
        },
        lines=157,
        does="It creates a model of the LMI container, an endpoint without a model, an inference component for the base model and one for "
        "a LoRA adapter; it asks both, and replaces the adapter's artifact.",
        in_short="specifications verified; adapter updated in place",
        beside="Each component is verified: the specification that was asked for serves. A changed folder of the adapter is an update in "
        "place, an unchanged one no call.",
        not_ported="The download of the weights to S3, and the deletion at the end.",
    ),
    "from_zero": Original(
        kind="From zero",
        repository="aws-samples/sagemaker-genai-hosting-examples",
        commit="80ee5ebf3755815277bce18a7421303aa1d0a663",
        licence="MIT-0",
        written="notebook, boto3 and SDK",
        folder="03-features/autoscaling",
        parts={"scale_down_to_zero.ipynb": Part(cells=(4, 6, 7, 9, 12, 14, 19, 20, 22))},
        lines=166,
        does="It deploys an inference component on an endpoint whose instances may be none, and sets up its scaling: a scalable target "
        "from 0 to 2 copies, target tracking on concurrent requests, a step policy and the alarm that triggers it.",
        in_short="scaling is one object, kept across deployments",
        beside="The four parts of the scaling are one object: they are changed, kept across deployments and removed as one. The token is a "
        "connection's password, and hidden in logs.",
        not_ported="The cells that wait and send load to watch it scale.",
    ),
    "async_gpu": Original(
        kind="Asynchronous GPU endpoint with scaling",
        repository="awslabs/stable-diffusion-aws-extension",
        commit="969a192c5273bfb355984d130cdb66e05539da09",
        licence="Apache-2.0",
        written="Lambda functions, boto3",
        folder="middleware_api/endpoints",
        parts={
            "create_endpoint.py": Part(
                only=("_create_sagemaker_model", "get_production_variants", "_create_endpoint_config_async")
            ),
            "endpoint_event.py": Part(only=("enable_autoscaling", "enable_autoscaling_async")),
        },
        lines=198,
        does="It creates an asynchronous endpoint on GPUs with topics of SNS for answers and errors. When the endpoint is in service, an "
        "event makes its scaling: target tracking on the backlog, and a step policy with an alarm that wakes it from zero.",
        in_short="an answer awaited; scaling is one object",
        beside="An asynchronous request is sent and its answer awaited.",
        not_ported="The table and the API around it, and a rewrite of the alarms that Application Auto Scaling itself manages: AWS's pages tell "
        "not to edit them.",
    ),
    "serverless": Original(
        kind="Serverless",
        repository="philschmid/cdk-samples",
        commit="96a107b8f3f11a3f3d63071854214da8cbb000ad",
        licence="none stated",
        written="CDK, Python",
        folder="sagemaker-serverless-huggingface-endpoint/huggingface_sagemaker",
        parts={"sagemaker_endpoint.py": _ALL, "config.py": _ALL},
        lines=108,
        does="It deploys a model of the Hugging Face hub to a serverless endpoint. Half of it finds the image's registry in the Region.",
        in_short="asked; updates in place",
        beside="The endpoint is asked, and a new model or setting is a new config of the same endpoint.",
        not_ported="The API Gateway in front of it (not counted).",
    ),
    "registry_to_canary": Original(
        kind="Model registry to canary",
        repository="aws-samples/sagemaker-custom-project-templates",
        commit="6906ed9046ace27f7f40c8eaff1248bb9cf46d08",
        licence="MIT-0",
        written="CloudFormation, and boto3 that fills it in",
        folder="mlops-deployment-patterns/seedcode/deploy",
        parts={
            "build.py": _ALL,
            "endpoint-config-template.yml": _ALL,
            "prod-config.json": _ALL,
            "staging-config.json": _ALL,
        },
        lines=328,
        does="It takes the latest approved package of a group to a staging endpoint, and then to production, by a canary that an alarm on 5xx "
        "errors rolls back. Both capture data.",
        in_short="staging asked first; a rollback fails the task, with its reason",
        beside="Staging is asked before production begins. The alarm must be able to go off in the bake time. A rollback by SageMaker is a "
        "failed task, with its reason.",
        not_ported="The manual approval between the stages, which is a setting of the pipeline (`approval=` in the task group), and the "
        "choice of linear or all at once (`Linear`, no rollout).",
    ),
    "shadow": Original(
        kind="Shadow",
        repository="aws-samples/sagemaker-custom-project-templates",
        commit="6906ed9046ace27f7f40c8eaff1248bb9cf46d08",
        licence="MIT-0",
        written="CloudFormation, and boto3 that fills it in",
        folder="mlops-shadow-deployment/seedcode/deploy",
        parts={"build.py": _ALL, "endpoint-config-template.yml": _ALL, "shadow-config.json": _ALL},
        lines=277,
        does="It deploys the latest approved package as a shadow variant beside the package that serves, and captures the answers of both; "
        "the new one is later deployed to production.",
        in_short="report and promotion",
        beside="A report compares both by CloudWatch's metrics and captured answers. The promotion keeps the production variant's name and "
        "scaling.",
        not_ported="It looks up which package the production endpoint serves; the port has it as a parameter of the run.",
    ),
    "multi_model": Original(
        kind="Multi-model",
        repository="danajsalk/boto3",
        commit="91d95a16afb7d46f33f113af58429877b1287fbd",
        licence="none stated",
        written="boto3",
        folder="sagemaker",
        parts={"setup_env.py": Part(without=("delete_infra",))},
        lines=65,
        does="It creates a multi-model endpoint of the scikit-learn container, which does not cache models, on two instances. An error of "
        "any step is printed, and the next one goes on.",
        in_short="a model asked by name; errors fail",
        beside="A model is asked by its name, and an error fails its task. The endpoint is waited for.",
        not_ported="The deletion.",
    ),
    "instance_pools": Original(
        kind="Instance pools",
        repository="aws-samples/sagemaker-genai-hosting-examples",
        commit="80ee5ebf3755815277bce18a7421303aa1d0a663",
        licence="MIT-0",
        written="notebook, boto3",
        folder="03-features/capacity-aware-instance-pool",
        parts={
            "single_model_endpoint_with_instance_pools.ipynb": Part(
                cells=(4, 5, 7, 9, 13, 14, 16, 19, 22, 24, 25)
            )
        },
        lines=160,
        does="It deploys a language model to the first of three GPU types that has capacity, and scales by an expression over the three types' "
        "concurrent requests.",
        in_short="expression and pools checked at parse",
        beside="The expression and the pools are checked while the DAG file is parsed. The endpoint is asked.",
        not_ported="The cells that scale by hand, watch, and delete.",
    ),
    "vpc_and_kms": Original(
        kind="VPC and KMS",
        repository="awslabs/aiops-modules",
        commit="dfd7f154479654cf2b600b0f76a2f294cada32fa",
        licence="Apache-2.0",
        written="CDK, Python",
        folder="modules/sagemaker/sagemaker-endpoint",
        parts={"stack.py": _ALL, "scripts/get_approved_package.py": _ALL},
        lines=254,
        does="It deploys the latest approved package in a VPC, with network isolation, a key for disks and for captured data, and a role that "
        "it makes.",
        in_short="role with least privilege",
        beside="The role may read only this model, write only captured data, and use only this key; the original's may use every key of the "
        "account. A rerun after another approval deploys that version.",
        not_ported="It makes the key and the security group: they must exist, as the package makes no resources of KMS and EC2. The port "
        "has no managed instance scaling, which AWS takes for inference components only.",
    ),
    "many_teams": Original(
        kind="Many teams",
        repository="Lumin33r/llm-optimization-platform",
        commit="6fe3bcfa99eb1594bd1e79b6304b675ec42807ba",
        licence="none stated",
        written="Terraform",
        folder="infra/modules/sagemaker_endpoints",
        parts={"main.tf": _ALL, "variables.tf": _ALL},
        lines=68,
        does="It makes a model, a config and an endpoint for each team of a table, each with its variants and weights.",
        in_short="updates without a gap; the table is included",
        beside="A new model of a team is a new config, and the update is verified; a fixed name of a config makes Terraform replace it. A "
        "failure of one team leaves the others alone. The port includes the table, which the module's user writes.",
        not_ported="Nothing.",
    ),
    "two_regions": Original(
        kind="Two Regions",
        repository="aws-samples/aws-mlops-sagemaker-multi-region-endpoints",
        commit="10f79f30b3a0b8c23261bff6b938838fee80691b",
        licence="MIT-0",
        written="CloudFormation, and boto3 that fills it in",
        folder="",
        parts={
            "build.py": _ALL,
            "endpoint-config-template-secondary-region.yml": _ALL,
            "secondary-region-config.json": _ALL,
        },
        lines=257,
        does="It deploys the latest approved package in its Region, and in a second Region from the framework's image there and a replica of "
        "the bucket. The primary Region's template is SageMaker's own, and not counted.",
        in_short="stops at the first failure; copies by digest",
        beside="The second Region begins only if the first one serves and answers. Exactly the approved image and artifact are copied, by "
        "digest, once; the original synchronises the whole bucket.",
        not_ported="The staging endpoint in the first Region.",
    ),
    "multi_account": Original(
        kind="Multi-account",
        repository="aws-samples/mlops-multi-account-deployment-cdk",
        commit="331253fdfb05038d0be6bce2361dc8f86f80cf29",
        licence="MIT-0",
        written="CDK, TypeScript",
        folder="src/sagemaker/seed-code/model-deploy",
        parts={
            "bin/model-deploy.ts": _ALL,
            "config/ModelMetaData.ts": _ALL,
            "lib/SagemakerEndpointStack.ts": _ALL,
            "lib/constructs/ModelExecutionRole.ts": _ALL,
        },
        lines=247,
        does="It deploys a package that was approved in the account of experiments to the account of production: in its VPC, under a role that "
        "may read the image and the artifact of the first account.",
        in_short="copies, so that production serves alone",
        beside="Image and artifact are copied to the account of production, so that it serves without the first one. The endpoint is asked.",
        not_ported="It reads image and artifact in the first account when an instance starts; the port copies them. The ids of network and key "
        "come from Parameter Store there.",
    ),
}


def recounted(original: Original, checkouts: Path) -> int:
    """Count the lines of an original again.

    :param checkouts: A folder with the checkouts, ``<owner>/<name>``.
    """
    folder = checkouts / original.repository / original.folder
    return sum(part.lines(folder / path) for path, part in original.parts.items())


if __name__ == "__main__":
    for port, one in ORIGINALS.items():
        print(port, recounted(one, Path(sys.argv[1])), f"(recorded: {one.lines})")
