"""Pictures: a PNG that decodes to its dots, an SVG that carries words safely."""

import struct
import xml.etree.ElementTree as ET
import zlib

import numpy as np
import pytest

from hansa.cli.trying.picture import Dots, draw_picture
from hansa.errors import InvalidError

DOTS = Dots(
    np.array([[0, 0, 5], [100, 3, 5], [100, 0, 5]], dtype=np.int64),
    np.array([0, 1, 1]),
    ["first", "<b>&\x1b second"],
)


def test_png(tmp_path):
    """A valid image with white ground and coloured dots."""
    draw_picture(tmp_path / "c.png", DOTS)
    data = (tmp_path / "c.png").read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    length = struct.unpack(">I", data[33:37])[0]
    pixels = zlib.decompress(data[41 : 41 + length])
    assert height * (1 + 3 * width) == len(pixels)
    assert pixels.count(b"\xff\xff\xff") < width * height


def test_svg(tmp_path):
    """Well-formed whatever the words are."""
    draw_picture(tmp_path / "c.svg", DOTS)
    texts = [node.text for node in ET.parse(tmp_path / "c.svg").iter() if node.tag.endswith("text")]
    assert {"first", "<b>& second"} == set(texts)


def test_one_dot_and_other_endings(tmp_path):
    """A single dataset is a picture; a name without an ending of a picture is refused."""
    draw_picture(
        tmp_path / "one.png", Dots(np.zeros((1, 20), dtype=np.int64), np.array([0]), ["x"])
    )
    with pytest.raises(InvalidError):
        draw_picture(tmp_path / "c.pdf", DOTS)
