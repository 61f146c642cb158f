"""What an operator sees: one JSON line for each event, and figures for Prometheus.

Event names are fixed, values are keys. Bodies, purposes, justifications and keys are never given to
a logger; ids, counts, heights and durations are.
"""

import contextlib
import logging
import logging.handlers
import sys
import threading
from pathlib import Path
from typing import TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from structlog.typing import EventDict, FilteringBoundLogger
from typing_extensions import override

from hansa.node.config import LogSection

LOG_FOLDER = "log"
LOG_FILE = "node.log"
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


class _Lines:
    """Where finished lines go: a file turned over by its size; warnings to stderr as well.

    What structlog calls in place of a logger of the standard library, whose records say nothing that
    is not in the line and cost a node several times what the line does.
    """

    def __init__(self, path: Path, *, bytes_max: int, files_max: int) -> None:
        """Go on with a file, or begin it.

        Raises:
            OSError: it cannot be written.
        """
        self._file = logging.handlers.RotatingFileHandler(
            path, maxBytes=bytes_max, backupCount=files_max, encoding="utf-8"
        )
        self._lock = threading.Lock()
        self._is_closed = False
        self._bytes = path.stat().st_size

    def _write(self, line: str) -> None:
        """Write a line; where the disk refuses, it is lost, and the next one is tried."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            # A line is JSON, escaped: as many bytes as characters.
            self._bytes += len(line) + 1
            if 0 < self._file.maxBytes <= self._bytes:
                self._bytes = len(line) + 1
                self._file.doRollover()
            stream: TextIO | None = self._file.stream
            if stream is None and not self._is_closed:
                # The disk refused to turn the file over.
                stream = self._file.stream = self._file._open()
            if stream is not None:
                stream.write(line + "\n")
                stream.flush()

    def _warn(self, line: str) -> None:
        self._write(line)
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    debug = info = _write
    warning = error = critical = _warn

    def close(self) -> None:
        """Close the file; what is logged afterwards is not kept. Closing twice is fine."""
        with self._lock:
            self._is_closed = True
            self._file.close()


_open: list[_Lines] = []
"""What `open_log` opened in this process and `close_log` has not closed."""


def open_log(folder: Path, section: LogSection) -> FilteringBoundLogger:
    """Open log/node.log of a node's folder, turned over by size; warnings also go to stderr.

    Raises:
        OSError: the folder cannot be written.
    """
    (folder / LOG_FOLDER).mkdir(parents=True, exist_ok=True)
    level = getattr(logging, section.level.upper())
    close_log()
    lines = _Lines(
        folder / LOG_FOLDER / LOG_FILE,
        bytes_max=section.file_bytes_max,
        files_max=section.files_max,
    )
    _open.append(lines)
    for noisy in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        other = logging.getLogger(noisy)
        other.handlers, other.propagate = [logging.NullHandler()], False
    bound: FilteringBoundLogger = structlog.wrap_logger(
        lines,
        processors=[
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
    while _open:
        _open.pop().close()


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
        self._sent: dict[str, Counter] = {}
        self.faults = Counter(
            "hansa_faults_noticed", "Faults of peers noticed", ("kind",), registry=self.registry
        )

    def count_message(self, kind: str) -> None:
        """Count a message of the agreement that was sent."""
        counter = self._sent.get(kind)
        if counter is None:
            counter = self._sent[kind] = self.messages.labels(kind=kind)
        counter.inc()

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self.registry)

    def render(self) -> bytes:
        """Return the figures in Prometheus' text format."""
        return generate_latest(self.registry)
