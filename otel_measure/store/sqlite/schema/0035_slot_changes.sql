-- In which five minutes cells of models changed last: what is kept in memory of all other times need not be read again.
-- A start of -1 stands for all of them.

CREATE TABLE slot_change (
    id INTEGER PRIMARY KEY,
    start INTEGER NOT NULL UNIQUE
) STRICT;
