"""Run one container, ask it, end it, and return what was observed."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import requests
from docker.errors import APIError, DockerException
from docker.models.containers import Container
from docker.types import Mount
from tenacity import RetryError, Retrying, retry_if_not_result, stop_after_delay, wait_fixed

from airflow_sm_hosting.container_check.asking import call_container
from airflow_sm_hosting.container_check.contract import (
    BIND_VARIABLE,
    CHECKED_MODEL,
    CHECKED_MODEL_PATH,
    INVOCATIONS,
    INVOKE_MODEL,
    MULTI_MODEL_VARIABLE,
    NOBODY,
    OTHER_PORT,
    PING_SECONDS,
    PORT,
    SAFE_PORTS,
    SAFE_PORTS_VARIABLE,
)
from airflow_sm_hosting.container_check.engine import CheckEngine, said
from airflow_sm_hosting.container_check.observation import (
    Condition,
    Ended,
    Exchange,
    Listening,
    Run,
    Silence,
    Stopped,
    listening_sockets,
)
from airflow_sm_hosting.container_check.report import last_lines
from airflow_sm_hosting.container_check.wanted import Wanted

log = logging.getLogger(__name__)

#: Seconds between two pings of a container that starts.
_PING_PAUSE = 0.2
#: Pings of a container that is ready.
_LATER_PINGS = 3
#: Seconds in which the engine learns that a container has ended.
_LAST_MOMENT = 0.5
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")


def observe_run(
    engine: CheckEngine,
    image: str,
    condition: Condition,
    *,
    wanted: Wanted,
    environment: Mapping[str, str],
    model: Mount | None,
) -> Run:
    """Run a container under a condition, and return what was observed; it is removed at the end.

    :param engine: The engine.
    :param image: The image.
    :param condition: The condition.
    :param wanted: What is checked.
    :param environment: The container's environment.
    :param model: The mount of the model data.
    """
    isolated = condition is Condition.NETWORK_ISOLATION
    if isolated and not engine.can_isolate():
        return Run(
            port=PORT,
            not_possible="containers of this engine cannot be reached without a network (it is no Linux engine of this computer)",
        )
    port = OTHER_PORT if condition is Condition.OTHER_PORT else PORT
    try:
        container = engine.create(
            image,
            environment={**environment, **_contract(wanted, condition)},
            port=port,
            memory_mb=wanted.memory_limit_mb,
            model=model,
            is_isolated=isolated,
            is_read_only=condition is Condition.READ_ONLY,
            user=NOBODY if condition is Condition.NON_ROOT else None,
        )
    except APIError as error:
        return Run(port=port, start_error=said(error))
    with _removed(container):
        return _Observer(engine, container, wanted, condition, port).observe()


def _contract(wanted: Wanted, condition: Condition) -> dict[str, str]:
    """Return the variables that SageMaker sets."""
    variables: dict[str, str] = {}
    if condition is Condition.OTHER_PORT:
        variables |= {BIND_VARIABLE: str(OTHER_PORT), SAFE_PORTS_VARIABLE: SAFE_PORTS}
    if wanted.multi_model:
        variables[MULTI_MODEL_VARIABLE] = "true"
    return variables


@contextmanager
def _removed(container: Container) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(DockerException):
            container.remove(force=True, v=True)


class _Observer:
    """Observes one container.

    :param engine: Its engine.
    :param container: The container, not started.
    :param wanted: What is checked.
    :param condition: How it is run.
    :param port: Where it is to listen.
    """

    def __init__(
        self, engine: CheckEngine, container: Container, wanted: Wanted, condition: Condition, port: int
    ) -> None:
        self._engine = engine
        self._container = container
        self._wanted = wanted
        self._condition = condition
        self._seen = Run(port=port)
        self._urls: list[str] = []
        self._started = 0.0

    def observe(self) -> Run:
        """Start the container, ask it, and end it."""
        try:
            self._container.start()
        except APIError as error:
            return replace(self._seen, start_error=said(error))
        self._started = time.monotonic()
        self._find()
        self._wait_until_ready()
        if self._seen.ended is None:
            self._note(sockets=self._sockets())
        if self._seen.ready_seconds is not None:
            self._ask()
        if self._seen.ended is None:
            self._note(memory_mb=self._memory())
            if self._condition is Condition.PLAIN and self._seen.ready_seconds is not None:
                self._stop()
        self._note(was_out_of_memory=self._state().get("OOMKilled", False), log=self._log())
        return self._seen

    def _note(self, **seen: Any) -> None:
        self._seen = replace(self._seen, **seen)

    def _state(self) -> dict[str, Any]:
        self._container.reload()
        state: dict[str, Any] = self._container.attrs["State"]
        return state

    def _has_ended(self) -> bool:
        state = self._state()
        if state["Status"] in ("exited", "dead"):
            self._note(ended=Ended(int(state["ExitCode"])))
        return self._seen.ended is not None

    def _let_end(self) -> None:
        """Wait a moment for the end of a container that closed a connection: the engine learns of it later than its client."""
        with suppress(requests.Timeout, requests.ConnectionError, APIError):
            self._container.wait(timeout=_LAST_MOMENT)

    def _find(self) -> None:
        """Find out where the container is reached: through its published port, or at its own address."""
        self._container.reload()
        port = self._seen.port
        bindings = self._container.ports.get(f"{port}/tcp") or []
        self._urls = [f"http://127.0.0.1:{binding['HostPort']}" for binding in bindings[:1]]
        # A worker that is a container itself does not have the loopback interface on which the engine publishes ports.
        networks = self._container.attrs["NetworkSettings"]["Networks"].values()
        addresses = [network["IPAddress"] for network in networks if network.get("IPAddress")]
        self._urls += [f"http://{address}:{port}" for address in addresses[:1]]

    def _request(self, method: str, path: str, *, seconds: float, **request: Any) -> Exchange:
        """Ask the container at the first of its addresses that takes a connection."""
        answer = Exchange(method, path, 0.0, silence=Silence.UNREACHABLE)
        for url in self._urls:
            answer = call_container(url, method, path, seconds=seconds, **request)
            if answer.silence is not Silence.UNREACHABLE:
                self._urls = [url]
                break
        return answer

    # Until it is ready

    def _wait_until_ready(self) -> None:
        waiting = Retrying(
            stop=stop_after_delay(self._wanted.startup_seconds),
            wait=wait_fixed(_PING_PAUSE),
            retry=retry_if_not_result(bool),
        )
        with suppress(RetryError):
            waiting(self._is_ready_or_ended)

    def _is_ready_or_ended(self) -> bool:
        if self._has_ended():
            return True
        ping = self._ping()
        if ping.status == 200:
            self._note(ready_seconds=time.monotonic() - self._started)
            return True
        self._note(last_ping=ping)
        return False

    def _ping(self) -> Exchange:
        return self._request("GET", "/ping", seconds=PING_SECONDS)

    def _sockets(self) -> tuple[Listening, ...] | None:
        """Return where the container listens, from its kernel's table, or with its own ``cat``; None where both are out of reach."""
        table = self._table_of_this_kernel()
        if table is None:
            try:
                # 1: there is no IPv6.
                code, output = self._container.exec_run(["cat", *_TABLES])
            except APIError:
                return None
            table = output.decode(errors="replace") if code in (0, 1) and isinstance(output, bytes) else None
        return None if table is None else listening_sockets(table)

    def _table_of_this_kernel(self) -> str | None:
        pid = self._state().get("Pid")
        if not pid or not self._engine.is_on_this_kernel():
            return None
        process = Path("/proc") / str(pid)
        try:
            # In another namespace of processes, as in a container, the number is another process's.
            if str(self._container.id) not in (process / "cgroup").read_text():
                return None
            return "".join(
                path.read_text() for path in (process / "net/tcp", process / "net/tcp6") if path.exists()
            )
        except OSError:
            return None

    # When it is ready

    def _ask(self) -> None:
        later = [self._ping() for _ in range(_LATER_PINGS)]
        is_loaded = not self._wanted.multi_model or self._load_model()
        path = INVOKE_MODEL if self._wanted.multi_model else INVOCATIONS
        for request in self._wanted.requests if is_loaded else ():
            if self._has_ended():
                break
            headers = {
                "Content-Type": request.content_type,
                **({"Accept": request.accept} if request.accept else {}),
            }
            answer = self._request(
                "POST",
                path,
                seconds=self._wanted.invocation_seconds,
                most_bytes=self._wanted.max_response,
                body=request.body,
                headers=headers,
            )
            self._note(answers=(*self._seen.answers, answer))
            if answer.silence in (Silence.CLOSED, Silence.UNREACHABLE):
                self._let_end()
        if not self._has_ended():
            later.append(self._ping())
            if self._wanted.multi_model and is_loaded:
                self._note(unloading=self._call_of_models("DELETE", f"/models/{CHECKED_MODEL}"))
        self._note(later_pings=tuple(later))

    def _load_model(self) -> bool:
        """List, load and describe models, and return whether the model was loaded.

        .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html
        """
        loading = {"model_name": CHECKED_MODEL, "url": CHECKED_MODEL_PATH}
        calls: list[Callable[[], Exchange]] = [
            lambda: self._call_of_models("GET", "/models"),
            lambda: self._call_of_models("POST", "/models", json.dumps(loading).encode()),
            lambda: self._call_of_models("GET", f"/models/{CHECKED_MODEL}"),
        ]
        for call in calls:
            answer = call()
            self._note(model_calls=(*self._seen.model_calls, answer))
            if answer.status != 200:
                return False
        return True

    def _call_of_models(self, method: str, path: str, body: bytes | None = None) -> Exchange:
        headers = {"Content-Type": "application/json"} if body else {}
        return self._request(
            method, path, seconds=self._wanted.invocation_seconds, body=body, headers=headers
        )

    # The end

    def _memory(self) -> float | None:
        """Return the memory that the container uses, in MB, as ``docker stats`` counts: without the cache of files."""
        try:
            stats: Any = self._container.stats(stream=False, one_shot=True)
            memory = stats["memory_stats"]
            held: int = memory["usage"] - memory["stats"].get("inactive_file", 0)
        except (DockerException, KeyError):
            return None
        return held / 2**20

    def _stop(self) -> None:
        """Send SIGTERM, whatever STOPSIGNAL the image has, and kill the container if it does not end."""
        started = time.monotonic()
        try:
            self._container.kill("SIGTERM")
            code = int(self._container.wait(timeout=self._wanted.stop_seconds)["StatusCode"])
        except (requests.Timeout, requests.ConnectionError):
            self._note(stopped=Stopped(time.monotonic() - started, was_killed=True, exit_code=137))
            with suppress(APIError):
                self._container.kill()
            return
        except APIError:
            # It had just ended.
            self._has_ended()
            return
        self._note(stopped=Stopped(time.monotonic() - started, was_killed=False, exit_code=code))

    def _log(self) -> tuple[str, ...]:
        try:
            return last_lines(self._container.logs(tail=200).decode(errors="replace"))
        except DockerException:
            return ()
