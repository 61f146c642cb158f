"""What an operator sees: one JSON line for each event, and figures for Prometheus.

Event names are fixed, values are keys. Bodies, purposes, justifications and keys are never given to
a logger; ids, counts, heights and durations are.
"""

import logging
import logging.handlers
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from structlog.typing import EventDict, FilteringBoundLogger
from typing_extensions import override

from hansa.node.config import LogSection

LOG_FOLDER = "log"
LOG_FILE = "node.log"
LOGGER = "hansa.node"
FORBIDDEN_KEYS = frozenset(
    {"body", "purpose", "justification", "confidential", "passphrase", "token", "key", "secret"}
)


def _refuse_secrets(_logger: object, _name: str, event: EventDict) -> EventDict:
    """Drop values whose name says that they must not be logged: a last line of defence."""
    for name in FORBIDDEN_KEYS & event.keys():
        event[name] = "withheld"
    return event


class _LoopErrors(logging.Handler):
    """Turns what the event loop reports, a task's unexpected end above all, into an event of ours."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__(logging.ERROR)
        self._log = log

    @override
    def emit(self, record: logging.LogRecord) -> None:
        # The first line alone: the rest shows objects, and they may hold what is not to be logged.
        message = record.getMessage().partition("\n")[0]
        self._log.error("loop-error", message=message, exc_info=record.exc_info)


class _CountedFile(logging.handlers.RotatingFileHandler):
    """The same file, turned over at the same size, which is counted and not asked for at each line."""

    _bytes: int = -1

    @override
    def shouldRollover(self, record: logging.LogRecord) -> bool:
        """Count a line; tell whether the file would be too long with it."""
        if self._bytes < 0:
            self._bytes = Path(self.baseFilename).stat().st_size
        # A line is JSON, escaped: as many bytes as characters.
        added = len(self.format(record)) + 1
        self._bytes += added
        return 0 < self.maxBytes <= self._bytes

    @override
    def doRollover(self) -> None:
        """Begin a new file."""
        super().doRollover()
        self._bytes = 0


def open_log(folder: Path, section: LogSection) -> FilteringBoundLogger:
    """Open log/node.log of a node's folder, turned over by size; warnings also go to stderr.

    Raises:
        OSError: the folder cannot be written.
    """
    (folder / LOG_FOLDER).mkdir(parents=True, exist_ok=True)
    level = getattr(logging, section.level.upper())
    to_file = _CountedFile(
        folder / LOG_FOLDER / LOG_FILE,
        maxBytes=section.file_bytes_max,
        backupCount=section.files_max,
        encoding="utf-8",
    )
    to_screen = logging.StreamHandler()
    to_screen.setLevel(logging.WARNING)
    logger = logging.getLogger(LOGGER)
    close_log()
    logger.setLevel(level)
    logger.propagate = False
    for handler in (to_file, to_screen):
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
    logging.raiseExceptions = False  # A full disk must not turn each log line into a traceback.
    for noisy in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        other = logging.getLogger(noisy)
        other.handlers, other.propagate = [logging.NullHandler()], False
    bound: FilteringBoundLogger = structlog.wrap_logger(
        logger,
        processors=[
            structlog.contextvars.merge_contextvars,
            _refuse_secrets,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    loop = logging.getLogger("asyncio")
    loop.handlers, loop.propagate = [_LoopErrors(bound)], False
    return bound


def close_log() -> None:
    """Close what `open_log` opened; harmless if nothing is open."""
    logger = logging.getLogger(LOGGER)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()


class Metrics:
    """A node's figures; gauges are set when somebody asks."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        gauge = self._gauge
        self.height = gauge("hansa_height", "Last durable block")
        self.round = gauge("hansa_round", "Round of the height in work")
        self.peers = gauge("hansa_peers_connected", "Other nodes connected")
        self.pool = gauge("hansa_pool_transactions", "Sealed transactions waiting")
        self.copies = gauge("hansa_copies_held", "Readable copies in the vault; 0 at rest")
        self.index_height = gauge("hansa_index_height", "Last block in the information index")
        self.super_node = gauge("hansa_is_super_node", "1 if this node is a super node")
        self.synced = gauge("hansa_is_synced", "1 if this node follows the tip")
        self.disk_free = gauge("hansa_disk_free_bytes", "Room left for the ledger")
        self.requests = Counter(
            "hansa_api_requests",
            "Requests answered",
            ("method", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "hansa_api_seconds", "Time to answer", ("method",), registry=self.registry
        )
        self.commits = Counter("hansa_blocks_committed", "Blocks committed", registry=self.registry)
        self.transactions = Counter(
            "hansa_transactions_committed", "Transactions in blocks", registry=self.registry
        )
        self.reads = Counter(
            "hansa_reads_served",
            "Reads of own data served to other organisations",
            ("what", "outcome"),
            registry=self.registry,
        )
        self.messages = Counter(
            "hansa_messages_sent",
            "Messages of the agreement sent",
            ("kind",),
            registry=self.registry,
        )
        self.faults = Counter(
            "hansa_faults_noticed", "Faults of peers noticed", ("kind",), registry=self.registry
        )

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self.registry)

    def render(self) -> bytes:
        """Return the figures in Prometheus' text format."""
        return generate_latest(self.registry)
