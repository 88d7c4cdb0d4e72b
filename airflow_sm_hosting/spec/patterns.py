"""Patterns and limits of AWS's fields, each with its source."""

from __future__ import annotations

#: Patterns and lengths of botocore's SageMaker model (service-2.json, 2017-07-24).
NAME_PATTERN = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
MODEL_NAME_PATTERN = r"[a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?"
ENVIRONMENT_KEY_PATTERN = r"[a-zA-Z_][a-zA-Z0-9_]*"
ROLE_ARN_PATTERN = r"arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"

#: A role's name (IAM, CreateRole), with or without its path.
ROLE_NAME_PATTERN = r"/?([!-.0-~]+/)*[\w+=,.@-]{1,64}"

#: CreateEndpointConfig, KmsKeyId: key id, key ARN, alias name or alias ARN. Ids of multi-Region keys begin with ``mrk-`` (KMS, key identifiers).
KMS_KEY_PATTERN = (
    r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|mrk-[0-9a-f]{32}|arn:aws[a-z\-]*:kms:[a-z0-9\-]+:\d{12}:key/[a-zA-Z0-9-]+"
    r"|(arn:aws[a-z\-]*:kms:[a-z0-9\-]+:\d{12}:)?alias/[a-zA-Z0-9/_-]{1,250}"
)

#: botocore, SubnetId and SecurityGroupId.
VPC_ID_PATTERN = r"[-0-9a-zA-Z]{1,32}"

MAX_SUBNETS = 16  # botocore, VpcConfig: Subnets
MAX_SECURITY_GROUPS = 5  # botocore, VpcConfig: SecurityGroupIds
MAX_TAGS = 50  # CreateModel, CreateEndpointConfig, CreateEndpoint: Tags
#: Keys that AWS reserves ("Tagging AWS resources", naming limits), and those of this package.
RESERVED_TAG_PREFIXES = ("aws:", "sm-hosting:")
MAX_NAME_LENGTH = 63
NAME_IN_WORDS = "1 to 63 letters, digits and hyphens, beginning and ending with a letter or a digit"

#: Families of hosting instances, to name the nearest ones of a misspelt type (botocore 1.44.5, ProductionVariantInstanceType).
INSTANCE_FAMILIES = (
    "c4 c5 c5d c6g c6gd c6gn c6i c6in c7g c7i c8g dl1 g4dn g5 g6 g6e g7 g7e inf1 inf2 m4 m5 m5d m6g m6gd m6i m7i m8g "
    "p2 p3 p4d p4de p5 p5e p5en p6-b200 p6-b300 p6e-gb200 r5 r5d r6g r6gd r6i r7gd r7i r8g t2 trn1 trn1n trn2"
).split()
INSTANCE_TYPE_PATTERN = r"ml\.[a-z][a-z0-9]*(-[a-z0-9]+)*\.([0-9]*x?large|medium|small|metal)"
