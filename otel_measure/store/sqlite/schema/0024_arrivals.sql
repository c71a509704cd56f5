-- What came by OTLP in the last hours, by who sent it and what became of it; `slot` is of five minutes.
CREATE TABLE arrival (
    slot INTEGER NOT NULL,
    service TEXT NOT NULL,
    environment TEXT NOT NULL,
    language TEXT NOT NULL,
    scope TEXT NOT NULL,
    signal TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    items INTEGER NOT NULL,
    PRIMARY KEY (slot, service, environment, language, scope, signal, outcome, reason)
) STRICT, WITHOUT ROWID;
