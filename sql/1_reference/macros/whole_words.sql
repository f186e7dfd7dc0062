-- A text in small letters, all that is no letter a blank, with a blank before and after: ' word '
-- stands in it only where the word does, never as a part of another. A part of a word would make
-- an opioid of ipratropium and of tiotropium.
create or replace temp macro whole_words(drug_text) as
' ' || regexp_replace(lower(drug_text), '[^a-z]+', ' ', 'g') || ' ';
