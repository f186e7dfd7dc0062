"""Long-term therapy by each definition that a study can name, from drawn periods and records."""

import duckdb
import pytest

from pipelines import contracts, trajectory, warehouse
from pipelines.study import Study
from tests.conftest import draw

# A run of 90 days, a pause that ends it, and a second run of 99 days.
PERIOD = """
patient_index | start_date | end_date   | dose_mme | is_lower_bound
-
1             | 2024-01-01 | 2024-03-30 | 30       | false
1             | 2024-06-01 | 2024-09-07 | 30       | false
"""
RECORD = """
patient_index | record_kind    | start_date | days_supply | is_in_timeline
-
1             | dispensing     | 2024-01-01 | 90          | true
1             | dispensing     | 2024-06-01 | 60          | true
1             | order          | 2024-08-31 | 59          | true
1             | administration | 2024-09-01 |             | true
1             | dispensing     | 2024-09-02 | 30          | false
1             | dispensing     | 2024-09-05 | 1           | true
"""


def built(definition: str) -> list[str | None]:
    connection = duckdb.connect()
    warehouse.build_reference(connection, contracts.all_contracts()["reference.long_term_definition"])
    draw(connection, "trajectory.dose_period", PERIOD)
    draw(connection, "trajectory.record_dose", RECORD)
    made = {"name": "s", "title": "S", "sources": {"simulated": {"folder": "/x"}}, "output": "/x"}
    study = Study.model_validate(made | {"long_term_definition": definition})
    found = trajectory.build_therapy_run(connection, study)["long_term_date"]
    return [day and str(day) for day in found]


@pytest.mark.parametrize(
    ("definition", "long_term_dates"),
    [
        ("covered_90_in_120", ["2024-03-30", "2024-08-29"]),
        ("cumulative_90_in_365", ["2024-03-30", "2024-06-01"]),
        # Administrations are no fills, records outside the timeline no supply: 60 + 59 + 1 days.
        ("consort", [None, "2024-09-05"]),
    ],
)
def test_a_study_names_when_therapy_is_long_term(definition, long_term_dates):
    assert built(definition) == long_term_dates


def test_a_study_that_names_none_asks_for_90_days_within_120():
    assert Study.model_fields["long_term_definition"].default == "covered_90_in_120"
