"""Sniff documents, pictures, sound and film: what kind, how large, how long, and a document's own title.

Counterpart of `sniff`. Only headers are read, within a bounded head of the file; whatever is cut or
malformed tells nothing. Nothing of where and when a picture was taken is looked at: it may be personal.
"""

import re
import zlib
from collections.abc import Callable

from hansa import limits

_DIMENSION_MAX = 1 << 20
_BOXES_MAX = 4_096
_STREAMS_MAX = 16
_STREAM_BYTES_MAX = 256 * limits.KIB
_TEXT_WORDS_MAX = 64
_CONTAINERS = frozenset({b"moov", b"trak", b"mdia"})
_START_OF_FRAME = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB})
_PDF_TEXTS = re.compile(
    rb"/(?:Title|Subject|Keywords)\s{0,8}\(((?:[^()\\]|\\.){1,400})\)", re.DOTALL
)
_PDF_STREAM = re.compile(rb"/FlateDecode[^>]{0,200}>>\s{0,8}stream\r?\n")
_PDF_SHOWN = re.compile(rb"\(((?:[^()\\]|\\.){1,400})\)\s{0,8}(?:Tj|'|\")")
_PDF_ARRAY = re.compile(rb"\[((?:[^\[\]]){1,2000})\]\s{0,8}TJ")
_PDF_PIECE = re.compile(rb"\(((?:[^()\\]|\\.){1,400})\)", re.DOTALL)
_ESCAPED = re.compile(rb"\\([()\\])")
_WORDS = re.compile(r"[^\W\d_]{3,40}")


def media_traits(found: str, head: bytes) -> tuple[str, ...]:
    """Return what a file tells of itself in short texts: "image 640x480", "audio 44100 Hz 2 channels".

    Args:
        found: its format, as `sniff` names it.
        head: its first bytes.
    """
    reader = _READERS.get(found)
    return reader(head) if reader is not None else ()


def pdf_texts(head: bytes) -> tuple[str, ...]:
    """Return a document's title, subject and keywords, then the first words of its text."""
    texts = [_pdf_text(match[1]) for match in _PDF_TEXTS.finditer(head)]
    words: dict[str, None] = {}
    for number, match in enumerate(_PDF_STREAM.finditer(head)):
        if number == _STREAMS_MAX or len(words) >= _TEXT_WORDS_MAX:
            break
        try:
            packed = head[match.end() : match.end() + _STREAM_BYTES_MAX]
            stream = zlib.decompressobj().decompress(packed, _STREAM_BYTES_MAX)
        except zlib.error:
            continue
        shown = " ".join(_shown(stream))
        words.update(dict.fromkeys(_WORDS.findall(shown)[:_TEXT_WORDS_MAX]))
    found = ("document", *(text for text in texts if text), *tuple(words)[:_TEXT_WORDS_MAX])
    return found if head.startswith(b"%PDF") else ()


def _shown(stream: bytes) -> list[str]:
    """Return the texts that a page's commands show, as far as their font is a plain one."""
    found = [_pdf_text(match[1]) for match in _PDF_SHOWN.finditer(stream)]
    found.extend(
        "".join(_pdf_text(piece) for piece in _PDF_PIECE.findall(match[1]))
        for match in _PDF_ARRAY.finditer(stream)
    )
    return found


def _pdf_text(data: bytes) -> str:
    if data.startswith(b"\xfe\xff"):
        text = data[2:].decode("utf-16-be", "ignore")
    else:
        text = _ESCAPED.sub(rb"\1", data).decode("latin-1")
    return text if text.isprintable() else ""


def _png(head: bytes) -> tuple[str, ...]:
    if head[:8] != b"\x89PNG\r\n\x1a\n" or head[12:16] != b"IHDR":
        return ()
    return _image(int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big"))


def _jpg(head: bytes) -> tuple[str, ...]:
    at = 2
    while head[:2] == b"\xff\xd8" and at + 9 <= len(head) and head[at] == 0xFF:
        if head[at + 1] in _START_OF_FRAME:
            height = int.from_bytes(head[at + 5 : at + 7], "big")
            return _image(int.from_bytes(head[at + 7 : at + 9], "big"), height)
        at += 2 + max(2, int.from_bytes(head[at + 2 : at + 4], "big"))
    return ()


def _tif(head: bytes) -> tuple[str, ...]:
    if head[:4] not in (b"II*\0", b"MM\0*"):
        return ()
    order: str = "little" if head[:2] == b"II" else "big"

    def number(start: int, width: int) -> int:
        data = head[start : start + width]
        return int.from_bytes(data, "little") if order == "little" else int.from_bytes(data, "big")

    start = number(4, 4)
    sizes: dict[int, int] = {}
    for entry in range(start + 2, start + 2 + 12 * min(number(start, 2), 512), 12):
        tag, width = number(entry, 2), 2 if number(entry + 2, 2) == 3 else 4
        if tag in (256, 257):
            sizes[tag] = number(entry + 8, width)
    return _image(sizes.get(256, 0), sizes.get(257, 0))


def _wav(head: bytes) -> tuple[str, ...]:
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return ()
    at, traits = 12, ("audio",)
    rate = 0
    for _ in range(_BOXES_MAX):
        name, length = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        if name == b"fmt " and at + 24 <= len(head):
            channels = int.from_bytes(head[at + 10 : at + 12], "little")
            hertz = int.from_bytes(head[at + 12 : at + 16], "little")
            rate = int.from_bytes(head[at + 16 : at + 20], "little")
            traits = (f"audio {hertz} Hz {channels} channels",)
        if name == b"data":
            return (*traits, f"duration {length // rate} s") if rate else traits
        if len(name) < 4:
            break
        at += 8 + length + length % 2
    return traits


def _mp3(head: bytes) -> tuple[str, ...]:
    return ("audio",) if head[:3] == b"ID3" or head[:1] == b"\xff" else ()


def _mp4(head: bytes) -> tuple[str, ...]:
    """Return kinds of tracks, picture size and length, if the table of contents lies in the head."""
    if head[4:8] != b"ftyp":
        return ()
    found: dict[str, None] = {"film": None}
    at = 0
    for _ in range(_BOXES_MAX):
        length, name = int.from_bytes(head[at : at + 4], "big"), head[at + 4 : at + 8]
        if len(name) < 4:
            break
        body = head[at + 8 : at + min(max(length, 8), 256)]
        if name == b"mvhd" and body[:1] == b"\0" and int.from_bytes(body[12:16], "big"):
            seconds = int.from_bytes(body[16:20], "big") // int.from_bytes(body[12:16], "big")
            found[f"duration {seconds} s"] = None
        elif name == b"tkhd" and body[:1] == b"\0" and len(body) >= 84:
            width, height = (int.from_bytes(body[p : p + 2], "big") for p in (76, 80))
            if width and height:
                found[f"video {width}x{height}"] = None
        elif name == b"hdlr" and body[8:12] == b"soun":
            found["audio"] = None
        at += 8 if name in _CONTAINERS else max(length, 8)
    return tuple(found)


def _image(width: int, height: int) -> tuple[str, ...]:
    if not 0 < width <= _DIMENSION_MAX or not 0 < height <= _DIMENSION_MAX:
        return ()
    return (f"image {width}x{height}",)


_READERS: dict[str, Callable[[bytes], tuple[str, ...]]] = {
    "png": _png,
    "jpg": _jpg,
    "tif": _tif,
    "wav": _wav,
    "mp3": _mp3,
    "mp4": _mp4,
    "pdf": pdf_texts,
}
