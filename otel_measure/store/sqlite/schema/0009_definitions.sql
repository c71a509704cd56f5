-- The definitions by which a store is counted stand in `meta` ("definitions" as JSON, and their "digest"); what is
-- rolled up of a person stands beside who the person is.

-- Whether an event is activity is for definitions to say.
ALTER TABLE event DROP COLUMN active;

CREATE TABLE person_end (
    uid INTEGER PRIMARY KEY,
    first_day INTEGER,
    last_day INTEGER,
    day_ts INTEGER,
    hit_ts INTEGER
) STRICT;
INSERT INTO person_end SELECT uid, first_day, last_day, day_ts, hit_ts FROM person
    WHERE first_day IS NOT NULL OR hit_ts IS NOT NULL;

DROP VIEW person_of;
CREATE TABLE person_alone (uid INTEGER PRIMARY KEY, merged_into INTEGER) STRICT;
INSERT INTO person_alone SELECT uid, merged_into FROM person;
DROP TABLE person;
ALTER TABLE person_alone RENAME TO person;
CREATE INDEX person_merged ON person (merged_into) WHERE merged_into IS NOT NULL;
CREATE VIEW person_of AS SELECT uid, coalesce(merged_into, uid) AS person FROM person;
