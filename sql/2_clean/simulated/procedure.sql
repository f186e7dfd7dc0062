-- Simulated operations.
--
-- Grain:  one row per delivered procedure
-- Key:    procedure_id
-- Units:  none
-- Scope:  patient
-- Source: the simulator's extract; operations in reference.surgery_code
-- Rows:   raw_simulated.procedure
with

known as (
    select
        *,
        upper(replace(code, '.', '')) as plain_code
    from raw_simulated.procedure
),

-- Physical therapy is a procedure here too, and scores near it are no surgery's.
operation as (
    select distinct
        known.code_system,
        known.plain_code
    from known
    semi join reference.surgery_code as surgery
        on
            known.code_system = surgery.code_system
            and regexp_full_match(known.plain_code, surgery.code_pattern)
),

procedure as (
    select
        known.procedure_date,
        known.code_system,
        known.plain_code as code,
        'procedure' as source_table,
        known.source_file,
        known.source_row,
        'simulated:' || known.procedure_id as procedure_id,
        'simulated:' || known.patient_id as patient_id,
        case when operation.plain_code is null then 'not_known_as_surgery' end as excluded_reason
    from known
    left join operation
        on known.code_system = operation.code_system and known.plain_code = operation.plain_code
)

from procedure
