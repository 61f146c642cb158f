"""Tables as content, and an oracle for what a dictionary keeps of it."""

import random

from hansa.data.dictionary import CELL_BYTES, EDGE_BYTES, FILLER

BLANK = bytes([FILLER])


def table(sensors, size, seed=1):
    """Return readings as CSV: each sensor in turn, with a value and a time that change."""
    draw = random.Random(seed)
    places = [draw.randbytes(18).hex().encode() for _ in range(sensors)]
    rows, length, at = [], 0, 0
    while length < size:
        place = places[at % sensors]
        row = b"S-%05d,kind%d,%s,%d,%.1f,ok\n" % (
            at % sensors, at % 7, place, at // sensors, 50 + draw.gauss(0, 9),
        )  # fmt: skip
        rows.append(row)
        length += len(row)
        at += 1
    return b"".join(rows)[:size]


def occurs(dictionary, content):
    """Tell byte by byte whether what every cell keeps occurs, at equal spacing."""
    body = dictionary[EDGE_BYTES:-EDGE_BYTES]
    cells = {body[at : at + CELL_BYTES] for at in range(0, len(body), CELL_BYTES)}
    return all(_has(content, cell.strip(BLANK)) for cell in cells)


def _has(content, cell):
    """Try every place where the longest run that is kept stands."""
    run = max(cell.split(BLANK), key=len)
    inside = cell.index(run)
    at = content.find(run)
    while at >= 0:
        found = content[max(0, at - inside) : at - inside + len(cell)]
        pairs = zip(cell, found, strict=False)
        if len(found) == len(cell) and all(one in (FILLER, other) for one, other in pairs):
            return True
        at = content.find(run, at + 1)
    return False
