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


EXCLUDING = {"active_cancer", "palliative_care", "sickle_cell_disease", "pregnancy"}


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
def test_a_code_excludes_for_its_own_condition_only(concepts_of, code_system, code, concept):
    assert concepts_of(code_system, code) & EXCLUDING == ({concept} if concept else set())


@pytest.mark.parametrize(
    ("code_system", "code", "concepts"),
    [
        # Opioids
        ("ICD10CM", "F1110", "opioid_use_disorder"),
        ("ICD10CM", "F1123", "opioid_use_disorder opioid_withdrawal"),
        ("ICD10CM", "F1113", "opioid_use_disorder opioid_withdrawal"),
        ("ICD10CM", "F1193", "opioid_withdrawal"),  # use without a stated disorder
        ("ICD10CM", "F1190", ""),
        ("ICD10CM", "F1020", ""),  # alcohol
        ("ICD9CM", "30401", "opioid_use_disorder"),
        ("ICD9CM", "30411", ""),  # sedatives
        ("ICD9CM", "2920", ""),  # withdrawal of any drug
        ("ICD10CM", "T402X5A", "opioid_adverse_effect"),
        ("ICD10CM", "T402X1A", ""),  # poisoning
        ("ICD10CM", "T402X6A", ""),  # underdosing
        ("ICD10CM", "T40415A", "opioid_adverse_effect"),
        ("ICD9CM", "E9352", "opioid_adverse_effect"),
        ("ICD9CM", "9352", ""),  # a foreign body
        ("CPT4", "62362", "intrathecal_pump"),
        ("CPT4", "62365", ""),  # taken out
        ("HCPCS", "Q5006", "palliative_care"),
        ("HCPCS", "Q5001", ""),  # home health care, too
        # Acute causes
        ("ICD10CM", "S82201A", "injury"),
        ("ICD10CM", "M8008XA", "injury"),  # a fracture of weak bone
        ("ICD10CM", "M810", ""),  # weak bone alone
        ("ICD10CM", "T360X5A", ""),  # a drug
        ("ICD9CM", "82009", "injury"),
        ("ICD9CM", "9055", ""),  # late effect
        ("ICD9CM", "0820", ""),  # an infection, whose code begins as an injury's does not
        ("ICD9CM", "73310", "injury"),
        ("ICD10CM", "L03115", "infection"),
        ("ICD10CM", "J189", "infection"),
        ("ICD10CM", "J449", ""),
        ("ICD10CM", "M109", "inflammatory_flare"),
        ("ICD10CM", "M1A0710", ""),  # chronic gout
        ("ICD10CM", "K50011", "inflammatory_flare"),
        ("ICD10CM", "K5000", ""),  # without complications
        ("ICD10CM", "M0579", "rheumatoid_arthritis"),  # a routine visit as likely as a flare
        ("CPT4", "20610", "injection"),
        ("CPT4", "62323", "injection"),
        ("CPT4", "64493", "injection"),
        ("CPT4", "20615", ""),
        ("CPT4", "97110", "physical_therapy"),
        ("ICD9PCS", "9311", "physical_therapy"),
        ("CPT4", "43775", "bariatric_surgery"),
        ("CPT4", "43774", ""),  # a band taken out
        ("ICD10CM", "Z9884", "bariatric_surgery_status"),
        # Where it hurts
        ("ICD10CM", "M542", "region_neck"),
        ("ICD10CM", "M546", "region_thoracic_back"),
        ("ICD10CM", "M545", "region_low_back low_back_pain"),
        ("ICD10CM", "M5450", "region_low_back low_back_pain"),  # since October 2021
        ("ICD10CM", "M549", ""),  # back, unspecified
        ("ICD10CM", "M25511", "region_upper_limb"),
        ("ICD10CM", "M25561", "region_lower_limb"),
        ("ICD10CM", "M2550", ""),  # joint, unspecified
        ("ICD10CM", "M79601", "region_upper_limb"),
        ("ICD10CM", "M79605", "region_lower_limb"),
        ("ICD10CM", "M79609", ""),  # limb, unspecified
        ("ICD10CM", "R519", "region_head"),
        ("ICD10CM", "R079", "region_chest"),
        ("ICD10CM", "R070", ""),  # throat
        ("ICD10CM", "R1030", "region_abdomen_pelvis"),
        ("ICD10CM", "R52", ""),  # pain, unspecified
        ("ICD10CM", "M797", "region_widespread overlapping_pain_condition fibromyalgia"),
        ("ICD9CM", "7242", "region_low_back low_back_pain"),
        ("ICD9CM", "71946", "region_lower_limb"),
        ("ICD9CM", "7244", ""),  # thoracic or lumbosacral
        # Conditions
        ("ICD10CM", "G43709", "region_head migraine overlapping_pain_condition"),
        ("ICD10CM", "G43009", "region_head migraine"),
        ("ICD10CM", "G4440", "region_head medication_overuse_headache"),
        ("ICD10CM", "M1711", "region_lower_limb osteoarthritis"),
        ("ICD10CM", "E1142", "neuropathy"),
        ("ICD10CM", "E1140", "neuropathy"),
        ("ICD10CM", "E1143", ""),  # autonomic
        ("ICD10CM", "G894", "chronic_pain"),
        ("ICD10CM", "G893", ""),  # of a tumour
        ("ICD10CM", "F329", "depression"),
        ("ICD10CM", "F3130", ""),  # bipolar
        ("ICD10CM", "F4310", "ptsd"),
        ("ICD10CM", "F430", ""),  # acute stress
        ("ICD10CM", "G4700", "insomnia"),
        ("ICD10CM", "G4733", "sleep_apnoea"),
        ("ICD10CM", "R203", "skin_hypersensitivity"),
        ("ICD10CM", "R202", ""),  # paraesthesia
        ("ICD10CM", "K5903", "narcotic_bowel_proxy"),
    ],
)
def test_a_code_belongs_to_its_concepts_only(concepts_of, code_system, code, concepts):
    assert concepts_of(code_system, code) == set(concepts.split())


def test_every_concept_has_codes_and_a_meaning(connection):
    warehouse.build_reference(connection, contracts.all_contracts()["reference.clinical_concept"])
    [[differences]] = connection.execute(
        """
        select count(*)
        from (select distinct concept from reference.code_list) as listed
        full join reference.clinical_concept as described on listed.concept = described.concept
        where listed.concept is null or described.concept is null
        """
    ).fetchall()
    assert differences == 0


def test_no_prefix_is_within_a_shorter_one_of_its_concept(connection):
    within = connection.execute(
        """
        select longer.concept, longer.code_prefix
        from reference.code_list as longer
        inner join reference.code_list as shorter
            on
                longer.concept = shorter.concept
                and longer.code_system = shorter.code_system
                and longer.code_prefix <> shorter.code_prefix
                and starts_with(longer.code_prefix, shorter.code_prefix)
        """
    ).fetchall()
    assert within == []


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


@mimic_iv_demo.needed
def test_every_code_of_icd_stands_under_the_title_that_its_citation_gives(connection):
    """Codes from the dictionary of the extract; those of later editions than it has are named here."""
    [(unknown,)] = connection.execute(
        """
        with code as (
            select 'ICD' || icd_version || 'CM' as code_system, icd_code
            from read_csv(?, all_varchar = true)
            union all
            select 'ICD' || icd_version || 'PCS', icd_code
            from read_csv(?, all_varchar = true)
        )
        select list(list.code_prefix order by list.code_prefix)
        from reference.code_list as list
        where
            list.code_system like 'ICD%'
            and not exists (
                select 1
                from code
                where code.code_system = list.code_system and starts_with(code.icd_code, list.code_prefix)
            )
        """,
        [str(TITLES), str(TITLES).replace("diagnoses", "procedures")],
    ).fetchall()
    assert unknown == ["F1113", "T40415", "T40425", "T40495"]
    retitled = connection.execute(
        """
        select list.code_prefix
        from read_csv(?, all_varchar = true) as code
        inner join reference.code_list as list
            on list.code_system = 'ICD' || code.icd_version || 'CM' and code.icd_code = list.code_prefix
        where not contains(list.citation, code.long_title)
            and list.concept not in ('active_cancer', 'palliative_care', 'sickle_cell_disease', 'pregnancy')
        """,
        [str(TITLES)],
    ).fetchall()
    assert retitled == []
