-- +goose Up

-- Where a delivery that goes to its destination's fallback was first; NULL: it
-- was never moved. flags: 1 pinned, 2 made by a replay, 4 and 8 the step, 16
-- diverted.
ALTER TABLE unfinished ADD COLUMN origin INTEGER;
ALTER TABLE finished ADD COLUMN origin INTEGER;

-- Responses to calls, whole.
CREATE TABLE answer (
  delivery INTEGER PRIMARY KEY,
  at       INTEGER NOT NULL,
  status   INTEGER NOT NULL,
  flags    INTEGER NOT NULL,     -- 1 the fallback of the configuration
  headers  BLOB,                 -- packed
  body     BLOB
);

-- What is known of outside systems.
CREATE TABLE system (
  name    TEXT PRIMARY KEY,
  breaker INTEGER NOT NULL,
  since   INTEGER,
  until   INTEGER,
  node    TEXT,
  opens   INTEGER NOT NULL,
  why     TEXT,
  hold    INTEGER,
  version INTEGER NOT NULL
) WITHOUT ROWID;

-- How much of what a system may be asked is used up.
CREATE TABLE rate (
  system TEXT PRIMARY KEY,
  level  INTEGER NOT NULL,       -- millionths of a request
  at     INTEGER NOT NULL
) WITHOUT ROWID;

-- Secrets, encrypted.
CREATE TABLE sealed (
  name    TEXT PRIMARY KEY,
  key     TEXT NOT NULL,         -- that sealed it
  data    BLOB,
  at      INTEGER NOT NULL,
  version INTEGER NOT NULL
) WITHOUT ROWID;

-- Who may renew one.
CREATE TABLE hold (
  name  TEXT PRIMARY KEY,
  node  TEXT NOT NULL,
  until INTEGER NOT NULL
) WITHOUT ROWID;
