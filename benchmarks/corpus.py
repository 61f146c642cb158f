"""Corpora from a seed: the same bytes on every machine.

random/        incompressible bytes, in files of 8 MiB
readings/      city sensors' readings as CSV, in files of 8 MiB
readings-next/ its next version: 2 % of the rows touched in runs of about 500 rows; half of the runs
               rewritten in place (a sensor recalibrated), half inserted (readings that came late)
small/         files of 4 KiB each, in folders of 100: half of it noise, half text
"""

from pathlib import Path

import numpy as np

FILE_BYTES = 8 << 20
SENSORS = 4_000
TOUCHED = 0.02
RUN_ROWS = 500
START_S = 1_767_225_600
"""2026-01-01T00:00:00Z."""
KINDS = [
    ("pm25", "ug/m3", 18.0, 9.0),
    ("no2", "ug/m3", 31.0, 12.0),
    ("temperature", "C", 11.5, 8.0),
    ("humidity", "%", 61.0, 17.0),
    ("noise", "dB", 58.0, 7.0),
    ("traffic", "veh/min", 24.0, 19.0),
    ("parking", "slots", 47.0, 30.0),
    ("water", "m", 1.8, 0.6),
]


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def make_random(folder: Path, size: int) -> Path:
    """Write `size` incompressible bytes."""
    folder.mkdir(parents=True)
    source = _generator(5)
    for at in range(0, size, FILE_BYTES):
        path = folder / f"blob-{at // FILE_BYTES:03d}.bin"
        path.write_bytes(source.bytes(min(FILE_BYTES, size - at)))
    return folder


def make_small(folder: Path, count: int, size: int = 4_096) -> Path:
    """Write many small files, each another."""
    source = _generator(6)
    for at in range(count):
        part = folder / f"{at // 100:03d}"
        part.mkdir(parents=True, exist_ok=True)
        noise = source.bytes(size // 4).hex().encode()
        text = f"site {at}; inspected, no remark; ".encode() * size
        (part / f"note-{at:05d}.txt").write_bytes((noise + text)[:size])
    return folder


def make_readings(folder: Path, following: Path, size: int) -> tuple[Path, Path]:
    """Write readings of about `size` bytes, and their next version."""
    folder.mkdir(parents=True)
    following.mkdir(parents=True)
    sensors = _sensors()
    row_bytes = sum(map(len, _rows(sensors, 0, SENSORS, 1))) // SENSORS
    count = max(1, min(FILE_BYTES, size) // row_bytes)
    for at in range(max(1, size // FILE_BYTES)):
        rows = _rows(sensors, at * count, count, 1_000 + at)
        name = f"readings-{at:03d}.csv"
        (folder / name).write_bytes(b"".join(rows))
        (following / name).write_bytes(b"".join(_touch(sensors, rows, at * count, at)))
    return folder, following


def _sensors() -> list[str]:
    source = _generator(11)
    return [
        f"HH-{at:05d},{KINDS[at % len(KINDS)][0]},D{source.integers(1, 41):02d},"
        f"{53.4 + source.random() * 0.33:.5f},{9.73 + source.random() * 0.6:.5f},"
        for at in range(SENSORS)
    ]


def _rows(
    sensors: list[str], start: int, count: int, seed: int, offset: float = 0.0
) -> list[bytes]:
    """Return rows `start` on: every sensor once a minute, a slow daily wave and noise."""
    source = _generator(seed)
    places = np.arange(start, start + count)
    sensor = places % SENSORS
    seconds = START_S + (places // SENSORS) * 60 + (sensor * 60) // SENSORS
    mean = np.array([kind[2] for kind in KINDS])[sensor % len(KINDS)]
    spread = np.array([kind[3] for kind in KINDS])[sensor % len(KINDS)]
    wave = 0.6 * np.sin(seconds * (2 * np.pi / 86_400) + sensor)
    values = np.abs(mean + offset + spread * (wave + 0.25 * source.standard_normal(count)))
    states = np.array(["ok", "warn", "fault"])[np.digitize(source.random(count), [0.985, 0.998])]
    times = np.datetime_as_string(seconds.astype("datetime64[s]"))
    columns = zip(sensor.tolist(), times.tolist(), values.tolist(), states.tolist(), strict=True)
    return [
        f"{sensors[at]}{when}Z,{value:.2f},{KINDS[at % len(KINDS)][1]},{state}\n".encode()
        for at, when, value, state in columns
    ]


def _touch(sensors: list[str], rows: list[bytes], start: int, seed: int) -> list[bytes]:
    """Return the rows with runs of them rewritten or inserted."""
    source = _generator(7_000 + seed)
    runs = max(1, round(len(rows) * TOUCHED / RUN_ROWS))
    places = np.sort(source.integers(0, max(1, len(rows) - 2 * RUN_ROWS), runs)).tolist()
    lengths = source.integers(RUN_ROWS // 2, RUN_ROWS * 3 // 2, runs).tolist()
    touched: list[bytes] = []
    done = 0
    for at, (place, length) in enumerate(zip(places, lengths, strict=True)):
        begin = max(place, done)
        touched += rows[done:begin]
        touched += _rows(sensors, start + begin, length, 90_000 + 1_000 * seed + at, 0.7)
        done = begin + length if at % 2 == 0 else begin
    return touched + rows[done:]
