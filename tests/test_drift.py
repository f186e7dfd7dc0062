"""A delivery whose columns are not those of the contract is told before anything runs, all of it at once."""

from collections.abc import Collection
from pathlib import Path

import duckdb
import polars as pl
import pytest

from pipelines import contracts, drift, extracts, warehouse
from pipelines import study as studies
from pipelines.contracts import Contract
from pipelines.errors import ExtractError
from tests.conftest import draw

HEADER = "rx_id,fill_date,quantity,ndc,note"
ROWS = [f"rx{number},2020-01-{number:02},{number}.5,00406{number:06},none" for number in range(1, 13)]


def contract(**changed: object) -> Contract:
    fields = {
        "table": "raw_x.rx",
        "description": "Fills.",
        "key": [],
        "files": "rx*",
        "columns": [
            {"name": "rx_id", "type": "VARCHAR", "description": "Fill."},
            {"name": "fill_date", "type": "DATE", "description": "Day."},
            {"name": "quantity", "type": "DOUBLE", "description": "Units."},
            {"name": "ndc", "type": "VARCHAR", "description": "Code."},
            {"name": "note", "type": "VARCHAR", "description": "Note.", "may_be_missing": True},
        ],
    }
    return Contract.model_validate(fields | changed)


def drifts(folder: Path, of: Contract | None = None, before: Collection[str] = ()) -> list[str]:
    """Each drift as ``kind column now``, a critical one with an exclamation mark."""
    of = of or contract()
    with duckdb.connect() as connection:
        found = [d for head in extracts.heads(of, folder) for d in drift.of(connection, of, "x", head, before)]
    return [" ".join(filter(None, (d.kind, d.column, d.now))) + ("!" if d.is_critical else "") for d in found]


def deliver(folder: Path, header: str = HEADER, rows: list[str] = ROWS) -> Path:
    (folder / "rx.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder


def test_the_columns_of_the_contract_in_any_order_and_case_are_no_drift(tmp_path):
    assert drifts(deliver(tmp_path)) == []
    turned = [",".join(reversed(line.split(","))) for line in (HEADER.upper(), *ROWS)]
    assert drifts(deliver(tmp_path, turned[0], turned[1:])) == []


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("rx_id,fill_date,quantity,ndc,zip", ["new zip"]),  # a column at its place, but 'note' may be missing
        ("rx_id,fill_date,zip,ndc,note", ["gone quantity!", "new zip"]),
        ("rx_id,fill_date,Quantity ,ndc,note", []),
        ("rx_id,fill_date,qty_dispensed,ndc,note", ["renamed quantity qty_dispensed!"]),
        ("rx_id,fill_dt,quantity,ndc,note", ["renamed fill_date fill_dt!"]),
        ("rx_id,Fill Date,quantity,ndc,note", ["renamed fill_date Fill Date!"]),
        ("rx_id,fill_date,quantity,ndc,notes", ["renamed note notes"]),
    ],
)
def test_a_column_that_is_new_gone_or_renamed_is_drift(tmp_path, header, said):
    rows = [line.replace(",none", ",90210") for line in ROWS]
    if "zip,ndc" in header:  # at the place of quantity, but no numbers
        rows = [line.replace(".5,", " units,") for line in rows]
    if said == ["new zip"]:
        of = contract(columns=contract().model_dump()["columns"][:4])
        assert drifts(deliver(tmp_path, header, rows), of) == said
    else:
        assert drifts(deliver(tmp_path, header, rows)) == said


def test_a_column_that_was_delivered_beside_the_contract_before_is_not_new(tmp_path):
    rows = [f"{line},a,b" for line in ROWS]
    assert drifts(deliver(tmp_path, f"{HEADER},Shop,zip", rows)) == ["new Shop", "new zip"]
    assert drifts(tmp_path, before={"shop"}) == ["new zip"]
    assert drifts(tmp_path, before={"shop", "zip"}) == []


def test_what_was_delivered_before_is_told_by_the_last_published_run(tmp_path):
    extract = tmp_path / "extract"
    extract.mkdir()
    [patient] = [c for c in contracts.raw_contracts("simulated") if c.name == "patient"]
    (extract / "patient.csv").write_text(",".join([*patient.column_names, "Shop", "zip"]) + "\n")
    study = studies.Study(name="s", title="S", sources={"simulated": {"folder": extract}}, output=tmp_path / "out")
    assert [found.column for found in drift.found(study)] == ["Shop", "zip"]
    published = study.output / "current" / "warehouse.duckdb"
    published.parent.mkdir(parents=True)
    published.write_bytes(b"damaged")
    assert [found.column for found in drift.found(study)] == ["Shop", "zip"]
    published.unlink()
    with warehouse.opened(published) as connection:
        draw(
            connection,
            "raw.delivery",
            """
            source    | table_name | source_file | undeclared_columns
            ----------|------------|-------------|-------------------
            simulated | patient    | other.csv   | [shop]
            simulated | patient    | patient.csv |
            simulated | diagnosis  | d.csv       | [zip]
            """,
        )
    assert [found.column for found in drift.found(study)] == ["zip"]


JSON = {
    "files": "*.ndjson",
    "key": ["id"],
    "columns": [
        {"name": "id", "type": "VARCHAR", "description": "Fill."},
        {
            "name": "patient",
            "type": "VARCHAR",
            "required": True,
            "delivered_as": "/subject/reference",
            "description": "P.",
        },
        {"name": "code", "type": "VARCHAR", "required": True, "delivered_as": "/codes/0/code", "description": "Code."},
        {"name": "note", "type": "VARCHAR", "may_be_missing": True, "description": "Note."},
    ],
}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": "1", "subject": {"reference": "P"}, "codes": [{"code": "x"}], "note": "n"}', []),
        ('{"id": "1", "subject": {"reference": "P"}, "codes": [{"code": "x"}], "note": null}', []),
        ('{"id": "1", "subject": {"display": "P"}, "codes": [{"code": "x"}]}', ["gone /subject/reference!"]),
        ('{"id": "1", "subject": {"reference": "P"}, "codes": []}', ["gone /codes/0/code!"]),
        ('{"ID": "1", "subject": {"reference": "P"}, "codes": [{"code": "x"}]}', ["gone id!", "new ID"]),
        ('{"id": "1", "subject": {"reference": "P"}, "codes": [{"code": "x"}], "meta": {"a": 1}}', ["new meta"]),
        ('{"other": 1}', []),
        ("no json", []),
    ],
)
def test_of_json_lines_a_field_that_every_object_must_have_is_missed(tmp_path, line, said):
    (tmp_path / "rx.ndjson").write_text(f"{line}\n{line}\n")
    assert drifts(tmp_path, contract(**JSON)) == said


def test_a_field_that_any_of_the_first_objects_has_is_there(tmp_path):
    whole = '{"id": "1", "subject": {"reference": "P"}, "codes": [{"code": "x"}]}'
    (tmp_path / "rx.ndjson").write_text(f'{{"id": "2"}}\n{whole}\n')
    assert drifts(tmp_path, contract(**JSON)) == []


def test_a_column_that_may_be_missing_is_no_drift_where_it_is(tmp_path):
    rows = [line.removesuffix(",none") for line in ROWS]
    assert drifts(deliver(tmp_path, "rx_id,fill_date,quantity,ndc", rows)) == []


@pytest.mark.parametrize(
    ("unfit", "said"),
    [
        (6, []),  # half of twelve: their rows go to quarantine
        (7, ["retyped fill_date text where most values are no DATE!"]),
        (12, ["retyped fill_date text where most values are no DATE!"]),
    ],
)
def test_a_column_is_retyped_where_most_values_are_not_of_its_type(tmp_path, unfit, said):
    american = [line.replace("2020-01-", "01/2020/") for line in ROWS[:unfit]]
    assert drifts(deliver(tmp_path, rows=american + ROWS[unfit:])) == said


@pytest.mark.parametrize(("rows", "said"), [(9, 0), (10, 1)])
def test_fewer_than_ten_values_do_not_tell_a_type(tmp_path, rows, said):
    american = [line.replace("2020-01-", "01/2020/") for line in ROWS[:rows]]
    assert len(drifts(deliver(tmp_path, rows=american))) == said


@pytest.mark.parametrize("name", ["rx.parquet", "x.duckdb", "rx.dta", "rx.csv.gz"])
def test_drift_is_seen_in_every_format(tmp_path, name):
    rows = pl.DataFrame(
        {
            "shop": ["x"] * 12,
            "rx_id": [f"rx{number}" for number in range(12)],
            "fill_date": ["01/02/2020"] * 12,
            "quantity": [1.5] * 12,
            "ndc": [406.0] * 12,
        }
    )
    place = tmp_path / name
    if name.endswith(".parquet"):
        rows.write_parquet(place)
    elif name.endswith(".dta"):
        import pyreadstat

        pyreadstat.write_dta(rows, str(place))
    elif name.endswith(".gz"):
        rows.write_csv(place, compression="gzip")
    else:
        with duckdb.connect(place) as connection:
            connection.execute("create table rx as from rows")
    found = drifts(place if name.endswith(".duckdb") else tmp_path)
    has_types = name in ("rx.parquet", "x.duckdb")
    assert found == [
        f"retyped fill_date {'VARCHAR' if has_types else 'text'} where most values are no DATE!",
        *(["retyped ndc fractions of numbers"] if has_types else []),
        "new shop",
    ]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a;b\n1;2\n", b'"rx_id,fill_date\n', b"rx_id,rx_id\n1,2\n"])
def test_what_is_no_table_is_left_for_loading_to_refuse(tmp_path, content):
    (tmp_path / "rx.csv").write_bytes(content)
    assert drifts(tmp_path) == []


def test_all_drift_of_all_files_is_one_message_without_a_value(tmp_path):
    (tmp_path / "b").mkdir()
    deliver(tmp_path, "rx_id,fill_dt,quantity,ndc,note")
    deliver(tmp_path / "b", "rx_id,fill_date,ndc,note", [line.replace(".5,00406", "/2020,1") for line in ROWS])
    of = contract(files="**/rx.csv")
    with duckdb.connect() as connection:
        found = [d for sample in extracts.heads(of, tmp_path) for d in drift.of(connection, of, "x", sample)]
    with pytest.raises(ExtractError) as refused:
        drift.refuse(found)
    assert str(refused.value) == (
        "b/rx.csv: has no column quantity; rx.csv: has no column fill_date, but fill_dt, which looks like it. "
        "Deliver what the contract says, or correct the contract of raw_x.rx (delivered_as says a new name)."
    )


def test_drift_that_is_only_worth_a_look_refuses_nothing():
    drift.refuse([drift.Drift("x", "raw_x.rx", "rx.csv", "shop", "new", None, False)])


def test_a_screen_has_one_line_for_all_new_columns_of_a_file():
    new = [drift.Drift("x", "raw_x.rx", "rx.csv", name, "new", None, False) for name in ("shop", "zip")]
    gone = drift.Drift("x", "raw_x.rx", "rx.csv", "ndc", "gone", None, True)
    assert drift.lines(new[:1]) == ["warning: rx.csv: 1 column that the contract does not declare: shop."]
    assert drift.lines([*new, gone]) == [
        "critical: rx.csv: has no column ndc.",
        "warning: rx.csv: 2 columns that the contract does not declare: shop, zip.",
    ]
