-- Simulated procedures: operations, injections and physical therapy.
--
-- Grain:  one row per delivered procedure
-- Key:    procedure_id
-- Units:  none
-- Scope:  patient
-- Source: the simulator's extract
-- Rows:   raw_simulated.procedure
with

procedure as (
    select
        procedure_date,
        code_system,
        'procedure' as source_table,
        source_file,
        source_row,
        'simulated:' || procedure_id as procedure_id,
        'simulated:' || patient_id as patient_id,
        upper(replace(code, '.', '')) as code,
        null as excluded_reason
    from raw_simulated.procedure
)

from procedure
