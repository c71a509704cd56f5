-- Of which model a cell changed last: what is kept in memory of all others need not be read again.

CREATE TABLE model_change (
    id INTEGER PRIMARY KEY,
    model INTEGER NOT NULL UNIQUE
) STRICT;
