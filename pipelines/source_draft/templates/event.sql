-- {{ title }} of {{ source }}.
--
-- Grain:  one row per delivered row
-- Key:    {{ clean }}_id
-- Units:  {{ units }}
-- Scope:  patient
-- Source: the extract{{ cited }}
-- Rows:   {{ rows }}
with

{{ clean }} as (
{% for part in parts %}
    select
{{ part.columns }}
        '{{ part.table }}' as source_table,
        delivered.source_file,
        delivered.source_row,
{% if part.question %}
{{ part.question }}
{% endif %}
        {{ part.excluded_reason }} as excluded_reason
    from raw_{{ source }}.{{ part.table }} as delivered
{% if not loop.last %}
    union all by name
{% endif %}
{% endfor %}
)

from {{ clean }}
