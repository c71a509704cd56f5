-- How late calls of a model or service became known at most, of each day (counted from 1970, UTC) on which they were.
CREATE TABLE alert_lateness (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    environment TEXT NOT NULL,
    day INTEGER NOT NULL,
    late_us INTEGER NOT NULL,
    PRIMARY KEY (environment, kind, name, day)
) STRICT, WITHOUT ROWID;
