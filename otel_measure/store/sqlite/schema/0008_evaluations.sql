-- Scores that others give answers of models (gen_ai.evaluation.result); the model is NULL where nobody says which.
CREATE TABLE evaluation (
    id ANY PRIMARY KEY NOT NULL,
    ts INTEGER NOT NULL,
    origin INTEGER NOT NULL REFERENCES origin (id),
    model INTEGER REFERENCES model (id),
    name TEXT NOT NULL,
    score REAL,
    label TEXT,
    extra TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX evaluation_ts ON evaluation (ts);
