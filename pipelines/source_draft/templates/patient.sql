-- Patients of {{ source }}.
--
-- Grain:  one row per delivered row of {{ tables | join(", ") }}
-- Key:    patient_id
-- Units:  birth_year in calendar years
-- Scope:  patient
-- Source: the extract
-- Rows:   {{ rows }}
with

{% if draft %}
patient as (
    select
{{ columns }}
        '{{ draft.table.name }}' as source_table,
        delivered.source_file,
        delivered.source_row,
        null as excluded_reason
    from raw_{{ source }}.{{ draft.table.name }} as delivered
)
{% else %}
-- No table of patients was delivered, so a patient is whoever has a row; the first one stands for
-- all. When the observation began and ended is not known.
delivered as (
{% for draft in drafts %}
    select
        {{ draft.columns.patient_id.name }}::varchar as delivered_id,
        '{{ draft.table.name }}' as source_table,
        source_file,
        source_row
    from raw_{{ source }}.{{ draft.table.name }}
{% if not loop.last %}
    union all
{% endif %}
{% endfor %}
),

numbered as (
    select
        *,
        row_number() over (
            partition by delivered_id order by source_table, source_file, source_row
        ) as row_of_patient
    from delivered
),

patient as (
    select
        'unknown' as sex,
        source_table,
        source_file,
        source_row,
        '{{ source }}:' || delivered_id as patient_id,
        case when row_of_patient > 1 then 'patient_listed_before' end as excluded_reason
    from numbered
)
{% endif %}

from patient
