-- What others send by OTLP: the state of their histograms, who they are, and which of their signals counts.

-- The buckets of an exponential histogram as it last was, [scale, zero count, offset, counts].
ALTER TABLE stream ADD COLUMN exponential TEXT;

-- Deltas that were added, so that one sent again is not: they are forgotten after an hour, and older ones refused.
CREATE TABLE delta (
    stream INTEGER NOT NULL,
    ts INTEGER NOT NULL,
    start INTEGER NOT NULL,
    PRIMARY KEY (stream, ts, start)
) STRICT, WITHOUT ROWID;
CREATE INDEX delta_ts ON delta (ts);

CREATE TABLE sender (
    service TEXT NOT NULL,
    environment TEXT NOT NULL,
    instance TEXT NOT NULL,
    attributes TEXT NOT NULL,
    ts INTEGER NOT NULL,
    PRIMARY KEY (service, environment, instance)
) STRICT, WITHOUT ROWID;

-- Which signal of a process counts calls of a model: 'facts', 'metrics' or 'spans'; whether its metrics say the cost.
CREATE TABLE source (
    source TEXT NOT NULL,
    model TEXT NOT NULL,
    via TEXT NOT NULL,
    costs INTEGER NOT NULL DEFAULT 0,
    ts INTEGER NOT NULL,
    PRIMARY KEY (source, model)
) STRICT, WITHOUT ROWID;

-- Calls that only spans tell of so far.
CREATE TABLE waiting (
    id TEXT NOT NULL PRIMARY KEY,
    source TEXT NOT NULL,
    model TEXT NOT NULL,
    due INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX waiting_of ON waiting (source, model);

-- Spans around calls that were taken: an enclosing call of a model is the same call.
CREATE TABLE enclosing (id TEXT NOT NULL PRIMARY KEY, ts INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- As model_cell, of calls that only metrics of others tell of; latencies are bins.
CREATE TABLE received_cell (
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
    latency TEXT NOT NULL,
    PRIMARY KEY (seconds, start, model, origin)
) STRICT, WITHOUT ROWID;
CREATE INDEX received_cell_of_model ON received_cell (model, seconds, start);
