-- Whether a word of reference.opioid_name stands in a text as a whole word; of no text: false.
-- DuckDB searches each distinct text once, however many rows have it.
create or replace temp macro names_opioid(drug_text) as
exists (
    with said as (select whole_words(drug_text) as words)

    select 1
    from said
    inner join reference.opioid_name as opioid_name
        on contains(said.words, ' ' || opioid_name.word || ' ')
);
