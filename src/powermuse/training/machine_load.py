"""The load of the machine in MLflow: processor, memory, disk, network, and the GPUs where `pynvml` is installed."""

import importlib.util
from typing import Any

_EVERY_S = 15.0
"""Unless MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL says otherwise."""


class MachineLoad:
    """MLflow's own monitor, a thread beside the run, where `psutil` is installed."""

    def __init__(self) -> None:
        self._monitor: Any = None

    def watch(self, run_id: str, uri: str) -> None:
        """Begins, or begins again where the thread has ended by itself: it does when the store does not answer."""
        if importlib.util.find_spec("psutil") is None or (self._monitor and self._monitor._process.is_alive()):
            return
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        self.stop()
        self._monitor = SystemMetricsMonitor(run_id, sampling_interval=_EVERY_S, resume_logging=True, tracking_uri=uri)
        self._monitor.start()

    def stop(self) -> None:
        """Ends the thread, and waits for what it is just about to send."""
        if self._monitor is not None:
            self._monitor.finish()
        self._monitor = None
