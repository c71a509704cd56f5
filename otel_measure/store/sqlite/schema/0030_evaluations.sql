-- When somebody evaluated alerts, joined where no turn is missing: [first, last] of each unbroken run.
CREATE TABLE alert_watch (first INTEGER PRIMARY KEY, last INTEGER NOT NULL) STRICT;
