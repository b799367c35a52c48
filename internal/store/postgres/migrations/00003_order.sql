-- +goose Up

-- The hot table gets columns and indexes: see 00002 for why it waits like that.
-- +goose StatementBegin
DO $$
BEGIN
  FOR i IN 1..120 LOOP
    BEGIN
      SET LOCAL lock_timeout = '100ms';
      LOCK TABLE delivery IN ACCESS EXCLUSIVE MODE;
      SET LOCAL lock_timeout = 0;
      RETURN;
    EXCEPTION WHEN lock_not_available THEN
      PERFORM pg_sleep(0.5);
    END;
  END LOOP;
  RAISE lock_not_available USING MESSAGE = 'the tables are in use, by a backup or a long transaction: try again later';
END
$$;
-- +goose StatementEnd

-- The position that a delivery belongs to, and the patterns that it comes after, a
-- line each; NULL: it is ordered by nothing. Further flags are those of package
-- pack, from 32 on. Of one that is held, due is when that ends by itself; in the
-- year 9999: never.
ALTER TABLE delivery ADD COLUMN line bigint, ADD COLUMN awaits text;

-- Those that wait for their turn, in the order in which it comes; those of them of
-- which only the newest matters; those that wait for others to be delivered; and
-- those whose wait ends by itself.
CREATE INDEX delivery_turn ON delivery (line, rank, id) WHERE state = 1 AND reason IN ('earlier', 'settle');
CREATE INDEX delivery_rival ON delivery (line, rank) WHERE state = 1 AND reason IN ('earlier', 'settle') AND flags & 64::int2 <> 0;
CREATE INDEX delivery_awaits ON delivery (line) WHERE state = 1 AND reason = 'prerequisite';
CREATE INDEX delivery_timer ON delivery (queue, due, id) WHERE state = 1 AND reason IN ('earlier', 'settle', 'prerequisite', 'late')
  AND due < '9999-01-01 00:00:00+00';

-- What a destination has seen of an entity, and whose turn it is there. Nothing that
-- changes each time is indexed, so that a new version of a row stays on its page.
CREATE TABLE position (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  destination integer NOT NULL,             -- its name
  entity      text COLLATE "C" NOT NULL,
  queue       integer NOT NULL,             -- of the last that came
  head        bigint NOT NULL DEFAULT 0,    -- the delivery whose turn it is; 0: nobody's
  waiting     integer NOT NULL DEFAULT 0,   -- that are held in the line
  wake        timestamptz,                  -- a dead one holds it up until then, perhaps for ever
  at          timestamptz NOT NULL,
  data        bytea,                        -- the rest, packed; NULL: nothing joined yet
  UNIQUE (entity, destination)
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX position_wake ON position (queue, wake) WHERE wake IS NOT NULL;

-- Which record an entity is in a system.
CREATE TABLE link (
  id     bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  entity text COLLATE "C" NOT NULL,
  system text COLLATE "C" NOT NULL,
  record text NOT NULL,
  name   text NOT NULL,                     -- the entity's
  at     timestamptz NOT NULL,
  by     text,
  PRIMARY KEY (entity, system)
);
CREATE UNIQUE INDEX link_record ON link (record, system, name);

-- Entities that are another one's by now. target is none of them.
CREATE TABLE alias (
  entity text COLLATE "C" PRIMARY KEY,
  target text COLLATE "C" NOT NULL
);
CREATE INDEX alias_target ON alias (target);

-- Events that wait for a link.
CREATE TABLE unresolved (
  event  uuid PRIMARY KEY,
  name   text NOT NULL,
  system text NOT NULL,
  record text NOT NULL,
  until  timestamptz NOT NULL
);
CREATE INDEX unresolved_until ON unresolved (until);
