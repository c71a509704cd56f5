-- What the machine of the store was like, by 10 seconds, minute and hour; one process writes for all.

CREATE TABLE machine_cell (
    seconds INTEGER NOT NULL,
    start INTEGER NOT NULL,
    readings BLOB NOT NULL,
    PRIMARY KEY (seconds, start)
) STRICT, WITHOUT ROWID;
