-- Proxies that are there, and whose a session is: its row outlives the backends that it was on.
CREATE UNLOGGED TABLE pgusher.proxy (
  id bigint PRIMARY KEY,
  seen_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE pgusher.session ADD COLUMN proxy bigint NOT NULL DEFAULT 0;

-- Counts the sessions that took their turn on a backend: its value in a backend is the last turn there.
CREATE SEQUENCE pgusher.turn;
