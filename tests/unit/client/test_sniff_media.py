"""Pictures, sound, film, documents: what their headers say; hostile bytes tell nothing."""

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.client.sniff_media import media_traits, pdf_texts

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 640, 480)
JPG = (
    b"\xff\xd8\xff\xe0"
    + struct.pack(">H", 4)
    + b"ab"
    + b"\xff\xc2"
    + struct.pack(">HBHH", 11, 8, 30, 20)
)
TIF = (
    b"II*\0"
    + struct.pack("<IH", 8, 2)
    + b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in ((256, 7), (257, 5)))
)
TIF_BIG = (
    b"MM\0*"
    + struct.pack(">IH", 8, 2)
    + b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in ((256, 7), (257, 5)))
)
WAV = (
    b"RIFF\0\0\0\0WAVE" + b"LIST" + struct.pack("<I", 1) + b"ab"
    + b"fmt " + struct.pack("<IHHIIHH", 16, 1, 2, 8_000, 32_000, 4, 16)
    + b"data" + struct.pack("<I", 64_000)
)  # fmt: skip


def box(name, content):
    return struct.pack(">I4s", 8 + len(content), name) + content


MP4 = box(b"ftyp", b"isom") + box(
    b"moov",
    box(b"mvhd", bytes(12) + struct.pack(">II", 1_000, 90_500))
    + box(
        b"trak",
        box(b"tkhd", bytes(76) + struct.pack(">II", 1920 << 16, 1080 << 16))
        + box(b"mdia", box(b"hdlr", bytes(8) + b"soun" + bytes(12))),
    ),
)
PDF = (
    b"%PDF-1.7 <</Title (Noise \\(day\\)) /Keywords (\xfe\xff\0S\0t\0a\0d\0t) >> <</Filter/FlateDecode>>\nstream\n"
    + zlib.compress(b"BT (Measured levels) Tj [(by) -20 (station)] TJ ET")
    + b" endstream"
)


@pytest.mark.parametrize(
    ("found", "head", "expected"),
    [
        ("png", PNG, ("image 640x480",)),
        ("jpg", JPG, ("image 20x30",)),
        ("tif", TIF, ("image 7x5",)),
        ("tif", TIF_BIG, ("image 7x5",)),
        ("wav", WAV, ("audio 8000 Hz 2 channels", "duration 2 s")),
        ("wav", WAV[:45], ("audio 8000 Hz 2 channels",)[:0] or ("audio",)),
        ("mp3", b"ID3", ("audio",)),
        ("mp4", MP4, ("film", "duration 90 s", "video 1920x1080", "audio")),
        ("pdf", PDF, ("document", "Noise (day)", "Stadt", "Measured", "levels", "bystation")),
        ("png", b"\x89PNG", ()),
        ("png", PNG[:16] + b"\xff" * 8, ()),
        ("jpg", b"\xff\xd8", ()),
        ("tif", b"", ()),
        ("wav", b"RIFF", ()),
        ("mp3", b"", ()),
        ("mp4", b"", ()),
        ("pdf", b"", ()),
        ("csv", b"a,b", ()),
    ],
)
def test_traits(found, head, expected):
    """What a header says, and nothing where it is cut or absurd."""
    assert expected == media_traits(found, head)


@pytest.mark.parametrize(
    "part", [b"(", b"/Title (", b"[", b"(a", b"/FlateDecode>>stream\n", b"\\("]
)
def test_repeated_beginnings_cost_little(part):
    """A document that opens and never closes is passed over in bounded time."""
    assert ("document",) == pdf_texts(b"%PDF" + part * 20_000)
    packed = b"/FlateDecode>>stream\n" + zlib.compress(part * 100_000)
    assert "document" == pdf_texts(b"%PDF" + packed)[0]


@settings(max_examples=150)
@given(
    st.sampled_from(
        [("png", PNG), ("jpg", JPG), ("tif", TIF), ("wav", WAV), ("mp4", MP4), ("pdf", PDF)]
    ),
    st.integers(0, 500),
    st.binary(max_size=8),
    st.binary(max_size=200),
)
def test_hostile_bytes_never_raise(sound, at, changed, noise):
    """Whatever is changed, cut or random: a few texts or nothing."""
    found, head = sound
    at %= len(head)
    for data in (
        head[:at] + changed + head[at + len(changed) :],
        head[:at],
        head[:at] + noise,
        noise,
    ):
        assert len(media_traits(found, data)) <= 100
