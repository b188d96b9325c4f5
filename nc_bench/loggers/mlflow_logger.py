"""Rows as metrics of a run of MLflow."""

from __future__ import annotations

import os
import time
from typing import Any

from nc_bench.loggers.protocol import LoggedRun, Row, numbers, series

FOLDER = "mlflow"
RUN_TAG = "nc_bench.run"
MOST_PARAMETERS, LONGEST_PARAMETER = 100, 500


class MlflowLogger:
    """A run of MLflow in the experiment `nc_bench`, in DIR/mlflow unless MLFLOW_TRACKING_URI says where.

    Metrics go by epochs. A resumed run goes on with the same run of MLflow, in which nothing can be replaced: epochs
    that it has are not logged again.
    """

    def __init__(self, run: LoggedRun) -> None:
        from mlflow.tracking import MlflowClient

        # MLflow wants to hear that files are meant; a database would need more than mlflow-skinny.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        self._client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI", (run.path / FOLDER).resolve().as_uri()))
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "nc_bench")
        experiment = self._client.get_experiment_by_name(name)
        place = self._client.create_experiment(name) if experiment is None else experiment.experiment_id
        found = self._client.search_runs([place], f"tags.`{RUN_TAG}` = '{run.id}'")
        if found:
            self._id = found[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
        else:
            self._id = self._start(place, run)
        self._logged: dict[str, set[int]] = {}

    def _start(self, place: str, run: LoggedRun) -> str:
        from mlflow.entities import Param

        started = self._client.create_run(place, tags={RUN_TAG: run.id}, run_name=run.path.resolve().name)
        parameters = [Param(key, str(value)[:LONGEST_PARAMETER]) for key, value in run.settings.items()]
        for first in range(0, len(parameters), MOST_PARAMETERS):
            self._client.log_batch(started.info.run_id, params=parameters[first : first + MOST_PARAMETERS])
        return str(started.info.run_id)

    def log(self, row: Row) -> None:
        """Log the numbers at this epoch, unless they are there."""
        from mlflow.entities import Metric

        mark, epoch, now = f"{series(row)}epoch", int(row["epoch"]), int(time.time() * 1000)
        if epoch in self._epochs(mark):
            return
        # The mark comes last: what a kill cut off is logged again.
        values: dict[str, Any] = {**numbers(row), mark: epoch}
        self._client.log_batch(self._id, [Metric(name, value, now, epoch) for name, value in values.items()])
        self._epochs(mark).add(epoch)

    def _epochs(self, mark: str) -> set[int]:
        if mark not in self._logged:
            self._logged[mark] = {point.step for point in self._client.get_metric_history(self._id, mark)}
        return self._logged[mark]

    def close(self) -> None:
        """End the run of MLflow."""
        self._client.set_terminated(self._id)
