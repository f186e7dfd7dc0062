"""The diagnosis codes of each condition, at the edges where lists go wrong."""

import duckdb
import pytest

from pipelines import contracts, warehouse
from tests import mimic_iv_demo

TITLES = mimic_iv_demo.EXTRACT / "hosp" / "d_icd_diagnoses.csv.gz"


@pytest.fixture(scope="module")
def connection():
    connection = duckdb.connect()
    warehouse.build_reference(connection, contracts.all_contracts()["reference.code_list"])
    return connection


@pytest.fixture(scope="module")
def concepts_of(connection):
    """The concepts a code belongs to."""

    def concepts_of(code_system: str, code: str) -> set[str]:
        rows = connection.execute(
            "select concept from reference.code_list where code_system = ? and starts_with(?, code_prefix)",
            [code_system, code],
        ).fetchall()
        return {concept for (concept,) in rows}

    return concepts_of


@pytest.mark.parametrize(
    ("code_system", "code", "concept"),
    [
        ("ICD10CM", "C000", "active_cancer"),
        ("ICD10CM", "C3490", "active_cancer"),
        ("ICD10CM", "C419", "active_cancer"),
        ("ICD10CM", "C439", "active_cancer"),
        ("ICD10CM", "C4400", None),  # other skin cancer
        ("ICD10CM", "C449", None),
        ("ICD10CM", "C450", "active_cancer"),
        ("ICD10CM", "C4A9", "active_cancer"),
        ("ICD10CM", "C50911", "active_cancer"),
        ("ICD10CM", "C7B8", "active_cancer"),
        ("ICD10CM", "C969", "active_cancer"),
        ("ICD10CM", "D0510", None),  # in situ
        ("ICD10CM", "D220", None),  # benign
        ("ICD10CM", "Z853", None),  # history of
        ("ICD9CM", "1400", "active_cancer"),
        ("ICD9CM", "1659", "active_cancer"),
        ("ICD9CM", "1729", "active_cancer"),
        ("ICD9CM", "17300", None),  # other skin cancer
        ("ICD9CM", "1749", "active_cancer"),
        ("ICD9CM", "185", "active_cancer"),
        ("ICD9CM", "20890", "active_cancer"),
        ("ICD9CM", "20936", "active_cancer"),
        ("ICD9CM", "20940", None),  # benign carcinoid
        ("ICD9CM", "20979", "active_cancer"),
        ("ICD9CM", "2330", None),  # in situ
        ("ICD9CM", "V103", None),  # history of
        ("ICD10CM", "Z515", "palliative_care"),
        ("ICD10CM", "Z516", None),
        ("ICD9CM", "V667", "palliative_care"),
        ("ICD10CM", "V667XXA", None),  # a heavy transport vehicle in a collision
        ("ICD10CM", "D5700", "sickle_cell_disease"),
        ("ICD10CM", "D57219", "sickle_cell_disease"),
        ("ICD10CM", "D573", None),  # trait
        ("ICD10CM", "D5740", "sickle_cell_disease"),
        ("ICD10CM", "D5780", "sickle_cell_disease"),
        ("ICD10CM", "D580", None),
        ("ICD9CM", "2825", None),  # trait
        ("ICD9CM", "28240", None),  # thalassemia
        ("ICD9CM", "28242", "sickle_cell_disease"),
        ("ICD9CM", "28243", None),
        ("ICD9CM", "28260", "sickle_cell_disease"),
        ("ICD9CM", "28269", "sickle_cell_disease"),
        ("ICD9CM", "2827", None),
        ("ICD10CM", "O0900", "pregnancy"),
        ("ICD10CM", "O9A212", "pregnancy"),
        ("ICD10CM", "Z331", "pregnancy"),
        ("ICD10CM", "Z3A20", "pregnancy"),
        ("ICD10CM", "Z3800", None),  # the newborn
        ("ICD10CM", "Z3009", None),  # contraception
        ("ICD9CM", "6299", None),
        ("ICD9CM", "630", "pregnancy"),
        ("ICD9CM", "67914", "pregnancy"),
        ("ICD9CM", "6800", None),
        ("ICD9CM", "V220", "pregnancy"),
        ("ICD9CM", "V3000", None),  # the newborn
    ],
)
def test_a_code_belongs_to_its_condition_only(concepts_of, code_system, code, concept):
    assert concepts_of(code_system, code) == ({concept} if concept else set())


@mimic_iv_demo.needed
def test_the_titles_of_the_codes_agree_with_the_lists(connection):
    titles = connection.execute(
        """
        select list.concept, code.long_title
        from read_csv(?, all_varchar = true) as code
        left join reference.code_list as list
            on list.code_system = 'ICD' || code.icd_version || 'CM' and starts_with(code.icd_code, list.code_prefix)
        """,
        [str(TITLES)],
    ).fetchall()
    cancer, palliative, sickle_cell = (
        {title for concept, title in titles if concept == name}
        for name in ("active_cancer", "palliative_care", "sickle_cell_disease")
    )
    assert len(cancer) > 1_000
    assert not [title for title in cancer if "in situ" in title or title.startswith(("Benign", "Personal history"))]
    assert palliative == {"Encounter for palliative care"}
    assert all("ickle" in title or "Hb-SS" in title for title in sickle_cell)
    missed = [title for concept, title in titles if concept is None and "ickle-cell" in title and "trait" not in title]
    assert missed == ["Sickle-cell disorders"]  # the heading of the category, trait included
