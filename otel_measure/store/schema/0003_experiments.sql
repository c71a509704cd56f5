-- Experiments: their definitions, and roll-ups of exposures and conversions. `experiment` is the key of the test;
-- facts may come before their definition does.

CREATE TABLE experiment (
    key TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    variants TEXT NOT NULL,
    weights TEXT NOT NULL,
    coverage REAL NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- When a user first met each variant.
CREATE TABLE experiment_arm (
    experiment TEXT NOT NULL,
    uid INTEGER NOT NULL,
    variant TEXT NOT NULL,
    first_ts INTEGER NOT NULL,
    PRIMARY KEY (experiment, uid, variant)
) STRICT, WITHOUT ROWID;

-- All of a user's conversions: which of them counts is only known when no earlier exposure can come any more.
CREATE TABLE experiment_conversion (
    experiment TEXT NOT NULL,
    uid INTEGER NOT NULL,
    ts INTEGER NOT NULL,
    PRIMARY KEY (experiment, uid, ts)
) STRICT, WITHOUT ROWID;

-- What each hour since 1970 (UTC, so that no time zone changes an answer) adds to an arm. Users who are seen in a second
-- arm leave the first at that hour and are counted under the variant ''.
CREATE TABLE experiment_cell (
    experiment TEXT NOT NULL,
    hour INTEGER NOT NULL,
    variant TEXT NOT NULL,
    users INTEGER NOT NULL,
    conversions INTEGER NOT NULL,
    PRIMARY KEY (experiment, hour, variant)
) STRICT, WITHOUT ROWID;
