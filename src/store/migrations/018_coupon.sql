-- What the next turn on a backend is taken by: a number that was drawn at the turn before, and that only the proxy was told.
DROP SEQUENCE pgusher.turn;
CREATE SEQUENCE pgusher.coupon MINVALUE -9223372036854775808 START 1;
