"""Values people type: times, boxes, ids, and how each is refused when it cannot be right."""

import re
from datetime import UTC, date, datetime, time, timedelta

import click
from typing_extensions import override

_ID = re.compile(r"[0-9a-f]{32}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class TimeType(click.ParamType[int]):
    """A date or time, ISO 8601, UTC unless it says otherwise; milliseconds since 1970."""

    name = "time"

    def __init__(self, *, is_end: bool = False) -> None:
        """Say whether a plain date means its last millisecond instead of its first."""
        self.is_end = is_end

    @override
    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        if isinstance(value, int):
            return value
        try:
            if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
                day = datetime.combine(date.fromisoformat(value), time(), UTC)
                moment = day + timedelta(days=1, milliseconds=-1) if self.is_end else day
            else:
                moment = datetime.fromisoformat(value)
                moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is no time; write 2026-03-01 or 2026-03-01T12:00:00Z.", param, ctx
            )
        return int(moment.timestamp() * 1000)


class BoxType(click.ParamType[list[float]]):
    """west,south,east,north in degrees."""

    name = "west,south,east,north"

    @override
    def convert(
        self, value: str | list[float], param: click.Parameter | None, ctx: click.Context | None
    ) -> list[float]:
        if isinstance(value, list):
            return value
        try:
            west, south, east, north = (float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is no box; write west,south,east,north.", param, ctx)
        if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
            self.fail(
                "A box needs west ≤ east within ±180 and south ≤ north within ±90.", param, ctx
            )
        return [west, south, east, north]


class IdType(click.ParamType[str]):
    """Id of a dataset or a request: 32 hex digits."""

    name = "id"

    @override
    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not _ID.fullmatch(value.lower()):
            self.fail(
                f"{value!r} is no id; ids are 32 hex digits, as the commands print.", param, ctx
            )
        return value.lower()


class DigestType(click.ParamType[str]):
    """Transaction id or key: 64 hex digits."""

    name = "digest"

    @override
    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not _DIGEST.fullmatch(value.lower()):
            self.fail(f"{value!r} is not 64 hex digits.", param, ctx)
        return value.lower()


ID = IdType()
DIGEST = DigestType()
BOX = BoxType()
FROM = TimeType()
TO = TimeType(is_end=True)
