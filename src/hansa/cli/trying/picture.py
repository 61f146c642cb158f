"""Draw the clusters as a picture: each dataset a dot where its two main directions of features put it.

PNG or SVG by the file's ending; made with nothing but numpy and zlib. In an SVG the largest clusters
carry their telling words.
"""

import base64
import html
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hansa.errors import InvalidError

_SIDE = 1_000
_MARGIN = 20
_LABELS_MAX = 24


@dataclass(frozen=True, slots=True)
class Dots:
    """What is drawn."""

    features: npt.NDArray[np.int64]
    """(n, d)."""
    clusters: npt.NDArray[np.int64]
    """(n,), a number for each cluster."""
    words: Sequence[str]
    """For each cluster number what is written at its middle."""


def draw_picture(path: Path, dots: Dots) -> None:
    """Write a picture.

    Raises:
        InvalidError: the file's name ends neither in .png nor in .svg.
    """
    if path.suffix not in {".png", ".svg"}:
        raise InvalidError("A picture is a .png or .svg file.", remedy="Name it clusters.svg.")
    places = _places(dots.features)
    image = _encode_png(_paint(places, dots.clusters))
    path.write_bytes(image if path.suffix == ".png" else _svg(image, places, dots).encode())


def _places(features: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return pixel columns and rows (n, 2) by the two directions in which features differ most."""
    centred = features - features.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    flat = centred @ directions[:, -2:]
    low, high = flat.min(axis=0), flat.max(axis=0)
    scaled = (flat - low) / np.maximum(high - low, 1e-9)
    return np.asarray(_MARGIN + scaled * (_SIDE - 2 * _MARGIN - 3), dtype=np.int64)


def _paint(places: npt.NDArray[np.int64], clusters: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    canvas = np.full((_SIDE, _SIDE, 3), 255, dtype=np.uint8)
    palette = np.array([_colour(number) for number in range(int(clusters.max()) + 1)], np.uint8)
    for right in (0, 1):
        for down in (0, 1):
            canvas[places[:, 1] + down, places[:, 0] + right] = palette[clusters]
    return canvas


def _colour(number: int) -> tuple[int, int, int]:
    """Return a colour that differs from those of neighbouring numbers (golden angle)."""
    hue = (number * 0.618034) % 1 * 6
    rise = hue % 1
    light, dark = 200 - 40 * (number % 3), 30 + 30 * (number % 2)
    up, down = int(dark + (light - dark) * rise), int(light - (light - dark) * rise)
    sides = (
        (light, up, dark),
        (down, light, dark),
        (dark, light, up),
        (dark, down, light),
        (up, dark, light),
        (light, dark, down),
    )
    return sides[int(hue)]


def _encode_png(canvas: npt.NDArray[np.uint8]) -> bytes:
    """Return an image (rows, columns, 3) as PNG: signature, head, pixels, end."""
    height, width, _ = canvas.shape
    lines = b"".join(b"\0" + row.tobytes() for row in canvas)

    def part(name: bytes, data: bytes) -> bytes:
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = part(b"IDAT", zlib.compress(lines, 6))
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + pixels + part(b"IEND", b"")


def _svg(image: bytes, places: npt.NDArray[np.int64], dots: Dots) -> str:
    counts = np.bincount(dots.clusters, minlength=len(dots.words))
    labels: list[str] = []
    for number in np.argsort(-counts, kind="stable")[:_LABELS_MAX]:
        if not counts[number]:
            continue
        column, row = np.median(places[dots.clusters == number], axis=0)
        text = html.escape("".join(c for c in dots.words[int(number)] if c.isprintable()))
        labels.append(f'<text x="{column:.0f}" y="{row:.0f}">{text}</text>')
    picture = base64.b64encode(image).decode()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIDE} {_SIDE}">'
        f'<image width="{_SIDE}" height="{_SIDE}" href="data:image/png;base64,{picture}"/>'
        '<g font-family="sans-serif" font-size="13" text-anchor="middle" fill="#111" stroke="#fff"'
        f' stroke-width="3" paint-order="stroke">{"".join(labels)}</g></svg>\n'
    )
