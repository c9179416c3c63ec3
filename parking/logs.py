"""One log for the whole process: loguru's, with what libraries log through the standard library led into it."""

import inspect
import logging
import sys
from typing import TYPE_CHECKING

from loguru import logger

from parking.settings import Settings

if TYPE_CHECKING:
    from loguru import Record

__all__ = ["QUIET", "configure_logs"]

QUIET = ("alembic", "botocore", "boto3", "httpx", "PIL", "rasterio", "urllib3", "uvicorn.access")
"""Libraries that tell of every step; only their warnings are kept. The service logs requests itself."""


def configure_logs(settings: Settings) -> None:
    """Send every log line of this process to standard error, in one form.

    Args:
        settings: `log_json` chooses a JSON object a line, for machines.
    """
    logger.remove()
    # Values of local variables may hold what should not be written down.
    logger.add(
        sys.stderr,
        level="INFO",
        format=_line,
        serialize=settings.log_json,
        backtrace=False,
        diagnose=False,
    )
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.INFO, force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _line(record: "Record") -> str:
    request = " <cyan>{extra[request_id]}</cyan>" if "request_id" in record["extra"] else ""
    return (
        f"<dim>{{time:YYYY-MM-DD HH:mm:ss.SSS}}</dim> <level>{{level: <7}}</level>{request} {{message}}\n{{exception}}"
    )


class _ToLoguru(logging.Handler):
    """Hands a record of the standard library on to loguru, as told where it was logged."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        logger.opt(depth=_depth_of_caller(), exception=record.exc_info).log(level, "{}", _message(record))


def _message(record: logging.LogRecord) -> str:
    """What was logged; where its arguments do not fit its words, both as they are: a bad log call must stop nobody."""
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - whatever a library's own objects raise when they are shown
        return f"{record.msg!r} (its arguments do not fit)"


def _depth_of_caller() -> int:
    """How many frames lie between the line that logged and loguru's: those of `logging` itself and of ours."""
    frame, depth = inspect.currentframe(), 0
    while frame is not None and (depth == 0 or frame.f_code.co_filename in (logging.__file__, __file__)):
        frame = frame.f_back
        depth += 1
    return depth - 1
