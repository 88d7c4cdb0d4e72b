"""All Regions, each created on first use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.moto_bridge.account import is_region
from airflow_sm_hosting.local.server.region import Region
from airflow_sm_hosting.local.wire.errors import AwsError


class Regions:
    """The Regions of the server.

    :param make: Makes the Region of a name.
    :param clock: The clock.
    """

    def __init__(self, make: Callable[[str], Region], clock: Clock) -> None:
        self._make = make
        self._clock = clock
        self._lock = threading.Lock()
        self._regions: dict[str, Region] = {}

    def of(self, name: str) -> Region:
        """Return a Region.

        :raises AwsError: There is none of that name.
        """
        if not is_region(name):
            raise AwsError("ValidationException", "There is no Region of that name.")
        with self._lock:
            if name not in self._regions:
                self._regions[name] = self._make(name)
            return self._regions[name]

    def all(self) -> list[Region]:
        """Return the Regions that were used."""
        with self._lock:
            return list(self._regions.values())

    def publish_metrics(self) -> None:
        """Publish the metrics of the last minute that no invocation publishes."""
        for region in self.all():
            region.scaling.publish_idle(region.endpoint_metrics)
            region.runtime.each_minute()
            if endpoints := region.endpoints.serving():
                self._clock.run(partial(region.endpoint_metrics.publish_usage, endpoints))
            if components := region.components.serving():
                self._clock.run(partial(region.endpoint_metrics.publish_component_usage, components))

    def crash(self, is_meant: Callable[[str, str, str], bool]) -> int:
        """End containers as a crash does, and return how many.

        :param is_meant: Tells by endpoint, variant and container name whether to end one.
        """
        return sum(region.endpoints.crash(is_meant) for region in self.all())

    def stop_all(self, grace: float) -> None:
        """Stop all containers and forget all Regions."""
        for region in self.all():
            # What a stack would create now would be in the Region that follows.
            region.cloudformation.close()
        with self._lock:
            regions = list(self._regions.values())
            self._regions.clear()
        for region in regions:
            region.stop_all(grace)

    def dump(self) -> dict[str, Any]:
        """Return what is saved over a restart."""
        with self._lock:
            regions = dict(self._regions)
        return {name: region.dump() for name, region in regions.items()}

    def load(self, saved: Mapping[str, Any]) -> None:
        """Restore saved state."""
        for name, region in saved.items():
            self.of(name).load(region)
