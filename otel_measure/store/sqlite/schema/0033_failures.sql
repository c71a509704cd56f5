-- The calls of a model that failed, by time: what most of the last ones were is told with an alert.
CREATE INDEX inference_failed ON inference (model, ts, origin, error_type) WHERE error_type IS NOT NULL;
