-- Services whose availability is kept, and when anybody was there to see.

CREATE TABLE service (
    name TEXT PRIMARY KEY,
    registered INTEGER NOT NULL,
    sla_target REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX service_state_of_service ON service_state (service, ts, state);

-- Heartbeats of our processes, joined where none is missing: [first, last] of each unbroken run.
CREATE TABLE watched (first INTEGER PRIMARY KEY, last INTEGER NOT NULL) STRICT;
