-- +goose Up

-- What the rows of an event's deliveries would hold for as long as they have none:
-- see fresh.go. It stays once they have one, and says nothing then.
ALTER TABLE event ADD COLUMN fresh BLOB;

-- No delivery so far is without its row: nobody need look for one.
INSERT INTO memo (key, value) SELECT 'fresh', max(seq) FROM event WHERE true HAVING max(seq) IS NOT NULL
  ON CONFLICT DO NOTHING;
