-- Whether a word of reference.adjuvant_name stands in a text as a whole word; of no text: false.
-- DuckDB searches each distinct text once, however many rows have it.
create or replace temp macro names_adjuvant(drug_text) as
exists (
    with said as (select whole_words(drug_text) as words)

    select 1
    from said
    inner join reference.adjuvant_name as adjuvant_name
        on contains(said.words, ' ' || adjuvant_name.word || ' ')
);
