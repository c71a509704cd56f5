-- Erasures, and whether their bytes are gone: `users` are the digests (as in `tombstone`) of the ids that were erased, 16
-- bytes each; `in_pass` says that the pass over the pages of the file which is under way began after the erasure.
CREATE TABLE erasure (
    receipt INTEGER PRIMARY KEY,
    erased_at INTEGER NOT NULL,
    users BLOB NOT NULL,
    in_pass INTEGER NOT NULL DEFAULT 0,
    cleared_at INTEGER
) STRICT;

-- What an earlier version has erased may still be in the pages.
INSERT INTO erasure (erased_at, users) SELECT max(erased_at), x'' FROM tombstone HAVING count(*) > 0;
