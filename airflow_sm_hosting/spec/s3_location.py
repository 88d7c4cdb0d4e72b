"""Bucket and key of an S3 URL in any of its forms."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_plus

from airflow_sm_hosting.spec.partitions import DNS_SUFFIX, REGION

#: The hosts of S3's API: https://docs.aws.amazon.com/general/latest/gr/s3.html, with the older ``s3-<region>``
#: (AmazonS3/latest/userguide/VirtualHosting.html, "Legacy endpoints"). Not the hosts of websites and access points: the name before
#: those is not a bucket, or no API answers there.
_HOST = (
    r"s3(?:-accelerate(?:\.dualstack)?|-external-1|(?:-fips)?(?:\.dualstack)?(?:[.-]" + REGION + r")?)\."
) + DNS_SUFFIX
_PATH_STYLE = re.compile(_HOST)
#: In place of a bucket (botocore.handlers, _VALID_S3_ARN; AmazonS3/latest/userguide/access-points-naming.html).
_ACCESS_POINT = re.compile(
    r"(?P<arn>arn:[^/]*:accesspoint[/:][a-zA-Z0-9\-.]{1,63})(?:/(?P<key>.*))?", re.DOTALL
)
_VIRTUAL_HOSTED_STYLE = re.compile(r"(?P<bucket>.+)\." + _HOST)


class S3Location(NamedTuple):
    """The location of an object, or of the objects below a prefix.

    :param bucket: The bucket's name.
    :param key: The key or prefix as S3 stores it, without encoding.
    """

    bucket: str
    key: str

    @property
    def url(self) -> str:
        """The ``s3://`` URL, the one spelling that the package compares and sends."""
        return f"s3://{self.bucket}/{self.key}"

    @classmethod
    def parse(cls, url: str) -> S3Location | None:
        """Return the location in an ``s3://`` or ``https://`` URL; None for other URLs.

        An ``s3://`` URL is not decoded. In an ``https://`` URL the key is percent-encoded, and S3 reads ``+`` as a space,
        as the console writes one in "Object URL" (aws/aws-sdk-net#1894, aws/aws-sdk-ruby#654). Query and fragment do not belong to the key.
        """
        scheme, _, rest = url.partition("://")
        if scheme == "https":
            host, _, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
            return cls._of_https(host.lower().removesuffix(":443"), path)
        if found := _ACCESS_POINT.fullmatch(rest):
            return cls(found["arn"], found["key"] or "")
        bucket, _, key = rest.partition("/")
        return cls(bucket, key) if scheme == "s3" and bucket else None

    @classmethod
    def _of_https(cls, host: str, path: str) -> S3Location | None:
        if _PATH_STYLE.fullmatch(host):
            # The bucket ends at the first "/" that is not encoded.
            bucket, _, path = path.partition("/")
            return cls(unquote_plus(bucket), unquote_plus(path)) if bucket else None
        virtual = _VIRTUAL_HOSTED_STYLE.fullmatch(host)
        return cls(virtual["bucket"], unquote_plus(path)) if virtual else None


def s3_url(url: str) -> str:
    """Return the ``s3://`` form of any S3 URL, so that each location has one spelling; other URLs are returned unchanged."""
    location = None if url.startswith("s3://") else S3Location.parse(url)
    return location.url if location else url
