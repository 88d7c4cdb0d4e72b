"""Every spelling of a place in S3 is the same place, for what sends it, what compares it and what makes policies of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import botocore.session
import pytest
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError
from hypothesis import given, strategies as st

from airflow_sm_hosting.spec.s3_location import S3Location, s3_url


@pytest.mark.parametrize(
    ("url", "location"),
    [
        # s3:// is taken as it is
        ("s3://bucket/key", ("bucket", "key")),
        ("s3://bucket/a/b c%20d+e.tar.gz", ("bucket", "a/b c%20d+e.tar.gz")),
        ("s3://bucket/a#b?c", ("bucket", "a#b?c")),
        ("s3://bucket//a", ("bucket", "/a")),
        ("s3://bucket/a://b", ("bucket", "a://b")),
        ("s3://bucket/", ("bucket", "")),
        ("s3://bucket", ("bucket", "")),
        ("s3://b.s3.amazonaws.com/x", ("b.s3.amazonaws.com", "x")),
        # virtual-hosted style
        ("https://bucket.s3.amazonaws.com/a/b", ("bucket", "a/b")),
        ("https://bucket.s3.eu-west-1.amazonaws.com/a/b", ("bucket", "a/b")),
        ("https://bucket.s3-eu-west-1.amazonaws.com/a", ("bucket", "a")),
        ("https://bucket.s3.dualstack.eu-west-1.amazonaws.com/a", ("bucket", "a")),
        ("https://bucket.s3-fips.us-gov-west-1.amazonaws.com/a", ("bucket", "a")),
        ("https://bucket.s3-fips-us-gov-west-1.amazonaws.com/a", ("bucket", "a")),
        ("https://bucket.s3-fips.dualstack.us-east-1.amazonaws.com/a", ("bucket", "a")),
        ("https://bucket.s3-accelerate.amazonaws.com/a", ("bucket", "a")),
        ("https://bucket.s3-accelerate.dualstack.amazonaws.com/a", ("bucket", "a")),
        ("https://bucket.s3-external-1.amazonaws.com/a", ("bucket", "a")),
        ("https://bucket.s3.cn-north-1.amazonaws.com.cn/a", ("bucket", "a")),
        ("https://bucket.s3.eusc-de-east-1.amazonaws.eu/a", ("bucket", "a")),
        ("https://bucket.s3.us-iso-east-1.c2s.ic.gov/a", ("bucket", "a")),
        ("https://bucket.s3.amazonaws.com:443/a", ("bucket", "a")),
        ("https://Bucket.S3.Amazonaws.com/A", ("bucket", "A")),
        ("https://bucket.s3.amazonaws.com", ("bucket", "")),
        ("https://bucket.s3.amazonaws.com//a", ("bucket", "/a")),
        # path style
        ("https://s3.amazonaws.com/bucket/a/b", ("bucket", "a/b")),
        ("https://s3.eu-west-1.amazonaws.com/bucket/a/b", ("bucket", "a/b")),
        ("https://s3-eu-west-1.amazonaws.com/bucket/a", ("bucket", "a")),
        ("https://s3.dualstack.eu-west-1.amazonaws.com/bucket/a", ("bucket", "a")),
        ("https://s3.us-gov-west-1.amazonaws.com/bucket/a", ("bucket", "a")),
        ("https://s3.cn-northwest-1.amazonaws.com.cn/bucket/a", ("bucket", "a")),
        ("https://s3.eu-west-1.amazonaws.com/bucket/", ("bucket", "")),
        ("https://s3.eu-west-1.amazonaws.com/bucket", ("bucket", "")),
        # names of buckets that look like hosts
        ("https://bucket.with.dots.s3.eu-west-1.amazonaws.com/a", ("bucket.with.dots", "a")),
        ("https://my.s3.bucket.s3.eu-west-1.amazonaws.com/a", ("my.s3.bucket", "a")),
        ("https://s3.dualstack.s3.eu-west-1.amazonaws.com/a", ("s3.dualstack", "a")),
        ("https://b.s3.us-east-1.s3.us-east-1.amazonaws.com/a", ("b.s3.us-east-1", "a")),
        ("https://s3.eu-west-1.amazonaws.com/my.s3.bucket/a", ("my.s3.bucket", "a")),
        # https:// is encoded
        ("https://bucket.s3.amazonaws.com/my%20model/a%2Bb.tar.gz", ("bucket", "my model/a+b.tar.gz")),
        ("https://bucket.s3.amazonaws.com/my+model/m.tar.gz", ("bucket", "my model/m.tar.gz")),
        ("https://bucket.s3.amazonaws.com/a%2Fb%3Fc%23d%25", ("bucket", "a/b?c#d%")),
        ("https://s3.amazonaws.com/bucket/a%2Fb", ("bucket", "a/b")),
        ("https://s3.amazonaws.com/bucket%2Fa/b", ("bucket/a", "b")),
        ("https://bucket.s3.amazonaws.com/%E6%A8%A1%E5%9E%8B", ("bucket", "模型")),
        ("https://bucket.s3.amazonaws.com/模型", ("bucket", "模型")),
        ("https://bucket.s3.amazonaws.com/100%", ("bucket", "100%")),
        # query and fragment are not of the key
        ("https://bucket.s3.amazonaws.com/a?versionId=1", ("bucket", "a")),
        ("https://bucket.s3.amazonaws.com/a#b", ("bucket", "a")),
        ("https://bucket.s3.amazonaws.com?list-type=2", ("bucket", "")),
        # what is none
        ("https://example.com/model.tar.gz", None),
        ("https://bucket.s3.example.com/a", None),
        ("https://s3.eu-west-1.amazonaws.com.example.com/bucket/a", None),
        ("https://s3.eu-west-1.amazonaws.com/", None),
        ("https://s3.eu-west-1.amazonaws.com", None),
        ("https://bucket.s3-website-eu-west-1.amazonaws.com/a", None),
        ("https://bucket.s3-website.eu-central-1.amazonaws.com/a", None),
        ("https://point-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/a", None),
        (
            "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/models/a/b.tar.gz",
            ("arn:aws:s3:eu-west-1:123456789012:accesspoint/models", "a/b.tar.gz"),
        ),
        ("https://123456789012.s3-control.eu-west-1.amazonaws.com/a", None),
        ("https://churn.sagemaker.eu-west-1.amazonaws.com/a", None),
        ("http://bucket.s3.amazonaws.com/a", None),
        ("S3://bucket/a", None),
        ("s3:/bucket/a", None),
        ("s3:///a", None),
        ("s3://", None),
        ("bucket/a", None),
        ("", None),
    ],
)
def test_every_spelling(url: str, location: tuple[str, str] | None) -> None:
    assert S3Location.parse(url) == location


def test_the_one_spelling_is_of_s3_and_other_urls_stay_as_they_are() -> None:
    assert s3_url("https://s3.us-east-1.amazonaws.com/models/a%20b/") == "s3://models/a b/"
    assert S3Location("models", "a b/").url == "s3://models/a b/"
    for url in ("https://example.com/m.tar.gz", "s3://bucket", "s3://bucket/a//b%20c", "s3:///a"):
        assert s3_url(url) == url


buckets = st.from_regex(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", fullmatch=True)
keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(buckets, keys)
def test_an_s3_url_leads_back_to_its_place(bucket: str, key: str) -> None:
    assert S3Location.parse(S3Location(bucket, key).url) == (bucket, key)


@given(
    buckets,
    keys,
    st.sampled_from([quote, quote_plus]),
    st.sampled_from(["s3.amazonaws.com", "s3.eu-west-1.amazonaws.com", "s3-us-west-2.amazonaws.com"]),
)
def test_both_styles_and_both_encodings_lead_to_the_same_place(
    bucket: str, key: str, encode: Any, host: str
) -> None:
    # S3's console and the SDKs leave "/" as it is, and encode everything else.
    path = encode(key, safe="/")
    assert S3Location.parse(f"https://{host}/{bucket}/{path}") == (bucket, key)
    assert S3Location.parse(f"https://{bucket}.{host}/{path}") == (bucket, key)


def endpoints() -> Iterator[str]:
    """Yield the URL of a bucket for each Region, style and option, as botocore makes them."""
    loader = botocore.session.get_session().get_component("data_loader")
    partitions = loader.load_data("partitions")
    provider = EndpointProvider(loader.load_service_model("s3", "endpoint-rule-set-1"), partitions)
    regions = [name for one in partitions["partitions"] for name in one["regions"] if "global" not in name]
    options = ("ForcePathStyle", "UseDualStack", "UseFIPS", "Accelerate", "UseGlobalEndpoint")
    for region, *chosen in itertools.product(regions, *[(False, True)] * len(options)):
        try:
            found = provider.resolve_endpoint(
                Region=region, Bucket="models", **dict(zip(options, chosen, strict=True))
            )
        except EndpointProviderError:
            # Partitions lack some options, and some exclude each other.
            continue
        yield found.url


def test_every_host_that_botocore_asks_is_known() -> None:
    urls = set(endpoints())
    assert len(urls) > 150
    assert {url for url in urls if S3Location.parse(f"{url}/a%2Bb/c%20d") != ("models", "a+b/c d")} == set()
