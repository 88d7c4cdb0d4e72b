"""Shadow variants: the endpoint config that promotes one, and the comparison of its answers with those of production."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from airflow_sm_hosting.deployment.answer_check import is_same_answer
from airflow_sm_hosting.deployment.difference import AWS_DEFAULTS
from airflow_sm_hosting.spec.naming import is_content_name

#: Members of a variant that say how many instances of which type there are (ProductionVariant).
CAPACITY_MEMBERS = (
    "InstanceType",
    "InitialInstanceCount",
    "InstancePools",
    "VariantInstanceProvisionTimeoutInSeconds",
    "CapacityReservationConfig",
)


def variants_of(config: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """Return the production variant and the shadow variant of a described config; None if it has no shadow variant.

    There is exactly one of each (CreateEndpointConfig, ShadowProductionVariants).
    """
    shadows = config.get("ShadowProductionVariants") or []
    return (config["ProductionVariants"][0], shadows[0]) if shadows else None


def promoted_request(config: Mapping[str, Any], members: Collection[str], *, capacity: str) -> dict[str, Any]:
    """Return the CreateEndpointConfig request, without name and tags, in which the shadow's model serves in place of production's.

    The variant keeps the name of the production variant: its alarms and its scaling stay
    (https://docs.aws.amazon.com/sagemaker/latest/dg/shadow-tests-complete.html).

    :param config: A described config with a shadow variant.
    :param members: The members of the request.
    :param capacity: Whose instances it has: ``production`` or ``shadow``.
    """
    production, shadow = variants_of(config) or ({}, {})
    own = {name: value for name, value in shadow.items() if name not in CAPACITY_MEMBERS}
    instances = {
        name: value
        for name, value in (production if capacity == "production" else shadow).items()
        if name in CAPACITY_MEMBERS
    }
    variant = {**own, **instances, "VariantName": production["VariantName"]}
    # The weight of the shadow is a share of production's requests.
    variant["InitialVariantWeight"] = production.get("InitialVariantWeight", 1.0)
    kept = {
        name: value
        for name, value in config.items()
        if name in members
        and name not in ("EndpointConfigName", "ShadowProductionVariants", "Tags")
        and not (name in AWS_DEFAULTS and AWS_DEFAULTS[name] in (None, value))
    }
    return {**kept, "ProductionVariants": [variant]}


def base_name(config_name: str) -> str:
    """Return a config's name without the digest of its content."""
    return config_name.rpartition("-")[0] if is_content_name(config_name) else config_name


# The report


@dataclass(frozen=True)
class VariantMetrics:
    """What CloudWatch has of a variant, over a time.

    :param invocations: The number of requests.
    :param mean_latency_ms: The model's latency on average, in milliseconds; None without requests.
    :param max_latency_ms: The longest; None without requests.
    :param errors_4xx: Requests answered with a 4xx status.
    :param errors_5xx: Requests answered with a 5xx status.
    """

    invocations: int = 0
    mean_latency_ms: float | None = None
    max_latency_ms: float | None = None
    errors_4xx: int = 0
    errors_5xx: int = 0

    @classmethod
    def of(cls, sums: Mapping[str, float | None]) -> VariantMetrics:
        """Return the metrics from the sums of CloudWatch's values.

        :param sums: ``invocations``, ``latency`` and ``longest`` in microseconds, ``4xx`` and ``5xx``.
        """
        count = int(sums.get("invocations") or 0)
        total, longest = sums.get("latency"), sums.get("longest")
        return cls(
            count,
            round(total / count / 1000, 3) if total is not None and count else None,
            round(longest / 1000, 3) if longest is not None and count else None,
            int(sums.get("4xx") or 0),
            int(sums.get("5xx") or 0),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the metrics as plain JSON."""
        return dict(vars(self))


@dataclass
class Captured:
    """Captured answers of one variant, by request.

    :param answers: The answers in their order, by the request's id, or by its content.
    """

    answers: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, lines: Iterable[str]) -> None:
        """Add the lines of a captured file; those without a request or an answer are left out.

        https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
        """
        for line in lines:
            if not line.strip():
                continue
            record = json.loads(line)
            data = record.get("captureData") or {}
            output, asked = data.get("endpointOutput"), data.get("endpointInput")
            key = (record.get("eventMetadata") or {}).get("inferenceId")
            if key is None and asked is not None:
                key = hashlib.sha256(_text(asked).encode()).hexdigest()
            if key is not None and output is not None:
                self.answers[key].append(_text(output))


def _text(captured: Mapping[str, Any]) -> str:
    data = str(captured.get("data", ""))
    if captured.get("encoding") != "BASE64":
        return data
    try:
        return base64.b64decode(data, validate=True).decode(errors="replace")
    except binascii.Error:
        return data


@dataclass(frozen=True)
class Agreement:
    """How far two variants answer alike.

    :param compared: The requests that both answered.
    :param equal: Those with equal answers.
    :param different: The ids of some of the others.
    """

    compared: int = 0
    equal: int = 0
    different: tuple[str, ...] = ()

    @property
    def share(self) -> float | None:
        """The part of equal answers, 0 to 1; None if none were compared."""
        return self.equal / self.compared if self.compared else None


#: How many ids of requests with different answers are kept.
MOST_DIFFERENT = 10


def agreement(production: Captured, shadow: Captured, *, tolerance: float, relative: float) -> Agreement:
    """Compare the answers to the same requests.

    :param production: The answers of the production variant.
    :param shadow: Those of the shadow variant.
    :param tolerance: How far numbers may be from each other.
    :param relative: The same, as a part of the larger one.
    """
    compared = equal = 0
    different: list[str] = []
    for key, answers in production.answers.items():
        for one, other in zip(answers, shadow.answers.get(key, ()), strict=False):
            compared += 1
            if is_same_answer(one, other, absolute=tolerance, relative=relative):
                equal += 1
            elif key not in different:
                different.append(key)
    return Agreement(compared, equal, tuple(different[:MOST_DIFFERENT]))


def capture_prefixes(
    destination_key: str, endpoint: str, variant: str, start: datetime, end: datetime
) -> list[str]:
    """Return the prefixes of the hours of captured data, in UTC, oldest first."""
    folder = "/".join(part for part in (destination_key.strip("/"), endpoint, variant) if part)
    hour, prefixes = start.replace(minute=0, second=0, microsecond=0), []
    while hour <= end:
        prefixes.append(f"{folder}/{hour:%Y/%m/%d/%H}/")
        hour += timedelta(hours=1)
    return prefixes


def report_table(
    production: tuple[str, VariantMetrics], shadow: tuple[str, VariantMetrics], answers: Agreement | None
) -> list[str]:
    """Return the lines of a table: production beside shadow.

    :param production: The name of the production variant, and its metrics.
    :param shadow: Those of the shadow variant.
    :param answers: How far they agree; None if no data is captured.
    """
    rows: list[Sequence[Any]] = [("", *(name for name, _ in (production, shadow)))]
    columns = [metrics for _, metrics in (production, shadow)]
    rows += [
        ("invocations", *(one.invocations for one in columns)),
        ("mean latency (ms)", *(_shown(one.mean_latency_ms) for one in columns)),
        ("longest latency (ms)", *(_shown(one.max_latency_ms) for one in columns)),
        ("4xx errors", *(one.errors_4xx for one in columns)),
        ("5xx errors", *(one.errors_5xx for one in columns)),
    ]
    widths = [max(len(str(row[place])) for row in rows) for place in range(3)]
    lines = [
        "  ".join(
            str(cell).ljust(width) if place == 0 else str(cell).rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    if answers is None:
        return [*lines, "agreement of answers: not known, as the endpoint captures no data"]
    if not answers.compared:
        return [*lines, "agreement of answers: not known, as no request was captured of both variants"]
    return [
        *lines,
        f"agreement of answers: {answers.equal} of {answers.compared} ({100 * (answers.share or 0):.1f} %)",
    ]


def _shown(number: float | None) -> str:
    return "-" if number is None else f"{number:.1f}"
