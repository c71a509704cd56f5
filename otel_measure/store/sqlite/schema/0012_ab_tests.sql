-- Conversions of tests as facts of their own, and tests that were stopped.

CREATE TABLE ab_conversion (
    id ANY PRIMARY KEY NOT NULL,
    ts INTEGER NOT NULL,
    origin INTEGER NOT NULL REFERENCES origin (id),
    uid INTEGER NOT NULL,
    experiment TEXT NOT NULL,
    extra TEXT
) STRICT, WITHOUT ROWID;

-- Of tests that were stopped: from when on nothing is counted any more (microseconds), and what everybody gets since.
CREATE TABLE experiment_stop (
    experiment TEXT PRIMARY KEY,
    stopped INTEGER NOT NULL,
    served TEXT NOT NULL
) STRICT, WITHOUT ROWID;
