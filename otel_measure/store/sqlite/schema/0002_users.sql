-- Users: who is who, their sessions, their conversions and their answers. Everything but identity and tombstones is a
-- roll-up: a function of the facts. `uid` below is the person: `person.merged_into` of a merged user, else its own uid.

DROP TABLE day_cell;

-- `merged_into` is the person a user was identified as (one step: never a chain); the rest is the end of what is known:
-- `day_ts` the first activity on `last_day`, `hit_ts` the last conversion.
ALTER TABLE person ADD COLUMN day_ts INTEGER;
ALTER TABLE person ADD COLUMN hit_ts INTEGER;
ALTER TABLE person ADD COLUMN merged_into INTEGER;
CREATE INDEX person_merged ON person (merged_into) WHERE merged_into IS NOT NULL;
CREATE VIEW person_of AS SELECT uid, coalesce(merged_into, uid) AS person FROM person;

DROP TABLE person_day;
CREATE TABLE person_day (
    day INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    prev INTEGER,
    first_ts INTEGER NOT NULL,
    PRIMARY KEY (day, uid)
) STRICT, WITHOUT ROWID;

-- `client` is the client's session id as 16 bytes or text; '' for sessions made by the gap rule.
CREATE TABLE session (
    uid INTEGER NOT NULL,
    client ANY NOT NULL,
    started INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    events INTEGER NOT NULL,
    views INTEGER NOT NULL,
    keys INTEGER NOT NULL,
    PRIMARY KEY (uid, client, started)
) STRICT, WITHOUT ROWID;
-- Finds the sessions that are still open.
CREATE INDEX session_viewed ON session (ended) WHERE views > 0;

-- Sessions by the local day of their start; `background` events are tracked and belong to none.
CREATE TABLE session_cell (
    day INTEGER PRIMARY KEY,
    sessions INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    events INTEGER NOT NULL,
    viewed INTEGER NOT NULL,
    bounced INTEGER NOT NULL,
    background INTEGER NOT NULL
) STRICT;

-- Key events by person; `amount` and `nanos` add up to the value of the `valued` ones.
CREATE TABLE goal_hit (
    uid INTEGER NOT NULL,
    goal TEXT NOT NULL,
    ts INTEGER NOT NULL,
    currency TEXT NOT NULL,
    n INTEGER NOT NULL,
    valued INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    nanos INTEGER NOT NULL,
    PRIMARY KEY (uid, goal, ts, currency)
) STRICT, WITHOUT ROWID;

-- Sums over hit_day <= last day and day >= first day of a window are who converted in it and how long it took, and
-- what the conversions were; `goals.py` says why.
CREATE TABLE goal_cell (
    goal TEXT NOT NULL,
    hit_day INTEGER NOT NULL,
    day INTEGER NOT NULL,
    persons INTEGER NOT NULL,
    wait_us INTEGER NOT NULL,
    PRIMARY KEY (goal, hit_day, day)
) STRICT, WITHOUT ROWID;
CREATE TABLE goal_sum (
    goal TEXT NOT NULL,
    hit_day INTEGER NOT NULL,
    day INTEGER NOT NULL,
    currency TEXT NOT NULL,
    n INTEGER NOT NULL,
    valued INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    nanos INTEGER NOT NULL,
    PRIMARY KEY (goal, hit_day, day, currency)
) STRICT, WITHOUT ROWID;

-- The last answer of a person to a survey on each day, and persons by the days until their next one (-1: none).
CREATE TABLE nps_day (
    uid INTEGER NOT NULL,
    survey TEXT NOT NULL,
    day INTEGER NOT NULL,
    ts INTEGER NOT NULL,
    id TEXT NOT NULL,
    score INTEGER NOT NULL,
    PRIMARY KEY (uid, survey, day)
) STRICT, WITHOUT ROWID;
CREATE TABLE nps_cell (
    day INTEGER NOT NULL,
    survey TEXT NOT NULL,
    until INTEGER NOT NULL,
    score INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (day, survey, until, score)
) STRICT, WITHOUT ROWID;

-- Keyed hashes of erased user ids and of the ids of their facts, so that a replay is dropped.
CREATE TABLE tombstone (digest BLOB PRIMARY KEY, erased_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
