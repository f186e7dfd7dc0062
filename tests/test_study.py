import pytest
import yaml

from pipelines import study as studies
from pipelines import tables
from pipelines.errors import ExtractError, StudyError
from pipelines.settings import Settings, described

MINIMAL = {"name": "s", "title": "S", "sources": {"simulated": {"folder": "x"}}, "output": "out"}


def written(tmp_path, **changes):
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(MINIMAL | changes))
    return file


@pytest.mark.parametrize("name", ["demo", "mimic_iv_demo"])
def test_the_shipped_studies_load_and_write_within_the_project(name):
    study = studies.load(studies.paths.ROOT / "studies" / f"{name}.yaml")
    assert study.name == name
    assert study.output.is_relative_to(studies.paths.ROOT / "build")


def test_folders_start_at_the_study_file(tmp_path):
    loaded = studies.load(written(tmp_path))
    assert loaded.output == tmp_path / "out"
    assert loaded.sources["simulated"].folder == tmp_path / "x"


def test_a_table_of_drug_codes_starts_at_the_study_file_and_is_looked_at_at_once(tmp_path):
    table = tmp_path / "ndc.csv"
    study = written(tmp_path, ndc_table="ndc.csv")
    with pytest.raises(ExtractError, match="there is no such file"):
        studies.load(study)
    table.write_text("ndc\n")
    with pytest.raises(ExtractError, match="has no column drug_text"):
        studies.load(study)
    table.write_text("ndc,drug_text\n12345-6789-01,MORPHINE 5 MG TABLET\n")
    assert studies.load(study).ndc_table == table


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"colour": 1}, "colour: is no key of a study"),
        ({"settings": {"bridge_gap_dayz": 7}}, "settings.bridge_gap_dayz: is no key of a study"),
        ({"settings": {"bridge_gap_days": "many"}}, "settings.bridge_gap_days: input should be a valid integer"),
        ({"settings": {"identifier_value_count": 999}}, "identifier_value_count: input should be greater than"),
        ({"settings": {"identifier_min_values": 101}}, "identifier_min_values: input should be less than"),
        ({"settings": {"identifier_min_share": 0.51}}, "identifier_min_share: input should be less than"),
        ({"settings": {"free_text_words": 21}}, "free_text_words: input should be less than"),
        ({"settings": {"oldest_age_years": 90}}, "oldest_age_years: input should be less than"),
        ({"sources": {}}, "sources: dictionary should have at least 1 item"),
        ({"sources": {"elsewhere": {"folder": "x"}}}, "source elsewhere has no contracts or no mapping"),
        ({"dose_definition": "guess"}, "dose_definition: input should be 'on_therapy_days' or 'window_days'"),
        ({"memory_limit": "lots"}, "memory_limit: string should match"),
        ({"factor_set": "cdc_1999"}, "factor set cdc_1999 is no general set"),
        ({"factor_set": "cdc_1999"}, "Use one of anzca_2021, cdc_2012,"),
        ({"factor_set": "swiss_parenteral"}, "factor set swiss_parenteral is no general set"),
        ({"factor_set": ["cdc_2016", "cdc_2022"]}, "factor_set: name one set, vintages are never mixed"),
        ({"parenteral_factor_set": "cdc_2022"}, "parenteral factor set cdc_2022 has no parenteral factors"),
        ({"parenteral_factor_set": "cdc_2022"}, "swiss_parenteral, uk_openprescribing, uptodate_parenteral"),
        ({"parenteral_factor_set": ["anzca_2021"]}, "parenteral_factor_set: name one set, vintages are never mixed"),
        ({"pain": {"scales": ["SMILEY"]}}, "pain.scales: SMILEY is no scale of sql/1_reference/pain_scale.csv"),
        ({"pain": {"scales": ["NRS", "FLACC"]}}, "FLACC never stands beside NRS (an observer's sum of signs"),
        ({"pain": {"scales": ["VRS_4"]}}, "VRS_4 never stands beside NRS (words are in order"),
        ({"pain": {"scales": ["PEG"]}}, "Use NRS, PAIN_REPORTED, VAS_10, VAS_100, BPI_NOW for pain now"),
        ({"pain": {"scales": ["NRS", "BPI_WORST"]}}, "BPI_WORST asks about worst pain, the study counts now"),
        ({"pain": {"scales": []}}, "pain.scales: list should have at least 1 item"),
        (
            {"pain": {"recall": "ever"}},
            "pain.recall.0: input should be 'now', 'average', 'worst', 'least' or 'unknown'",
        ),
        ({"pain": {"recall": ["now", "worst"]}}, "pain.recall: name one time, and unknown beside it"),
        ({"pain": {"settings": ["icu"]}}, "pain.settings.0: input should be 'outpatient' or 'unknown'"),
        ({"memory_limit": "1MB"}, "memory_limit: is below 256 MB"),
        ({"memory_limit": "0GB"}, "memory_limit: is below 256 MB"),
        (
            {"long_term_definition": "always"},
            "long_term_definition: always is no definition of sql/1_reference/long_term",
        ),
        ({"long_term_definition": "always"}, "Use one of consort, covered_90_in_120, cumulative_90_in_365, or add"),
        ({"settings": {"early_from_day": 40}}, "early_from_day is after early_to_day"),
    ],
)
def test_what_a_study_cannot_say_is_refused_in_one_line(tmp_path, changes, said):
    with pytest.raises(StudyError) as refused:
        studies.load(written(tmp_path, **changes))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith(str(tmp_path / "study.yaml"))


@pytest.mark.parametrize(
    ("said", "read"), [("now", ["now"]), (["average", "unknown"], ["average", "unknown"]), ("unknown", ["unknown"])]
)
def test_a_study_counts_one_time_of_pain_and_beside_it_the_unknown_one(tmp_path, said, read):
    assert studies.load(written(tmp_path, pain={"recall": said})).parameters["pain_recall"] == read


@pytest.mark.parametrize("name", ["uptodate_parenteral", "anzca_2021", "cdc_2012", None])
def test_a_set_with_parenteral_factors_can_be_named_for_parenteral_doses(tmp_path, name):
    loaded = studies.load(written(tmp_path, parenteral_factor_set=name))
    assert loaded.parameters["parenteral_factor_set"] == name


def test_a_study_can_count_what_the_registry_lets_stand_beside_nrs(tmp_path):
    pain = {
        "scales": ["PEG_PAIN", "BPI_AVERAGE", "VAS_100"],
        "recall": ["average"],
        "settings": ["outpatient", "unknown"],
    }
    loaded = studies.load(written(tmp_path, pain=pain))
    assert all(loaded.parameters[f"pain_{name}"] == value for name, value in pain.items())
    assert loaded.fingerprint != studies.load(written(tmp_path)).fingerprint


def test_a_source_names_the_schema_of_its_database_for_every_table(tmp_path):
    said = {"omop": {"folder": "cdm.duckdb", "schema": "cdm_2021"}, "simulated": {"folder": "x"}}
    loaded = studies.load(written(tmp_path, sources=said))
    assert {contract.database_schema for contract in loaded.raw_contracts("omop")} == {"cdm_2021"}
    assert {contract.database_schema for contract in loaded.raw_contracts("simulated")} == {None}
    read = {table.contract.database_schema for table in tables.of(loaded) if table.name.startswith("raw_omop.")}
    assert read == {"cdm_2021"}


def test_a_schema_of_a_folder_is_refused(tmp_path):
    with pytest.raises(StudyError, match=r"sources\.omop\.schema: only a DuckDB database has schemas, and .*x is none"):
        studies.load(written(tmp_path, sources={"omop": {"folder": "x", "schema": "cdm"}}))


def test_a_file_that_is_not_yaml_is_refused_with_its_line(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text("name: s\ntitle: [unclosed\n")
    with pytest.raises(StudyError, match=r"line \d+ is not YAML"):
        studies.load(file)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(StudyError, match="there is no such study file"):
        studies.load(tmp_path / "nowhere.yaml")


def test_the_hash_follows_what_can_change_a_number_and_nothing_else(tmp_path):
    base = studies.load(written(tmp_path)).fingerprint
    assert studies.load(written(tmp_path, output="elsewhere", memory_limit="1GB")).fingerprint == base
    assert studies.load(written(tmp_path, settings={"bridge_gap_days": 7})).fingerprint != base
    assert studies.load(written(tmp_path, long_term_definition="consort")).fingerprint != base
    assert studies.load(written(tmp_path, disclosure={"min_cell_count": 6})).fingerprint != base
    assert studies.load(written(tmp_path, parenteral_factor_set="anzca_2021")).fingerprint != base


def test_every_setting_has_a_unit_a_meaning_and_a_citation():
    assert len(described()) == len(Settings.model_fields)
    assert all(setting["unit"] and setting["meaning"] and setting["citation"] for setting in described())


def test_every_setting_is_used_by_the_sql_or_the_code():
    text = "".join(file.read_text() for file in studies.paths.SQL.rglob("*.sql"))
    code = "".join(file.read_text() for file in (studies.paths.ROOT / "pipelines").rglob("*.py"))
    unused = [name for name in Settings.model_fields if f"${name}" not in text and f"settings.{name}" not in code]
    assert unused == []
