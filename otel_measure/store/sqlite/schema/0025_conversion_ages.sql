-- Conversions of a test stand in the hour of their person's exposure, by how many hours later they came. Cells of before
-- have them in their own hour; they are counted anew with the rules that have changed since.
ALTER TABLE experiment_cell RENAME TO experiment_cell_0024;
CREATE TABLE experiment_cell (
    environment INTEGER NOT NULL,
    experiment TEXT NOT NULL,
    hour INTEGER NOT NULL,
    variant TEXT NOT NULL,
    within_hours INTEGER NOT NULL,
    users INTEGER NOT NULL,
    conversions INTEGER NOT NULL,
    PRIMARY KEY (environment, experiment, hour, variant, within_hours)
) STRICT, WITHOUT ROWID;
INSERT INTO experiment_cell
    SELECT environment, experiment, hour, variant, 0, users, conversions FROM experiment_cell_0024;
DROP TABLE experiment_cell_0024;
