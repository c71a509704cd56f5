-- Who was identified as whom, so that a link can be taken back: `linked_to` is the user that an id was identified as
-- (`merged_into` stays the person that follows from all links), `is_user` is set once an id was identified as a user.
ALTER TABLE person ADD COLUMN linked_to INTEGER;
ALTER TABLE person ADD COLUMN is_user INTEGER;
UPDATE person SET is_user = 1 WHERE uid IN (SELECT merged_into FROM person);
