"""Malformed input: whatever is done to the bytes of a file, it is refused in one line, or all its rows are kept.

A case is a valid file and a seed that mutates it, so that a failure can be run again. The cases run in a process of
their own, where a crash of a reader and a hang show. ``python -m tests.bench.fuzz_malformed_input`` runs thousands.
"""

import gzip
import io
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import polars as pl
import pyreadstat
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines import contracts, extracts, paths, study, warehouse
from pipelines.contracts import Contract
from pipelines.errors import PipelineError

HANG_SECONDS = 120
CANARY = "canary"
MARK = re.compile(rb"canary\d+z")  # one a row, in its note
MESSAGE = re.compile(r"[^\n]+?: [^\n]+\. [^\n]+\.")
CONTRACT = Contract.model_validate(
    {
        "table": "raw_clinic.rx",
        "description": "Prescriptions.",
        "key": ["rx_id"],
        "files": "rx.*",
        "columns": [
            {"name": "rx_id", "type": "INTEGER", "description": "Prescription."},
            {"name": "patient", "type": "VARCHAR", "required": True, "description": "Patient."},
            {"name": "dose", "type": "DOUBLE", "minimum": 0, "description": "Dose."},
            {"name": "fill_day", "type": "DATE", "description": "Day."},
            {"name": "note", "type": "VARCHAR", "description": "Note."},
        ],
    }
)


# --- Valid files ---


@cache
def table() -> pl.DataFrame:
    notes = ["plain", "with, comma", 'a "quoted" word', "two\nlines", "é ü 痛", "", "5-10", "NULL", '6" tube']
    return pl.DataFrame(
        {
            "rx_id": list(range(1, 41)),
            "patient": [f"{CANARY}-patient-{row % 7}" for row in range(40)],
            "dose": [row * 2.5 for row in range(40)],
            "fill_day": [f"2024-01-{row % 28 + 1:02d}" for row in range(40)],
            "note": [f"{CANARY}{row}z {notes[row % len(notes)]}" for row in range(40)],
        }
    )


def _csv() -> bytes:
    return table().write_csv().encode()


def _parquet() -> bytes:
    file = io.BytesIO()
    table().write_parquet(file, row_group_size=16)
    return file.getvalue()


def _stat(writer: Callable, suffix: str) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"rx{suffix}"
        rows = table() if suffix != ".por" else table().with_columns(pl.col("note").str.replace_all("[^ -~]", "?"))
        writer(rows, str(path))
        return path.read_bytes()


def _database() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rx.duckdb"
        with duckdb.connect(str(path)) as connection:
            connection.register("rows", table())
            connection.execute("create table rx as from rows")
        return path.read_bytes()


VALID: dict[str, Callable[[], bytes]] = {
    ".csv": cache(_csv),
    ".csv.gz": cache(lambda: gzip.compress(_csv(), mtime=0)),
    ".ndjson": cache(lambda: table().write_ndjson().encode()),
    ".ndjson.gz": cache(lambda: gzip.compress(table().write_ndjson().encode(), mtime=0)),
    ".parquet": cache(_parquet),
    ".sav": cache(lambda: _stat(pyreadstat.write_sav, ".sav")),
    ".por": cache(lambda: _stat(pyreadstat.write_por, ".por")),
    ".dta": cache(lambda: _stat(pyreadstat.write_dta, ".dta")),
    ".xpt": cache(lambda: _stat(pyreadstat.write_xport, ".xpt")),
    ".duckdb": cache(_database),
}


# --- Mutations ---


def _flip(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 8, 64])):
        if changed:
            changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _overwrite(data: bytes, draw: random.Random) -> bytes:
    place, length = draw.randrange(len(data) + 1), draw.choice([1, 4, 8, 200])
    filling = draw.choice([b"\0", b"\xff", b"\x7f", b"\x80", b'"', b"\n", b",", b"9"])
    return data[:place] + filling * min(length, len(data) - place) + data[place + length :]


def _truncate(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.randrange(len(data) + 1)]


def _insert(data: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(data) + 1)
    pieces = [
        b'"',
        b'""',
        b",",
        b"\n",
        b"\r",
        b"\r\n",
        b"\0",
        b"\0\0\0\0",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b'"\n',
        b",,,,",
    ]
    pieces += [b"\xe2\x80\xa8", b"\xc2\xa0", b"\x1a", b"\xed\xa0\x80", b"\n\n\n", b"=cmd|'/c'!A1", draw.randbytes(9)]
    return data[:place] + draw.choice(pieces) + data[place:]


def _remove(data: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(data) + 1)
    return data[:place] + data[place + draw.choice([1, 1, 2, 17, 400]) :]


def _repeat(data: bytes, draw: random.Random) -> bytes:
    start, length = draw.randrange(len(data) + 1), draw.choice([1, 30, 500, len(data)])
    return data[: start + length] + data[start : start + length] * draw.choice([1, 1, 3]) + data[start + length :]


def _swap(data: bytes, draw: random.Random) -> bytes:
    a, b, c = sorted(draw.randrange(len(data) + 1) for _ in range(3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def _delimit(data: bytes, draw: random.Random) -> bytes:
    place = draw.choice([0, 0, draw.randrange(len(data) + 1)])
    old, new = draw.choice([(b",", b";"), (b",", b"\t"), (b"\n", b"\r"), (b"\n", b"\r\n"), (b'"', b"'"), (b"\n", b"")])
    return data[:place] + data[place:].replace(old, new)


def _encode(data: bytes, draw: random.Random) -> bytes:
    encoding = draw.choice(["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252", "utf-7"])
    place = draw.choice([0, 0, draw.randrange(len(data) + 1)])
    return data[:place] + data[place:].decode(errors="replace").encode(encoding, errors="replace")


def _mark(data: bytes, draw: random.Random) -> bytes:
    return (
        draw.choice([b"\xef\xbb\xbf", b"\xef\xbb\xbf" * 2, b"\xef\xbb\xbf\n", b"\xff\xfe", b"\xfe\xff", b"\n"]) + data
    )


def _swell(data: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(data) + 1)
    piece, times = draw.choice(
        [(b"x", 3_000_000), (b'"', 100_001), (b",", 100_000), (b"\n", 100_000), (b'x"\n', 30_000)]
    )
    return data[:place] + piece * times + data[place:]


def _splice(data: bytes, draw: random.Random) -> bytes:
    other = VALID[draw.choice(sorted(VALID))]()
    place, start = draw.randrange(len(data) + 1), draw.randrange(len(other))
    return data[:place] + other[start : start + draw.choice([8, 300, len(other)])] + data[place:]


MUTATIONS = [_flip, _flip, _overwrite, _truncate, _insert, _insert, _remove, _repeat, _swap, _delimit, _encode, _mark]
MUTATIONS += [_swell, _splice]


def mutated(suffix: str, seed: int) -> bytes:
    """A valid file, mutated one to four times; a compressed one now before, now after compression."""
    draw = random.Random(f"{suffix} {seed}")
    is_inside = suffix.endswith(".gz") and draw.random() < 0.5
    data = VALID[suffix.removesuffix(".gz") if is_inside else suffix]()
    for mutate in draw.choices(MUTATIONS, k=draw.choice([1, 1, 2, 4])):
        data = mutate(data, draw)
    return gzip.compress(data, 1) if is_inside else data


# --- What must hold ---


def attempt(suffix: str, seed: int) -> str:
    """Load a mutated file into a locked-down warehouse: what it came to, or what went wrong.

    Returns:
        ``loaded`` or ``refused``; else a finding.
    """
    data = mutated(suffix, seed)
    with TemporaryDirectory() as name:
        folder = Path(name) / "extract"
        folder.mkdir()
        file = folder / f"rx{suffix}"
        file.write_bytes(data)
        with warehouse.opened(Path(name) / "warehouse.duckdb", readable=[folder]) as connection:
            try:
                loaded = extracts.load(connection, CONTRACT, "clinic", file if suffix == ".duckdb" else folder)
            except PipelineError as error:
                return fault_of(str(error)) or "refused"
            except BaseException as error:  # a panic of a library is no Exception, and is a finding, too
                return f"{type(error).__name__}: {error}"
            return unaccounted(connection, loaded, data, suffix) or "loaded"


def fault_of(message: str) -> str | None:
    """What is wrong with a refusal: it must be one line that says what to do and tells no value."""
    if not MESSAGE.fullmatch(message):
        return f"not one line of where, what and advice: {message!r}"
    return f"tells a value: {message!r}" if CANARY in message else None


def unaccounted(connection: warehouse.Connection, loaded: extracts.Loaded, data: bytes, suffix: str) -> str | None:
    """Which rows are neither in the table nor in quarantine, each by its number, and of CSV each by its mark, too."""
    places = (
        "(select source_row, note as text from raw_clinic.rx union all select source_row, record from raw.quarantine)"
    )
    [[rows, numbers, last, texts]] = connection.execute(
        f"select count(*), count(distinct source_row), coalesce(max(source_row), 0), list(text) from {places}"
    ).fetchall()
    last = rows if suffix.startswith(".ndjson") else last  # numbered by line, blank ones too
    if not (rows == numbers == last == loaded.delivered_rows == loaded.loaded_rows + loaded.quarantined_rows):
        return f"{loaded.delivered_rows} rows delivered, {rows} kept under {numbers} numbers up to {last}"
    [[undeclared]] = connection.execute("select undeclared_columns from raw.delivery").fetchall()
    if not suffix.startswith(".csv") or undeclared:
        return None
    content = gzip.decompress(data) if suffix == ".csv.gz" else data
    below_header = content.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n").partition(b"\n")[2]
    kept = MARK.findall("\n".join(text or "" for text in texts or []).encode())
    if lost := Counter(MARK.findall(below_header)) - Counter(kept):
        return f"{sum(lost.values())} marks of rows are nowhere"
    return None


@contextmanager
def worker() -> Iterator[ProcessPoolExecutor]:
    executor = ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"))
    try:
        yield executor
    finally:
        for process in list((executor._processes or {}).values()):
            process.kill()  # it may hang
        executor.shutdown(wait=True, cancel_futures=True)


def outcomes(cases: list[tuple[str, int]]) -> Iterator[tuple[str, int, str]]:
    """Each case with what it came to; a crash or a hang of the process is a finding, too."""
    left = list(cases)
    while left:
        with worker() as executor:
            while left:
                suffix, seed = left.pop(0)
                try:
                    outcome = executor.submit(attempt, suffix, seed).result(timeout=HANG_SECONDS)
                except TimeoutError:
                    outcome = "hangs"
                except BrokenProcessPool:
                    outcome = "crashes the process"
                yield suffix, seed, outcome
                if outcome in ("hangs", "crashes the process"):
                    break


def test_a_mutated_file_is_refused_in_one_line_or_every_row_is_kept():
    cases = [(suffix, seed) for seed in range(15) for suffix in VALID]
    found = list(outcomes(cases))
    assert [case for case in found if case[2] not in ("loaded", "refused")] == []
    assert {outcome for _, _, outcome in found} == {"loaded", "refused"}


@pytest.mark.parametrize("suffix", VALID)
def test_an_unchanged_file_loads_whole(suffix, tmp_path):
    (tmp_path / f"rx{suffix}").write_bytes(VALID[suffix]())
    with duckdb.connect() as connection:
        place = tmp_path / f"rx{suffix}" if suffix == ".duckdb" else tmp_path
        loaded = extracts.load(connection, CONTRACT, "clinic", place)
    assert (loaded.delivered_rows, loaded.loaded_rows) == (40, 40)


# --- Study files and contracts ---


NODE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["../..", "1e999", "~"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
CONFIGURATION = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
STUDY_FILE = paths.ROOT / "studies" / "demo.yaml"
CONTRACT_FILE = paths.DATA_CONTRACTS / "0_raw" / "simulated" / "prescription.yaml"


def replaced(tree: object, place: int, node: object) -> object:
    """A tree with one of its nodes replaced: the one at this place, counted round from the root downwards."""
    spots: list[tuple] = []

    def walk(branch: object) -> None:
        for key, value in list(branch.items()) if isinstance(branch, dict) else list(enumerate(branch)):
            spots.append((branch, key))
            if isinstance(value, dict | list):
                walk(value)

    walk(tree)
    branch, key = spots[place % len(spots)]
    branch[key] = node
    return tree


def is_read_or_refused(read: Callable[[Path], object], path: Path) -> None:
    try:
        read(path)
    except PipelineError as error:
        assert MESSAGE.fullmatch(str(error)), str(error)


@given(place=st.integers(0, 500), node=NODE)
@CONFIGURATION
def test_a_study_with_any_node_in_the_place_of_another_is_read_or_refused(tmp_path, place, node):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(replaced(yaml.safe_load(STUDY_FILE.read_text()), place, node), allow_unicode=True))
    is_read_or_refused(study.load, path)


@given(place=st.integers(0, 500), node=NODE)
@CONFIGURATION
def test_a_contract_with_any_node_in_the_place_of_another_is_read_or_refused(tmp_path, place, node):
    path = tmp_path / "0_raw" / "simulated" / "prescription.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        yaml.safe_dump(replaced(yaml.safe_load(CONTRACT_FILE.read_text()), place, node), allow_unicode=True)
    )
    is_read_or_refused(contracts.read, path)


@pytest.mark.parametrize(("read", "valid"), [(study.load, STUDY_FILE), (contracts.read, CONTRACT_FILE)])
def test_a_study_or_contract_of_mutated_bytes_is_read_or_refused(tmp_path, read, valid):
    path = tmp_path / "0_raw" / "simulated" / "prescription.yaml"
    path.parent.mkdir(parents=True)
    for seed in range(100):
        draw = random.Random(seed)
        data = valid.read_bytes()
        for mutate in draw.choices(MUTATIONS, k=draw.choice([1, 1, 2, 4])):
            data = mutate(data, draw)
        path.write_bytes(data)
        is_read_or_refused(read, path)
