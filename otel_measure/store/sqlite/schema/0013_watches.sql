-- Who looked after services, and time that was planned.

-- Since when a service has ever been watched: from then on it is observed while it is watched, and not else.
CREATE TABLE watched_service (service TEXT PRIMARY KEY, since INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- The time in which somebody watched a service, as unbroken runs [first, last]; `is_over` where the watch was given up.
CREATE TABLE watch_run (
    service TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    is_over INTEGER NOT NULL,
    PRIMARY KEY (service, first)
) STRICT, WITHOUT ROWID;

-- Planned time [start_us, end_us) in which a service is neither up nor down.
CREATE TABLE maintenance (
    id ANY PRIMARY KEY NOT NULL,
    ts INTEGER NOT NULL,
    origin INTEGER NOT NULL REFERENCES origin (id),
    service TEXT NOT NULL,
    start_us INTEGER NOT NULL,
    end_us INTEGER NOT NULL,
    reason TEXT,
    extra TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX maintenance_of_service ON maintenance (service, end_us);
