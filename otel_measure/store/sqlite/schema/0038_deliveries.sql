-- Who is to be told of an alert, and when they took it; `taken` is unknown until then. Of the last 90 days.
CREATE TABLE alert_delivery (
    notification TEXT NOT NULL,
    receiver TEXT NOT NULL,
    at INTEGER NOT NULL,
    delivery BLOB NOT NULL,
    taken INTEGER,
    PRIMARY KEY (notification, receiver)
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_delivery_by_time ON alert_delivery (at);
