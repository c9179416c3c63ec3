"""Our log lines in Prefect's log of the run that they belong to, so that its UI shows what happened."""

import os
import sys
from typing import TYPE_CHECKING

from loguru import logger
from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger

if TYPE_CHECKING:
    from loguru import Message, Record

STARTED_FOR_A_RUN = "PREFECT__FLOW_RUN_ID"
"""Set where Prefect started this process for one flow run; it prints that run's log itself."""


def show_in_runs() -> None:
    """Send what this process logs to the flow or task run that it is logged in, beside where it goes already."""
    if STARTED_FOR_A_RUN in os.environ:
        logger.remove()
    logger.add(_to_run, level="INFO", format="{message}", filter=_is_ours)


def _is_ours(record: "Record") -> bool:
    """Prefect's own lines are in its log already, and would come round again and again."""
    return not (record["name"] or "").startswith("prefect")


def _to_run(message: "Message") -> None:
    try:
        get_run_logger().log(message.record["level"].no, message.rstrip("\n"))
    except MissingContextError:
        if STARTED_FOR_A_RUN in os.environ:
            sys.stderr.write(message)
