"""Writing the drafts of a source: contracts, mappings and a test, which load at once."""

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path, PurePath
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipelines import paths
from pipelines.contracts import Column, Contract
from pipelines.errors import ContractError
from pipelines.identifiers import Finding
from pipelines.source_draft import roles
from pipelines.source_draft.profile import ColumnProfile, TableProfile, moment, profiles, with_patient
from pipelines.source_draft.roles import Draft

CHOOSE = "CHOOSE:"
COMMENT = "        -- "
DESCRIBE = "Describe"
TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=StrictUndefined,
    autoescape=False,  # YAML, SQL and Python, from names that snake_case has cleaned
)

TITLES = {
    "prescription": ("Opioid prescriptions", "strength in strength_unit; quantity in units; days_supply in days"),
    "adjuvant": ("Adjuvants", "strength in strength_unit; quantity in units; days_supply in days"),
    "pain_score": ("Pain scores", "score on the range of its instrument"),
    "diagnosis": ("Coded diagnoses", "none"),
    "procedure": ("Coded procedures", "none"),
}


@dataclass(frozen=True)
class Drafted:
    """What came of drafting a source.

    Attributes:
        folder: Folder of the extract.
        tables: What was found in it.
        identifiers: Columns that look identifying. They are left out of the drafts, and a study refuses them.
        files: The files written.
    """

    folder: Path
    tables: list[TableProfile]
    identifiers: list[Finding]
    files: list[Path]


def draft(source: str, files: Sequence[Path], patient: str | None = None) -> Drafted:
    """Profile delivered files and write drafts of the source's contracts and mappings.

    Args:
        source: Name of the new source.
        files: Files of the extract, or its folder.
        patient: The column that tells patients apart, as the headers have it, where its name does not tell.

    Raises:
        ContractError: The name is no name, the source is there already, no column is called as a patient's number is,
            or the project is installed, not checked out.
        ExtractError: A file is missing or cannot be read.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", source):
        raise ContractError(f"{source}: is no name of a source. Use small letters, digits and underscores.")
    if paths.is_installed():
        raise ContractError(f"{source}: sources are added in a checkout of the project. Clone it and run this there.")
    for folder in (_contracts_folder(source), _mappings_folder(source)):
        if folder.exists():
            raise ContractError(
                f"{paths.relative(folder)}: is there already. Choose another name, or delete it to start again."
            )
    folder, tables = profiles(files)
    if patient is not None:
        tables = [with_patient(table, patient) for table in tables]
    found = [finding for table in tables for finding in table.identifiers]
    tables = [_without(table, found) for table in tables]
    drafts = roles.drafts(tables)
    if not any("patient_id" in each.columns for listed in drafts.values() for each in listed):
        raise ContractError(
            f"{source}: no table with a column called as a patient's number, and a day beside it, was found. "
            "Name the column with --patient, as the headers have it."
        )
    written = {
        _contracts_folder(source) / f"{table.name}.yaml": _contract(source, table, drafts, found) for table in tables
    }
    written[_mappings_folder(source) / "patient.sql"] = _patients(source, drafts)
    for clean in TITLES:
        if clean in drafts and (clean != "adjuvant" or all("drug_text" in each.columns for each in drafts[clean])):
            written[_mappings_folder(source) / f"{clean}.sql"] = _events(source, clean, drafts[clean])
    test = TEMPLATES.get_template("test.py").render(source=source)
    written[paths.ROOT / "tests" / "sources" / f"test_{source}.py"] = test
    for path, text in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Drafted(folder, tables, found, list(written))


def _contracts_folder(source: str) -> Path:
    return paths.DATA_CONTRACTS / "0_raw" / source


def _mappings_folder(source: str) -> Path:
    return paths.SQL / "2_clean" / source


def _found_in(table: TableProfile, found: list[Finding]) -> list[Finding]:
    return [one for one in found if PurePath(one.file).match(table.files)]


def _without(table: TableProfile, found: list[Finding]) -> TableProfile:
    """A table without its identifying columns; one that could be the patient's pseudonym is for a human to judge."""
    left_out = {one.column for one in _found_in(table, found) if not roles.may_be_pseudonym(one.column)}
    return replace(table, columns=tuple(column for column in table.columns if column.delivered_as not in left_out))


def _contract(source: str, table: TableProfile, drafts: dict[str, list[Draft]], found: list[Finding]) -> str:
    """A contract that requires the patient and the key alone: what else a row needs is the clean contract's."""
    used = {
        column.name: part
        for drafted in drafts.values()
        for draft in drafted
        if draft.table is table
        for part, column in draft.columns.items()
    }
    is_event = any(draft.table is table for clean, listed in drafts.items() if clean != "patient" for draft in listed)
    key = next(
        (
            column.name
            for column in table.columns
            if _is_key(column) and not (is_event and used.get(column.name) == "patient_id")
        ),
        "",
    )
    columns = []
    for column in table.columns:
        is_id = used.get(column.name) == "patient_id" or column.name == key
        columns.append(
            {
                "name": column.name,
                "type": "VARCHAR" if is_id else column.type,
                "delivered_as": column.delivered_as,
                "required": is_id,
                "seen": _seen(column),
            }
        )
    shape = Contract(
        table=f"raw_{source}.{table.name}",
        description=DESCRIBE,
        key=[key] if key else [],
        columns=[Column(description=DESCRIBE, **_declared(column)) for column in columns],
    )
    return TEMPLATES.get_template("contract.yaml").render(
        source=source,
        table=table,
        key=key,
        columns=columns,
        describe=DESCRIBE,
        choose=CHOOSE,
        pseudonyms=[one for one in _found_in(table, found) if roles.may_be_pseudonym(one.column)],
        today=date.today(),
        fingerprint=shape.fingerprint,
    )


def _declared(column: dict[str, Any]) -> dict[str, Any]:
    is_renamed = column["delivered_as"] != column["name"]
    left_out = {"seen"} if is_renamed else {"seen", "delivered_as"}
    return {name: value for name, value in column.items() if name not in left_out}


def _is_key(column: ColumnProfile) -> bool:
    is_named = column.name == "id" or column.name.endswith(("_id", "_key", "_number", "_no"))
    return column.is_unique and is_named and column.type in ("VARCHAR", "INTEGER", "BIGINT")


def _seen(column: ColumnProfile) -> str:
    """What the profile saw, in counts, ranges and frequent values."""
    empty = f", {1 - column.filled_rows / column.rows:.0%} empty" if column.filled_rows < column.rows else ""
    if column.values:
        what = f"values {', '.join(column.values)}"
    elif column.minimum is not None:
        what = f"{column.minimum} to {column.maximum}"
    else:
        what = f"{column.distinct_values:,} different values"
    return f"Seen: {what}{empty}."


def _patients(source: str, drafts: dict[str, list[Draft]]) -> str:
    own = drafts.get("patient", [])
    if own:
        found = own[0]
        sources = [found.table.name]
        columns = "\n".join(_selected(found, _patient_parts(source, found)))
    else:
        found, columns = None, ""
        sources = sorted({draft.table.name for listed in drafts.values() for draft in listed})
    each = {draft.table.name: draft for listed in drafts.values() for draft in listed}
    return TEMPLATES.get_template("patient.sql").render(
        source=source,
        draft=found,
        drafts=[each[name] for name in sources],
        tables=sources,
        rows=", ".join(f"raw_{source}.{name}" for name in sources),
        columns=columns,
    )


def _events(source: str, clean: str, drafts: list[Draft]) -> str:
    title, units = TITLES[clean]
    searches_drugs = clean in ("prescription", "adjuvant") and any("drug_text" in found.columns for found in drafts)
    parts = []
    for found in drafts:
        wanted = {
            "prescription": _drug_parts,
            "adjuvant": _drug_parts,
            "pain_score": _pain_parts,
            "diagnosis": _code_parts,
            "procedure": _code_parts,
        }[clean](source, clean, found)
        excluded = wanted.pop("excluded_reason", "null")
        parts.append(
            {
                "table": found.table.name,
                "columns": "\n".join(_selected(found, wanted)),
                "excluded_reason": excluded,
                "question": "\n".join(_question(found.choices["status"])) if "status" in found.choices else None,
            }
        )
    cited = {
        "prescription": "; opioids in reference.opioid_name",
        "adjuvant": "; adjuvants in reference.adjuvant_name, opioids in reference.opioid_name",
    }
    return TEMPLATES.get_template("event.sql").render(
        source=source,
        clean=clean,
        title=title,
        units=units,
        cited=cited.get(clean, "") if searches_drugs else "",
        rows=", ".join(f"raw_{source}.{found.table.name}" for found in drafts),
        parts=parts,
    )


def _selected(found: Draft, parts: dict[str, str | tuple[str, str]]) -> list[str]:
    """Lines of a select, each after what a human must decide of it. A part is SQL, or SQL and its question."""
    lines = []
    for name, part in parts.items():
        sql, question = part if isinstance(part, tuple) else (part, None)
        if question:
            lines += _question(question)
        lines.append(f"        {sql} as {name}," if sql != name else f"        {name},")
    return lines


def _question(question: str) -> list[str]:
    return textwrap.wrap(f"{CHOOSE} {question}", 100, initial_indent=COMMENT, subsequent_indent=COMMENT)


def _patient_parts(source: str, found: Draft) -> dict[str, str | tuple[str, str]]:
    parts: dict[str, str | tuple[str, str]] = {"patient_id": _prefixed(source, found, "patient_id")}
    sex = found.columns.get("sex")
    if sex is None:
        parts["sex"] = "'unknown'"
    else:
        words = {word for words in roles.SEX.values() for word in words} | {"u", "unknown", "other", "o"}
        unread = [value for value in sex.values if value.strip().lower() not in words]
        if sex.is_number and not sex.values:
            unread = [f"{sex.minimum} to {sex.maximum}"]
        sql = _read_as(f"lower(trim(delivered.{sex.name}::varchar))", roles.SEX)
        parts["sex"] = (sql, f"what do {', '.join(unread)} mean?") if unread else sql
    if "birth_year" in found.columns:
        parts["birth_year"] = f"delivered.{found.columns['birth_year'].name}::integer"
    elif "birth_date" in found.columns:
        parts["birth_year"] = f"year({_day(found, 'birth_date')})"
    for name in ("observation_start_date", "observation_end_date", "death_date"):
        if name in found.columns:
            parts[name] = _asked(found, name, _day(found, name))
    return parts


def _drug_parts(source: str, clean: str, found: Draft) -> dict[str, str | tuple[str, str]]:
    parts: dict[str, str | tuple[str, str]] = {
        f"{clean}_id": _row_id(source, found),
        "patient_id": _prefixed(source, found, "patient_id"),
    }
    says_fill = any(
        word in f"{found.table.name} {found.columns['fill_date'].name}"
        for word in ("fill", "dispens", "claim", "pharmacy", "supply")
    )
    parts["record_kind"] = (
        "'dispensing'" if says_fill else ("'dispensing'", "was it handed out (dispensing) or only ordered (order)?")
    )
    parts["start_date"] = _asked(found, "fill_date", _day(found, "fill_date"))
    if "end_date" in found.columns:
        parts["end_date"] = _asked(found, "end_date", _day(found, "end_date"))
    drug = found.columns.get("drug_text", found.columns.get("ndc"))
    assert drug
    parts["drug_text"] = _asked(found, "drug_text", f"delivered.{drug.name}")
    if "ndc" in found.columns and clean == "prescription":
        parts["ndc"] = f"delivered.{found.columns['ndc'].name}"
    for part, name in (
        ("strength", "strength"),
        ("strength_unit", "strength_unit"),
        ("route", "route_text"),
        ("quantity", "quantity"),
        ("days_supply", "days_supply"),
    ):
        if part in found.columns:
            parts[name] = _asked(found, part, f"delivered.{found.columns[part].name}")
    if "drug_text" in found.columns:
        text = f"delivered.{found.columns['drug_text'].name}"
        parts["excluded_reason"] = (
            f"case when not names_opioid({text}) then 'not_an_opioid' end"
            if clean == "prescription"
            else f"case\n            when names_opioid({text}) then 'opioid_product'\n"
            f"            when not names_adjuvant({text}) then 'not_an_adjuvant'\n        end"
        )
    return parts


def _pain_parts(source: str, clean: str, found: Draft) -> dict[str, str | tuple[str, str]]:
    score = found.columns["score"]
    parts: dict[str, str | tuple[str, str]] = {
        "pain_score_id": _row_id(source, found),
        "patient_id": _prefixed(source, found, "patient_id"),
        "scored_at": _asked(found, "scored_at", _moment(found, "scored_at")),
        "score": _asked(found, "score", f"delivered.{score.name}::double" if score.is_number else "null"),
        "score_text": "null" if score.is_number else f"delivered.{score.name}",
        "recall": ("'now'", "did it ask about now, average, worst or least pain?"),
    }
    instrument = found.columns.get("instrument")
    if instrument:
        parts["instrument"] = f"upper(trim(delivered.{instrument.name}))"
    else:
        parts["instrument"] = ("'NRS'", "which scale of reference.pain_scale is it?")
    setting = found.columns.get("setting")
    if setting:
        sql = _read_as(f"lower(trim(delivered.{setting.name}))", roles.SETTINGS)
        known = {word for words in roles.SETTINGS.values() for word in words}
        unread = [value for value in setting.values if value.strip().lower() not in known]
        asked = f"which settings are {', '.join(unread)}?" if unread else None
        parts["setting"] = (sql, asked) if asked else sql
    else:
        parts["setting"] = ("'unknown'", "outpatient, inpatient, icu, emergency, or not told?")
    item = found.columns.get("item")
    if item:
        parts["excluded_reason"] = (
            f"case\n            when not contains(lower(coalesce(delivered.{item.name}, '')), 'pain')\n"
            "                then 'not_a_pain_score'\n        end"
        )
        if item.pain_values > 1:
            parts["recall"] = (
                "'now'",
                f"{item.pain_values} items of {item.name} speak of pain: which are scores, and of which time?",
            )
    return parts


def _code_parts(source: str, clean: str, found: Draft) -> dict[str, str | tuple[str, str]]:
    code = found.columns[f"{clean}_code"]
    systems = {"diagnosis": ("ICD10CM", "ICD9CM"), "procedure": ("CPT4", "HCPCS")}[clean]
    fitting = [system for system in systems if code.kinds[system] > 0.9] or [systems[0]]
    asked = f"are the codes {' or '.join(fitting)}? Most fit both." if len(fitting) > 1 else None
    return {
        f"{clean}_id": _row_id(source, found),
        "patient_id": _prefixed(source, found, "patient_id"),
        f"{clean}_date": _asked(found, f"{clean}_date", _day(found, f"{clean}_date")),
        "code_system": (f"'{fitting[0]}'", asked) if asked else f"'{fitting[0]}'",
        "code": f"upper(replace(trim(delivered.{code.name}::varchar), '.', ''))",
    }


def _asked(found: Draft, part: str, sql: str) -> str | tuple[str, str]:
    return (sql, found.choices[part]) if part in found.choices else sql


def _prefixed(source: str, found: Draft, part: str) -> str:
    return f"'{source}:' || delivered.{found.columns[part].name}"


def _row_id(source: str, found: Draft) -> str:
    patient = found.columns["patient_id"]
    key = next((column.name for column in found.table.columns if _is_key(column) and column != patient), None)
    number = f"delivered.{key}" if key else "delivered.source_file || ':' || delivered.source_row"
    return f"'{source}:' || {number}"


def _day(found: Draft, part: str) -> str:
    return f"{_moment(found, part)}::date"


def _moment(found: Draft, part: str) -> str:
    column = found.columns[part]
    name = f"delivered.{column.name}"
    if column.type in ("DATE", "TIMESTAMP"):
        return name
    return moment(name, column.date_formats[0])


def _read_as(text: str, meanings: dict[str, tuple[str, ...]]) -> str:
    cases = [f"            when '{word}' then '{meaning}'" for meaning, words in meanings.items() for word in words]
    return "\n".join([f"case {text}", *cases, "            else 'unknown'", "        end"])
