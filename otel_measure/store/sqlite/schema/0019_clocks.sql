-- By how many microseconds a conversion may be told to lie before the exposure that it counts for: another clock tells.
ALTER TABLE experiment_conversion ADD COLUMN tolerance_us INTEGER NOT NULL DEFAULT 0;
