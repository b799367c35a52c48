-- +goose Up

-- Two tables that everybody writes get a column, which takes a moment once nobody
-- else uses them. Who holds them for long, a backup for one, is let through: those
-- that write would else wait behind us for him.
-- +goose StatementBegin
DO $$
BEGIN
  FOR i IN 1..120 LOOP
    BEGIN
      SET LOCAL lock_timeout = '100ms';
      LOCK TABLE delivery, finished, node IN ACCESS EXCLUSIVE MODE;
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

-- The queue of a delivery that goes to its destination's fallback, where it was
-- first; NULL: it was never moved. flags: 1 pinned, 2 made by a replay, 4 and 8
-- the step, 16 diverted.
ALTER TABLE delivery ADD COLUMN origin integer;
ALTER TABLE finished ADD COLUMN origin integer;

-- What a node knows of the tables: the program before this one says nothing, and
-- would send what is in doubt.
ALTER TABLE node ADD COLUMN schema integer NOT NULL DEFAULT 1;

-- Responses to calls, whole.
CREATE TABLE answer (
  delivery bigint PRIMARY KEY,
  at       timestamptz NOT NULL,
  status   integer NOT NULL,
  flags    smallint NOT NULL,     -- 1 the fallback of the configuration
  headers  bytea,                 -- packed
  body     bytea
);

-- What is known of outside systems.
CREATE TABLE system (
  name    text PRIMARY KEY,
  breaker smallint NOT NULL,
  since   timestamptz,
  until   timestamptz,
  node    text,
  opens   integer NOT NULL,
  why     text,
  hold    timestamptz,
  version bigint NOT NULL
);

-- How much of what a system may be asked is used up.
CREATE TABLE rate (
  system text PRIMARY KEY,
  level  bigint NOT NULL,         -- millionths of a request
  at     timestamptz NOT NULL
) WITH (fillfactor = 50);

-- How many requests a system is sent at a time, by which node, until when. It is
-- lost with the server, and so is what was sent by it.
CREATE TABLE share (
  system text NOT NULL,
  node   text NOT NULL,
  part   integer NOT NULL,
  want   integer NOT NULL,
  turns  bigint NOT NULL,
  until  timestamptz NOT NULL,
  PRIMARY KEY (system, node)
) WITH (fillfactor = 50);

-- Secrets, encrypted.
CREATE TABLE sealed (
  name    text PRIMARY KEY,
  key     text NOT NULL,          -- that sealed it
  data    bytea,
  at      timestamptz NOT NULL,
  version bigint NOT NULL
);

-- Who may renew one.
CREATE TABLE hold (
  name  text PRIMARY KEY,
  node  text NOT NULL,
  until timestamptz NOT NULL
);

-- Takes permits to ask a system: store.Rate.Grant, within one statement, so that
-- nobody's network is waited for while the row is locked. every is in microseconds,
-- clock a test's. wait is in microseconds.
-- +goose StatementBegin
CREATE FUNCTION seawall_take(for_system text, every bigint, burst bigint, want bigint, clock timestamptz,
  OUT permits bigint, OUT wait bigint)
LANGUAGE plpgsql AS $$
DECLARE
  was    rate%ROWTYPE;
  now    timestamptz;
  passed bigint;
BEGIN
  SELECT * INTO was FROM rate WHERE system = for_system FOR UPDATE;
  IF NOT FOUND THEN
    INSERT INTO rate (system, level, at) VALUES (for_system, 0, coalesce(clock, clock_timestamp())) ON CONFLICT DO NOTHING;
    SELECT * INTO was FROM rate WHERE system = for_system FOR UPDATE;
  END IF;
  now := coalesce(clock, clock_timestamp()); -- which only grows from one holder of the row to the next
  passed := greatest((extract(epoch FROM now - was.at) * 1000000)::bigint, 0);
  IF passed >= was.level / 1000000 * every + every THEN
    was.level := 0;
  ELSE
    was.level := was.level - least(was.level, passed / every * 1000000 + passed % every * 1000000 / every);
  END IF;
  permits := least(want, greatest(burst * 1000000 - was.level, 0) / 1000000);
  wait := 0;
  IF permits > 0 THEN
    UPDATE rate SET level = was.level + permits * 1000000, at = now WHERE system = for_system;
    RETURN;
  END IF;
  wait := ((was.level + 1000000 - burst * 1000000) * every + 999999) / 1000000;
  IF was.at > now THEN
    UPDATE rate SET at = now WHERE system = for_system;
  END IF;
END
$$;
-- +goose StatementEnd
