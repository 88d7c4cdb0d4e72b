"""The whole local AWS as one WSGI application: its parts, and the order of its request handlers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from airflow_sm_hosting.local.clock import Clock, RealClock, VirtualClock
from airflow_sm_hosting.local.cloudformation.client import ServiceClients
from airflow_sm_hosting.local.cloudwatch.service import CloudWatch
from airflow_sm_hosting.local.ecr.registry import Registry
from airflow_sm_hosting.local.engines.choice import make_engine
from airflow_sm_hosting.local.engines.crashing import CrashingEngine
from airflow_sm_hosting.local.engines.engine import Engine
from airflow_sm_hosting.local.engines.standing_in import StandingInEngine
from airflow_sm_hosting.local.iam import execution_roles, policy_simulation
from airflow_sm_hosting.local.iam.access import Access
from airflow_sm_hosting.local.moto_bridge import s3, stack_resources
from airflow_sm_hosting.local.moto_bridge.application import MotoApplication
from airflow_sm_hosting.local.moto_bridge.operations import replace_operations
from airflow_sm_hosting.local.sagemaker.quotas import Quotas
from airflow_sm_hosting.local.server.admin_api import AdminApi
from airflow_sm_hosting.local.server.browser_page import LocalPage
from airflow_sm_hosting.local.server.faults import Faults
from airflow_sm_hosting.local.server.handlers import (
    CheckKey,
    CheckPermissions,
    Handler,
    InjectFaults,
    LogRequests,
    ReadBody,
    RefuseUnreadable,
    SaveState,
    WriteRefusals,
    run_handlers,
)
from airflow_sm_hosting.local.server.incoming import IncomingRequest
from airflow_sm_hosting.local.server.region import Region
from airflow_sm_hosting.local.server.regions import Regions
from airflow_sm_hosting.local.server.request_log import RequestLog
from airflow_sm_hosting.local.server.services import AnswerServices
from airflow_sm_hosting.local.server.state import State
from airflow_sm_hosting.local.stand_ins.choice import StandIns
from airflow_sm_hosting.local.tagging.service import OPERATIONS as TAGGING_OPERATIONS
from airflow_sm_hosting.local.work_dir import WorkDir, sweep

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# Containers have this long to end when the server ends.
_STOP_SECONDS = 1.0


class LocalAwsApp:
    """SageMaker hosting, a container registry and the checks of other services, in front of moto.

    :param access_key: The key that every AWS request must be signed with.
    :param region: The default Region.
    :param engine: ``auto``, ``docker``, ``process`` or ``none``, or an engine.
    :param transition_seconds: How long a transition of an endpoint takes at least.
    :param clock: The clock. Default: the computer's.
    :param consistency_seconds: How long a created resource cannot be found yet.
    :param state: Saves the state over a restart; None: nothing does.
    :param stand_ins: What runs in place of images that are not here. Default: stand-ins for AWS's own.
    """

    def __init__(
        self,
        *,
        access_key: str,
        region: str,
        engine: str | Engine,
        transition_seconds: float,
        clock: Clock | None = None,
        consistency_seconds: float = 0.0,
        state: State | None = None,
        stand_ins: StandIns | None = None,
    ) -> None:
        self._state = state
        self._consistency_seconds = consistency_seconds
        self._transition_seconds = transition_seconds
        self._region = region
        self.clock = clock or RealClock()
        self._moto = MotoApplication()
        self._cloudwatch = CloudWatch(self.clock)
        replace_operations("cloudwatch", self._cloudwatch.operations, self._cloudwatch.answer)
        replace_operations("iam", policy_simulation.OPERATIONS, policy_simulation.simulate_principal_policy)
        s3.skip_conditional_statements()
        replace_operations("tagging", TAGGING_OPERATIONS, self._answer_tagging)
        self._access = Access(access_key)
        sweep()
        self._work_dir = WorkDir()
        self._folder = self._work_dir.folder
        self._registry = Registry(state.registry_folder if state else self._folder, region)
        self._requests = RequestLog(self.clock)
        self._faults = Faults(self.clock)
        self._quotas = Quotas()
        self._regions = Regions(self._make_region, self.clock)
        stand_ins = stand_ins or StandIns()
        try:
            if isinstance(engine, str):
                engine = make_engine(engine, self._registry, self._work_dir)
        except BaseException:
            self._work_dir.close()
            raise
        if engine.name != "none":
            engine = StandingInEngine(engine, self._registry, stand_ins)
        self.engine: Engine = CrashingEngine(engine, self._faults)
        services = AnswerServices(self._regions, self._registry, self._moto, stand_ins)
        #: The calls of CloudFormation: not logged, as no client sends them, but hit by faults.
        self._inside: tuple[Handler, ...] = (
            WriteRefusals(),
            ReadBody(),
            InjectFaults(self._faults),
            services,
        )
        self._clients = ServiceClients(self._answer_inside, access_key)
        #: The calls of the page: neither logged nor hit by faults, which are for clients.
        self._of_page: tuple[Handler, ...] = (WriteRefusals(), ReadBody(), services)
        page_clients = ServiceClients(self._answer_page, access_key)
        self._handlers: tuple[Handler, ...] = (
            LocalPage(
                access_key=access_key,
                region=region,
                engine=self.engine.name,
                requests=self._requests,
                faults=self._faults,
                calls=page_clients.of_region,
            ),
            AdminApi(
                access_key=access_key,
                region=region,
                engine=self.engine.name,
                clock=self.clock,
                access=self._access,
                faults=self._faults,
                quotas=self._quotas,
                requests=self._requests,
                regions=self._regions,
                reset=self.reset,
            ),
            SaveState(state),
            LogRequests(self._requests),
            WriteRefusals(),
            RefuseUnreadable(),
            CheckKey(self._access),
            ReadBody(),
            CheckPermissions(self._access, self._registry, self._regions),
            InjectFaults(self._faults),
            services,
        )

    def start(self, port: int) -> None:
        """Begin to work, known by this port."""
        self._registry.port = port
        if self._state:
            saved = self._state.load()
            self._state.load_metrics(lambda region: self._cloudwatch.region(region).metrics)
            self._load(saved)
            self._state.load_requests(
                lambda name, request, body: self.region(request["region"]).runtime.requeue(
                    name, request, body
                )
            )
            self._state.begin(self._dump, self._cloudwatch.metrics)
        execution_roles.make_well_known_role()
        self._cloudwatch.each_minute(self._regions.publish_metrics)
        self._cloudwatch.start()

    def close(self) -> None:
        """Stop all containers and remove all files, but the saved state."""
        if self._state:
            self._state.close()
        self._regions.stop_all(grace=_STOP_SECONDS)
        self.clock.close()
        self.engine.close()
        self._work_dir.close()

    def reset(self) -> None:
        """Forget everything, as after a start."""
        self._regions.stop_all(grace=0)
        self._moto.reset()
        stack_resources.forget_all()
        execution_roles.make_well_known_role()
        self._registry.clear()
        self._requests.clear()
        self._access.enforce(False)
        self._faults.clear()
        self._quotas.set({})
        self.clock.clear()
        self._cloudwatch.reset()
        if self._state:
            self._state.backlog.clear()
            self._state.changed()

    def region(self, name: str) -> Region:
        """Return a Region."""
        return self._regions.of(name)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        asked = IncomingRequest(Request(environ, populate_request=False), self._region)
        return run_handlers(self._handlers, asked)(environ, start_response)

    def _answer_inside(self, request: Request) -> Response:
        return run_handlers(self._inside, IncomingRequest(request, self._region))

    def _answer_page(self, request: Request) -> Response:
        return run_handlers(self._of_page, IncomingRequest(request, self._region))

    def _make_region(self, name: str) -> Region:
        self._registry.know_region(name)
        return Region(
            name,
            self.engine,
            self._registry,
            self._folder,
            self._transition_seconds,
            self.clock,
            self._consistency_seconds,
            self._cloudwatch.region(name),
            shortages=self._faults,
            backlog=self._state.backlog if self._state else None,
            quotas=self._quotas,
            is_assumable=execution_roles.is_assumable,
            call=self._clients.of_region(name),
        )

    def _answer_tagging(self, operation: str, request: Mapping[str, Any], region: str) -> dict[str, Any]:
        return self.region(region).tagging.answer(operation, dict(request))

    def _dump(self) -> dict[str, Any]:
        """Return what is saved over a restart, but for moto's part."""
        return {
            "now": self.clock.now(),
            "registry": self._registry.dump(),
            "cloudwatch": self._cloudwatch.dump(),
            "regions": self._regions.dump(),
        }

    def _load(self, saved: dict[str, Any] | None) -> None:
        """Restore saved state."""
        if saved is None:
            return
        if isinstance(self.clock, VirtualClock):
            self.clock.resume_from(saved["now"])
        self._registry.load(saved["registry"])
        self._cloudwatch.load(saved["cloudwatch"])
        self._regions.load(saved["regions"])
