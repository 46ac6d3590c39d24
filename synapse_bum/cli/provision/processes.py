"""Which processes a homeserver has, and at which ports of 127.0.0.1 they listen. Pure.

As in the BundesMessenger's chart: main, one media worker, generic workers; and one worker that sends to other servers.
"""

import attr

from synapse_bum.cli.provision.order import MAX_PORT, Order, OrderError

MEDIA = "media"
SENDER = "federation-sender"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Worker:
    """One worker.

    Attributes:
        name: in `worker_name`, its files and its unit.
        port: where it serves clients and servers.
        metrics_port: where it serves metrics.
    """

    name: str
    port: int
    metrics_port: int


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Processes:
    """All processes.

    Attributes:
        port: of main, for clients and servers.
        metrics_port: of main.
        replication_port: of main, for workers; used with workers.
        workers: all others.
    """

    port: int
    metrics_port: int
    replication_port: int
    workers: tuple[Worker, ...]

    @property
    def generic(self) -> tuple[Worker, ...]:
        """Workers for whatever any process can do."""
        return tuple(worker for worker in self.workers if worker.name not in {MEDIA, SENDER})

    @property
    def media(self) -> Worker:
        """The only one that has the files; there is one as soon as there are workers."""
        return next(worker for worker in self.workers if worker.name == MEDIA)


def processes(order: Order) -> Processes:
    """Give each process its ports, one after the other.

    Raises:
        OrderError: there are not so many ports.
    """
    names = [MEDIA, SENDER, *(f"generic{number}" for number in range(1, order.workers + 1))] if order.workers else []
    first = order.port + 3
    if first + 2 * len(names) - 1 > MAX_PORT:
        raise OrderError(f"--port {order.port}: there are not enough ports behind it; leave the option out")
    workers = [Worker(name, first + 2 * place, first + 2 * place + 1) for place, name in enumerate(names)]
    return Processes(order.port, order.port + 1, order.port + 2, tuple(workers))
