-- The ids of traces come in no order. With rows by a number of their own, and their ids in an index, a batch of them
-- changes a third of the pages.
CREATE TABLE telling_by_number (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    trace BLOB NOT NULL,
    span BLOB NOT NULL,
    parent BLOB,
    kind TEXT NOT NULL,
    began INTEGER NOT NULL,
    ts INTEGER NOT NULL,
    process INTEGER NOT NULL,
    scope TEXT NOT NULL,
    operation TEXT NOT NULL,
    response TEXT,
    record TEXT,
    call TEXT,
    step TEXT
) STRICT;
INSERT INTO telling_by_number
    (id, trace, span, parent, kind, began, ts, process, scope, operation, response, record, call, step)
    SELECT id, trace, span, parent, kind, began, ts, process, scope, operation, response, record, call, step
    FROM telling ORDER BY ts, id;
DROP TABLE telling;
ALTER TABLE telling_by_number RENAME TO telling;
CREATE INDEX telling_of_trace ON telling (trace);
CREATE INDEX telling_of_response ON telling (response, ts) WHERE response IS NOT NULL;
CREATE INDEX telling_untold ON telling (id) WHERE record IS NOT NULL AND call IS NULL;
CREATE INDEX telling_by_time ON telling (ts);
CREATE INDEX telling_of_step ON telling (trace) WHERE step IS NOT NULL;
