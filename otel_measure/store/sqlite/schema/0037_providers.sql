-- Cells tell providers apart, for one may serve a model beside another. Cells of facts are counted anew with the rules that
-- have changed since; of calls that only metrics told of before, nobody knows it any more.

ALTER TABLE model_cell RENAME TO model_cell_0036;
DROP INDEX model_cell_of_model;
CREATE TABLE model_cell (
    seconds INTEGER NOT NULL,
    start INTEGER NOT NULL,
    model INTEGER NOT NULL,
    origin INTEGER NOT NULL,
    provider TEXT NOT NULL,
    requests INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    input_known INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    output_known INTEGER NOT NULL,
    cost_nano_usd INTEGER NOT NULL,
    priced INTEGER NOT NULL,
    priced_tokens INTEGER NOT NULL,
    cached_input_tokens INTEGER NOT NULL,
    cached_known INTEGER NOT NULL,
    hit_input_tokens INTEGER NOT NULL,
    hit_cached_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    reasoning_known INTEGER NOT NULL,
    cache_savings_nano_usd INTEGER NOT NULL,
    cache_savings_known INTEGER NOT NULL,
    sources TEXT NOT NULL,
    sources_nano_usd TEXT NOT NULL,
    latency BLOB NOT NULL,
    first_chunk BLOB,
    PRIMARY KEY (seconds, start, model, origin, provider)
) STRICT, WITHOUT ROWID;
CREATE INDEX model_cell_of_model ON model_cell (model, seconds, start);
INSERT INTO model_cell
    SELECT
    seconds, start, model, origin, '', requests, errors, input_tokens, input_known, output_tokens, output_known,
    cost_nano_usd, priced, priced_tokens, cached_input_tokens, cached_known, hit_input_tokens, hit_cached_tokens,
    reasoning_tokens, reasoning_known, cache_savings_nano_usd, cache_savings_known, sources, sources_nano_usd,
    latency, first_chunk
    FROM model_cell_0036;
DROP TABLE model_cell_0036;

ALTER TABLE received_cell RENAME TO received_cell_0036;
DROP INDEX received_cell_of_model;
CREATE TABLE received_cell (
    seconds INTEGER NOT NULL,
    start INTEGER NOT NULL,
    model INTEGER NOT NULL,
    origin INTEGER NOT NULL,
    provider TEXT NOT NULL,
    requests INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    input_known INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    output_known INTEGER NOT NULL,
    cost_nano_usd INTEGER NOT NULL,
    priced INTEGER NOT NULL,
    priced_tokens INTEGER NOT NULL,
    cached_input_tokens INTEGER NOT NULL,
    cached_known INTEGER NOT NULL,
    hit_input_tokens INTEGER NOT NULL,
    hit_cached_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    reasoning_known INTEGER NOT NULL,
    cache_savings_nano_usd INTEGER NOT NULL,
    cache_savings_known INTEGER NOT NULL,
    sources TEXT NOT NULL,
    sources_nano_usd TEXT NOT NULL,
    latency TEXT NOT NULL,
    PRIMARY KEY (seconds, start, model, origin, provider)
) STRICT, WITHOUT ROWID;
CREATE INDEX received_cell_of_model ON received_cell (model, seconds, start);
INSERT INTO received_cell
    SELECT
    seconds, start, model, origin, '', requests, errors, input_tokens, input_known, output_tokens, output_known,
    cost_nano_usd, priced, priced_tokens, cached_input_tokens, cached_known, hit_input_tokens, hit_cached_tokens,
    reasoning_tokens, reasoning_known, cache_savings_nano_usd, cache_savings_known, sources, sources_nano_usd,
    latency
    FROM received_cell_0036;
DROP TABLE received_cell_0036;
