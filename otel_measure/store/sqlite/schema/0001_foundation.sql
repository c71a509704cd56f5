-- Facts, their roll-ups and running totals, and the streams. Times are microseconds since 1970 UTC;
-- days are local calendar days of the store's one time zone, as days since 1970-01-01.
-- Money is kept twice: as given (REAL, on the fact) and in whole nano-dollars (sums, exact in any order).

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE origin (
    id INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    environment TEXT NOT NULL,
    UNIQUE (service, environment)
) STRICT;

CREATE TABLE model (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    type TEXT NOT NULL DEFAULT 'other',
    metadata TEXT,
    targets TEXT,
    UNIQUE (name, version)
) STRICT;

-- ---------------------------------------------------------------- facts

-- A canonical UUID is a 16-byte blob, any other id its text.
CREATE TABLE inference (
    id ANY PRIMARY KEY NOT NULL,
    ts INTEGER NOT NULL,
    model INTEGER NOT NULL REFERENCES model (id),
    origin INTEGER NOT NULL REFERENCES origin (id),
    latency_ms REAL NOT NULL,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cost_usd REAL,
    cost_source TEXT,
    error_type TEXT,
    provider TEXT,
    operation TEXT,
    response_model TEXT,
    user_id TEXT,
    session_id TEXT,
    prediction TEXT,
    extra TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    id ANY PRIMARY KEY NOT NULL,
    ts INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    origin INTEGER NOT NULL REFERENCES origin (id),
    active INTEGER NOT NULL,
    page_url TEXT,
    session_id TEXT,
    device_type TEXT,
    extra TEXT
) STRICT, WITHOUT ROWID;

-- ---------------------------------------------------------------- users

CREATE TABLE alias (distinct_id TEXT PRIMARY KEY, uid INTEGER NOT NULL UNIQUE) STRICT, WITHOUT ROWID;

CREATE TABLE person (uid INTEGER PRIMARY KEY, first_day INTEGER, last_day INTEGER) STRICT;

-- The active days of a person are a list linked by `prev`, walked from person.last_day.
CREATE TABLE person_day (
    day INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    prev INTEGER,
    PRIMARY KEY (day, uid)
) STRICT, WITHOUT ROWID;

-- Persons active on `day` by the days since their active day before (-1: their first): exact distinct
-- counts over any trailing window are sums over a few thousand of these.
CREATE TABLE gap_cell (
    day INTEGER NOT NULL,
    gap INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (day, gap)
) STRICT, WITHOUT ROWID;

CREATE TABLE cohort_cell (
    cohort INTEGER NOT NULL,
    day_offset INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (cohort, day_offset)
) STRICT, WITHOUT ROWID;

CREATE TABLE day_cell (
    day INTEGER PRIMARY KEY,
    events INTEGER NOT NULL,
    views INTEGER NOT NULL
) STRICT;

-- ---------------------------------------------------------------- models

-- One row per model, origin and interval of `seconds` (60 and 3600); latency is a packed exponential histogram.
CREATE TABLE model_cell (
    seconds INTEGER NOT NULL,
    start INTEGER NOT NULL,
    model INTEGER NOT NULL,
    origin INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    input_known INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    output_known INTEGER NOT NULL,
    cost_nano_usd INTEGER NOT NULL,
    priced INTEGER NOT NULL,
    priced_tokens INTEGER NOT NULL,
    sources TEXT NOT NULL,
    latency BLOB NOT NULL,
    PRIMARY KEY (seconds, start, model, origin)
) STRICT, WITHOUT ROWID;
CREATE INDEX model_cell_of_model ON model_cell (model, seconds, start);

-- ---------------------------------------------------------------- totals (exposition)

-- `labels` is escaped already; `rank` is the order of first appearance within the instrument.
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    labels TEXT NOT NULL,
    rank INTEGER NOT NULL,
    UNIQUE (name, labels),
    UNIQUE (name, rank)
) STRICT;

CREATE TABLE total (
    series INTEGER PRIMARY KEY,
    value INTEGER NOT NULL,
    count INTEGER NOT NULL,
    buckets BLOB
) STRICT;

-- What facts that retention has removed contributed; `rebuild` starts from here.
CREATE TABLE total_base (
    series INTEGER PRIMARY KEY,
    value INTEGER NOT NULL,
    count INTEGER NOT NULL,
    buckets BLOB
) STRICT;

-- ---------------------------------------------------------------- streams (numbers without a fact)

CREATE TABLE stream (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    labels TEXT NOT NULL,
    instance TEXT NOT NULL,
    start INTEGER NOT NULL,
    kind TEXT NOT NULL,
    unit TEXT NOT NULL,
    description TEXT NOT NULL,
    scope TEXT NOT NULL,
    ts INTEGER NOT NULL,
    value REAL NOT NULL,
    count INTEGER NOT NULL,
    bounds TEXT,
    buckets BLOB,
    UNIQUE (name, labels, instance, start)
) STRICT;

CREATE TABLE history (
    stream INTEGER NOT NULL,
    minute INTEGER NOT NULL,
    value REAL NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (stream, minute)
) STRICT, WITHOUT ROWID;
CREATE INDEX history_minute ON history (minute);

-- Which process writes for a host.
CREATE TABLE lease (key TEXT PRIMARY KEY, holder TEXT NOT NULL, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- ---------------------------------------------------------------- facts of the smaller kinds

CREATE TABLE ground_truth (
    id ANY PRIMARY KEY NOT NULL,
    ts INTEGER NOT NULL,
    origin INTEGER NOT NULL REFERENCES origin (id),
    inference_id ANY NOT NULL,
    value TEXT NOT NULL,
    extra TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE nps_response (
    id ANY PRIMARY KEY NOT NULL,
    ts INTEGER NOT NULL,
    origin INTEGER NOT NULL REFERENCES origin (id),
    uid INTEGER NOT NULL,
    survey TEXT NOT NULL,
    score INTEGER NOT NULL,
    comment TEXT NOT NULL,
    extra TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE exposure (
    id ANY PRIMARY KEY NOT NULL,
    ts INTEGER NOT NULL,
    origin INTEGER NOT NULL REFERENCES origin (id),
    uid INTEGER NOT NULL,
    experiment TEXT NOT NULL,
    variant TEXT NOT NULL,
    reason TEXT NOT NULL,
    extra TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE service_state (
    id ANY PRIMARY KEY NOT NULL,
    ts INTEGER NOT NULL,
    origin INTEGER NOT NULL REFERENCES origin (id),
    service TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    extra TEXT
) STRICT, WITHOUT ROWID;
