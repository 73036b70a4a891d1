-- Functions of the schema pgusher. Repeated at every init. Names and operators are qualified: whoever calls decides on the search path.

-- HMAC-SHA256 of a message under one of the keys equals the signature (hex).
CREATE OR REPLACE FUNCTION pgusher.signed(message text, signature text) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  pads record;
  digest text;
BEGIN
  FOR pads IN SELECT k.ipad, k.opad FROM pgusher.key AS k LOOP
    digest := pg_catalog.encode(pg_catalog.sha256(pads.opad OPERATOR(pg_catalog.||)
      pg_catalog.sha256(pads.ipad OPERATOR(pg_catalog.||) pg_catalog.convert_to(message, 'UTF8'))), 'hex');
    -- Digests of both sides are compared, so the time says nothing about the signature.
    IF pg_catalog.sha256(pg_catalog.convert_to(digest, 'UTF8')) OPERATOR(pg_catalog.=)
       pg_catalog.sha256(pg_catalog.convert_to(signature, 'UTF8')) THEN
      RETURN true;
    END IF;
  END LOOP;
  RETURN false;
END
$pgusher$;

-- A signed claim is for this backend, still good, and spent now.
CREATE OR REPLACE FUNCTION pgusher.spend(claim jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  IF (claim OPERATOR(pg_catalog.->>) 'pid') IS NULL OR (claim OPERATOR(pg_catalog.->>) 'nonce') IS NULL
     OR (claim OPERATOR(pg_catalog.->>) 'until') IS NULL
     OR (claim OPERATOR(pg_catalog.->>) 'pid')::pg_catalog.int4 OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()
     OR pg_catalog.to_timestamp((claim OPERATOR(pg_catalog.->>) 'until')::pg_catalog.float8) OPERATOR(pg_catalog.<) pg_catalog.clock_timestamp() THEN
    RAISE EXCEPTION 'pgusher: the claim is not for this session' USING ERRCODE = '28000';
  END IF;
  INSERT INTO pgusher.execution (nonce, until)
    VALUES (claim OPERATOR(pg_catalog.->>) 'nonce', pg_catalog.to_timestamp((claim OPERATOR(pg_catalog.->>) 'until')::pg_catalog.float8))
    ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'pgusher: the claim was used before' USING ERRCODE = '28000';
  END IF;
END
$pgusher$;

-- A principal and every group it is in, directly or not, `users` included, in order; those that its token claims, too, and what they
-- are in. What leads to the administrators is not taken from a token.
CREATE OR REPLACE FUNCTION pgusher.ids_of(who bigint, claimed bigint[] DEFAULT '{}') RETURNS bigint[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN ARRAY(
    WITH RECURSIVE within(id) AS (
      SELECT who
      UNION SELECT p.id FROM pgusher.principal AS p WHERE p.name = 'users' AND p.kind = 'group'
      UNION SELECT m.group_id FROM within AS w JOIN pgusher.membership AS m ON m.member_id = w.id
    ), brought(root, id) AS (
      SELECT p.id, p.id FROM pgusher.principal AS p WHERE p.id = ANY (claimed) AND p.kind = 'group'
      UNION SELECT b.root, m.group_id FROM brought AS b JOIN pgusher.membership AS m ON m.member_id = b.id
    )
    SELECT w.id FROM within AS w
    UNION SELECT b.id FROM brought AS b WHERE b.root NOT IN (
      SELECT a.root FROM brought AS a JOIN pgusher.principal AS p ON p.id = a.id WHERE p.name = 'admins' AND p.kind = 'group')
    ORDER BY 1);
END
$pgusher$;

-- The names of the groups among them.
CREATE OR REPLACE FUNCTION pgusher.groups_of(who bigint, claimed bigint[] DEFAULT '{}') RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN ARRAY(
    SELECT p.name FROM pgusher.principal AS p
    WHERE p.id = ANY (pgusher.ids_of(who, claimed)) AND p.id <> who AND p.kind = 'group' ORDER BY p.name);
END
$pgusher$;

-- Whether one of these ids owns an object or was granted a privilege on it, its schema or the catalog. Only owners hold OWN.
CREATE OR REPLACE FUNCTION pgusher.granted(ids bigint[], kind text, object oid, schema oid, wanted text) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN EXISTS (SELECT FROM pgusher.owner AS o WHERE o.kind = granted.kind AND o.object = granted.object AND o.principal = ANY (ids))
    OR (wanted <> 'OWN' AND EXISTS (
      SELECT FROM pgusher.grants AS g
      WHERE g.principal = ANY (ids)
        AND ((g.kind = granted.kind AND g.object = granted.object) OR (g.kind = 'schema' AND g.object = granted.schema) OR g.kind = 'catalog')
        AND (g.privilege = wanted OR (g.privilege = 'ALL PRIVILEGES' AND wanted <> 'MANAGE'))));
END
$pgusher$;

-- Whether a principal that is enabled holds a privilege on a relation. One that is no principal any more holds none.
CREATE OR REPLACE FUNCTION pgusher.holds(who bigint, privilege text, relation oid) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  mine pg_catalog.int8[] := (SELECT pgusher.ids_of(p.id) FROM pgusher.principal AS p WHERE p.id = who AND p.enabled);
BEGIN
  RETURN mine IS NOT NULL AND (
    EXISTS (SELECT FROM pgusher.principal AS p WHERE p.id = ANY (mine) AND p.name = 'admins' AND p.kind = 'group')
    OR pgusher.granted(mine, 'relation', relation, (SELECT c.relnamespace FROM pg_catalog.pg_class AS c WHERE c.oid = holds.relation), privilege));
END
$pgusher$;

-- Waits until nobody else governs: writers of policies stand in a row, so what was checked still holds when it is written. Whoever
-- governs tables of its own and leaves the transaction open must not hold up an administrator, who may be about to revoke something: such
-- a session is ended. Each wait is long enough for PostgreSQL to find a deadlock, but for the first.
CREATE OR REPLACE FUNCTION pgusher.queue(administers boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  before text := current_setting('lock_timeout');
  patience text := '300ms';
BEGIN
  IF NOT administers THEN
    LOCK TABLE pgusher.schema_version IN SHARE ROW EXCLUSIVE MODE;
    RETURN;
  END IF;
  LOOP
    BEGIN
      PERFORM set_config('lock_timeout', patience, true);
      LOCK TABLE pgusher.schema_version IN SHARE ROW EXCLUSIVE MODE;
      PERFORM set_config('lock_timeout', before, true);
      RETURN;
    EXCEPTION WHEN lock_not_available THEN
      PERFORM pg_terminate_backend(l.pid) FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
        WHERE l.relation = 'pgusher.schema_version'::regclass AND l.mode = 'ShareRowExclusiveLock' AND l.granted
          AND NOT pg_has_role(a.usesysid, 'pgusher_owner', 'MEMBER')
          AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database());
      patience := '2s';
    END;
  END LOOP;
END
$pgusher$;

-- Whether one principal may act for another one now: by a grant, or where the person's own token says so. Both are enabled and
-- a person's token that was shown is still good. Nobody acts for a group.
CREATE OR REPLACE FUNCTION pgusher.acts(actor bigint, person bigint, consent text, allowed boolean) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN actor <> person
    AND EXISTS (SELECT FROM pgusher.principal AS p WHERE p.id = acts.actor AND p.enabled AND p.kind <> 'group')
    AND EXISTS (SELECT FROM pgusher.principal AS p WHERE p.id = acts.person AND p.enabled AND p.kind <> 'group')
    AND (consent IS NULL OR EXISTS (
      SELECT FROM pgusher.token AS t
      WHERE t.id = consent AND t.principal = acts.person AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())))
    AND (allowed AND consent IS NOT NULL OR EXISTS (
      SELECT FROM pgusher.acting AS a
      WHERE a.actor = ANY (pgusher.ids_of(acts.actor)) AND a.person = ANY (pgusher.ids_of(acts.person))));
END
$pgusher$;

-- Sessions whose token or principal is good no more end; the others have the groups that they are in now.
CREATE OR REPLACE FUNCTION pgusher.follow_sessions() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  DELETE FROM pgusher.session AS s
    WHERE NOT EXISTS (
      SELECT FROM pgusher.token AS t JOIN pgusher.principal AS p ON p.id = t.principal
      WHERE t.id = s.token AND p.id = coalesce(s.actor, s.principal) AND p.enabled AND t.revoked_at IS NULL
        AND (s.actor IS NULL OR pgusher.acts(s.actor, s.principal, s.consent, s.allowed)));
  -- Once for each principal (and what its tokens claim), however many sessions it has.
  WITH who AS MATERIALIZED (
    SELECT DISTINCT o.principal, o.claimed FROM pgusher.session AS o
  ), fresh AS MATERIALIZED (
    SELECT p.id, p.name, w.claimed, pgusher.groups_of(p.id, w.claimed) AS groups FROM who AS w JOIN pgusher.principal AS p ON p.id = w.principal
  )
  UPDATE pgusher.session AS s
    SET groups = fresh.groups, admin = 'admins' = ANY (fresh.groups) AND NOT s.narrowed, name = fresh.name
    FROM fresh
    WHERE fresh.id = s.principal AND fresh.claimed = s.claimed AND (fresh.groups <> s.groups OR fresh.name <> s.name);
END
$pgusher$;

-- After policies were changed: live sessions follow, the version moves, every proxy is told. Returns the new version.
CREATE OR REPLACE FUNCTION pgusher.changed() RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  now_at bigint;
BEGIN
  PERFORM pgusher.follow_sessions();
  UPDATE pgusher.version AS v SET policy = v.policy OPERATOR(pg_catalog.+) 1 RETURNING v.policy INTO now_at;
  INSERT INTO pgusher.change (kind, one) VALUES ('version', now_at);
  PERFORM pgusher.follow_heirs();
  PERFORM pgusher.follow_ways();
  PERFORM pg_catalog.pg_notify('pgusher_policy', now_at::pg_catalog.text);
  RETURN now_at;
END
$pgusher$;

-- Ties this backend to a principal. See the module documentation for the payload.
CREATE OR REPLACE FUNCTION pgusher.attach(payload text, signature text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS $pgusher$
DECLARE
  claim jsonb;
  number bigint;
  actor bigint;
  consent text;
  shown record;
  who record;
  until timestamptz;
  claimed bigint[] := '{}';
  actors text[] := '{}';
  narrowed boolean;
  mine pgusher.standing;
BEGIN
  IF pgusher.signed('attach:' OPERATOR(pg_catalog.||) payload, signature) IS NOT TRUE THEN
    RAISE EXCEPTION 'pgusher: the claim is not signed' USING ERRCODE = '28000';
  END IF;
  claim := payload::pg_catalog.jsonb;
  PERFORM pgusher.spend(claim);
  number := (claim OPERATOR(pg_catalog.->>) 'session')::pg_catalog.int8;
  actor := (claim ->> 'actor')::int8;
  consent := claim ->> 'consent';
  -- Small statements, and only those that are needed: a backend that has forgotten its plans makes them all anew. Whoever revokes the
  -- token waits until the session is there to be ended; who revoked it before is waited for, and believed.
  IF number IS NOT NULL THEN
    SELECT t.id, t.principal, t.scopes, t.expires_at, t.revoked_at INTO shown FROM pgusher.token AS t WHERE t.id = claim ->> 'token';
  ELSE
    IF consent IS NOT NULL THEN
      PERFORM FROM pgusher.token AS t WHERE t.id IN (claim ->> 'token', consent) ORDER BY t.id FOR SHARE;
    END IF;
    SELECT t.id, t.principal, t.scopes, t.expires_at, t.revoked_at INTO shown FROM pgusher.token AS t WHERE t.id = claim ->> 'token' FOR SHARE;
  END IF;
  SELECT p.id, p.name, p.enabled INTO who FROM pgusher.principal AS p WHERE p.id = (claim ->> 'principal')::int8;
  IF (shown.revoked_at IS NULL AND coalesce(shown.expires_at > clock_timestamp(), true) AND who.enabled
      AND shown.principal = coalesce(actor, who.id)) IS NOT TRUE THEN
    RAISE EXCEPTION 'pgusher: the token is not good any more' USING ERRCODE = '28P01';
  END IF;
  until := shown.expires_at;
  IF actor IS NOT NULL THEN
    -- Both are looked at there.
    IF pgusher.acts(actor, who.id, consent, (claim ->> 'allowed')::bool) IS NOT TRUE THEN
      RAISE EXCEPTION 'pgusher: the token is not good any more' USING ERRCODE = '28P01';
    END IF;
    until := least(until, (SELECT c.expires_at FROM pgusher.token AS c WHERE c.id = consent));
  END IF;
  IF number IS NULL THEN
    number := pg_catalog.nextval('pgusher.sid'::pg_catalog.regclass);
    IF claim -> 'claimed' <> '[]' THEN
      claimed := ARRAY(SELECT g.id::int8 FROM jsonb_array_elements_text(claim -> 'claimed') AS g (id));
    END IF;
    IF claim -> 'actors' <> '[]' THEN
      actors := ARRAY(SELECT a.name FROM jsonb_array_elements_text(claim -> 'actors') WITH ORDINALITY AS a (name, place) ORDER BY a.place);
    END IF;
    narrowed := actor IS NOT NULL OR (shown.scopes <> '{}' AND NOT 'admin' = ANY (shown.scopes));
    mine := pgusher.standing_of(who.id, claimed, narrowed);
    INSERT INTO pgusher.session (sid, principal, name, token, claimed, narrowed, actor, consent, allowed, actors, groups, admin, expires_at, pid, proxy,
        ids, whole, callable, schemas)
      VALUES (number, who.id, who.name, shown.id, claimed, narrowed, actor, consent, coalesce((claim ->> 'allowed')::bool, false), actors,
        mine.groups, 'admins' = ANY (mine.groups) AND NOT narrowed, coalesce(until, 'infinity'), pg_backend_pid(),
        coalesce((claim ->> 'proxy')::int8, 0), mine.ids, mine.whole, mine.callable, mine.schemas);
    -- The row does not outlive a crash anyway, nor does what was locked: nobody waits for the disk. This transaction is the login's own.
    PERFORM set_config('synchronous_commit', 'off', true);
  ELSE
    -- Again for the same session, after DISCARD or on another backend.
    IF NOT EXISTS (SELECT FROM pgusher.session AS s
                   WHERE s.sid OPERATOR(pg_catalog.=) number AND s.principal OPERATOR(pg_catalog.=) who.id
                     AND s.token OPERATOR(pg_catalog.=) shown.id) THEN
      RAISE EXCEPTION 'pgusher: the session has ended' USING ERRCODE = '28000';
    END IF;
    -- Nothing is written: a transaction of the client's may be open, and would hold up whoever revokes.
  END IF;
  -- The slot's own value means nothing, so going back is no harm: only this backend's currval is read.
  RETURN pg_catalog.setval('pgusher.slot'::pg_catalog.regclass, number, true);
END
$pgusher$;

-- What is known of a JWT or certificate with this hash, for which an issuer vouches: the token that it is, if it was seen before, and its principal. No row:
-- there is no such principal. Nothing is written and nobody waited for.
CREATE OR REPLACE FUNCTION pgusher.vouched(
  given bytea, by text, principal_name text, until timestamptz, group_names text[],
  OUT token text, OUT principal bigint, OUT name text, OUT enabled boolean, OUT admin boolean, OUT expires timestamptz,
  OUT revoked timestamptz, OUT scopes text[], OUT claimed bigint[], OUT actors text[]) RETURNS SETOF record
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN QUERY
    SELECT t.id, p.id, p.name, p.enabled, 'admins' = ANY (pgusher.groups_of(p.id)), least(t.expires_at, until), t.revoked_at,
      coalesce(t.scopes, '{}'),
      ARRAY(SELECT g.id FROM pgusher.principal AS g WHERE g.kind = 'group' AND g.name = ANY (group_names) ORDER BY g.id),
      coalesce(t.actors, '{}')
    FROM pgusher.principal AS p LEFT JOIN pgusher.token AS t ON t.hash = given AND t.issuer = by AND t.principal = p.id
    WHERE p.name = principal_name AND p.kind <> 'group';
END
$pgusher$;

-- Keeps such a JWT as a token; says whether its principal was made for it. Who acts for somebody has none of that one's admin rights.
CREATE OR REPLACE FUNCTION pgusher.vouch(given bytea, by text, principal_name text, until timestamptz, acting text[], make boolean) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $pgusher$
DECLARE
  who bigint;
  created boolean := false;
BEGIN
  -- No name that differs in nothing but case from one that is there.
  IF make AND NOT EXISTS (SELECT FROM pgusher.principal AS p WHERE lower(p.name) = lower(principal_name)) THEN
    PERFORM pgusher.queue(true);
    INSERT INTO pgusher.principal (name, kind) VALUES (principal_name, 'user') ON CONFLICT DO NOTHING;
    created := FOUND;
    IF created THEN
      PERFORM pgusher.changed();
    END IF;
  END IF;
  SELECT p.id INTO who FROM pgusher.principal AS p WHERE p.name = principal_name AND p.kind <> 'group';
  IF who IS NOT NULL THEN
    DELETE FROM pgusher.token AS t WHERE t.principal = who AND t.issuer IS NOT NULL AND t.expires_at < clock_timestamp() - interval '1 day';
    INSERT INTO pgusher.token AS t (id, hash, principal, comment, issuer, actors, scopes, expires_at, revoked_at)
      VALUES (CASE WHEN by LIKE 'certificate %' THEN 'cert-' ELSE 'jwt-' END || left(encode(given, 'hex'), 20), given, who,
        CASE WHEN by LIKE 'certificate %' THEN by ELSE 'JWT of ' || by END, by, acting,
        CASE WHEN acting = '{}' THEN '{}'::text[] ELSE '{sql}' END, until,
        (SELECT clock_timestamp() FROM pgusher.denied AS d WHERE d.hash = given))
      ON CONFLICT (hash) DO UPDATE SET principal = EXCLUDED.principal, issuer = EXCLUDED.issuer, actors = EXCLUDED.actors, scopes = EXCLUDED.scopes
        WHERE (t.principal, t.issuer) IS DISTINCT FROM (EXCLUDED.principal, EXCLUDED.issuer);
  END IF;
  RETURN created;
END
$pgusher$;

-- A revoked JWT or certificate whose row goes (its principal is dropped) is still refused while it could be shown again.
CREATE OR REPLACE FUNCTION pgusher.keep_denied() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  DELETE FROM pgusher.denied AS d WHERE d.until < clock_timestamp() - interval '1 day';
  INSERT INTO pgusher.denied (hash, until) VALUES (OLD.hash, OLD.expires_at) ON CONFLICT DO NOTHING;
  RETURN NULL;
END
$pgusher$;
CREATE OR REPLACE TRIGGER keep_denied AFTER DELETE ON pgusher.token
  FOR EACH ROW WHEN (OLD.revoked_at IS NOT NULL AND OLD.issuer IS NOT NULL) EXECUTE FUNCTION pgusher.keep_denied();

-- Runs a statement of the proxy's own with the rights of pgusher_owner, in the transaction of the session. It is read and planned by
-- settings of ours: with what a session may have turned off or made cheap, catalogs are read for minutes, and others wait meanwhile.
CREATE OR REPLACE FUNCTION pgusher.execute(payload text, statement text, rows_wanted boolean, signature text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET standard_conforming_strings = on
SET quote_all_identifiers = off
SET DateStyle = 'ISO, YMD'
SET IntervalStyle = postgres
SET TimeZone = 'UTC'
SET extra_float_digits = 1
SET check_function_bodies = off
SET jit = off
SET max_parallel_workers_per_gather = 0
SET enable_bitmapscan = on
SET enable_hashagg = on
SET enable_hashjoin = on
SET enable_indexonlyscan = on
SET enable_indexscan = on
SET enable_material = on
SET enable_mergejoin = on
SET enable_nestloop = on
SET enable_seqscan = on
SET enable_sort = on
SET work_mem = '4MB'
SET enable_tidscan = on
SET enable_incremental_sort = on
SET enable_memoize = on
SET from_collapse_limit = 8
SET join_collapse_limit = 8
AS $pgusher$
DECLARE
  answer jsonb;
BEGIN
  IF pgusher.signed('execute:' OPERATOR(pg_catalog.||) payload OPERATOR(pg_catalog.||) ':' OPERATOR(pg_catalog.||)
       rows_wanted::pg_catalog.text OPERATOR(pg_catalog.||) ':' OPERATOR(pg_catalog.||) statement, signature) IS NOT TRUE THEN
    RAISE EXCEPTION 'pgusher: the claim is not signed' USING ERRCODE = '28000';
  END IF;
  PERFORM pgusher.spend(payload::pg_catalog.jsonb);
  IF rows_wanted THEN
    EXECUTE 'SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(q)), ''[]''::pg_catalog.jsonb) FROM ('
      OPERATOR(pg_catalog.||) statement OPERATOR(pg_catalog.||) ') AS q' INTO answer;
    RETURN answer;
  END IF;
  EXECUTE statement;
  RETURN NULL;
END
$pgusher$;

-- Identity. No SET clause: it would cost more than the rest. Without attach currval raises 55000. It is asked beforehand: in WHERE it would
-- be asked of the row of every session, for no index is used with what is volatile.
CREATE OR REPLACE FUNCTION pgusher.current_user() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL RESTRICTED AS $pgusher$
DECLARE
  answer pg_catalog.text;
  mine pg_catalog.int8 := pg_catalog.currval('pgusher.slot'::pg_catalog.regclass);
BEGIN
  SELECT s.name INTO answer FROM pgusher.session AS s
    WHERE s.sid OPERATOR(pg_catalog.=) mine
      AND s.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp();
  IF answer IS NULL THEN
    RAISE EXCEPTION 'session has no identity' USING ERRCODE = '28000';
  END IF;
  RETURN answer;
END
$pgusher$;

CREATE OR REPLACE FUNCTION pgusher.session_user() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL RESTRICTED AS $pgusher$
DECLARE
  answer pg_catalog.text;
  mine pg_catalog.int8 := pg_catalog.currval('pgusher.slot'::pg_catalog.regclass);
BEGIN
  SELECT s.name INTO answer FROM pgusher.session AS s
    WHERE s.sid OPERATOR(pg_catalog.=) mine
      AND s.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp();
  IF answer IS NULL THEN
    RAISE EXCEPTION 'session has no identity' USING ERRCODE = '28000';
  END IF;
  RETURN answer;
END
$pgusher$;

CREATE OR REPLACE FUNCTION pgusher.is_member(group_name text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL RESTRICTED AS $pgusher$
DECLARE
  held pg_catalog.text[];
  mine pg_catalog.int8 := pg_catalog.currval('pgusher.slot'::pg_catalog.regclass);
BEGIN
  SELECT s.groups INTO held FROM pgusher.session AS s
    WHERE s.sid OPERATOR(pg_catalog.=) mine
      AND s.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp();
  IF held IS NULL THEN
    RAISE EXCEPTION 'session has no identity' USING ERRCODE = '28000';
  END IF;
  RETURN group_name OPERATOR(pg_catalog.=) ANY (held);
END
$pgusher$;

-- A mask's text for a column of limited length: an error where a cast would cut it short.
CREATE OR REPLACE FUNCTION pgusher.fit(value text, length integer, type_name text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $pgusher$
BEGIN
  IF pg_catalog.length(value) OPERATOR(pg_catalog.>) length THEN
    RAISE EXCEPTION 'value too long for type %', type_name USING ERRCODE = '22001';
  END IF;
  RETURN value;
END
$pgusher$;

-- What a governed view is upstream, in one hash. Stored trees, not deparsed text: nothing is locked, and settings do not matter.
CREATE OR REPLACE FUNCTION pgusher.view_state(view oid) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN (SELECT pg_catalog.md5(pg_catalog.concat_ws('|', n.nspname, c.relname, c.relkind, c.relowner, c.reloptions::text, c.relacl::text,
      (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', w.rulename, w.ev_type, w.ev_enabled, pg_catalog.md5(w.ev_action::text)), ',' ORDER BY w.rulename)
       FROM pg_catalog.pg_rewrite AS w WHERE w.ev_class = c.oid),
      (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.attname, a.atttypid, a.atttypmod, a.attacl::text), ',' ORDER BY a.attnum)
       FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0)))
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = view);
END
$pgusher$;

-- The same for the policies of ours on a table.
CREATE OR REPLACE FUNCTION pgusher.filter_state(relation oid) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN (SELECT pg_catalog.md5(pg_catalog.concat_ws('|', c.relrowsecurity,
      (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', p.polname, p.polcmd, p.polpermissive, p.polroles::text,
          p.polqual::text, p.polwithcheck::text), ',' ORDER BY p.polname)
       FROM pg_catalog.pg_policy AS p WHERE p.polrelid = c.oid AND p.polname LIKE 'pgusher\_%')))
    FROM pg_catalog.pg_class AS c WHERE c.oid = relation);
END
$pgusher$;

-- A view's definition with every name qualified; NULL while somebody is changing what it reads, so that nobody waits for that.
CREATE OR REPLACE FUNCTION pgusher.definition(view oid) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET DateStyle = 'ISO, YMD' SET IntervalStyle = postgres
SET TimeZone = 'UTC' SET extra_float_digits = 1 SET bytea_output = hex SET lock_timeout = '200ms' AS $pgusher$
BEGIN
  RETURN pg_catalog.pg_get_viewdef(view);
EXCEPTION WHEN lock_not_available THEN
  RETURN NULL;
END
$pgusher$;

-- Runs statements so that a failure undoes them alone; says what the failure was. Who waits for a lock on a table lets everybody else wait
-- behind it, so it does not wait long.
DROP FUNCTION IF EXISTS pgusher.attempt(text);
CREATE OR REPLACE FUNCTION pgusher.attempt(statements text, patience text) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $pgusher$
BEGIN
  PERFORM set_config('lock_timeout', patience, true);
  EXECUTE statements;
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  RETURN pg_catalog.jsonb_build_object('code', SQLSTATE, 'message', SQLERRM);
END
$pgusher$;

-- A mask's type must become its column's without loss. The view is never read, so nothing in the expression runs.
CREATE OR REPLACE FUNCTION pgusher.check_mask(relation oid, column_name text, expression text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  found record;
  wanted record;
BEGIN
  SELECT t.oid, t.typcategory AS category, CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END AS base INTO wanted
    FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
    WHERE a.attrelid = relation AND a.attname = column_name;
  BEGIN
    EXECUTE pg_catalog.format(E'CREATE VIEW pgusher.probe AS SELECT CASE WHEN true THEN (%s\n) ELSE %I END AS value FROM %s',
      expression, column_name, relation::regclass);
  EXCEPTION WHEN datatype_mismatch THEN
    RAISE EXCEPTION 'mask of column "%" does not have the column''s type: %', column_name, SQLERRM USING ERRCODE = '42804';
  END;
  SELECT t.oid, t.typcategory AS category INTO found
    FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
    WHERE a.attrelid = 'pgusher.probe'::regclass AND a.attnum = 1;
  DROP VIEW pgusher.probe;
  IF found.oid NOT IN (wanted.oid, wanted.base) AND NOT (found.category = 'S' AND wanted.category = 'S')
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_cast AS c
                     WHERE c.castsource = found.oid AND c.casttarget = wanted.oid AND c.castcontext = 'i') THEN
    RAISE EXCEPTION 'mask of column "%" is of type %, the column of type %', column_name,
      pg_catalog.format_type(found.oid, NULL), pg_catalog.format_type(wanted.oid, NULL) USING ERRCODE = '42804';
  END IF;
END
$pgusher$;

-- Functions without a search path of their own: what they read is their caller's choice. So it is where pg_temp is not named as the last
-- schema, for then temporary tables and types come first. Functions in C are compiled. `source` is the body of one in SQL, which may be
-- without names to look up; somebody may replace it at any time.
CREATE OR REPLACE VIEW pgusher.unfixed AS
  SELECT f.oid, n.nspname || '.' || f.proname AS function, CASE l.lanname WHEN 'sql' THEN f.prosrc END AS source
  FROM pg_catalog.pg_proc AS f
  JOIN pg_catalog.pg_namespace AS n ON n.oid = f.pronamespace
  JOIN pg_catalog.pg_language AS l ON l.oid = f.prolang
  WHERE n.nspname NOT IN ('pg_catalog', 'pgusher') AND l.lanname NOT IN ('c', 'internal') AND f.prosqlbody IS NULL
    AND NOT EXISTS (SELECT FROM pg_catalog.unnest(f.proconfig) AS s(setting) WHERE s.setting LIKE 'search\_path=%, pg\_temp');

-- The functions outside pg_catalog that filters and masks call, in whatever expression.
CREATE OR REPLACE VIEW pgusher.policy_calls AS
  SELECT DISTINCT used.relation, f.oid AS function, n.nspname || '.' || f.proname AS name, f.proowner AS owner
  FROM (
    SELECT p.polrelid AS relation, p.oid AS object, 'pg_catalog.pg_policy'::pg_catalog.regclass AS class
      FROM pg_catalog.pg_policy AS p WHERE p.polname = 'pgusher_filter'
    UNION
    SELECT m.relation, w.oid, 'pg_catalog.pg_rewrite'::pg_catalog.regclass
      FROM pgusher.made AS m
      JOIN pg_catalog.pg_class AS c ON c.oid = m.relation AND c.relkind NOT IN ('v', 'm')
      JOIN pg_catalog.pg_rewrite AS w ON w.ev_class = m.object
      WHERE m.object <> 0
  ) AS used
  JOIN pg_catalog.pg_depend AS d
    ON d.classid = used.class AND d.objid = used.object AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
  JOIN pg_catalog.pg_proc AS f ON f.oid = d.refobjid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = f.pronamespace
  WHERE n.nspname NOT IN ('pg_catalog', 'pgusher');

-- Filters and masks that call a function without a search path of its own.
CREATE OR REPLACE VIEW pgusher.swayed AS
  SELECT c.relation, u.function, u.source FROM pgusher.policy_calls AS c JOIN pgusher.unfixed AS u ON u.oid = c.function;

-- A key, if there is none yet. gen_random_uuid draws from the server's strong random source; two of them give 244 bits.
DO $pgusher$
DECLARE
  secret bytea;
  ipad bytea := pg_catalog.decode(pg_catalog.repeat('36', 64), 'hex');
  opad bytea := pg_catalog.decode(pg_catalog.repeat('5c', 64), 'hex');
BEGIN
  IF NOT EXISTS (SELECT FROM pgusher.key) THEN
    secret := pg_catalog.sha256(pg_catalog.uuid_send(pg_catalog.gen_random_uuid()) || pg_catalog.uuid_send(pg_catalog.gen_random_uuid()));
    FOR n IN 0..31 LOOP
      ipad := pg_catalog.set_byte(ipad, n, pg_catalog.get_byte(secret, n) # 54);
      opad := pg_catalog.set_byte(opad, n, pg_catalog.get_byte(secret, n) # 92);
    END LOOP;
    INSERT INTO pgusher.key (kid, secret, ipad, opad) VALUES (1, secret, ipad, opad);
  END IF;
END
$pgusher$;

REVOKE ALL ON ALL TABLES IN SCHEMA pgusher FROM PUBLIC, pgusher_session, pgusher_control, pgusher_viewer, pgusher_ddl;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA pgusher FROM PUBLIC, pgusher_session, pgusher_control, pgusher_viewer, pgusher_ddl;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA pgusher FROM PUBLIC, pgusher_session, pgusher_control, pgusher_viewer, pgusher_ddl;
REVOKE ALL ON SCHEMA pgusher FROM PUBLIC, pgusher_session, pgusher_control, pgusher_viewer, pgusher_ddl;
GRANT USAGE ON SCHEMA pgusher TO pgusher_session, pgusher_control, pgusher_viewer;
GRANT EXECUTE ON FUNCTION pgusher.attach(text, text), pgusher.execute(text, text, boolean, text) TO pgusher_session, pgusher_control;
GRANT EXECUTE ON FUNCTION pgusher.current_user(), pgusher.session_user(), pgusher.is_member(text), pgusher.fit(text, integer, text)
  TO pgusher_session, pgusher_control, pgusher_viewer;
