-- When a sender last said that a series has ended: it is shown again once something newer comes.
ALTER TABLE stream ADD COLUMN ended INTEGER;
