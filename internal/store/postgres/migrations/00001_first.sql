-- +goose Up

-- What the store remembers about itself.
CREATE TABLE memo (
  key   text PRIMARY KEY,
  value bigint NOT NULL
);

-- Names that the configuration bounds (sources, routes), as numbers.
CREATE TABLE name (
  id   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  text text NOT NULL UNIQUE
);

-- A lane is a shard of a system: what one node at a time owns. Until is by the
-- database's clock; node is '' if nobody holds it.
CREATE TABLE lane (
  id     integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  system text NOT NULL,
  shard  integer NOT NULL,
  node   text NOT NULL DEFAULT '',
  token  bigint NOT NULL DEFAULT 0,
  until  timestamptz NOT NULL DEFAULT '-infinity',
  UNIQUE (system, shard)
) WITH (fillfactor = 50);

CREATE TABLE node (
  name     text PRIMARY KEY,
  revision bigint NOT NULL, -- of the configuration that it runs
  until    timestamptz NOT NULL
) WITH (fillfactor = 50);

-- A queue is what waits for one destination in one lane.
CREATE TABLE queue (
  id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  destination text NOT NULL,
  lane        integer NOT NULL REFERENCES lane,
  UNIQUE (lane, destination)
);

-- The accept sequence. Never cached: an event accepted before another's
-- acceptance began has the lower number, on whichever node. It is drawn from in
-- the transaction that writes the event: a follower sees by the lock that this
-- leaves on the sequence whether an event with a lower number may still come.
CREATE SEQUENCE event_seq AS bigint CACHE 1;

-- part is the day of the event's id, as days since 1970. What outlives its day's
-- retention moves to part 0, and the day's table is dropped as a whole.
CREATE TABLE event (
  part      integer NOT NULL,
  seq       bigint NOT NULL,
  id        uuid NOT NULL,
  source    integer NOT NULL,
  received  timestamptz NOT NULL,
  occurred  timestamptz,
  flags     smallint NOT NULL,    -- 1 derived, 2 keyless, 4 body compressed
  routing   smallint NOT NULL,
  revision  bigint NOT NULL,
  depth     smallint NOT NULL,
  cause     uuid,
  type      text,
  entity    text,
  version   text,
  source_id bytea,                -- as it came: text takes neither NUL nor broken UTF-8
  plan      bytea,                -- decisions, packed
  request   bytea,                -- method, url, remote, proof, headers, packed
  body      bytea
) PARTITION BY LIST (part);
-- Large bodies come compressed already.
ALTER TABLE event ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX event_entity ON event (entity, seq) WHERE entity IS NOT NULL;
CREATE INDEX event_unrouted ON event (routing, seq) WHERE routing <> 0;

CREATE TABLE dedupe (
  source  integer NOT NULL,
  key     bytea NOT NULL,         -- source event id, or half a SHA-256 of a long one
  event   uuid NOT NULL,
  body    bytea NOT NULL,         -- half a SHA-256 of the body
  expires timestamptz NOT NULL,
  PRIMARY KEY (source, key)
) WITH (autovacuum_vacuum_scale_factor = 0.05);

-- How often an event was repeated. Events never repeated have no row.
CREATE TABLE repeat (
  event      uuid PRIMARY KEY,
  duplicates bigint NOT NULL,
  conflicts  bigint NOT NULL
) WITH (fillfactor = 80);

-- The hot table: deliveries that have not ended. id is the event's seq << 15 |
-- the delivery's number. It is small and changes all the time, so it is
-- vacuumed early and without pause.
CREATE TABLE delivery (
  id       bigint PRIMARY KEY,
  event    uuid NOT NULL,
  part     integer NOT NULL,      -- its event's; they move together
  queue    integer NOT NULL,
  state    smallint NOT NULL,
  due      timestamptz NOT NULL,
  size     integer NOT NULL,      -- bytes of the event's body
  route    integer NOT NULL,
  revision bigint NOT NULL,
  flags    smallint NOT NULL,     -- 1 pinned, 2 made by a replay
  attempts integer NOT NULL,
  round    integer NOT NULL,
  since    timestamptz,           -- NULL: when the event was received
  created  timestamptz,           -- NULL: when the event was received
  reason   text,
  entity   text,
  rank     bytea
) WITH (vacuum_truncate = off, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.2);
CREATE INDEX delivery_ready ON delivery (queue, due, id) WHERE state = 0;
CREATE INDEX delivery_other ON delivery (queue, state) WHERE state <> 0;

CREATE TABLE finished (
  part     integer NOT NULL,      -- its event's
  id       bigint NOT NULL,
  event    uuid NOT NULL,
  queue    integer NOT NULL,
  state    smallint NOT NULL,
  finished timestamptz NOT NULL,
  size     integer NOT NULL,
  route    integer NOT NULL,
  revision bigint NOT NULL,
  flags    smallint NOT NULL,
  attempts integer NOT NULL,
  round    integer NOT NULL,
  since    timestamptz,
  created  timestamptz,
  reason   text,
  entity   text,
  rank     bytea,
  last     bytea                  -- the attempt that ended it, packed
) PARTITION BY LIST (part);
CREATE INDEX finished_dead ON finished (queue, id) WHERE state = 4;
CREATE INDEX finished_letters ON finished (state, id) WHERE state = 4;

-- Attempts that did not end their delivery; those that did are in finished.
CREATE TABLE attempt (
  part     integer NOT NULL,      -- its event's
  delivery bigint NOT NULL,
  n        integer NOT NULL,
  data     bytea NOT NULL         -- packed
) PARTITION BY LIST (part);

-- What is unique is so within each part, by indexes of its own: a key over all
-- would have to hold the part, and the planner would take that for a way to find
-- rows in a day that was empty when it looked. seawall_add_day makes them.

-- Arrivals that made no event of their own.
CREATE TABLE arrival (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source    text NOT NULL,
  at        timestamptz NOT NULL,
  verdict   smallint NOT NULL,
  event     uuid,
  status    integer NOT NULL,
  reason    text,
  detail    text,
  source_id text,
  proof     text,
  remote    text,
  method    text,
  url       text,
  body_size bigint NOT NULL,
  headers   bytea,                -- packed
  body      bytea
);
CREATE INDEX arrival_event ON arrival (event, id) WHERE event IS NOT NULL;
CREATE INDEX arrival_kind ON arrival (source, verdict, id) WHERE event IS NULL;

CREATE TABLE gate (
  destination text PRIMARY KEY,
  gate        smallint NOT NULL,
  reason      text,
  by          text,
  at          timestamptz NOT NULL
);

CREATE TABLE action (
  id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at     timestamptz NOT NULL,
  by     text,
  what   text,
  target text NOT NULL,
  detail jsonb
);
CREATE INDEX action_target ON action (target, id);

CREATE TABLE revision (
  number bigint PRIMARY KEY,      -- given by the store, without gaps
  at     timestamptz NOT NULL,
  by     text,
  text   bytea
);

CREATE TABLE token (
  name    text PRIMARY KEY,
  hash    bytea NOT NULL UNIQUE,
  scopes  jsonb NOT NULL,
  created timestamptz NOT NULL,
  expires timestamptz
);

-- The serving role needs no right to change the schema: these two run as the
-- owner of the tables. day is days since 1970, 0 for what is kept.

-- A table is made by itself and then attached, for which nobody who reads or
-- writes the others has to wait.
-- +goose StatementBegin
CREATE FUNCTION seawall_add_day(day integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET client_min_messages = warning AS $$
DECLARE
  suffix text := CASE WHEN day = 0 THEN 'kept' ELSE to_char(date '1970-01-01' + day, 'YYYYMMDD') END;
  parent text;
BEGIN
  IF day < 0 THEN
    RAISE EXCEPTION 'seawall_add_day: % is no day', day;
  END IF;
  PERFORM pg_advisory_xact_lock(1936025975, 3);
  IF to_regclass('event_' || suffix) IS NOT NULL THEN
    RETURN;
  END IF;
  FOREACH parent IN ARRAY ARRAY['event', 'finished', 'attempt'] LOOP
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', parent || '_' || suffix, parent);
  END LOOP;
  EXECUTE format('ALTER TABLE event_%s ADD PRIMARY KEY (seq)', suffix);
  EXECUTE format('CREATE UNIQUE INDEX event_%s_id ON event_%s (id)', suffix, suffix);
  EXECUTE format('ALTER TABLE finished_%s ADD PRIMARY KEY (id)', suffix);
  EXECUTE format('ALTER TABLE attempt_%s ADD PRIMARY KEY (delivery, n)', suffix);
  FOREACH parent IN ARRAY ARRAY['event', 'finished', 'attempt'] LOOP
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES IN (%s)', parent, parent || '_' || suffix, day);
  END LOOP;
END
$$;
-- +goose StatementEnd

-- Drops nothing, and says so, if there are events past a sequence number: they
-- came after whoever gives the day up had looked through it.
-- +goose StatementBegin
CREATE FUNCTION seawall_drop_day(day integer, seq bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET client_min_messages = warning AS $$
DECLARE
  suffix text := to_char(date '1970-01-01' + day, 'YYYYMMDD');
  parent text;
  past   boolean;
BEGIN
  IF day <= 0 THEN
    RAISE EXCEPTION 'seawall_drop_day: % is no day', day;
  END IF;
  IF to_regclass('event_' || suffix) IS NULL THEN
    RETURN true;
  END IF;
  LOCK TABLE event, finished, attempt IN ACCESS EXCLUSIVE MODE;
  IF to_regclass('event_' || suffix) IS NULL THEN -- another node was faster
    RETURN true;
  END IF;
  EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE seq > $1)', 'event_' || suffix) INTO past USING seq;
  IF past THEN
    RETURN false;
  END IF;
  FOREACH parent IN ARRAY ARRAY['event', 'finished', 'attempt'] LOOP
    EXECUTE format('DROP TABLE IF EXISTS %I', parent || '_' || suffix);
  END LOOP;
  RETURN true;
END
$$;
-- +goose StatementEnd

-- Whoever calls them chooses no schema: they work where the tables are. Nobody
-- but the owner may call them until he grants it.
-- +goose StatementBegin
DO $$
DECLARE
  f text;
BEGIN
  FOREACH f IN ARRAY ARRAY['seawall_add_day(integer)', 'seawall_drop_day(integer, bigint)'] LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', f, current_schema());
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
  END LOOP;
END
$$;
-- +goose StatementEnd

SELECT seawall_add_day(0);
