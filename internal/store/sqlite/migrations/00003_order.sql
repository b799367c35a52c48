-- +goose Up

-- What a destination has seen of an entity, and whose turn it is there.
CREATE TABLE position (
  id          INTEGER PRIMARY KEY,
  destination INTEGER NOT NULL,  -- its name's number
  entity      TEXT NOT NULL,
  queue       INTEGER NOT NULL,  -- of the line, as last seen
  head        INTEGER NOT NULL,  -- 0: nobody's turn
  block       INTEGER,           -- the dead one that holds the line up
  waiting     INTEGER NOT NULL,
  wake        INTEGER,           -- when the line goes on without it
  at          INTEGER NOT NULL,
  data        BLOB NOT NULL      -- packed
);
CREATE UNIQUE INDEX position_entity ON position (entity, destination);
CREATE INDEX position_wake ON position (queue, wake) WHERE wake IS NOT NULL;

-- The position in whose line a delivery is, or beside which it is held; NULL for
-- what has no order, unless it is held for a prerequisite. awaits: those, one a
-- line. flags: from 32 on how it stands to the others of its line. due, of what is
-- held: when that ends, or never.
ALTER TABLE unfinished ADD COLUMN line INTEGER;
ALTER TABLE unfinished ADD COLUMN awaits TEXT;
CREATE INDEX unfinished_line ON unfinished (line, rank) WHERE state = 1 AND reason IN ('earlier', 'settle');
CREATE INDEX unfinished_aside ON unfinished (line) WHERE state = 1 AND line IS NOT NULL AND reason NOT IN ('earlier', 'settle');
CREATE INDEX unfinished_timer ON unfinished (queue, due)
  WHERE state = 1 AND reason IN ('earlier', 'settle', 'prerequisite', 'late') AND due < 253370764800000000;

-- Which record an entity is in a system.
CREATE TABLE link (
  id     INTEGER PRIMARY KEY,
  entity TEXT NOT NULL,
  system TEXT NOT NULL,
  record TEXT NOT NULL,
  name   TEXT NOT NULL,          -- of the entity
  at     INTEGER NOT NULL,
  by     TEXT
);
CREATE UNIQUE INDEX link_entity ON link (entity, system);
CREATE UNIQUE INDEX link_record ON link (name, system, record);

-- Entities that were merged into another, which is never one of these.
CREATE TABLE alias (
  entity TEXT PRIMARY KEY,
  target TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX alias_target ON alias (target);

-- Events that wait to learn whose their record is.
CREATE TABLE unresolved (
  event  INTEGER PRIMARY KEY,
  name   TEXT NOT NULL,
  system TEXT NOT NULL,
  record TEXT NOT NULL,
  until  INTEGER NOT NULL,
  due    INTEGER NOT NULL        -- until, or 0 once the link is there
);
CREATE INDEX unresolved_record ON unresolved (name, system, record);
CREATE INDEX unresolved_due ON unresolved (due);
