-- What calls read from a cache, thought, saved, and cost by source; how long the first chunk of a stream took.

ALTER TABLE model_cell ADD COLUMN cached_input_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE model_cell ADD COLUMN cached_known INTEGER NOT NULL DEFAULT 0;
ALTER TABLE model_cell ADD COLUMN hit_input_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE model_cell ADD COLUMN hit_cached_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE model_cell ADD COLUMN reasoning_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE model_cell ADD COLUMN reasoning_known INTEGER NOT NULL DEFAULT 0;
ALTER TABLE model_cell ADD COLUMN cache_savings_nano_usd INTEGER NOT NULL DEFAULT 0;
ALTER TABLE model_cell ADD COLUMN cache_savings_known INTEGER NOT NULL DEFAULT 0;
ALTER TABLE model_cell ADD COLUMN sources_nano_usd TEXT NOT NULL DEFAULT '{}';
ALTER TABLE model_cell ADD COLUMN first_chunk BLOB;

ALTER TABLE received_cell ADD COLUMN cached_input_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE received_cell ADD COLUMN cached_known INTEGER NOT NULL DEFAULT 0;
ALTER TABLE received_cell ADD COLUMN hit_input_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE received_cell ADD COLUMN hit_cached_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE received_cell ADD COLUMN reasoning_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE received_cell ADD COLUMN reasoning_known INTEGER NOT NULL DEFAULT 0;
ALTER TABLE received_cell ADD COLUMN cache_savings_nano_usd INTEGER NOT NULL DEFAULT 0;
ALTER TABLE received_cell ADD COLUMN cache_savings_known INTEGER NOT NULL DEFAULT 0;
ALTER TABLE received_cell ADD COLUMN sources_nano_usd TEXT NOT NULL DEFAULT '{}';

-- No fact brings these cells back: where all of their cost is of one source, it is known which.
UPDATE received_cell SET sources_nano_usd = json_object((SELECT key FROM json_each(sources)), cost_nano_usd)
    WHERE (SELECT count(*) FROM json_each(sources)) = 1;
