"""Structured logs: lines for people, or JSON for collectors. Secrets are never given to them."""

import logging
import sys
from typing import Final, Literal

import structlog

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
# Libraries that say at each try again what the part of ours that uses them says once.
QUIET: Final = ("aiokafka",)


def configure(level: str, form: Literal["console", "json"]) -> None:
    """Log to standard error from `level` on; uvicorn and libraries from warnings on."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    exceptions: list[structlog.typing.Processor] = (
        [structlog.processors.dict_tracebacks] if form == "json" else []
    )
    structlog.configure(
        processors=[*shared, *exceptions, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *exceptions,
                renderer,
            ],
        )
    )
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.basicConfig(handlers=[handler], level=max(LEVELS[level], logging.WARNING), force=True)
