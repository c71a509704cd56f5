-- Facts that are to leave by OTLP, as they were accepted: a row for each transaction and kind, with the ids (MessagePack).
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    n INTEGER NOT NULL,
    ids BLOB NOT NULL
) STRICT;
