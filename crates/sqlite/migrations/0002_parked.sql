-- Parked messages can be counted by the day of their event, and be put back.

ALTER TABLE parked ADD COLUMN at_s INTEGER;
ALTER TABLE parked ADD COLUMN requeue_ms INTEGER; -- null: nobody has asked to put it back
CREATE INDEX parked_queue ON parked (queue, seq);
