"""Files of the processes beside homeserver.yaml: workers and logs. Pure."""

from typing import Final

from synapse_bum.cli.provision.filling import filled, sample
from synapse_bum.cli.provision.homeserver_yaml import listener, yaml_text
from synapse_bum.cli.provision.order import Order
from synapse_bum.cli.provision.processes import MEDIA, Processes, Worker

MAIN: Final = "homeserver"
"""The name of the main process in its files."""


def log_config(order: Order, name: str) -> str:
    """Write the log configuration of a process: two processes must not turn over the same file."""
    log = f"{order.folder}/log"
    files = {
        "/var/log/matrix-synapse/homeserver.log": f"{log}/{name}.log",
        "/var/log/matrix-synapse/synapse_bum-audit.jsonl": f"{log}/{name}-audit.jsonl",
    }
    return filled(sample("log.yaml"), order, files)


def worker_yaml(order: Order, worker: Worker) -> str:
    """Write the file of a worker, which Synapse reads behind homeserver.yaml."""
    is_media = worker.name == MEDIA
    served = ("client", "federation", "media") if is_media else ("client", "federation")
    return yaml_text(
        {
            "worker_app": "synapse.app.generic_worker",
            "worker_name": worker.name,
            "worker_log_config": f"{order.folder}/workers/{worker.name}.log.yaml",
            "worker_pid_file": f"{order.folder}/data/{worker.name}.pid",
            "worker_listeners": [listener(worker.port, *served), listener(worker.metrics_port, "metrics")],
            # Only this process touches files and asks the scanner.
            "enable_media_repo": is_media,
        }
    )


def process_files(order: Order, processes: Processes) -> dict[str, str]:
    """Write all of them.

    Returns:
        The contents by path below the folder.
    """
    files = {"log.yaml": log_config(order, MAIN)}
    for worker in processes.workers:
        files[f"workers/{worker.name}.yaml"] = worker_yaml(order, worker)
        files[f"workers/{worker.name}.log.yaml"] = log_config(order, worker.name)
    return files
