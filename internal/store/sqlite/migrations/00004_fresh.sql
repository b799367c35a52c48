-- +goose Up

-- What the rows of an event's deliveries would hold for as long as they have none:
-- see fresh.go. It stays once they have one, and says nothing then.
ALTER TABLE event ADD COLUMN fresh BLOB;
