-- A service is watched, and heartbeats are noted, within one environment.

-- One of before is of the environments that its states and its maintenance are from; where it has none, of the one that
-- answers are about.
CREATE TABLE in_environment (service TEXT NOT NULL, environment TEXT NOT NULL) STRICT;
INSERT INTO in_environment
    SELECT s.service, o.environment FROM service_state s JOIN origin o ON o.id = s.origin
    UNION SELECT m.service, o.environment FROM maintenance m JOIN origin o ON o.id = m.origin;
INSERT INTO in_environment
    SELECT name, coalesce(
        (SELECT e.name FROM environment e ORDER BY e.name <> 'production', e.name <> '', e.id LIMIT 1), '')
    FROM service WHERE name NOT IN (SELECT service FROM in_environment);

ALTER TABLE service RENAME TO service_0026;
CREATE TABLE service (
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    registered INTEGER NOT NULL,
    sla_target REAL NOT NULL,
    PRIMARY KEY (environment, name)
) STRICT, WITHOUT ROWID;
INSERT INTO service
    SELECT i.environment, s.name, s.registered, s.sla_target FROM service_0026 s JOIN in_environment i ON i.service = s.name;
DROP TABLE service_0026;

-- Any process of ours was there to see all of them.
ALTER TABLE heartbeats RENAME TO heartbeats_0026;
CREATE TABLE heartbeats (
    environment TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (environment, first)
) STRICT, WITHOUT ROWID;
INSERT INTO heartbeats SELECT e.environment, h.first, h.last
    FROM heartbeats_0026 h JOIN (SELECT DISTINCT environment FROM service) e;
DROP TABLE heartbeats_0026;

ALTER TABLE watched_service RENAME TO watched_service_0026;
CREATE TABLE watched_service (
    environment TEXT NOT NULL,
    service TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (environment, service)
) STRICT, WITHOUT ROWID;
INSERT INTO watched_service
    SELECT i.environment, w.service, w.since FROM watched_service_0026 w JOIN in_environment i ON i.service = w.service;
DROP TABLE watched_service_0026;

ALTER TABLE watch_run RENAME TO watch_run_0026;
CREATE TABLE watch_run (
    environment TEXT NOT NULL,
    service TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    is_over INTEGER NOT NULL,
    PRIMARY KEY (environment, service, first)
) STRICT, WITHOUT ROWID;
INSERT INTO watch_run
    SELECT i.environment, w.service, w.first, w.last, w.is_over
    FROM watch_run_0026 w JOIN in_environment i ON i.service = w.service;
DROP TABLE watch_run_0026;

DROP TABLE in_environment;
