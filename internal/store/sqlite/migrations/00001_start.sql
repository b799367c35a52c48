-- +goose Up

-- Names that the configuration bounds (sources, routes, nodes), as numbers.
CREATE TABLE name (
  id   INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE
);

-- A queue is what waits for one destination in one lane (system, shard).
CREATE TABLE queue (
  id          INTEGER PRIMARY KEY,
  destination TEXT NOT NULL,
  system      TEXT NOT NULL,
  shard       INTEGER NOT NULL,
  UNIQUE (destination, system, shard)
);

-- Times are microseconds since 1970, everywhere.
CREATE TABLE event (
  seq       INTEGER PRIMARY KEY, -- given by the writer, never again
  uid       BLOB NOT NULL,
  source    INTEGER NOT NULL,
  received  INTEGER NOT NULL,
  occurred  INTEGER,
  flags     INTEGER NOT NULL,    -- 1 derived, 2 keyless
  routing   INTEGER NOT NULL,
  revision  INTEGER NOT NULL,
  depth     INTEGER NOT NULL,
  cause     BLOB,
  type      TEXT,
  entity    TEXT,
  version   TEXT,
  source_id TEXT,
  plan      BLOB,                -- decisions, packed
  request   BLOB,                -- method, url, remote, proof, headers, packed
  body      BLOB
);
CREATE UNIQUE INDEX event_uid ON event (uid);
CREATE INDEX event_entity ON event (entity) WHERE entity IS NOT NULL;
CREATE INDEX event_unrouted ON event (routing) WHERE routing <> 0;

CREATE TABLE dedupe (
  key     BLOB PRIMARY KEY,      -- source, and source event id or half a SHA-256 of a long one
  event   INTEGER NOT NULL,
  body    BLOB NOT NULL,         -- half a SHA-256 of the body
  expires INTEGER NOT NULL
) WITHOUT ROWID;

-- How often an event was repeated. Events never repeated have no row.
CREATE TABLE repeat (
  event      INTEGER PRIMARY KEY,
  duplicates INTEGER NOT NULL,
  conflicts  INTEGER NOT NULL
);

-- A delivery's id is its event's seq << 15 | its number.
CREATE TABLE unfinished (
  id       INTEGER PRIMARY KEY,
  queue    INTEGER NOT NULL,
  state    INTEGER NOT NULL,
  due      INTEGER NOT NULL,
  route    INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  flags    INTEGER NOT NULL,     -- 1 pinned, 2 made by a replay
  attempts INTEGER NOT NULL,
  round    INTEGER NOT NULL,
  since    INTEGER,              -- NULL: when the event was received
  created  INTEGER,              -- NULL: when the event was received
  reason   TEXT,
  entity   TEXT,
  rank     BLOB
);
CREATE INDEX unfinished_ready ON unfinished (queue, due) WHERE state = 0;
CREATE INDEX unfinished_other ON unfinished (queue, state) WHERE state <> 0;

CREATE TABLE finished (
  id       INTEGER PRIMARY KEY,
  queue    INTEGER NOT NULL,
  state    INTEGER NOT NULL,
  finished INTEGER NOT NULL,
  route    INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  flags    INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  round    INTEGER NOT NULL,
  since    INTEGER,
  created  INTEGER,
  reason   TEXT,
  entity   TEXT,
  rank     BLOB,
  last     BLOB                  -- the attempt that ended it, packed
);
CREATE INDEX finished_dead ON finished (queue) WHERE state = 4;    -- to count them
CREATE INDEX finished_letters ON finished (state) WHERE state = 4; -- to list them, by id

-- Attempts that did not end their delivery; those that did are in finished.
CREATE TABLE attempt (
  delivery INTEGER NOT NULL,
  n        INTEGER NOT NULL,
  data     BLOB NOT NULL,        -- packed
  PRIMARY KEY (delivery, n)
) WITHOUT ROWID;

-- Arrivals that made no event of their own.
CREATE TABLE arrival (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  source    TEXT NOT NULL,
  at        INTEGER NOT NULL,
  verdict   INTEGER NOT NULL,
  event     INTEGER,
  status    INTEGER NOT NULL,
  reason    TEXT,
  detail    TEXT,
  source_id TEXT,
  proof     TEXT,
  remote    TEXT,
  method    TEXT,
  url       TEXT,
  body_size INTEGER NOT NULL,
  headers   BLOB,                -- packed
  body      BLOB
);
CREATE INDEX arrival_event ON arrival (event) WHERE event IS NOT NULL;
CREATE INDEX arrival_kind ON arrival (source, verdict) WHERE event IS NULL;

CREATE TABLE lane (
  system TEXT NOT NULL,
  shard  INTEGER NOT NULL,
  node   TEXT NOT NULL,          -- '' if nobody holds it
  token  INTEGER NOT NULL,
  until  INTEGER NOT NULL,
  PRIMARY KEY (system, shard)
) WITHOUT ROWID;

CREATE TABLE gate (
  destination TEXT PRIMARY KEY,
  gate        INTEGER NOT NULL,
  reason      TEXT,
  by          TEXT,
  at          INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE action (
  id     INTEGER PRIMARY KEY AUTOINCREMENT,
  at     INTEGER NOT NULL,
  by     TEXT,
  what   TEXT,
  target TEXT NOT NULL,
  detail TEXT                    -- JSON
);
CREATE INDEX action_target ON action (target);

CREATE TABLE revision (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  at     INTEGER NOT NULL,
  by     TEXT,
  text   BLOB
);

CREATE TABLE token (
  name    TEXT PRIMARY KEY,
  hash    BLOB NOT NULL UNIQUE,
  scopes  TEXT NOT NULL,         -- JSON
  created INTEGER NOT NULL,
  expires INTEGER
) WITHOUT ROWID;

-- What the store remembers about itself.
CREATE TABLE memo (
  key   TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) WITHOUT ROWID;
