-- The id of the resource that a reference of FHIR R4 names: relative, absolute, by its version or
-- as urn:uuid. Of one that names none by its id (a search, a part of its resource) it is empty.
create or replace temp macro fhir_id(fhir_reference) as
regexp_extract(
    fhir_reference, '^(?:[^?#]*?/|urn:uuid:)?([A-Za-z0-9.-]+)(?:/_history/.*)?$', 1
);
