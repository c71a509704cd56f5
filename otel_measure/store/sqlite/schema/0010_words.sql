-- A table says what is in it: the unbroken runs of heartbeats.
ALTER TABLE watched RENAME TO heartbeats;
