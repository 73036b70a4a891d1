-- What the next turn on a backend is taken by, the proxy draws now: pool.sql makes the functions that are told.
DROP FUNCTION IF EXISTS pgusher.take_next(bigint, bigint, bigint, text, text);
