"""One way to log: loguru, in lines for people or JSON for machines, with other libraries' lines in the same form."""

import logging
import sys
from types import FrameType

from loguru import logger

from parking.settings import Settings

LINE = "<dim>{time:HH:mm:ss}</dim> <level>{level: <7}</level> {message} <dim>{extra}</dim>"


class _ToLoguru(logging.Handler):
    """Hands records of the standard library's loggers to loguru, with the caller that wrote them."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one record on."""
        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        frame: FrameType | None = logging.currentframe()
        depth = 0
        while frame is not None and (depth == 0 or frame.f_code.co_filename == logging.__file__):
            frame, depth = frame.f_back, depth + 1
        logger.opt(depth=depth, exception=record.exc_info).log(level, record.getMessage())


def configure_logs(settings: Settings) -> None:
    """Send every log line of this process, ours and the libraries', to standard error in one form."""
    logger.remove()
    if settings.log_json:
        logger.add(sys.stderr, level="INFO", serialize=True, backtrace=False, diagnose=False)
    else:
        logger.add(sys.stderr, level="INFO", format=LINE, backtrace=False, diagnose=False)
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.WARNING, force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
