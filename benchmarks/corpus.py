"""Corpora from a seed: the same bytes on every machine.

    python benchmarks/corpus.py FOLDER [--mib 1024] [--files 20000] [--city ../shared/data]

FOLDER/a/blobs          incompressible bytes, in files of 16 MiB
FOLDER/b/readings       city sensors' readings as CSV, in files of 16 MiB: 4,000 sensors, a row a minute each
FOLDER/c/readings       the next version: 2 % of the rows touched in runs of about 500 rows; half of the runs
                        rewritten in place (a sensor recalibrated), half inserted (readings that came late)
FOLDER/d/readings       another next version: 2 % of the rows touched, each drawn alone (half changed, half inserted)
FOLDER/e0/city …        real city data and its version series: e0 has the first version of each file, e1 the second …
FOLDER/f/notes          files of 4 KiB each, in folders of 100: half of each file noise, half text
"""

import argparse
import multiprocessing
import re
import shutil
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

RECIPE = "2"
"""Changes with the bytes: corpora that lie there from another recipe are made anew."""
FILE_BYTES = 16 << 20
SENSORS = 4_000
TOUCHED = 0.02
RUN_ROWS = 500
START_S = 1_767_225_600
"""2026-01-01T00:00:00Z."""
KINDS = [
    ("pm25", "ug/m3", 18.0, 9.0),
    ("no2", "ug/m3", 31.0, 12.0),
    ("temp", "C", 11.5, 8.0),
    ("hum", "%", 61.0, 17.0),
    ("noise", "dB", 58.0, 7.0),
    ("traffic", "veh/min", 24.0, 19.0),
    ("parking", "slots", 47.0, 30.0),
    ("water", "m", 1.8, 0.6),
]
_VERSION = re.compile(r"\.\d{4}-\d{2}-\d{2}-[0-9a-f]+(?=\.)")


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


def make_readings(
    folder: Path, following: Path, size: int, scattered: Path | None = None
) -> tuple[Path, Path]:
    """Write readings of about `size` bytes, and their next version or versions."""
    for made in (folder, following, scattered):
        if made is not None:
            made.mkdir(parents=True)
    row_bytes = sum(map(len, _rows(_sensors(), 0, SENSORS, 1))) // SENSORS
    count = max(1, min(FILE_BYTES, size) // row_bytes)
    count -= count % SENSORS if count > SENSORS else 0
    files = range(max(1, size // FILE_BYTES))
    jobs = [(folder, following, scattered, at, count) for at in files]
    # Processes of their own: the caller stays small, and all cores help.
    with multiprocessing.get_context("spawn").Pool() as pool:
        pool.map(_make_file, jobs)
    return folder, following


def _make_file(job: tuple[Path, Path, Path | None, int, int]) -> None:
    folder, following, scattered, at, count = job
    sensors, name = _sensors(), f"readings-{at:03d}.csv"
    rows = _rows(sensors, at * count, count, 1_000 + at)
    (folder / name).write_bytes(b"".join(rows))
    (following / name).write_bytes(b"".join(_touch(sensors, rows, at * count, at)))
    if scattered is not None:
        (scattered / name).write_bytes(b"".join(_scatter(sensors, rows, at * count, at)))


def _sensors() -> list[bytes]:
    source = _generator(11)
    return [
        b"HH-%05d,%s,D%02d,%.5f,%.5f,"
        % (
            at,
            KINDS[at % len(KINDS)][0].encode(),
            source.integers(1, 41),
            53.4 + source.random() * 0.33,
            9.73 + source.random() * 0.6,
        )
        for at in range(SENSORS)
    ]


def _rows(
    sensors: list[bytes], start: int, count: int, seed: int, offset: float = 0.0
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
    battery = 100 - (places // SENSORS) * 0.0009 - (sensor % 17)
    states = np.array([b"ok", b"warn", b"fault"])[np.digitize(source.random(count), [0.985, 0.998])]
    times = np.datetime_as_string(seconds.astype("datetime64[s]")).astype("S")
    units = [kind[1].encode() for kind in KINDS]
    columns = zip(
        sensor.tolist(), times.tolist(), values.tolist(), battery.tolist(), states.tolist(),
        strict=True,
    )  # fmt: skip
    return [
        b"%s%sZ,%.2f,%s,%.1f,%s\n" % (sensors[at], when, value, units[at % 8], left, state)
        for at, when, value, left, state in columns
    ]


def _touch(sensors: list[bytes], rows: list[bytes], start: int, seed: int) -> list[bytes]:
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


def _scatter(sensors: list[bytes], rows: list[bytes], start: int, seed: int) -> list[bytes]:
    """Return the rows with single ones rewritten or inserted, each drawn alone."""
    other = _rows(sensors, start, len(rows), 500_000 + seed, 0.7)
    drawn = _generator(8_000 + seed).random(len(rows)).tolist()
    touched: list[bytes] = []
    for row, fresh, chance in zip(rows, other, drawn, strict=True):
        if chance < TOUCHED / 2:
            touched.append(fresh)
        else:
            touched.append(row)
            if chance < TOUCHED:
                touched.append(fresh)
    return touched


def make_city(city: Path, folder: Path) -> int:
    """Lay real city data out as a row of whole snapshots, e0, e1, …; return how many.

    A file of a version series stands under one name in all; the last snapshots keep what has no newer version.
    """
    plain: list[Path] = []
    series: defaultdict[str, list[Path]] = defaultdict(list)
    for path in sorted(city.rglob("*")):
        if path.is_file():
            inside = path.relative_to(city)
            if "versions" in inside.parts:
                series[_VERSION.sub("", str(inside))].append(path)
            else:
                plain.append(path)
    rounds = max((len(paths) for paths in series.values()), default=1)
    for at in range(rounds):
        target = folder / f"e{at}" / "city"
        now = {str(path.relative_to(city)): path for path in plain}
        now |= {name: paths[min(at, len(paths) - 1)] for name, paths in series.items()}
        for name, path in now.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / name)
    return rounds


def make_all(folder: Path, mib: int, files: int, city: Path | None) -> None:
    """Make every corpus that is not there yet, whole."""
    marker, wanted = folder / "complete", f"{RECIPE} {mib} {files} {bool(city)}"
    if marker.exists() and marker.read_text() == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    make_random(folder / "a" / "blobs", mib << 20)
    readings = [folder / part / "readings" for part in "bcd"]
    make_readings(readings[0], readings[1], mib << 20, readings[2])
    if city is not None:
        make_city(city, folder)
    make_small(folder / "f" / "notes", files)
    marker.write_text(wanted)


def main() -> int:
    """Parse the options and make the corpora."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--city", type=Path)
    options = parser.parse_args()
    make_all(options.folder, options.mib, options.files, options.city)
    return 0


if __name__ == "__main__":
    sys.exit(main())
