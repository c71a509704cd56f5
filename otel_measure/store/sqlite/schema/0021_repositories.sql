-- For which repository a coding agent worked; what calls of users and for repositories cost is read by time.
ALTER TABLE inference ADD COLUMN repository TEXT;
CREATE INDEX inference_paid_for ON inference (ts) WHERE user_id IS NOT NULL OR repository IS NOT NULL;
