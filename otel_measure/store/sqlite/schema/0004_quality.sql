-- What models are judged by: predictions, their truths, and the reference that drift is measured from.

-- The records that drift looks at, in the order (ts, id): those with a prediction or features.
CREATE INDEX inference_judged ON inference (model, ts)
    WHERE prediction IS NOT NULL OR json_type(extra, '$.features') IS NOT NULL;
CREATE INDEX ground_truth_of_inference ON ground_truth (inference_id);

-- Per model, origin and interval of `seconds` (60 and 3600) of the prediction's time.
CREATE TABLE quality_cell (
    seconds INTEGER NOT NULL,
    start INTEGER NOT NULL,
    model INTEGER NOT NULL,
    origin INTEGER NOT NULL,
    predictions INTEGER NOT NULL,
    judged INTEGER NOT NULL,
    PRIMARY KEY (model, seconds, start, origin)
) STRICT, WITHOUT ROWID;

-- How often this was predicted where that was true.
CREATE TABLE confusion_cell (
    seconds INTEGER NOT NULL,
    start INTEGER NOT NULL,
    model INTEGER NOT NULL,
    origin INTEGER NOT NULL,
    prediction TEXT NOT NULL,
    truth TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (model, seconds, start, origin, prediction, truth)
) STRICT, WITHOUT ROWID;

-- Sums over pairs of numbers, as JSON: whole numbers of any size on a fixed grid, so that they add exactly.
CREATE TABLE regression_cell (
    seconds INTEGER NOT NULL,
    start INTEGER NOT NULL,
    model INTEGER NOT NULL,
    origin INTEGER NOT NULL,
    n INTEGER NOT NULL,
    sums TEXT NOT NULL,
    PRIMARY KEY (model, seconds, start, origin)
) STRICT, WITHOUT ROWID;

-- (last_ts, last_id) is the last record of a reference that nobody set: windows begin after it.
CREATE TABLE drift_reference (
    model INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    first_ts INTEGER,
    last_ts INTEGER,
    last_id ANY,
    cells TEXT NOT NULL
) STRICT;
