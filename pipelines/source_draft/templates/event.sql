-- {{ title }} of {{ source }}.
--
-- Grain:  one row per delivered row
-- Key:    {{ clean }}_id
-- Units:  {{ units }}
-- Scope:  patient
-- Source: the extract{{ cited }}
-- Rows:   {{ rows }}
with

{% if searches_drugs %}
-- Each text is searched once, with everything that is no letter made a blank, so that a name
-- stands there only as whole words.
drug_words as (
    select distinct
        drug_text,
        ' ' || regexp_replace(lower(drug_text), '[^a-z]+', ' ', 'g') || ' ' as words
    from (
{% for draft in drafts %}
        select delivered.{{ draft.columns.drug_text.name }} as drug_text
        from raw_{{ source }}.{{ draft.table.name }} as delivered
{% if not loop.last %}
        union
{% endif %}
{% endfor %}
    ) as distinct_text
),

opioid as (
    select drug_words.drug_text
    from drug_words
    semi join reference.opioid_name as opioid_name
        on contains(drug_words.words, ' ' || opioid_name.word || ' ')
),

{% if clean == "adjuvant" %}
adjuvant_text as (
    select drug_words.drug_text
    from drug_words
    semi join reference.adjuvant_name as adjuvant_name
        on contains(drug_words.words, ' ' || adjuvant_name.word || ' ')
),

{% endif %}
{% endif %}
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
{% if searches_drugs %}
    left join opioid on delivered.{{ part.drug_text }} = opioid.drug_text
{% if clean == "adjuvant" %}
    left join adjuvant_text on delivered.{{ part.drug_text }} = adjuvant_text.drug_text
{% endif %}
{% endif %}
{% if not loop.last %}
    union all by name
{% endif %}
{% endfor %}
)

from {{ clean }}
