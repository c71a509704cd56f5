-- What is rolled up of persons, per environment: a person is one in all of them, and the counts of each are apart.

-- Environments in the order in which they were first seen.
CREATE TABLE environment (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
INSERT INTO environment (name) SELECT environment FROM origin GROUP BY environment ORDER BY min(id);
CREATE VIEW environment_of AS
    SELECT o.id AS origin, e.id AS environment FROM origin o JOIN environment e ON e.name = o.environment;

-- What was added up over all environments is held to be of the one that answers are about, until it is counted anew;
-- what facts that are gone have left behind stays there.
CREATE TABLE undivided (environment INTEGER NOT NULL) STRICT;
INSERT INTO undivided SELECT id FROM environment ORDER BY name <> 'production', name <> '', id LIMIT 1;

ALTER TABLE person_end RENAME TO person_end_0016;
CREATE TABLE person_end (
    environment INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    first_day INTEGER,
    last_day INTEGER,
    day_ts INTEGER,
    hit_ts INTEGER,
    PRIMARY KEY (uid, environment)
) STRICT, WITHOUT ROWID;
INSERT INTO person_end SELECT * FROM undivided JOIN person_end_0016;
DROP TABLE person_end_0016;

ALTER TABLE person_day RENAME TO person_day_0016;
CREATE TABLE person_day (
    environment INTEGER NOT NULL,
    day INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    prev INTEGER,
    first_ts INTEGER NOT NULL,
    PRIMARY KEY (environment, day, uid)
) STRICT, WITHOUT ROWID;
INSERT INTO person_day SELECT * FROM undivided JOIN person_day_0016;
DROP TABLE person_day_0016;

DROP INDEX session_viewed;
ALTER TABLE session RENAME TO session_0016;
CREATE TABLE session (
    environment INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    client ANY NOT NULL,
    started INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    events INTEGER NOT NULL,
    views INTEGER NOT NULL,
    keys INTEGER NOT NULL,
    PRIMARY KEY (uid, environment, client, started)
) STRICT, WITHOUT ROWID;
INSERT INTO session SELECT * FROM undivided JOIN session_0016;
DROP TABLE session_0016;
CREATE INDEX session_viewed ON session (environment, ended) WHERE views > 0;

ALTER TABLE goal_hit RENAME TO goal_hit_0016;
CREATE TABLE goal_hit (
    environment INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    goal TEXT NOT NULL,
    ts INTEGER NOT NULL,
    currency TEXT NOT NULL,
    n INTEGER NOT NULL,
    valued INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    nanos INTEGER NOT NULL,
    PRIMARY KEY (uid, environment, goal, ts, currency)
) STRICT, WITHOUT ROWID;
INSERT INTO goal_hit SELECT * FROM undivided JOIN goal_hit_0016;
DROP TABLE goal_hit_0016;

ALTER TABLE nps_day RENAME TO nps_day_0016;
CREATE TABLE nps_day (
    environment INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    survey TEXT NOT NULL,
    day INTEGER NOT NULL,
    ts INTEGER NOT NULL,
    id TEXT NOT NULL,
    score INTEGER NOT NULL,
    PRIMARY KEY (uid, environment, survey, day)
) STRICT, WITHOUT ROWID;
INSERT INTO nps_day SELECT * FROM undivided JOIN nps_day_0016;
DROP TABLE nps_day_0016;

ALTER TABLE gap_cell RENAME TO gap_cell_0016;
CREATE TABLE gap_cell (
    environment INTEGER NOT NULL,
    day INTEGER NOT NULL,
    gap INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (environment, day, gap)
) STRICT, WITHOUT ROWID;
INSERT INTO gap_cell SELECT * FROM undivided JOIN gap_cell_0016;
DROP TABLE gap_cell_0016;

ALTER TABLE cohort_cell RENAME TO cohort_cell_0016;
CREATE TABLE cohort_cell (
    environment INTEGER NOT NULL,
    cohort INTEGER NOT NULL,
    day_offset INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (environment, cohort, day_offset)
) STRICT, WITHOUT ROWID;
INSERT INTO cohort_cell SELECT * FROM undivided JOIN cohort_cell_0016;
DROP TABLE cohort_cell_0016;

ALTER TABLE session_cell RENAME TO session_cell_0016;
CREATE TABLE session_cell (
    environment INTEGER NOT NULL,
    day INTEGER NOT NULL,
    sessions INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    events INTEGER NOT NULL,
    viewed INTEGER NOT NULL,
    bounced INTEGER NOT NULL,
    background INTEGER NOT NULL,
    PRIMARY KEY (environment, day)
) STRICT, WITHOUT ROWID;
INSERT INTO session_cell SELECT * FROM undivided JOIN session_cell_0016;
DROP TABLE session_cell_0016;

ALTER TABLE goal_cell RENAME TO goal_cell_0016;
CREATE TABLE goal_cell (
    environment INTEGER NOT NULL,
    goal TEXT NOT NULL,
    hit_day INTEGER NOT NULL,
    day INTEGER NOT NULL,
    persons INTEGER NOT NULL,
    wait_us INTEGER NOT NULL,
    PRIMARY KEY (environment, goal, hit_day, day)
) STRICT, WITHOUT ROWID;
INSERT INTO goal_cell SELECT * FROM undivided JOIN goal_cell_0016;
DROP TABLE goal_cell_0016;

ALTER TABLE goal_sum RENAME TO goal_sum_0016;
CREATE TABLE goal_sum (
    environment INTEGER NOT NULL,
    goal TEXT NOT NULL,
    hit_day INTEGER NOT NULL,
    day INTEGER NOT NULL,
    currency TEXT NOT NULL,
    n INTEGER NOT NULL,
    valued INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    nanos INTEGER NOT NULL,
    PRIMARY KEY (environment, goal, hit_day, day, currency)
) STRICT, WITHOUT ROWID;
INSERT INTO goal_sum SELECT * FROM undivided JOIN goal_sum_0016;
DROP TABLE goal_sum_0016;

ALTER TABLE nps_cell RENAME TO nps_cell_0016;
CREATE TABLE nps_cell (
    environment INTEGER NOT NULL,
    day INTEGER NOT NULL,
    survey TEXT NOT NULL,
    until INTEGER NOT NULL,
    score INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (environment, day, survey, until, score)
) STRICT, WITHOUT ROWID;
INSERT INTO nps_cell SELECT * FROM undivided JOIN nps_cell_0016;
DROP TABLE nps_cell_0016;

ALTER TABLE experiment_arm RENAME TO experiment_arm_0016;
CREATE TABLE experiment_arm (
    environment INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    experiment TEXT NOT NULL,
    variant TEXT NOT NULL,
    first_ts INTEGER NOT NULL,
    PRIMARY KEY (uid, environment, experiment, variant)
) STRICT, WITHOUT ROWID;
INSERT INTO experiment_arm SELECT * FROM undivided JOIN experiment_arm_0016;
DROP TABLE experiment_arm_0016;

ALTER TABLE experiment_conversion RENAME TO experiment_conversion_0016;
CREATE TABLE experiment_conversion (
    environment INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    experiment TEXT NOT NULL,
    ts INTEGER NOT NULL,
    PRIMARY KEY (uid, environment, experiment, ts)
) STRICT, WITHOUT ROWID;
INSERT INTO experiment_conversion SELECT * FROM undivided JOIN experiment_conversion_0016;
DROP TABLE experiment_conversion_0016;

ALTER TABLE experiment_cell RENAME TO experiment_cell_0016;
CREATE TABLE experiment_cell (
    environment INTEGER NOT NULL,
    experiment TEXT NOT NULL,
    hour INTEGER NOT NULL,
    variant TEXT NOT NULL,
    users INTEGER NOT NULL,
    conversions INTEGER NOT NULL,
    PRIMARY KEY (environment, experiment, hour, variant)
) STRICT, WITHOUT ROWID;
INSERT INTO experiment_cell SELECT * FROM undivided JOIN experiment_cell_0016;
DROP TABLE experiment_cell_0016;

DROP TABLE undivided;
