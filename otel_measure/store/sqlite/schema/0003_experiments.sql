-- Experiments: their definitions, and roll-ups of exposures and conversions. `experiment` is the key of the test;
-- facts may come before their definition does; `uid` is the person (`person.merged_into` of a merged user).

CREATE TABLE experiment (
    key TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    variants TEXT NOT NULL,
    weights TEXT NOT NULL,
    coverage REAL NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- When a person first met each variant.
CREATE TABLE experiment_arm (
    uid INTEGER NOT NULL,
    experiment TEXT NOT NULL,
    variant TEXT NOT NULL,
    first_ts INTEGER NOT NULL,
    PRIMARY KEY (uid, experiment, variant)
) STRICT, WITHOUT ROWID;

-- All of a person's conversions: which of them counts is only known when no earlier exposure can come any more.
CREATE TABLE experiment_conversion (
    uid INTEGER NOT NULL,
    experiment TEXT NOT NULL,
    ts INTEGER NOT NULL,
    PRIMARY KEY (uid, experiment, ts)
) STRICT, WITHOUT ROWID;

-- What each hour since 1970 (UTC, so that no time zone changes an answer) adds to an arm. Persons who are seen in a
-- second arm leave the first at that hour and are counted under the variant ''.
CREATE TABLE experiment_cell (
    experiment TEXT NOT NULL,
    hour INTEGER NOT NULL,
    variant TEXT NOT NULL,
    users INTEGER NOT NULL,
    conversions INTEGER NOT NULL,
    PRIMARY KEY (experiment, hour, variant)
) STRICT, WITHOUT ROWID;
