-- Who sends telemetry of calls of models: a process, told apart from all others. `changed`: what its metrics tell beyond
-- its single calls is to be counted anew.
CREATE TABLE process (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL UNIQUE,
    changed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX process_changed ON process (id) WHERE changed = 1;

-- Spans, facts and events of the last two hours that tell of calls, and the spans between them (no record). `call` is the
-- id of the call that they tell of, `response` the id of its answer.
CREATE TABLE telling (
    id TEXT PRIMARY KEY,
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
    call TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX telling_of_trace ON telling (trace);
CREATE INDEX telling_of_response ON telling (response, ts) WHERE response IS NOT NULL;
CREATE INDEX telling_untold ON telling (id) WHERE record IS NOT NULL AND call IS NULL;
CREATE INDEX telling_by_time ON telling (ts);

-- The calls told one by one of the last hours, as the metrics of each process that tells of them know them. `counts`: the
-- numbers of the call are this process's.
CREATE TABLE single (
    call TEXT NOT NULL,
    process INTEGER NOT NULL,
    ts INTEGER NOT NULL,
    asked TEXT NOT NULL,
    answered TEXT NOT NULL,
    failed INTEGER NOT NULL,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cost_nano_usd INTEGER,
    counts INTEGER NOT NULL,
    PRIMARY KEY (call, process)
) STRICT, WITHOUT ROWID;
CREATE INDEX single_of_process ON single (process, ts);

-- What the metrics of a process have grown by in the last hours: by series and minute, over (after, until]. `placed` is
-- what of it stands in the cells of models.
CREATE TABLE growth (
    id INTEGER PRIMARY KEY,
    process INTEGER NOT NULL,
    series TEXT NOT NULL,
    minute INTEGER NOT NULL,
    role TEXT NOT NULL,
    scope TEXT NOT NULL,
    asked TEXT NOT NULL,
    answered TEXT NOT NULL,
    after INTEGER NOT NULL,
    until INTEGER NOT NULL,
    increment BLOB NOT NULL,
    placed BLOB,
    UNIQUE (process, series, minute)
) STRICT;

-- By how much a counter of a process shows too much: what is counted next is taken off first.
CREATE TABLE overshown (
    process INTEGER NOT NULL,
    instrument TEXT NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (process, instrument)
) STRICT, WITHOUT ROWID;

-- What single calls of a process add to its counters, shown later: beside metrics when it is known what these add; what the
-- process's own metrics may show by themselves (`due` above 0) when none have come by then.
CREATE TABLE unshown (
    id INTEGER PRIMARY KEY,
    process INTEGER NOT NULL,
    due INTEGER NOT NULL,
    name TEXT NOT NULL,
    attributes TEXT NOT NULL,
    origin INTEGER NOT NULL,
    value INTEGER NOT NULL,
    count INTEGER NOT NULL,
    buckets BLOB
) STRICT;
CREATE INDEX unshown_of_process ON unshown (process, due);
CREATE INDEX unshown_by_time ON unshown (due);

-- Of each process and model one signal counted, and calls that only spans told of waited for metrics: these are told now.
INSERT INTO process (source) SELECT DISTINCT source FROM waiting;
INSERT INTO telling SELECT w.id, x'', x'', NULL, 'fact', w.due, w.due, p.id, '', '', NULL, w.record, NULL
    FROM waiting w JOIN process p ON p.source = w.source;
DROP TABLE waiting;
DROP TABLE enclosing;
DROP TABLE source;
