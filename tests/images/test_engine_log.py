"""What a Docker Engine tells of a build, without the secrets in it; the events are such as an engine sends."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_hosting import byte_progress
from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.images.context import BuildContext
from airflow_sm_hosting.images.docker_builder import _EngineLog
from airflow_sm_hosting.images.recipe import BuildRecipe
from airflow_sm_hosting.spec.masking import masker

TOKEN, KEY = 'hun"ter2-SECRET', "-----BEGIN KEY-----\nMIIEvSECRETline\n-----END KEY-----"


def recipe(folder: Path, dockerfile: str = "FROM scratch\n") -> BuildRecipe:
    (folder / "Dockerfile").write_text(dockerfile)
    return BuildRecipe(BuildContext(folder))


@pytest.mark.parametrize(
    ("dockerfile", "is_for_buildkit"),
    [
        ("FROM scratch\nCOPY <<EOF /config\nhello\nEOF\n", True),
        ("FROM scratch\nRUN <<'EOF' sh\ntrue\nEOF\n", True),
        ("FROM scratch\ncopy --link f /f\n", True),
        ("FROM scratch\nCOPY --chown=1 --parents f /f\n", True),
        ("FROM scratch\nRUN --mount=type=secret,id=t true\n", True),
        ("FROM scratch\nCOPY --chown=1 --from=0 f /f\n", False),
        ("FROM scratch\nRUN cat < f\n", False),
        ("FROM scratch\nRUN echo --link\n# COPY --link\n", False),
    ],
)
def test_what_only_buildkit_knows_gets_a_hint(dockerfile: str, is_for_buildkit: bool, tmp_path: Path) -> None:
    engine_log = _EngineLog(logging.getLogger("task"), masker([]), recipe(tmp_path, dockerfile))
    with pytest.raises(ImageBuildError) as caught:
        list(engine_log.follow([{"error": "dockerfile parse error line 2"}], failed="It could not be built"))
    assert ("BuildKit" in str(caught.value)) is is_for_buildkit


@pytest.mark.parametrize(
    "printed",
    [
        TOKEN,
        json.dumps({"token": TOKEN}),
        repr(KEY),
        KEY.splitlines()[1],
        base64.b64encode(f"AWS:{TOKEN}".encode()).decode(),
    ],
    ids=["as it is", "JSON", "Python", "a line", "base64"],
)
def test_no_secret_is_in_the_log_of_a_build_nor_in_its_error(
    printed: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO)
    events = [
        {"stream": f"Step 1/2 : RUN echo\n{printed}\n"},
        {"error": f"The command '/bin/sh -c echo {printed}' returned a non-zero code: 1"},
    ]
    engine_log = _EngineLog(logging.getLogger("task"), masker([TOKEN, KEY]), recipe(tmp_path))
    with pytest.raises(ImageBuildError, match="could not be built") as caught:
        list(engine_log.follow(events, failed="The image could not be built"))
    told = caplog.text + str(caught.value)
    assert "Step 1/2" in told
    assert "returned a non-zero code" in told
    assert "***" in told
    assert "SECRET" not in told
    assert base64.b64encode(TOKEN.encode()).decode()[4:-4] not in told


def test_layers_that_are_moved_are_lines_of_the_log_at_intervals(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine says it of each layer, several times a second; extracting has the same members and moves nothing."""
    caplog.set_level(logging.INFO)
    now = [0.0]
    monkeypatch.setattr(byte_progress.ByteProgress.__init__, "__kwdefaults__", {"clock": lambda: now[0]})

    def events() -> Iterator[dict[str, Any]]:
        for second in range(25):
            now[0] = float(second)
            for layer, size in (("a", 40_000_000), ("b", 60_000_000)):
                detail = {"current": size * second // 25, "total": size}
                yield {"id": layer, "status": "Pushing", "progressDetail": detail}
                yield {
                    "id": layer,
                    "status": "Extracting",
                    "progressDetail": {"current": size, "total": size},
                }
        yield {"status": "v1: digest: sha256:1"}

    engine_log = _EngineLog(logging.getLogger("task"), masker([]), recipe(tmp_path))
    list(engine_log.follow(events(), failed="It could not be pushed", title="Pushing to h/a"))
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "Pushing to h/a: 37.6 MB of 100.0 MB (38 %), 3.8 MB/s, 17 s left",
        "v1: digest: sha256:1",
    ]
