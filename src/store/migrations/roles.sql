-- The upstream roles. Run by an administrator who may create roles; every step is safe to repeat.
DO $pgusher$
DECLARE
  wanted record;
BEGIN
  FOR wanted IN
    SELECT * FROM (VALUES
      ('pgusher_owner', 'NOLOGIN INHERIT'),
      ('pgusher_viewer', 'NOLOGIN NOINHERIT'),
      ('pgusher_ddl', 'NOLOGIN NOINHERIT'),
      ('pgusher_session', 'LOGIN NOINHERIT'),
      ('pgusher_control', 'LOGIN NOINHERIT')) AS roles(name, options)
  LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolname = wanted.name) THEN
      EXECUTE pg_catalog.format('CREATE ROLE %I %s', wanted.name, wanted.options);
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_roles AS r
               WHERE r.rolname = wanted.name AND (r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolreplication)) THEN
      RAISE EXCEPTION 'role "%" must not be superuser, nor have BYPASSRLS, CREATEROLE or REPLICATION', wanted.name
        USING ERRCODE = '42501', HINT = 'Take these attributes from it with ALTER ROLE and run init again.';
    END IF;
  END LOOP;
  IF EXISTS (SELECT FROM pg_catalog.pg_auth_members AS m
             JOIN pg_catalog.pg_roles AS r ON r.oid = m.member
             WHERE r.rolname IN ('pgusher_session', 'pgusher_viewer', 'pgusher_ddl')) THEN
    RAISE EXCEPTION 'roles "pgusher_session", "pgusher_viewer" and "pgusher_ddl" must not be members of any role'
      USING ERRCODE = '42501', HINT = 'Revoke the memberships and run init again.';
  END IF;
  IF EXISTS (SELECT FROM pg_catalog.pg_auth_members AS m
             JOIN pg_catalog.pg_roles AS r ON r.oid = m.member
             JOIN pg_catalog.pg_roles AS g ON g.oid = m.roleid
             WHERE r.rolname = 'pgusher_control' AND g.rolname <> 'pgusher_owner') THEN
    RAISE EXCEPTION 'role "pgusher_control" must not be a member of any role but "pgusher_owner"'
      USING ERRCODE = '42501', HINT = 'Revoke the memberships and run init again.';
  END IF;
  -- pgusher_owner is in pgusher_session to end a session that keeps an administrator from governing.
  FOR wanted IN
    SELECT * FROM (VALUES
      ('pgusher_owner', 'pgusher_control'),
      ('pgusher_viewer', 'pgusher_owner'),
      ('pgusher_ddl', 'pgusher_owner'),
      ('pgusher_session', 'pgusher_owner')) AS memberships(role, member)
  LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_auth_members AS m
                   JOIN pg_catalog.pg_roles AS r ON r.oid = m.member
                   JOIN pg_catalog.pg_roles AS g ON g.oid = m.roleid
                   WHERE r.rolname = wanted.member AND g.rolname = wanted.role) THEN
      EXECUTE pg_catalog.format('GRANT %I TO %I', wanted.role, wanted.member);
    END IF;
  END LOOP;
  EXECUTE pg_catalog.format('GRANT CREATE, CONNECT, TEMPORARY ON DATABASE %I TO pgusher_owner', pg_catalog.current_database());
  EXECUTE pg_catalog.format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO pgusher_session, pgusher_control', pg_catalog.current_database());
END
$pgusher$;

-- What a session of the shared login starts with, whatever the database's own defaults are. Left alone where it is set: whoever
-- repeats init need not be allowed to alter the roles.
DO $pgusher$
DECLARE
  wanted record;
BEGIN
  FOR wanted IN
    SELECT * FROM (VALUES ('pgusher_session'), ('pgusher_control')) AS roles(name),
      (VALUES ('row_security'), ('standard_conforming_strings')) AS settings(setting)
  LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolname = wanted.name AND wanted.setting || '=on' = ANY (r.rolconfig)) THEN
      EXECUTE pg_catalog.format('ALTER ROLE %I SET %I = on', wanted.name, wanted.setting);
    END IF;
  END LOOP;
END
$pgusher$;

-- Plans over the filtered catalogs look dearer than they are, and would be compiled for longer than they run. A default only.
DO $pgusher$
DECLARE
  wanted record;
BEGIN
  FOR wanted IN SELECT r.rolname FROM pg_catalog.pg_roles AS r
    WHERE r.rolname IN ('pgusher_session', 'pgusher_control')
      AND NOT EXISTS (SELECT FROM pg_catalog.unnest(r.rolconfig) AS s(setting) WHERE s.setting LIKE 'jit=%')
  LOOP
    EXECUTE pg_catalog.format('ALTER ROLE %I SET jit = off', wanted.rolname);
  END LOOP;
END
$pgusher$;

-- The administrator must be able to act as pgusher_owner for the rest (since PostgreSQL 16 a member need not be). Where it cannot, it
-- becomes a member until the end of the script; two roles cannot be members of each other, so pgusher_owner's membership in the administrator is taken up again there.
DO $pgusher$
BEGIN
  IF NOT pg_catalog.pg_has_role('pgusher_owner',
       CASE WHEN pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 160000 THEN 'SET' ELSE 'MEMBER' END) THEN
    IF pg_catalog.pg_has_role('pgusher_owner', current_user, 'MEMBER') THEN
      EXECUTE pg_catalog.format('REVOKE %I FROM pgusher_owner', current_user);
    END IF;
    EXECUTE pg_catalog.format('GRANT pgusher_owner TO %I', current_user);
    PERFORM pg_catalog.set_config('pgusher.lent', 'on', true);
  ELSE
    PERFORM pg_catalog.set_config('pgusher.lent', 'off', true);
  END IF;
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'pgusher') THEN
    CREATE SCHEMA pgusher AUTHORIZATION pgusher_owner;
  ELSIF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace AS n JOIN pg_catalog.pg_roles AS r ON r.oid = n.nspowner
                    WHERE n.nspname = 'pgusher' AND r.rolname = 'pgusher_owner') THEN
    RAISE EXCEPTION 'schema "pgusher" exists and is not owned by "pgusher_owner"'
      USING ERRCODE = '42P06', HINT = 'The schema is reserved for pgusher: rename or drop what is there.';
  END IF;
END
$pgusher$;
