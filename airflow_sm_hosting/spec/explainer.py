"""Online explanations by SageMaker Clarify."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.checks import check_boolean, check_integer, is_rendered_later
from airflow_sm_hosting.spec.shape import Get, Rule, Shape, Spell, Whole, choice, some, text
from airflow_sm_hosting.spec.templated import RenderedLater, TemplatedBool, TemplatedInt, TemplatedStr

Granularity: TypeAlias = Literal["token", "sentence", "paragraph"]
FeatureType: TypeAlias = Literal["numerical", "categorical", "text"]

_CLARIFY = "ClarifyExplainerConfig"
_SHAP = f"{_CLARIFY}.ShapConfig"
_BASELINE = f"{_SHAP}.ShapBaselineConfig"
_INFERENCE = f"{_CLARIFY}.InferenceConfig"
_TEXT = f"{_SHAP}.TextConfig"


def _short(what: str) -> Rule:
    return text(r".*", 64, f"{what} of 1 to 64 characters")


def _not_empty(rule: Rule) -> Rule:
    def check(where: str, value: Any) -> None:
        if value == "":
            raise InvalidSpecError(f"{where} is ''; allowed: 1 character or more.")
        rule(where, value)

    return check


def _any_whole(where: str, value: Any) -> None:
    check_integer(where, value, -(2**31), 2**31 - 1)


def _check_pairs(where: str, spell: Spell, get: Get) -> None:
    """Check what goes together.

    https://docs.aws.amazon.com/sagemaker/latest/dg/clarify-online-explainability-create-endpoint.html; botocore, ClarifyInferenceConfig. That
    AWS refuses both of two alternatives is assumed.
    """
    inline, uri = f"{_BASELINE}.ShapBaseline", f"{_BASELINE}.ShapBaselineUri"
    if (get(inline) is None) == (get(uri) is None):
        found = "neither" if get(inline) is None else "both"
        raise InvalidSpecError(
            f"{where}: {found} of {_last(spell, inline)} and {_last(spell, uri)} given; allowed: exactly one."
        )
    for index, attribute in (
        (f"{_INFERENCE}.ProbabilityIndex", f"{_INFERENCE}.ProbabilityAttribute"),
        (f"{_INFERENCE}.LabelIndex", f"{_INFERENCE}.LabelAttribute"),
    ):
        # An index is of an output in CSV, an attribute of one in JSON Lines.
        if get(index) is not None and get(attribute) is not None:
            raise InvalidSpecError(
                f"{where}: {_last(spell, index)} and {_last(spell, attribute)} given; allowed: the index for CSV, or the attribute "
                "for JSON Lines."
            )
    headers, types = get(f"{_INFERENCE}.FeatureHeaders"), get(f"{_INFERENCE}.FeatureTypes")
    known = isinstance(headers, list | tuple) and isinstance(types, list | tuple)
    if known and len(headers) != len(types):
        raise InvalidSpecError(
            f"{where}: {len(headers)} {_last(spell, f'{_INFERENCE}.FeatureHeaders')} and {len(types)} "
            f"{_last(spell, f'{_INFERENCE}.FeatureTypes')}; allowed: as many of both."
        )
    if (
        isinstance(types, list | tuple)
        and "text" not in types
        and not any(is_rendered_later(one) for one in types)
    ):
        # botocore, FeatureTypes: "must have at least one 'text' string".
        raise InvalidSpecError(
            f"{spell(f'{_INFERENCE}.FeatureTypes')} has no 'text'; allowed: at least one 'text' among them."
        )
    # botocore, ClarifyTextConfig: both are required.
    language, unit = get(f"{_TEXT}.Language"), get(f"{_TEXT}.Granularity")
    if (language is None) != (unit is None):
        given, lacking = ("Language", "Granularity") if unit is None else ("Granularity", "Language")
        raise InvalidSpecError(
            f"{spell(f'{_TEXT}.{given}')} is given without {_last(spell, f'{_TEXT}.{lacking}')}; allowed: both, or neither."
        )


def _last(spell: Spell, path: str) -> str:
    """Return what a path is called, without its owner."""
    return spell(path).rpartition(": ")[2].rpartition(".")[2]


#: All limits: botocore, ExplainerConfig and the structures in it.
EXPLAINER = Shape(
    "ExplainerConfig",
    {
        "shap_baseline": (
            f"{_BASELINE}.ShapBaseline",
            text(r"[\s\S]+", 4096, "1 to 4096 characters; shap_baseline_uri for more"),
        ),
        "shap_baseline_uri": (
            f"{_BASELINE}.ShapBaselineUri",
            text(r"(https|s3)://([^/]+)/?(.*)", 1024, "an 's3://' URI of 1024 characters at most"),
        ),
        "mime_type": (f"{_BASELINE}.MimeType", choice("text/csv", "application/jsonlines")),
        "number_of_samples": (f"{_SHAP}.NumberOfSamples", Whole(1)),
        "use_logit": (f"{_SHAP}.UseLogit", check_boolean),
        "seed": (f"{_SHAP}.Seed", _any_whole),
        "text_language": (f"{_TEXT}.Language", text(r"[a-z]{2,3}", 3, "a language code such as 'en'")),
        "text_granularity": (f"{_TEXT}.Granularity", choice("token", "sentence", "paragraph")),
        "enable_explanations": (
            f"{_CLARIFY}.EnableExplanations",
            _not_empty(_short("a JMESPath expression")),
        ),
        "features_attribute": (
            f"{_INFERENCE}.FeaturesAttribute",
            _not_empty(_short("a JMESPath expression")),
        ),
        "content_template": (f"{_INFERENCE}.ContentTemplate", _not_empty(_short("a template"))),
        "max_record_count": (f"{_INFERENCE}.MaxRecordCount", Whole(1)),
        "max_payload_in_mb": (f"{_INFERENCE}.MaxPayloadInMB", Whole(1, 25)),
        "probability_index": (f"{_INFERENCE}.ProbabilityIndex", Whole(0)),
        "probability_attribute": (
            f"{_INFERENCE}.ProbabilityAttribute",
            _not_empty(_short("a JMESPath expression")),
        ),
        "label_index": (f"{_INFERENCE}.LabelIndex", Whole(0)),
        "label_attribute": (f"{_INFERENCE}.LabelAttribute", _not_empty(_short("a JMESPath expression"))),
        "label_headers": (f"{_INFERENCE}.LabelHeaders", some(_not_empty(_short("a name")), 16)),
        "feature_headers": (f"{_INFERENCE}.FeatureHeaders", some(_not_empty(_short("a name")), 256)),
        "feature_types": (
            f"{_INFERENCE}.FeatureTypes",
            some(choice("numerical", "categorical", "text"), 256),
        ),
    },
    together=_check_pairs,
)


class Explainer(dict[str, Any]):
    """Explanations of predictions by SageMaker Clarify (SHAP), in the shape of ``ExplainerConfig``.

    :param shap_baseline: Baseline records as text, 4096 characters at most; this or ``shap_baseline_uri``. (templated)
    :param shap_baseline_uri: ``s3://`` URI of the baseline records. (templated)
    :param mime_type: Format of the baseline: ``"text/csv"`` (AWS's default) or ``"application/jsonlines"``. (templated)
    :param number_of_samples: Synthetic records of one explanation, 1 or more; all of them are predicted within the 60 seconds of a request
        (default: AWS's). (templated)
    :param use_logit: Whether predictions go through the logit function (default: AWS's, False). (templated)
    :param seed: Seed of the random numbers (default: none). (templated)
    :param text_language: Language of text features, as a code such as ``"en"``, with ``text_granularity`` (default: no text). (templated)
    :param text_granularity: Unit of text that is explained: ``"token"``, ``"sentence"`` or ``"paragraph"``. (templated)
    :param enable_explanations: JMESPath expression that selects the records to explain (default: all). (templated)
    :param features_attribute: JMESPath expression of the features in a record in JSON Lines. (templated)
    :param content_template: Template of a record in JSON Lines for the container, e.g. ``'{"features":$features}'``. (templated)
    :param max_record_count: Records in one request to the container, 1 or more (default: as the container can). (templated)
    :param max_payload_in_mb: Size of one request to the container, 1 to 25 MB (default: AWS's, 6). (templated)
    :param probability_index: Column of the probabilities in an answer in CSV, from 0. (templated)
    :param probability_attribute: JMESPath expression of the probabilities in an answer in JSON Lines. (templated)
    :param label_index: Column of the labels in an answer in CSV, from 0. (templated)
    :param label_attribute: JMESPath expression of the labels in an answer in JSON Lines. (templated)
    :param label_headers: Names of the classes, 1 to 16. (templated)
    :param feature_headers: Names of the features, 1 to 256. (templated)
    :param feature_types: ``"numerical"``, ``"categorical"`` or ``"text"`` for each feature, with at least one ``"text"``. (templated)
    :param members: Further members of the AWS shape as they are.
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ClarifyExplainerConfig.html
    """

    def __init__(
        self,
        *,
        shap_baseline: TemplatedStr | None = None,
        shap_baseline_uri: TemplatedStr | None = None,
        mime_type: Literal["text/csv", "application/jsonlines"] | TemplatedStr | None = None,
        number_of_samples: TemplatedInt | None = None,
        use_logit: TemplatedBool | None = None,
        seed: TemplatedInt | None = None,
        text_language: TemplatedStr | None = None,
        text_granularity: Granularity | TemplatedStr | None = None,
        enable_explanations: TemplatedStr | None = None,
        features_attribute: TemplatedStr | None = None,
        content_template: TemplatedStr | None = None,
        max_record_count: TemplatedInt | None = None,
        max_payload_in_mb: TemplatedInt | None = None,
        probability_index: TemplatedInt | None = None,
        probability_attribute: TemplatedStr | None = None,
        label_index: TemplatedInt | None = None,
        label_attribute: TemplatedStr | None = None,
        label_headers: Sequence[TemplatedStr] | RenderedLater | None = None,
        feature_headers: Sequence[TemplatedStr] | RenderedLater | None = None,
        feature_types: Sequence[FeatureType | TemplatedStr] | RenderedLater | None = None,
        **members: Any,
    ) -> None:
        super().__init__(EXPLAINER.made(type(self).__name__, locals(), members))
