"""Image URIs and S3 URLs taken apart, and completed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_sm_hosting import ContainerImage, ModelData
from airflow_sm_hosting.deployer.references import ECR_HOST, ImageName, ReferenceResolver
from airflow_sm_hosting.exceptions import AccessError, InvalidSpecError, NotFoundError
from airflow_sm_hosting.hooks import EcrRepositoryHook, ModelDataHook
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.dlc import dlc_account
from tests.local.conftest import Deployer
from tests.operators.conftest import answering, operations, refusal

DIGEST = "sha256:" + "a" * 64
ACCOUNT = "123456789012"


@pytest.fixture
def resolver(aws: LocalAws) -> ReferenceResolver:
    return ReferenceResolver(
        ecr=lambda region: EcrRepositoryHook(region_name=region),
        s3=lambda: ModelDataHook(),
        region=lambda: "us-east-1",
    )


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("repo", ("", "repo", None, None)),
        ("team/repo:1", ("", "team/repo", "1", None)),
        ("localhost/repo", ("localhost", "repo", None, None)),
        ("localhost:5000/team/repo:1", ("localhost:5000", "team/repo", "1", None)),
        (f"127.0.0.1:5000/repo@{DIGEST}", ("127.0.0.1:5000", "repo", None, DIGEST)),
        (f"host.example/a/b:1@{DIGEST}", ("host.example", "a/b", "1", DIGEST)),
        (
            f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/a:b",
            (f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com", "a", "b", None),
        ),
    ],
)
def test_image_uris(uri: str, parts: tuple[Any, ...]) -> None:
    name = ImageName.parse(uri)
    assert (name.host, name.repository, name.tag, name.digest) == parts


@pytest.mark.parametrize("uri", [f"host.example/a/b@{DIGEST}", "docker.io/library/nginx:1"])
def test_what_is_pinned_or_elsewhere_is_sent_as_it_is(
    aws: LocalAws, resolver: ReferenceResolver, uri: str
) -> None:
    assert resolver.image(uri) == uri
    assert operations(aws) == []


def test_an_ecr_tag_is_asked_for_in_its_own_region_and_registry(
    aws: LocalAws, resolver: ReferenceResolver
) -> None:
    with pytest.raises(NotFoundError, match=rf"ECR has no image a/b:1 in eu-west-1 \(registry {ACCOUNT}\)"):
        resolver.image(f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/a/b:1")


@pytest.mark.parametrize(
    ("host", "region"),
    [
        (f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com", "eu-west-1"),
        (f"{ACCOUNT}.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        (f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        (f"{ACCOUNT}.dkr.ecr.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
        (f"{ACCOUNT}.dkr.ecr.us-isof-south-1.csp.hci.ic.gov", "us-isof-south-1"),
        (f"{ACCOUNT}.dkr-ecr.eu-west-1.on.aws", "eu-west-1"),
        (f"{ACCOUNT}.dkr-ecr-fips.us-east-1.on.aws", "us-east-1"),
        (f"{ACCOUNT}.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "cn-north-1"),
        (f"{ACCOUNT}.dkr.ecr.eu-west-1.example.com", None),
        (f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com.example.com", None),
        ("12345.dkr.ecr.eu-west-1.amazonaws.com", None),
        (f"{ACCOUNT}.dkr.ecr.amazonaws.com", None),
        ("public.ecr.aws", None),
        ("127.0.0.1:5000", None),
    ],
)  # fmt: skip
def test_which_hosts_are_ecrs(host: str, region: str | None) -> None:
    found = ECR_HOST.fullmatch(host)
    assert (found and (found["region"] or found["dual_stack_region"])) == region


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_registry_on_this_computer_is_the_local_aws_by_its_port_only(
    aws: LocalAws, resolver: ReferenceResolver, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert resolver.image(f"{host}:1/a/b:1") == f"{host}:1/a/b:1"
    assert "not in ECR" in caplog.text
    assert operations(aws) == []
    with pytest.raises(NotFoundError, match="ECR has no image a/b:1"):
        resolver.image(f"{host}:{aws.endpoint_url.rpartition(':')[2]}/a/b:1")


def test_an_image_of_another_region_is_found_there_with_a_warning(
    aws: LocalAws, resolver: ReferenceResolver, caplog: pytest.LogCaptureFixture
) -> None:
    """SageMaker documents one Region for image and model (ContainerDefinition); it is told, and left to AWS to refuse."""
    ecr = EcrRepositoryHook(region_name="eu-west-1").conn
    ecr.create_repository(repositoryName="there")
    manifest = '{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "layers": []}'
    digest = ecr.put_image(repositoryName="there", imageManifest=manifest, imageTag="1")["image"]["imageId"][
        "imageDigest"
    ]
    host = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
    image = ContainerImage.from_ecr_repository("there", "1", registry_id=ACCOUNT, region_name="eu-west-1")
    for given in (f"{host}/there:1", image, f"{host}/there@{digest}"):
        caplog.clear()
        assert resolver.image(given) == f"{host}/there@{digest}"
        assert "is in eu-west-1 and the model in us-east-1" in caplog.text
    with pytest.raises(NotFoundError, match="in us-east-1"):
        resolver.image(ContainerImage.from_ecr_repository("there", "1", registry_id=ACCOUNT))


REFUSAL = "User: arn:aws:sts::1:assumed-role/W/s is not authorized to perform: ecr:BatchGetImage on resource: arn:aws:ecr:us-east-1:{}:repository/r"
IDENTITY, RESOURCE = (
    f" because no {kind}-based policy allows the action" for kind in ("identity", "resource")
)
#: Advice that nobody can follow who does not own the repository.
ADVICE = r"(?<!not )(change|ask|add|allow|let)[^.]{0,80}repository('s)? policy|repository('s)? policy (must|has to|needs)"


@pytest.mark.parametrize(
    ("registry", "because", "whose"),
    [
        ("763104351884", IDENTITY, "worker"),
        (
            "763104351884",
            "",
            "worker",
        ),  # a denial that does not say why: of a service control policy, for example
        ("763104351884", RESOURCE, "worker"),
        ("683313688378", "", "worker"),  # XGBoost in us-east-1
        ("141502667606", IDENTITY, "worker"),  # scikit-learn in eu-west-1
        ("626614931356", "", "worker"),  # deep learning containers of a Region that the CDK does not have
        ("382416733822", IDENTITY, "worker"),  # linear-learner in us-east-1, which is in no list
        ("210987654321", IDENTITY, "worker"),
        ("210987654321", RESOURCE, "owner"),
        ("210987654321", "", "owner"),
    ],
)
def test_a_refused_image_says_whose_policy_lacks_what(
    aws: LocalAws, resolver: ReferenceResolver, registry: str, because: str, whose: str
) -> None:
    """The local AWS has one account: its ECR is made to refuse as another account's does."""
    image = ContainerImage.from_ecr_repository("theirs", "1", registry_id=registry)
    denied = refusal("AccessDeniedException", REFUSAL.format(registry) + because)
    with (
        answering(EcrRepositoryHook(region_name=None).conn, "BatchGetImage", denied),
        pytest.raises(AccessError) as caught,
    ):
        resolver.image(image)
    told = str(caught.value)
    for words in (f"account {registry}", "theirs", "ecr:BatchGetImage", "The worker (", f"account {ACCOUNT}"):
        assert words in told
    assert ("worker's own IAM policy lacks" in told) is (whose == "worker")
    assert bool(re.search(ADVICE, told, re.IGNORECASE)) is (whose == "owner")


def test_a_refused_object_says_whose_policy_lacks_what(aws: LocalAws) -> None:
    hook = ModelDataHook()
    with (
        answering(hook.conn, "HeadObject", refusal("403", "Forbidden", 403)),
        pytest.raises(AccessError) as caught,
    ):
        hook.object_version("models", "p/m.tar.gz")
    for words in (
        "s3://models/p/m.tar.gz",
        "s3:GetObject",
        "s3:ListBucket on the bucket models",
        "The worker (",
    ):
        assert words in str(caught.value)
    denied = refusal("AccessDenied", "Access Denied", 403)
    with answering(hook.conn, "ListObjectsV2", denied), pytest.raises(AccessError) as caught:
        hook.listing_digest("models", "p/")
    for words in ("s3://models/p/", "s3:ListBucket on the bucket models", "The worker ("):
        assert words in str(caught.value)
    for operation, ask in (
        ("HeadObject", lambda: hook.head("models", "p")),
        ("ListObjectsV2", lambda: list(hook.objects("models", "p"))),
    ):
        with answering(hook.conn, operation, refusal("NoSuchThing", status=400)), pytest.raises(ClientError):
            ask()


def test_the_worker_is_named_as_far_as_it_is_known(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_sm_hosting.hooks import clients

    hook = ModelDataHook()
    for arn, name in (
        ("arn:aws:sts::210987654321:assumed-role/Airflow/botocore-session-1", "role Airflow"),
        ("arn:aws:iam::210987654321:user/team/ci", "user ci"),
        ("arn:aws:iam::210987654321:root", "root user"),
    ):
        monkeypatch.setattr(clients, "_IDENTITIES", {hook._connection_key(): ("210987654321", arn)})
        assert hook.worker == f"the worker ({name} of account 210987654321)"
    monkeypatch.setattr(clients, "_IDENTITIES", {})
    with answering(hook.client("sts"), "GetCallerIdentity", refusal("AccessDenied", status=403)):
        assert hook.worker == "the worker"


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-east-1", "763104351884.dkr.ecr.us-east-1.amazonaws.com"),
        ("cn-north-1", "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_a_deep_learning_container_is_of_the_models_region(aws: LocalAws, region: str, host: str) -> None:
    resolver = ReferenceResolver(
        ecr=lambda other: EcrRepositoryHook(region_name=other or region),
        s3=ModelDataHook,
        region=lambda: region,
    )
    with pytest.raises(NotFoundError, match=rf"no image dlc:1 in {region} \(registry {host[:12]}\)"):
        resolver.image(ContainerImage.from_dlc("dlc", "1"))
    EcrRepositoryHook(region_name=region).conn.create_repository(repositoryName="dlc")
    manifest = '{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "layers": []}'
    EcrRepositoryHook(region_name=region).conn.put_image(
        repositoryName="dlc", imageManifest=manifest, imageTag="1"
    )
    assert resolver.image(ContainerImage.from_dlc("dlc", "1")).startswith(f"{host}/dlc@sha256:")


def test_the_account_is_the_regions() -> None:
    assert dlc_account("eu-south-1") == "692866216735"
    assert dlc_account("us-west-2") == "763104351884"


def test_a_region_without_a_known_account_says_the_way_out(aws: LocalAws) -> None:
    resolver = ReferenceResolver(ecr=EcrRepositoryHook, s3=ModelDataHook, region=lambda: "us-gov-west-1")
    with pytest.raises(InvalidSpecError, match=r"us-gov-west-1.*from_dlc\(…, account_id=…\)"):
        resolver.image(ContainerImage.from_dlc("dlc", "1"))


def test_a_digest_in_ecr_needs_no_look_at_the_image(aws: LocalAws, resolver: ReferenceResolver) -> None:
    aws.client("ecr").create_repository(repositoryName="a/b")
    aws.clear_requests()
    host = aws.endpoint_url.removeprefix("http://")
    assert resolver.image(ContainerImage.from_ecr_repository("a/b", digest=DIGEST)) == f"{host}/a/b@{DIGEST}"
    assert operations(aws) == ["DescribeRepositories"]
    with_account = ContainerImage.from_ecr_repository(
        "a/b", digest=DIGEST, registry_id=ACCOUNT, region_name="cn-north-1"
    )
    assert resolver.image(with_account) == f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn/a/b@{DIGEST}"


def test_a_tag_is_resolved_to_the_digest(aws: LocalAws, resolver: ReferenceResolver) -> None:
    deployer = Deployer(aws)
    aws.client("ecr").create_repository(repositoryName="a/b")
    uri = deployer.push_image({"x": b"1"}, repository="a/b", tag="1")
    resolved = resolver.image(uri)
    assert resolved.startswith(uri.removesuffix(":1") + "@sha256:")
    assert resolver.image(ContainerImage.from_ecr_repository("a/b", "1")) == resolved
    with pytest.raises(NotFoundError, match="a/b:2"):
        resolver.image(ContainerImage.from_ecr_repository("a/b", "2"))


@pytest.mark.parametrize("image", [ContainerImage.from_asset("folder"), 7, None, ""])
def test_what_is_no_image(resolver: ReferenceResolver, image: Any) -> None:
    with pytest.raises(InvalidSpecError):
        resolver.image(image)


def test_a_prefix_ends_with_a_slash_and_is_known_by_its_listing(
    aws: LocalAws, resolver: ReferenceResolver
) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="models")
    for n in range(3):
        s3.put_object(Bucket="models", Key=f"churn/{n}", Body=b"x")
    s3.put_object(Bucket="models", Key="churn-2/0", Body=b"not below it")
    members, resolved = resolver.model_data(ModelData.from_prefix("models", "/churn"))
    assert members["ModelDataSource"]["S3DataSource"]["S3Uri"] == "s3://models/churn/"
    assert resolver.model_data("s3://models/churn/") == (members, resolved)
    s3.put_object(Bucket="models", Key="churn-2/0", Body=b"changed")
    assert resolver.model_data("s3://models/churn/")[1] == resolved
    s3.delete_object(Bucket="models", Key="churn/2")
    assert resolver.model_data("s3://models/churn/")[1] != resolved


def test_a_version_tells_more_than_an_etag(aws: LocalAws, resolver: ReferenceResolver) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="models")
    s3.put_object(Bucket="models", Key="m.tar.gz", Body=b"x")
    assert set(resolver.model_data("s3://models/m.tar.gz")[1]) == {"ETag"}
    s3.put_bucket_versioning(Bucket="models", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="models", Key="m.tar.gz", Body=b"x")
    assert set(resolver.model_data("s3://models/m.tar.gz")[1]) == {"VersionId"}


def test_a_content_addressed_key_needs_no_call(aws: LocalAws, resolver: ReferenceResolver) -> None:
    url = f"s3://models/x/{'0' * 64}.tar.gz"
    assert resolver.model_data(url) == ({"ModelDataUrl": url}, {})
    assert operations(aws) == []


FORMS = (
    "s3://models/a/m.tar.gz",
    "https://models.s3.us-east-1.amazonaws.com/a/m.tar.gz",
    "https://models.s3.amazonaws.com/a/m.tar.gz",
    "https://s3.us-east-1.amazonaws.com/models/a/m.tar.gz",
    ModelData.from_bucket("models", "a/m.tar.gz"),
)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_each_way_to_write_a_place_is_the_same_request(
    aws: LocalAws, resolver: ReferenceResolver, form: Any
) -> None:
    aws.client("s3").create_bucket(Bucket="models")
    aws.client("s3").put_object(Bucket="models", Key="a/m.tar.gz", Body=b"x")
    members, content = resolver.model_data(form)
    assert members == {"ModelDataUrl": "s3://models/a/m.tar.gz"}
    assert set(content) == {"ETag"}


def test_a_model_data_source_is_completed_in_its_place(aws: LocalAws, resolver: ReferenceResolver) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="models")
    for key in ("a/m.tar.gz", "b/1"):
        s3.put_object(Bucket="models", Key=key, Body=b"x")

    def source(uri: str, kind: str, compression: str) -> dict[str, Any]:
        return {"S3DataSource": {"S3Uri": uri, "S3DataType": kind, "CompressionType": compression}}

    container = {
        "Image": f"host.example/a@{DIGEST}",
        "ModelDataSource": source("https://models.s3.amazonaws.com/a/m.tar.gz", "S3Object", "Gzip"),
        "AdditionalModelDataSources": [{"ChannelName": "b", **source("s3://models/b/", "S3Prefix", "None")}],
    }
    completed, resolved = resolver.container(container)
    assert completed["ModelDataSource"] == source("s3://models/a/m.tar.gz", "S3Object", "Gzip")
    assert completed["AdditionalModelDataSources"] == container["AdditionalModelDataSources"]
    assert set(resolved) == {"ETag", "Additional"}
    s3.put_object(Bucket="models", Key="b/2", Body=b"x")
    assert resolver.container(container)[1] != resolved
    assert container["ModelDataSource"]["S3DataSource"]["S3Uri"].startswith("https://")


def test_the_prefix_of_a_multi_model_container_stays_one_and_its_archives_are_no_content(
    aws: LocalAws, resolver: ReferenceResolver
) -> None:
    """Archives come and go below it while the endpoint serves ("Add or remove models"); ModelDataSource cannot be multi-model."""
    container = {
        "Image": f"host.example/a@{DIGEST}",
        "Mode": "MultiModel",
        "ModelDataUrl": "s3://models/all/",
    }
    assert resolver.container(container) == (container, {})
    by_prefix = {**container, "ModelDataUrl": ModelData.from_prefix("models", "all")}
    assert resolver.container(by_prefix) == (container, {})
    assert operations(aws) == []


@pytest.fixture
def buckets(aws: LocalAws) -> LocalAws:
    """Buckets in two Regions, each with an object and a prefix of files."""
    for name, region in (("here", "us-east-1"), ("there", "eu-west-1")):
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        aws.client("s3").create_bucket(Bucket=name, **place)
        for key in ("m.tar.gz", "llm/config.json", "console/", "console/config.json"):
            aws.client("s3").put_object(Bucket=name, Key=key, Body=b"1")
    return aws


@pytest.mark.parametrize("path", ["m.tar.gz", "llm/"])
def test_model_data_of_another_region_is_refused(
    buckets: LocalAws, resolver: ReferenceResolver, path: str
) -> None:
    assert resolver.model_data(f"s3://here/{path}")
    for url in (f"s3://there/{path}", f"https://there.s3.eu-west-1.amazonaws.com/{path}"):
        with pytest.raises(
            InvalidSpecError, match=f"s3://there/{path} is in Region eu-west-1, and the model in us-east-1"
        ):
            resolver.model_data(url)
    source = {"S3Uri": f"s3://there/{path}", "S3DataType": "S3Prefix", "CompressionType": "None"}
    with pytest.raises(InvalidSpecError, match="eu-west-1"):
        resolver.container({"Image": f"x@{DIGEST}", "ModelDataSource": {"S3DataSource": source}})


def test_a_redirect_to_another_region_counts_as_it(buckets: LocalAws, resolver: ReferenceResolver) -> None:
    """S3 redirects to the Region of the bucket, and botocore follows; the local AWS does not."""
    client, redirect = ModelDataHook().conn, {"redirected": True, "bucket": "here"}

    def redirected(context: dict[str, Any], **_: Any) -> None:
        context["s3_redirect"], context["signing"] = redirect, {**context["signing"], "region": "eu-west-1"}

    def no_header(parsed: dict[str, Any], **_: Any) -> None:
        parsed["ResponseMetadata"]["HTTPHeaders"].pop("x-amz-bucket-region", None)

    client.meta.events.register("before-call.s3.HeadObject", redirected)
    client.meta.events.register_first("after-call.s3.HeadObject", no_header)
    try:
        with pytest.raises(InvalidSpecError, match="in Region eu-west-1"):
            resolver.model_data("s3://here/m.tar.gz")
    finally:
        client.meta.events.unregister("before-call.s3.HeadObject", redirected)
        client.meta.events.unregister("after-call.s3.HeadObject", no_header)


@pytest.mark.parametrize(
    "source",
    [
        "s3://here/console/",
        ModelData.from_prefix("here", "console"),
    ],
)
def test_a_prefix_that_cannot_be_laid_out_is_refused_with_the_key(
    buckets: LocalAws, resolver: ReferenceResolver, source: Any
) -> None:
    with pytest.raises(InvalidSpecError, match="s3://here/console/: the object 'console/' ends with a slash"):
        resolver.model_data(source)
