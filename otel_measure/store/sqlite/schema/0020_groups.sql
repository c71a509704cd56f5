-- What was predicted about groups, by attribute and label of the inference: who is treated how.

CREATE TABLE group_cell (
    seconds INTEGER NOT NULL,
    start INTEGER NOT NULL,
    model INTEGER NOT NULL,
    origin INTEGER NOT NULL,
    attribute TEXT NOT NULL,
    label TEXT NOT NULL,
    prediction TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (model, seconds, start, origin, attribute, label, prediction)
) STRICT, WITHOUT ROWID;

-- The same of predictions whose truth is known.
CREATE TABLE group_confusion_cell (
    seconds INTEGER NOT NULL,
    start INTEGER NOT NULL,
    model INTEGER NOT NULL,
    origin INTEGER NOT NULL,
    attribute TEXT NOT NULL,
    label TEXT NOT NULL,
    prediction TEXT NOT NULL,
    truth TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (model, seconds, start, origin, attribute, label, prediction, truth)
) STRICT, WITHOUT ROWID;
