-- A model's drift is measured per environment. What somebody set was for all of them; what was found among the records
-- of all stays with the environment that answers are about, and is found again there as long as its records are kept.
ALTER TABLE drift_reference RENAME TO drift_reference_0025;
CREATE TABLE drift_reference (
    model INTEGER NOT NULL,
    environment TEXT NOT NULL,
    source TEXT NOT NULL,
    first_ts INTEGER,
    last_ts INTEGER,
    last_id ANY,
    cells TEXT NOT NULL,
    PRIMARY KEY (model, environment)
) STRICT, WITHOUT ROWID;
INSERT INTO drift_reference
    SELECT r.model, coalesce(e.name, ''), r.source, r.first_ts, r.last_ts, r.last_id, r.cells
    FROM drift_reference_0025 r LEFT JOIN environment e ON r.source <> 'first_records'
        OR e.id = (SELECT id FROM environment ORDER BY name <> 'production', name <> '', id LIMIT 1);
DROP TABLE drift_reference_0025;
