-- A session's ids say all that its holders said.
DROP TRIGGER IF EXISTS fill_holders ON pgusher.session;
DROP FUNCTION IF EXISTS pgusher.fill_holders();
ALTER TABLE pgusher.session DROP COLUMN holders;
-- One view says which functions go by their callers' search path, one function what a claim permits.
DROP VIEW IF EXISTS pgusher.called_body;
DROP FUNCTION IF EXISTS pgusher.permit(text, text, text);
