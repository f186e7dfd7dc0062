"""The screen for identifiers: rows in, what looks identifying out, by name and by value, and never a value."""

import gzip
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import contracts, extracts, identifier_patterns, identifiers, simulator
from pipelines import study as studies
from pipelines.contracts import Contract
from pipelines.errors import ExtractError, IdentifierError
from pipelines.extracts import delivered, sample, value_screen
from pipelines.run import Run
from pipelines.settings import Settings
from tests import mimic_iv_demo
from tests.conftest import rows_of

CONNECTION = duckdb.connect()  # opening one takes longer than most screens
OMOP = Path(__file__).parents[2] / "shared" / "data" / "synthea27nj-omop-5.4"


def contract(files="t.csv", **changes):
    column = {"name": "a", "type": "VARCHAR", "description": "A."}
    declared = {"table": "raw_north.t", "description": "T.", "version": "1.0.0", "owner": "o", "key": []}
    declared |= {"columns": [column], "files": files} | changes
    known = Contract.model_fields
    return Contract.model_validate({name: value for name, value in declared.items() if name in known})


@dataclass
class Extract:
    folder: Path

    def file(self, name, rows):
        frame = rows if isinstance(rows, pl.DataFrame) else pl.DataFrame(rows)
        path = self.folder / name
        if name.endswith(".parquet"):
            frame.write_parquet(path)
        elif name.endswith(".gz"):
            path.write_bytes(gzip.compress(frame.write_csv().encode()))
        else:
            frame.write_csv(path)
        return path

    def screened(self, monkeypatch, *of, dates="unknown", **changes):
        of = of or (contract(**changes),)
        monkeypatch.setattr(contracts, "raw_contracts", lambda source: list(of))
        study = studies.Study(
            name="s",
            title="S",
            sources={"north": {"folder": self.folder, "dates": dates}},
            output=self.folder,
            settings=changes.get("settings", {}),
        )
        return identifiers.screen(CONNECTION, study)


@pytest.fixture
def extract(tmp_path):
    return Extract(tmp_path)


@pytest.fixture
def kinds(extract, monkeypatch):
    """Kinds that a column of values is found to be of, by how it was told."""

    def found(column, *values, **changes):
        extract.file("t.csv", {column: pl.Series(values, dtype=pl.String), "a": pl.Series([""] * len(values))})
        return {(one.kind, one.by) for one in extract.screened(monkeypatch, **changes)}

    return found


@pytest.fixture
def kinds_by_column(extract, monkeypatch):
    """The same for many columns of one file, which are judged each by itself; those without a finding are left out."""

    def found(columns):
        height = max(map(len, columns.values()))
        filled = {name: [*values, *[None] * (height - len(values))] for name, values in columns.items()}
        extract.file("t.csv", pl.DataFrame(filled, schema=dict.fromkeys(filled, pl.String)))
        kinds = {}
        for one in extract.screened(monkeypatch):
            kinds.setdefault(one.column, set()).add((one.kind, one.by))
        return kinds

    return found


# --- By name ---


CALLED_SO = {
    "patient_name": "name",
    "LAST_NAME": "name",
    "patientLastName": "name",
    "lastname": "name",
    "First": "name",
    "MAIDEN": "name",
    "Name": "name",
    "home_address_1": "address",
    "CITY": "address",
    "LAT": "address",
    "home phone": "phone",
    "PhoneNumber": "phone",
    "fax": "fax",
    "e-mail": "email",
    "SSN": "ssn",
    "pat_mrn_id": "mrn",
    "PERSON_SOURCE_VALUE": "mrn",
    "medicaid_id": "health_plan",
    "account_number": "account",
    "DRIVERS": "licence",
    "PASSPORT": "licence",
    "vin": "vehicle",
    "device_serial": "device",
    "udi": "device",
    "web_url": "url",
    "ip_address": "ip",
    "fingerprint": "biometric",
    "photo": "photo",
    "address1": "address",
    "phone1": "phone",
    "MRN1": "mrn",
    "name1": "name",
    "Name 2": "name",
    "email1": "email",
    "fax1": "fax",
    "SSN1": "ssn",
    "patient_nm": "name",
    "pt_name": "name",
    "last_nm_2": "name",
    "homephone": "phone",
    "hosp_no": "mrn",
    "npi": "licence",
    "Nachname": "name",
    "Vorname": "name",
    "Adresse": "address",
    "Straße": "address",
    "Telefon": "phone",
    "nom": "name",
    "Prénom": "name",
    "courriel": "email",
    "apellido1": "name",
    "dirección": "address",
    "correo": "email",
    "cognome": "name",
    "indirizzo": "address",
    "codice_fiscale": "ssn",
    "telecom.value": "phone",
    "identifier.value": "mrn",
    "address.text": "address",
    "name.text": "name",
}
CALLED_AFTER_BIRTH = ["birth_dt", "dateofbirth", "DOB1", "Geburtsdatum", "date_naissance", "fecha_nacimiento"]
SOUNDS_SO = [
    "drug_name", "concept_name", "first_dose", "last_fill_date", "middle_ear", "given_dose", "chip", "ship_date",
    "state", "careunit", "address_is_no_word"[8:], "telemetry", "device", "strip", "zipper", "machine", "subject_id",
    "drug_name_text", "generic_name", "generic_name_1", "nombre_medicamento", "nom_medicament", "dea_schedule",
    "phase1", "line1", "dose2", "level_2", "q1", "icd10", "drug_name2", "numero", "medication.text", "code.text",
    "person_id", "provider_id", "quantity", "noted_at", "page", "dosage", "storage", "significant", "stage_name",
]  # fmt: skip


def test_a_column_that_is_called_an_identifier_is_one(kinds_by_column):
    found = kinds_by_column({column: ["x1"] for column in CALLED_SO})
    assert found == {column: {(kind, "name")} for column, kind in CALLED_SO.items()}


def test_a_column_that_is_called_after_a_birth_tells_ages(extract, monkeypatch):
    extract.file("t.csv", {name: ["1931", "1990"] for name in CALLED_AFTER_BIRTH} | {"a": ["2023-05-01", "2020-01-01"]})
    found = extract.screened(monkeypatch, dates="real")
    assert {one.column for one in found if one.kind == "birth_year"} == set(CALLED_AFTER_BIRTH)


def test_four_digits_of_a_postal_code_of_any_spelling_are_too_many(kinds_by_column):
    called = ["ZIP4", "zip_2", "PLZ", "code_postal", "código_postal"]
    assert kinds_by_column({name: ["94110"] for name in called}) == {name: {("zip", "name")} for name in called}
    assert kinds_by_column({name: ["941"] for name in called}) == {}


def test_a_narrative_of_fhir_is_free_text(kinds):
    assert kinds("text.div", "patient says it hurts") == {("free_text", "name")}


def test_a_column_whose_name_only_sounds_like_one_is_none(kinds_by_column):
    assert kinds_by_column({column: ["x1"] for column in SOUNDS_SO}) == {}


def test_a_column_without_a_value_holds_nothing(kinds):
    assert kinds("ssn", None, None) == set()


def test_a_column_of_masks_holds_nothing(kinds):
    assert kinds("last_name", "___", "***", " - ") == set()


@pytest.mark.parametrize(
    ("values", "expected"),
    [(("941", "100"), set()), (("9410",), {("zip", "name")}), (("94110", "941"), {("zip", "name")})],
)
def test_three_digits_of_a_zip_code_may_stay_more_may_not(values, expected, kinds):
    assert kinds("zip", *values) == expected


def test_a_note_of_a_word_or_three_is_no_free_text(kinds):
    assert kinds("comment", "given", "not given", "given by nurse") == set()
    assert kinds("comment", "given", "patient says it hurts") == {("free_text", "name")}


# --- By pattern, whatever the column is called ---


HARDLY_ELSE = {
    "jane.doe@example.org": "email",
    "ask jane.doe@mail.example.org first": "email",
    "078-05-1120": "ssn",
    "SSN 078-05-1120.": "ssn",
    "(415) 555-2671": "phone",
    "415-555-2671": "phone",
    "+1 415.555.2671": "phone",
    "call 415-555-2671 now": "phone",
    "+44 20 7946 0958": "phone",
    "https://example.org/u/1": "url",
    "www.example.org": "url",
    "192.168.17.43": "ip",
    "2001:0db8:85a3:0000:0000:8a2e:0370:7334": "ip",
    "00:1B:44:11:3A:B7": "device",
    "(01)00844588003288(17)141120(10)7654321D": "device",
    "MRN: 4711008": "mrn",
    "SSN123-45-6789": "ssn",
    "ssn 123456789": "ssn",
    "123 45 6789": "ssn",
    "078\u201305\u20131120": "ssn",  # an en dash
    "078\u201105\u20111120": "ssn",  # a dash that does not break
    "\uff10\uff17\uff18-\uff10\uff15-\uff11\uff11\uff12\uff10": "ssn",  # of full width
    "078\u00ad-05-11\u200b20": "ssn",  # with what takes no room
    "212 555 1234": "phone",
    "415\u00a0555\u20092671": "phone",
    "+442079460018": "phone",
    "jane\uff20example.org": "email",
    "MRN1234567": "mrn",
    "MR# 1234567": "mrn",
    "99 years": "age",
    "99-year-old man": "age",
    "DOB 03/04/1921": "birth_year",
}
CODES = [
    "72514-3", "29463-7", "0406-8530-01", "00406-8530-01", "54569-0303-1", "00406853001", "4068530010", "5-10",
    "2021-05-01", "2021-05-01 08:30:00", "08:30:00", "2.16.840.1.113883.6.1", "1.5", "300.00.1", "10.1.2",
    "oxycodone 5 MG @ bedtime", "1007c05b-8d20-8fe6-6790-44622f8316df", "http://loinc.org",
    "http://terminology.hl7.org/CodeSystem/v3-ActCode", "https://www.nlm.nih.gov/research/umls/rxnorm", "M54.50",
    "12 HR Oxycodone Hydrochloride 10 MG Extended Release Oral Tablet", "0.5 MG/ML", "1-2 tabs 4-6h",
    "90 years old", "92 years and older", "65 years", "+5", "+10.5", "1-92 yr", "mr 1234", "SSN", "mcg/hr \u2013 72 hours",
    "oxycodone 5\u00a0MG \u2013 10\u00a0MG", "born 2 weeks early",
    "256.1.1.1", "1000000-12-3456", "123-45-67890", "A123-45-6789",
]  # fmt: skip


def test_one_value_that_can_hardly_be_anything_else_is_enough(kinds_by_column):
    others = [f"drug {number}" for number in range(500)]
    found = kinds_by_column({f"c{n}": [value, *others] for n, value in enumerate(HARDLY_ELSE)})
    assert found == {f"c{n}": {(kind, "pattern")} for n, kind in enumerate(HARDLY_ELSE.values())}


def test_codes_dates_and_doses_are_no_identifiers(kinds_by_column):
    assert kinds_by_column({f"c{n}": [value] * 3 for n, value in enumerate(CODES)}) == {}


LAST, FIRST = ["Smith", "Garcia", "Nguyen", "Taylor", "Hill", "Lee", "Moore", "Clark", "Lewis", "Young"], "José"
STREET = [f"{100 + number} Cedar Street" for number in range(10)]
TENDS = [
    (LAST, "name"),
    (["James", "Mary Ann", "Robert", "Linda", "Susan", "Karen", "Lisa8", "Paul", "Mark", "Jason"], "name"),
    ([f"{name}, John" for name in LAST], "name"),
    ([f"Dr. {name}" for name in LAST], "name"),
    (STREET, "address"),
    ([f"{number} Elm Ave Apt {number}" for number in range(10)], "address"),
    ([f"94110-{number}" for number in range(1000, 1010)], "zip"),
]


def test_what_only_tends_to_look_like_a_name_needs_ten_values_and_a_fifth_of_them(kinds_by_column):
    others = [f"x {number}" for number in range(40)]
    enough = {f"enough{n}": [*values, *others] for n, (values, _) in enumerate(TENDS)}
    nine = {f"nine{n}": [*values[:9], *others[:20]] for n, (values, _) in enumerate(TENDS)}
    less = {f"less{n}": [*values, *others, "x 40"] for n, (values, _) in enumerate(TENDS)}
    found = kinds_by_column(enough | nine | less)
    assert found == {f"enough{n}": {(kind, "pattern")} for n, (_, kind) in enumerate(TENDS)}


def test_values_are_counted_once_however_often_they_stand_there(kinds):
    assert kinds("c", *["Smith"] * 1000, "x") == set()


def test_long_texts_that_are_mostly_distinct_are_free_text(kinds):
    text = "pt says that it hurts since the"
    assert kinds("c", *[f"{text} {number}" for number in range(20)]) == {("free_text", "pattern")}
    assert kinds("c", *[f"{text} {number}" for number in range(19)]) == set()
    assert kinds("c", *[f"it hurts since the {number}" for number in range(20)]) == set()
    assert kinds("c", *[f"{text} {number}" for number in range(20)] * 2) == {("free_text", "pattern")}
    assert kinds("c", *[f"{text} {number}" for number in range(20)] * 3) == set(), "repetitive, as drug texts are"


def test_a_file_without_a_header_shows_no_value_as_a_columns_name(extract, monkeypatch):
    (extract.folder / "t.csv").write_text("a,078-05-1120\nx,219-09-9999\n")
    [found] = extract.screened(monkeypatch)
    assert (found.column, found.kind) == ("number 2", "ssn")


# --- Ages ---


AGES = [
    (("18", "89"), set()),
    (("18", "89", "90"), set()),
    (("18", "91"), set()),
    (("18", "92"), {("age", "name and values")}),
    (("18", "90", "91"), {("age", "name and values")}),
    (("90+", "18"), set()),
    (("89.5", "18"), set()),
]


def test_ages_over_89_are_one_group(kinds_by_column):
    columns = {f"{name} {n}": ages for n, (ages, _) in enumerate(AGES) for name in ("anchor_age", "Age", "quantity")}
    expected = {f"{name} {n}": found for n, (_, found) in enumerate(AGES) for name in ("anchor_age", "Age") if found}
    assert kinds_by_column(columns) == expected


@pytest.mark.parametrize(
    ("ages", "expected"),
    [
        (("18 years", "90 years"), set()),
        (("18 years", "99 yrs"), {("age", "name and values")}),
        (("90 Jahre", "91 Jahre"), {("age", "name and values")}),
    ],
)
def test_ages_are_read_with_their_unit(ages, expected, kinds):
    assert kinds("age", *ages) == expected


@pytest.mark.parametrize(
    ("births", "dates", "expected"),
    [
        (["1934", "1990"], "real", set()),
        (["1933", "1990"], "real", set()),
        (["1932", "1990"], "real", set()),
        (["1931", "1990"], "real", {("birth_year", "name and values")}),
        (["1933", "1932"], "real", {("birth_year", "name and values")}),
        (["1931-02-03", "1990-01-01"], "unknown", {("birth_year", "name and values")}),
        (["1931", "1990"], "shifted", set()),
        (["03/04/1921", "02/01/1990"], "real", {("birth_year", "name and values")}),
    ],
)
def test_births_tell_ages_over_89_where_dates_are_real(births, dates, expected, extract, monkeypatch):
    extract.file("t.csv", {"birth_year": births, "a": ["2023-05-01", "2020-01-01"]})
    assert {(one.kind, one.by) for one in extract.screened(monkeypatch, dates=dates)} == expected


@pytest.mark.parametrize("days", [["05/01/2023", "1/1/2020"], ["01.05.2023", "01.01.2020"], ["", ""]])
def test_ages_are_told_by_days_of_any_writing_or_by_the_youngest(days, extract, monkeypatch):
    extract.file("t.csv", {"birth_year": ["1930", "2022"], "a": days})
    assert [one.kind for one in extract.screened(monkeypatch, dates="real")] == ["birth_year"]


def test_a_day_to_come_is_no_day_that_an_age_is_told_by(extract, monkeypatch):
    extract.file("t.csv", {"birth_year": ["1950", "1990"], "a": ["2023-05-01", "2099-12-31"]})
    assert extract.screened(monkeypatch) == []


# --- Accepting, refusing, telling ---

REASON = "The registry replaced the numbers by random ones."


def test_a_contract_accepts_a_column_by_kind_with_a_reason(extract, monkeypatch):
    extract.file("t.csv", {"MRN": ["x1", "078-05-1120"], "a": ["", ""]})
    accepted = [{"column": "mrn", "kind": "mrn", "reason": REASON}]
    found = extract.screened(monkeypatch, accepted_identifiers=accepted)
    assert {(one.kind, one.reason) for one in found} == {("mrn", REASON), ("ssn", None)}
    with pytest.raises(IdentifierError):
        identifiers.refuse(found)
    identifiers.refuse([one for one in found if one.kind == "mrn"])


@pytest.mark.parametrize("reason", ["", "ok", "nineteen characters"])
def test_a_reason_is_written_out(reason):
    with pytest.raises(ValueError):
        contract(accepted_identifiers=[{"column": "mrn", "kind": "mrn", "reason": reason}])


def test_all_that_is_refused_is_said_in_one_line_without_a_value(extract, monkeypatch):
    extract.file("t.csv", {"ssn": ["078-05-1120"], "a": ["jane.doe@example.org"], "last_name": ["Canary"]})
    extract.file("u.csv", {"a": ["x"], "phone": ["415-555-2671"]})
    both = contract(), contract("u.csv", table="raw_north.u")
    found = extract.screened(monkeypatch, *both)
    with pytest.raises(IdentifierError) as refused:
        identifiers.refuse(found)
    said = str(refused.value)
    assert said == (
        "t.csv: column a (email, by pattern); t.csv: column last_name (name, by name); "
        "t.csv: column ssn (ssn, by name); u.csv: column phone (phone, by name). Nothing was loaded. "
        "Have them taken out of the delivery, or accept each column with a reason under accepted_identifiers of its "
        "contract."
    )
    for value in ("1120", "jane", "Canary", "2671"):
        assert value not in said + repr(found)


def test_nothing_is_loaded_of_a_study_whose_extract_is_refused(tmp_path, monkeypatch):
    simulator.write(simulator.simulate(20, 5), tmp_path)
    file = tmp_path / "extract" / "diagnosis.csv"
    file.write_text(
        "\n".join(f"{line},{'ssn' if not n else '078-05-1120'}" for n, line in enumerate(file.read_text().splitlines()))
    )
    study = studies.Study(
        name="s", title="S", sources={"simulated": {"folder": tmp_path / "extract"}}, output=tmp_path / "out"
    )
    from pipelines import tables

    with (
        Run(study, "refused") as run,
        pytest.raises(IdentifierError, match=r"diagnosis.csv: column ssn \(ssn, by name\)"),
    ):
        run.build(next(table for table in tables.of(study) if table.name == "raw_simulated.patient"))
    with run.workspace.connected() as connection:
        assert connection.sql("select table_name from duckdb_tables()").fetchall() == []
    assert "column ssn (ssn, by name)" in (run.folder / "quality" / "index.html").read_text()


# --- Whatever the format ---


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_undeclared_columns_of_every_format_are_looked_at(name, extract, monkeypatch):
    extract.file(name, {"a": ["x"], "c": ["078-05-1120"], "day": ["2021-01-01"]})
    [found] = extract.screened(monkeypatch, files="t.*")
    assert (found.file, found.column, found.kind) == (name, "c", "ssn")


def test_tables_of_a_database_are_looked_at(extract, monkeypatch):
    path = extract.folder / "cdm.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table t as select 'x' as a, '078-05-1120' as c, date '2021-01-01' as day")
    extract.folder = path
    [found] = extract.screened(monkeypatch)
    assert (found.column, found.kind) == ("c", "ssn")


def test_json_lines_are_looked_at_by_path(extract):
    path = extract.folder / "Patient.ndjson"
    path.write_text(
        '{"resourceType": "Patient", "name": [{"family": "Doe", "given": ["Jane"]}], "birthDate": "1990-01-01"}\n'
        '{"resourceType": "Patient", "telecom": [{"value": "415-555-2671"}]}\nno json\n'
    )
    looked = identifiers._look(CONNECTION, contract(), "Patient.ndjson", path, Settings())
    found = {(one.column, one.kind) for one in looked.findings}
    assert found == {("name.family", "name"), ("name.given", "name"), ("telecom.value", "phone")}


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"\x1f\x8b", b'a,b\n"x', b"a,a\n1,2,3\n", b"\0\0\n\0", b"PAR1"])
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "t.ndjson"])
def test_a_damaged_file_is_for_whoever_loads_it(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    sample.of(CONNECTION, contract(), tmp_path / name)


def test_a_longer_file_is_looked_at_all_over(extract, monkeypatch):
    monkeypatch.setattr(sample, "WHOLE_BYTES", 1000)
    monkeypatch.setattr(sample, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(sample, "BLOCKS_PER_BLOCK_READ", 4)
    rows = {"a": [f"row {number:07d}" for number in range(100_000)]}
    for name in ("t.csv", "t.csv.gz"):
        read = sample.of(CONNECTION, contract(), extract.file(name, rows))["a"]
        assert read[0] == "row 0000000" and 20_000 < len(read) < 30_000
        assert set(read) <= set(rows["a"]), "whole lines only"
        numbers = [int(text[4:]) for text in read]
        assert max(numbers) > 95_000


def test_a_packed_file_costs_the_screen_no_more_than_any_table(extract, monkeypatch):
    monkeypatch.setattr(delivered, "GZIP_FREE_BYTES", 1 << 20)
    path = extract.folder / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a\n" + b"x" * (1 << 24)))
    for read in (sample.of, lambda *of: sample._piece(*of, is_head=False)):
        with pytest.raises(ExtractError, match=r"t.csv.gz: decompresses to more than 200 times its size"):
            read(CONNECTION, contract(), path)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=30), min_size=1, max_size=20))
def test_no_cell_stops_the_screen(cells):
    connection = CONNECTION
    rows = pl.DataFrame({"a": pl.Series(cells, dtype=pl.String)})
    [told] = identifiers._value_counts(connection, rows, Settings())
    assert told["distinct_count"] <= len(cells)


@pytest.mark.parametrize(
    "header", ["a,a", "a, a", ",", 'a,"b""c"', "a,b\0c", "a,b; drop table sampled", "a," + "x." * 500_000, "a,'"]
)
def test_no_header_stops_the_screen(header, extract, monkeypatch):
    (extract.folder / "t.csv").write_text(f"{header}\nx,078-05-1120\n")
    assert [one.kind for one in extract.screened(monkeypatch)] == ["ssn"]


# --- What is loaded, in full ---


@pytest.fixture
def load(extract):
    """Load one table of a file, and tell what the warehouse holds then."""

    def loaded(rows, name="t.csv", **changes):
        extract.file(name, rows)
        with duckdb.connect() as connection:
            try:
                extracts.load(connection, contract(**changes), "north", extract.folder)
            except IdentifierError as error:
                [[tables]] = connection.execute("select count(*) from duckdb_tables() where not temporary").fetchall()
                assert tables == 0, "nothing was loaded"
                return str(error)
            return connection.sql("select count(*) from raw_north.t").fetchall()[0][0]

    return loaded


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_every_value_that_is_loaded_is_looked_at_however_long_the_file(name, load):
    rows = [f"Oxycodone hydrochloride {number} MG Oral Tablet" for number in range(300_000)]
    said = load({"a": [*rows[:260_000], "078-05-1120", *rows[260_000:]]}, name, files="t.*")
    assert said == f"{name}: column a (ssn, by pattern). {value_screen.ADVICE}"


def test_a_row_in_quarantine_is_looked_at_whatever_the_type_of_the_column(load):
    columns = [{"name": "a", "type": "DATE", "description": "A."}]
    assert load({"a": ["2021-01-01", "no day"]}, columns=columns) == 1
    assert "column a (ssn" in load({"a": ["2021-01-01", "078-05-1120"]}, columns=columns)


def test_what_a_contract_accepts_is_loaded(load):
    accepted = [{"column": "A", "kind": "ssn", "reason": REASON}]
    assert load({"a": ["078-05-1120"]}, accepted_identifiers=accepted) == 1
    assert "column a (email" in load({"a": ["078-05-1120", "jane@example.org"]}, accepted_identifiers=accepted)


def test_an_address_of_a_terminology_is_loaded_and_another_is_not(load):
    assert load({"a": ["http://loinc.org"]}) == 1
    assert "column a (url" in load({"a": ["http://loinc.org", "https://example.org/u/1"]})


@pytest.fixture
def load_text(extract):
    """Load one table of a file written as it stands, and tell how many rows are loaded and in quarantine."""

    def loaded(text, name="t.csv", **changes):
        (extract.folder / name).write_text(text)
        with duckdb.connect() as connection:
            try:
                done = extracts.load(connection, contract(name, **changes), "north", extract.folder)
            except IdentifierError as error:
                return str(error)
            return done.loaded_rows, done.quarantined_rows

    return loaded


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("x,y,jane.doe@example.org", "email"),
        ("x,078-05-1120,y", "ssn"),
        ("x,078 05 1120,y", "ssn"),  # a whole cell
        ("x,y,(415) 555-2671", "phone"),
        ("x,y,https://loinc.org,https://example.org/jane", "url"),
        ("x,\uff10\uff17\uff18-05-1120,y", "ssn"),
        ('x"078-05-1120', "ssn"),
    ],
)
def test_a_line_that_is_no_record_is_looked_at(line, kind, load_text):
    said = load_text(f"a,b\nx,y\n{line}\n")
    assert said == f"t.csv: row 2, which is no record ({kind}, by pattern). {value_screen.ADVICE}"


def test_a_line_that_is_no_record_and_holds_nothing_goes_to_quarantine(load_text):
    assert load_text("a,b\nx,y\n0406-0512-01,2021-01-01,http://loinc.org,72514-3\n") == (1, 1)


def test_a_line_may_hold_what_a_column_is_accepted_for(load_text):
    accepted = [{"column": "b", "kind": "ssn", "reason": REASON}]
    assert load_text("a,b\nx,y\nx,078-05-1120,y\n", accepted_identifiers=accepted) == (1, 1)
    assert "(email" in load_text("a,b\nx,y\nx,jane@example.org,y\n", accepted_identifiers=accepted)


@pytest.mark.parametrize("line", ['{"a": {"b": "078-05-1120"', '{"a": {}, "a": {"b": "078 05 1120"}}'])
def test_a_json_line_that_is_no_record_is_looked_at(line, load_text):
    columns = [{"name": "a", "type": "JSON", "description": "A."}]
    said = load_text(f'{{"a": {{}}}}\n{line}\n', "t.ndjson", columns=columns)
    assert said.startswith("t.ndjson: row 2, which is no record (ssn, by pattern).")


JSON_COLUMN = [{"name": "code", "type": "JSON", "delivered_as": "code", "description": "Code."}]


@pytest.mark.parametrize(
    ("value", "place", "kind"),
    [
        ('{"text": "see https://example.org/jane"}', "code.text", "url"),
        ('{"text": "https:\\/\\/example.org"}', "code.text", "url"),
        ('{"text": "jane\\u0040example.org"}', "code.text", "email"),
        ('[{"telecom": [{"value": "415-555-2671"}]}]', "code.telecom.value", "phone"),
        ('{"text": " 078 05 1120"}', "code.text", "ssn"),
        ('{"coding": [{"code": "192.168.0.17"}]}', "code.coding.code", "ip"),
        ('{"jane@example.org": "x"}', "code", "email"),
        ('"jane@example.org"', "code", "email"),
        ('{"photo": {"url": "https://example.org/jane.png"}}', "code.photo.url", "url"),
        ('{"coding": [{"system": "jane@example.org"}]}', "code.coding.system", "email"),
        ('{"coding": [{"system": "https://example.org/jane@example.org"}]}', "code.coding.system", "email"),
    ],
)
def test_every_string_of_a_json_column_is_looked_at(value, place, kind, load_text):
    said = load_text(f'{{"code": {{"text": "Pain"}}}}\n{{"code": {value}}}\n', "t.ndjson", columns=JSON_COLUMN)
    assert said == f"t.ndjson: column {place} ({kind}, by pattern). {value_screen.ADVICE}"


@pytest.mark.parametrize(
    "value",
    [
        '{"coding": [{"system": "http://snomed.info/sct", "code": "22253000"}]}',
        '{"coding": [{"system": "https://fhir.example.org/codeSet/72", "code": "4154125"}]}',
        '{"coding": [{"system": "https:\\/\\/fhir.example.org\\/codeSet\\/72", "code": "4154125"}]}',
        '{"extension": [{"url": "https://example.org/fhir/sort-order", "valueInteger": 3}]}',
        '{"reference": "https://fhir.example.org/Patient/17"}',
        '{"meta": {"profile": ["https://example.org/fhir/profile"]}}',
        '{"coding": [{"system": "urn:oid:2.16.840.1.113883.6.69", "code": "0406-0512-01"}]}',
    ],
)
def test_an_address_of_a_code_system_an_extension_or_a_record_is_none_of_a_person(value, load_text, extract):
    line = f'{{"code": {value}}}\n'
    assert load_text(line, "t.ndjson", columns=JSON_COLUMN) == (1, 0)
    looked = identifiers._look(CONNECTION, contract(), "t.ndjson", extract.folder / "t.ndjson", Settings())
    assert looked.findings == []


def test_a_json_column_is_accepted_by_path(load_text):
    accepted = [{"column": "code.text", "kind": "email", "reason": REASON}]
    line = '{"code": {"text": "jane@example.org"}}\n'
    assert load_text(line, "t.ndjson", columns=JSON_COLUMN, accepted_identifiers=accepted) == (1, 0)
    other = '{"code": {"display": "jane@example.org"}}\n'
    said = load_text(line + other, "t.ndjson", columns=JSON_COLUMN, accepted_identifiers=accepted)
    assert said.startswith("t.ndjson: column code.display (email, by pattern). ")


# --- Real extracts ---


def _files(folder, *suffixes):
    return sorted(file for file in folder.rglob("*") if file.name.endswith(suffixes))


def _found(folder, *suffixes):
    connection = CONNECTION
    looked = [
        identifiers._look(connection, contract(), file.name, file, Settings()) for file in _files(folder, *suffixes)
    ]
    return [(one.file, one.column, one.kind) for each in looked for one in each.findings]


@mimic_iv_demo.needed
def test_the_hospital_extract_has_no_identifier():
    """Among 13 tables and 150 columns of drugs, codes, shifted dates and doses; ages over 89 are 91."""
    small = [f for f in ("patients", "prescriptions", "d_items", "omr", "admissions", "chartevents")]
    connection = CONNECTION
    for file in _files(mimic_iv_demo.EXTRACT, ".csv.gz"):
        if file.name.split(".")[0] in small:
            assert identifiers._look(connection, contract(), file.name, file, Settings()).findings == [], file.name


@pytest.mark.skipif(not OMOP.is_dir(), reason=f"the OMOP extract is not at {OMOP}")
def test_of_the_omop_extract_the_source_value_of_persons_is_found_and_nothing_else():
    assert _found(OMOP, ".csv") == [("PERSON.csv", "person_source_value", "mrn")]


def test_the_simulated_extract_has_no_identifier(tmp_path):
    simulator.write(simulator.simulate(60, 10), tmp_path)
    assert _found(tmp_path / "extract", ".csv") == []
    study = studies.Study(
        name="s", title="S", sources={"simulated": {"folder": tmp_path / "extract"}}, output=tmp_path / "out"
    )
    found = identifiers.screen(duckdb.connect(), study)
    assert {(one.column, one.kind) for one in found} == {("birth_year", "birth_year")}, "some are over 89"
    identifiers.refuse(found)  # its contract accepts it: nobody was born


# --- The reference tables ---


def test_every_kind_is_one_of_the_eighteen_identifiers_with_its_citation():
    kinds = {row["kind"] for row in (*identifiers._names(), *identifier_patterns.patterns())}
    assert {"name", "address", "zip", "phone", "fax", "email", "ssn", "mrn", "url", "ip", "device", "age"} <= kinds
    assert all(
        "45 CFR 164.514(b)(2)(i)" in row["citation"] for row in (*identifiers._names(), *identifier_patterns.patterns())
    )


def test_words_of_a_name():
    drawn = """
    name            | words
    ----------------+------------------
    patientLastName | patient last name
    PATIENT_ID      | patient id
    MRNNumber       | mrn number
    e-mail          | e mail
    Prénom          | prenom
    Straße          | strasse
    """
    for row in rows_of(drawn):
        assert identifiers.words(row["name"]) == row["words"]
