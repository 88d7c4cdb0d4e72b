"""What no endpoint needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, strategies as st

from airflow_sm_hosting.deployment.reachability import (
    Config,
    Endpoint,
    Model,
    ServingComponent,
    Stored,
    Unneeded,
    deleting_steps,
    unneeded,
)

NOW = datetime(2026, 11, 23, tzinfo=UTC)
OLD = NOW - timedelta(days=9)


def config(name: str, *models: str, created: datetime = OLD) -> Config:
    return Config(name, frozenset(models), created)


def model(name: str, *uses: str, created: datetime = OLD) -> Model:
    return Model(name, frozenset(uses), created)


def stored(uri: str, *names: str, created: datetime = OLD) -> Stored:
    return Stored(uri, frozenset([uri, *names]), created)


def found(**given: Any) -> Unneeded:
    everything = {"endpoints": [], "configs": [], "models": [], "keep": 0, "before": NOW, **given}
    ours = [
        *(f"config/{one.name}" for one in everything["configs"]),
        *(f"model/{one.name}" for one in everything["models"]),
    ]
    return unneeded(**{"ours": ours, **everything})


def test_without_endpoints_everything_of_ours_may_go() -> None:
    assert found(
        configs=[config("c", "m")],
        models=[model("m", "repo@1", "s3://b/k")],
        images=[stored("repo:tag", "repo@1")],
        artifacts=[stored("s3://b/k")],
    ) == Unneeded(["c"], ["m"], ["repo:tag"], ["s3://b/k"])


def test_what_serves_what_is_on_its_way_and_what_a_rollback_may_go_to_stay() -> None:
    configs = [config(name) for name in "abcde"]
    endpoint = Endpoint("churn", serving="e", pending="d", before=("c", "b", "a"))

    assert found(endpoints=[endpoint], configs=configs, keep=1).configs == ["a", "b"]
    assert found(endpoints=[endpoint], configs=configs, keep=3).configs == []
    assert found(endpoints=[endpoint], configs=configs, keep=0).configs == ["a", "b", "c"]


def test_a_model_of_a_config_that_stays_stays_and_all_that_it_uses() -> None:
    assert found(
        endpoints=[Endpoint("churn", serving="live")],
        configs=[config("live", "m1"), config("old", "m2")],
        models=[model("m1", "repo@1", "s3://b/1"), model("m2", "repo@1", "s3://b/2")],
        images=[stored("repo:a", "repo@1"), stored("repo:b", "repo@2")],
        artifacts=[stored("s3://b/1"), stored("s3://b/2")],
    ) == Unneeded(["old"], ["m2"], ["repo:b"], ["s3://b/2"])


def test_what_model_packages_use_stays_as_it_may_be_deployed_later() -> None:
    assert found(
        images=[stored("repo:a", "repo@1"), stored("repo:b", "repo@2")],
        artifacts=[stored("s3://b/1"), stored("s3://b/p/2"), stored("s3://b/3")],
        used_by_packages=["repo@1", "s3://b/1", "s3://b/p/"],
    ) == Unneeded(images=["repo:b"], artifacts=["s3://b/3"])


def test_what_is_not_ours_stays_with_all_that_it_uses() -> None:
    assert (
        found(
            configs=[config("foreign", "m1")],
            models=[model("m1", "repo@1"), model("m2", "repo@2")],
            images=[stored("repo:a", "repo@1"), stored("repo:b", "repo@2")],
            ours=["model/m1"],
        )
        == Unneeded()
    )


def test_what_is_young_stays_as_a_deployment_may_be_on_its_way_to_it() -> None:
    assert (
        found(
            configs=[config("c", created=NOW)],
            models=[model("m", created=NOW)],
            images=[stored("repo:a", created=NOW)],
        )
        == Unneeded()
    )


def test_an_artifact_under_a_prefix_that_is_used_stays() -> None:
    kept = model("m", "s3://b/uncompressed/")

    assert found(
        endpoints=[Endpoint("churn", serving="live")],
        configs=[config("live", "m")],
        models=[kept],
        artifacts=[stored("s3://b/uncompressed/x"), stored("s3://b/other/x")],
    ).artifacts == ["s3://b/other/x"]


NAMES = st.sampled_from("abcdef")


@given(
    endpoints=st.lists(
        st.builds(
            Endpoint,
            st.just("e"),
            st.none() | NAMES,
            st.none() | NAMES,
            st.lists(NAMES, max_size=3).map(tuple),
        ),
        max_size=3,
    ),
    configs=st.dictionaries(NAMES, st.frozensets(NAMES, max_size=2), max_size=6),
    models=st.dictionaries(NAMES, st.frozensets(NAMES, max_size=2), max_size=6),
    keep=st.integers(0, 4),
)
def test_nothing_that_is_reachable_ever_goes(
    endpoints: list[Endpoint],
    configs: dict[str, frozenset[str]],
    models: dict[str, frozenset[str]],
    keep: int,
) -> None:
    gone = found(
        endpoints=endpoints,
        configs=[Config(name, used, OLD) for name, used in configs.items()],
        models=[Model(name, used, OLD) for name, used in models.items()],
        images=[stored(name) for name in "abcdef"],
        keep=keep,
    )

    for endpoint in endpoints:
        for name in (endpoint.serving, endpoint.pending, *endpoint.before[:keep]):
            assert name not in gone.configs
            for used in configs.get(name or "", ()):
                assert used not in gone.models
                assert not models.get(used, frozenset()) & set(gone.images)
    assert set(gone.configs) <= set(configs)
    # Whatever stays has all that it needs.
    for name, used_models in configs.items():
        assert name in gone.configs or not used_models & set(gone.models)


# What deletes it.


def calls(gone: Unneeded) -> list[tuple[str, Any]]:
    return [(step.operation, step.request) for step in deleting_steps(gone)]


def test_configs_go_first_then_models_images_and_artifacts() -> None:
    gone = Unneeded(
        configs=["c1", "c2"],
        models=["m1"],
        images=["one:a", "registry/two:b", "one:c"],
        artifacts=["s3://bucket/churn/model.tar.gz", "s3://bucket/a b+c"],
    )
    assert calls(gone) == [
        ("DeleteEndpointConfig", {"EndpointConfigName": "c1"}),
        ("DeleteEndpointConfig", {"EndpointConfigName": "c2"}),
        ("DeleteModel", {"ModelName": "m1"}),
        (
            "BatchDeleteImage",
            {"repositoryName": "one", "imageIds": [{"imageTag": "a"}, {"imageTag": "c"}]},
        ),
        ("BatchDeleteImage", {"repositoryName": "registry/two", "imageIds": [{"imageTag": "b"}]}),
        ("DeleteObject", {"Bucket": "bucket", "Key": "churn/model.tar.gz"}),
        ("DeleteObject", {"Bucket": "bucket", "Key": "a b+c"}),
    ]


def test_images_go_a_hundred_a_call() -> None:
    images = [f"one:{number}" for number in range(150)]
    requests = [request for _, request in calls(Unneeded(images=images))]
    assert [len(request["imageIds"]) for request in requests] == [100, 50]
    assert [f"one:{image['imageTag']}" for request in requests for image in request["imageIds"]] == images


def test_nothing_is_deleted_where_all_is_needed() -> None:
    assert calls(Unneeded()) == []


def test_what_is_named_in_another_case_is_needed() -> None:
    """A config may name a model, and an endpoint a config, in any case."""
    assert found(
        endpoints=[Endpoint("churn", serving="churn-a", before=("CHURN-B",))],
        configs=[config("Churn-A", "churn-m"), config("Churn-B", "CHURN-N"), config("Churn-C")],
        models=[model("Churn-M"), model("Churn-N"), model("Churn-O")],
        keep=1,
    ) == Unneeded(["Churn-C"], ["Churn-O"])


def test_unfinished_uploads_are_aborted_when_they_are_old() -> None:
    uploads = [
        stored(f"s3://b/k{number}?uploadId=a{number}/b=", created=NOW + timedelta(seconds=number))
        for number in (-1, 1)
    ]
    gone = found(uploads=uploads)
    assert gone == Unneeded(uploads=["s3://b/k-1?uploadId=a-1/b="])
    assert calls(gone) == [("AbortMultipartUpload", {"Bucket": "b", "Key": "k-1", "UploadId": "a-1/b="})]


def test_what_inference_components_serve_served_and_name_stays() -> None:
    component = ServingComponent(frozenset(["M1"]), before=("m2", "m3"), uses=frozenset(["repo@1"]))
    everything: dict[str, Any] = {
        "components": [component],
        "models": [model(name) for name in ("m1", "m2", "m3", "m4")],
        "images": [stored("repo:a", "repo@1"), stored("repo:b", "repo@2")],
    }
    assert found(**everything, keep=1) == Unneeded([], ["m3", "m4"], ["repo:b"], [])
    assert found(**everything, keep=0).models == ["m2", "m3", "m4"]
