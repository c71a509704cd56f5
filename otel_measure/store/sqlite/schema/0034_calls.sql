-- The slowest and the dearest calls of a window without reading all there are; a minute of a model, which is counted
-- anew when a call is corrected, is found by it as well.
CREATE INDEX inference_of_model ON inference (model, ts, origin, latency_ms, cost_usd);
