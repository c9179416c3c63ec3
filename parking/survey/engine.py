"""Runs blocks on a Dask cluster: a few more in flight than there are threads, with three attempts each."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from dask.typing import Key
from distributed import Client, LocalCluster, as_completed
from loguru import logger

from parking.errors import ParkingError, SurveyError
from parking.survey.blocks import Block, KnownBay
from parking.survey.mosaic import Layer
from parking.survey.sources import threads_of_machine
from parking.survey.worker import Job, ModelPlugin, VersionError, run_block

TRIES = 3
"""Attempts at a block before it is reported as failed."""
_AHEAD = 2
"""Blocks in flight for each thread of the cluster: enough to keep all busy, few enough to bound memory."""
_SECONDS_TO_CONNECT = 15

Task = tuple[Block, tuple[Layer, ...], tuple[KnownBay, ...]]
"""A block with its layers and known bays."""


@contextmanager
def cluster(address: str, workers: int) -> Iterator[Client]:
    """A client of a running scheduler, or of a temporary cluster of processes on this machine.

    Args:
        address: of a scheduler, as `tcp://host:8786`; empty for a temporary cluster.
        workers: processes of the temporary cluster.

    Raises:
        SurveyError: no scheduler answers at the address.
    """
    # Dask logs every connection; errors are raised anyway.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    if address:
        with _connected(address) as client:
            yield client
        return
    local = LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
        memory_limit=0,
    )
    with local, Client(local) as client:
        yield client


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    try:
        client = Client(address, timeout=_SECONDS_TO_CONNECT)
    except (OSError, ValueError, TimeoutError) as error:
        raise SurveyError(
            f"No Dask scheduler answers at {address} ({type(error).__name__}): start one with `dask scheduler`, or "
            "leave --dask out for a cluster on this machine."
        ) from error
    with client:
        yield client


def threads_per_worker(address: str, workers: int) -> int:
    """Threads of one inference: a share of this machine, or 0 for all of a remote worker's."""
    return 0 if address else max(1, threads_of_machine() // workers)


def run_blocks(
    client: Client,
    job: Job,
    model: bytes,
    tasks: Iterable[Task],
    done: Callable[[Block, bytes], None],
    failed: Callable[[Block, str], None],
) -> None:
    """Run blocks, and report each when it ends.

    Args:
        client: of the cluster.
        job: settings of all blocks.
        model: bytes of the model file.
        tasks: the blocks with their layers and bays; consumed as workers become free.
        done: called with each block that succeeded, and its rows.
        failed: called with each block that failed three times, and the reason.

    Raises:
        VersionError: a worker runs another version of the code.
    """
    client.register_plugin(ModelPlugin(model))
    waiting = iter(tasks)
    under_way = as_completed()
    blocks = dict[Key, Block]()

    def fill() -> None:
        most = max(1, _AHEAD * sum(client.ncores().values()))
        while len(blocks) < most and (task := next(waiting, None)) is not None:
            block, layers, bays = task
            future = client.submit(run_block, job, block, layers, bays, pure=False, retries=TRIES - 1)
            blocks[future.key] = block
            under_way.add(future)

    fill()
    for future in under_way:
        block = blocks.pop(future.key)
        error = future.exception() if future.status != "cancelled" else RuntimeError("the cluster gave it up")
        if isinstance(error, VersionError):
            raise error
        if error is None:
            done(block, future.result())
        else:
            logger.warning("Block {} {} failed {} times: {}", block.row, block.column, TRIES, error)
            said = str(error) if isinstance(error, ParkingError) else f"{type(error).__name__}: {error}"
            failed(block, said.splitlines()[0][:300])
        future.release()
        fill()
