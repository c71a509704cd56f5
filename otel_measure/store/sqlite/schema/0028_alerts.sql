-- Alerts: who evaluates them and by which rules, those that are not inactive, open incidents, what happened, whom nobody
-- is told of, and what is to be told. Values are MessagePack.

CREATE TABLE alert_evaluator (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    holder TEXT NOT NULL,
    term INTEGER NOT NULL,
    until INTEGER NOT NULL,
    digest TEXT NOT NULL,
    evaluated INTEGER NOT NULL
) STRICT;

CREATE TABLE alert_state (
    rule TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    environment TEXT NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (rule, kind, name, environment)
) STRICT, WITHOUT ROWID;

CREATE TABLE alert_incident (id TEXT PRIMARY KEY, incident BLOB NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE alert_history (seq INTEGER PRIMARY KEY, ts INTEGER NOT NULL, change BLOB NOT NULL) STRICT;
CREATE INDEX alert_history_by_time ON alert_history (ts);

CREATE TABLE alert_silence (id TEXT PRIMARY KEY, ends INTEGER NOT NULL, silence BLOB NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE alert_outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    receiver TEXT NOT NULL,
    notification BLOB NOT NULL
) STRICT;
CREATE INDEX alert_outbox_of ON alert_outbox (receiver, seq);

-- A receiver that was sent to: how often in a row in vain since when, and how many notifications were given up.
CREATE TABLE alert_receiver (
    receiver TEXT PRIMARY KEY,
    failures INTEGER NOT NULL,
    failing_since INTEGER NOT NULL,
    due INTEGER NOT NULL,
    given_up INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
