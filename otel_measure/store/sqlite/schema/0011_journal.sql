-- What is stored and not rolled up yet, in the order in which it came: facts (`kind` is their table), links of persons
-- ('merge') and erasures of them ('erasure'). Written by whoever may not roll up, worked off by whoever may.
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id ANY NOT NULL,
    payload TEXT
) STRICT;
CREATE INDEX journal_of ON journal (id, kind);

-- By which definitions that was counted which cannot be counted anew: from facts that are gone ('facts'), from metrics
-- of others ('metrics'). What lies before a time and not before the one of the row before was counted by these.
CREATE TABLE counted_by (
    source TEXT NOT NULL,
    before INTEGER NOT NULL,
    digest TEXT NOT NULL,
    definitions TEXT NOT NULL,
    PRIMARY KEY (source, before)
) STRICT, WITHOUT ROWID;
