"""What the operators share that tell OpenLineage what they read and make. Nothing of OpenLineage is needed where it is not installed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_sm_hosting.lineage import LineageDataset

#: Entry of a task's ``__dict__``: the inputs and outputs of this execution.
_LINEAGE = "_lineage"


class LineageTask:
    """An operator whose events of OpenLineage name its inputs and outputs.

    Airflow's OpenLineage provider calls the three ``get_openlineage_facets_on_…`` methods, in the task's process; they return its
    ``OperatorLineage``.
    """

    inlets: list[Any]
    outlets: list[Any]

    def note_lineage(
        self, inputs: Iterable[LineageDataset | None], outputs: Iterable[LineageDataset | None]
    ) -> None:
        """Note what this execution has read and made.

        :param inputs: The inputs; None is left out.
        :param outputs: The outputs; None is left out.
        """
        # Not by setattr: Airflow does more than set.
        self.__dict__[_LINEAGE] = (
            [one for one in inputs if one is not None],
            [one for one in outputs if one is not None],
        )

    def planned_lineage(self) -> tuple[list[LineageDataset], list[LineageDataset]]:
        """Return inputs and outputs as far as the rendered parameters name them."""
        return [], []

    def get_openlineage_facets_on_start(self) -> Any:
        """Return what the parameters name."""
        return self._operator_lineage(*self.planned_lineage())

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return what the task has read and made.

        :param task_instance: Given by the OpenLineage provider.
        """
        inputs, outputs = self.__dict__.get(_LINEAGE) or ([], [])
        # A task that failed before it knew anything names what it was to do.
        return self._operator_lineage(*((inputs, outputs) if inputs or outputs else self.planned_lineage()))

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> Any:
        """Return what the task has read, and what it was to change.

        :param task_instance: Given by the OpenLineage provider.
        """
        return self.get_openlineage_facets_on_complete(task_instance)

    def _operator_lineage(self, inputs: Iterable[LineageDataset], outputs: Iterable[LineageDataset]) -> Any:
        """Return them as OpenLineage's, with the user's own inlets and outlets: the provider leaves those out beside ours."""
        from airflow.providers.openlineage.extractors import OperatorLineage
        from airflow.providers.openlineage.extractors.manager import ExtractorManager

        def all_of(ours: Iterable[LineageDataset], given: Iterable[Any]) -> list[Any]:
            datasets = [_openlineage_dataset(one) for one in ours]
            known = {(one.namespace, one.name) for one in datasets}
            others = [ExtractorManager.convert_to_ol_dataset(one) for one in given]
            return datasets + [one for one in others if one and (one.namespace, one.name) not in known]

        return OperatorLineage(inputs=all_of(inputs, self.inlets), outputs=all_of(outputs, self.outlets))


def _openlineage_dataset(dataset: LineageDataset) -> Any:
    from openlineage.client.event_v2 import Dataset
    from openlineage.client.facet_v2 import dataset_version_dataset

    facets: dict[str, Any] = {}
    if dataset.version:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=dataset.version)
    return Dataset(namespace=dataset.namespace, name=dataset.name, facets=facets)
