-- The demo's principals, grants, row filters and masks, in pgusher's governance SQL.
-- Run it through pgusher as an administrator: psql -v ON_ERROR_STOP=1 -f policies.sql
-- Every statement ends with a semicolon at the end of a line.

-- Who there is.
CREATE USER "ana@example.com";
CREATE USER "bob@example.com";
CREATE USER "hana@example.com";
CREATE USER "ivan@example.com";
CREATE SERVICE PRINCIPAL bi_tool;

CREATE GROUP emea_analysts;
CREATE GROUP amer_analysts;
CREATE GROUP analysts;
CREATE GROUP hr;
CREATE GROUP interns;
ALTER GROUP emea_analysts ADD USER "ana@example.com";
ALTER GROUP amer_analysts ADD USER "bob@example.com";
ALTER GROUP analysts ADD GROUP emea_analysts;
ALTER GROUP analysts ADD GROUP amer_analysts;
ALTER GROUP hr ADD USER "hana@example.com";
ALTER GROUP interns ADD USER "ivan@example.com";

-- Regional analysts see their region. One function says it, for every table with a region; the tool for dashboards,
-- HR and administrators see every region.
CREATE FUNCTION public.region_visible(region text) RETURNS boolean LANGUAGE sql STABLE
    AS $$ SELECT (region = 'EMEA' AND is_member('emea_analysts')) OR (region = 'AMER' AND is_member('amer_analysts')) OR (region = 'APAC' AND is_member('interns')) OR is_member('hr') OR is_member('admins') OR current_user() = 'bi_tool' $$;

ALTER TABLE orders SET ROW FILTER region_visible ON (region);
ALTER TABLE order_items SET ROW FILTER region_visible ON (region);
ALTER TABLE customers SET ROW FILTER region_visible ON (region);
ALTER TABLE shipments SET ROW FILTER region_visible ON (region);

-- The same idea by a mapping table that its readers cannot read: who looks after which region stands in region_desk.
ALTER TABLE invoices SET ROW FILTER (is_member('admins') OR region IN (SELECT d.region FROM public.region_desk AS d WHERE d.principal = current_user()));

-- Everybody meets colleagues by name; contact details, salaries and social security numbers are for HR.
ALTER TABLE employees ALTER COLUMN email SET MASK (CASE WHEN is_member('hr') THEN email ELSE left(email, 1) || '***@' || split_part(email, '@', 2) END);
ALTER TABLE employees ALTER COLUMN phone SET MASK (CASE WHEN is_member('hr') THEN phone END);
ALTER TABLE employees ALTER COLUMN salary SET MASK (CASE WHEN is_member('hr') THEN salary ELSE 0 END);
ALTER TABLE employees ALTER COLUMN ssn SET MASK (CASE WHEN is_member('hr') THEN ssn ELSE '***-**-' || right(ssn, 4) END);

-- Buyers' addresses are for the analysts of their region only.
ALTER TABLE customers ALTER COLUMN email SET MASK (CASE WHEN is_member('analysts') THEN email ELSE 'hidden' END);

-- What each may do.
GRANT SELECT ON TABLE regions TO users;
GRANT SELECT ON TABLE products TO users;
GRANT SELECT, MODIFY ON TABLE orders TO analysts;
GRANT SELECT ON TABLE order_items TO analysts;
GRANT SELECT ON TABLE customers TO analysts;
GRANT SELECT ON TABLE shipments TO analysts;
GRANT SELECT ON TABLE invoices TO analysts;
GRANT SELECT ON TABLE employees TO analysts;
GRANT SELECT ON VIEW recent_orders TO analysts;
GRANT SELECT ON VIEW order_totals TO analysts;
GRANT SELECT ON VIEW staff_directory TO analysts;
GRANT READ_METADATA ON TABLE orders TO analysts;
GRANT SELECT, MODIFY ON TABLE employees TO hr;
GRANT SELECT ON TABLE orders TO hr;
GRANT SELECT ON VIEW staff_directory TO hr;
GRANT SELECT ON TABLE customers TO interns;
GRANT SELECT ON TABLE orders TO bi_tool;
GRANT SELECT ON TABLE order_items TO bi_tool;
GRANT SELECT ON TABLE customers TO bi_tool;
GRANT SELECT ON TABLE employees TO bi_tool;
GRANT SELECT ON VIEW order_totals TO bi_tool;

-- A derived view of the classic kind: the filter stands in its text, the reader's identity decides.
CREATE VIEW public.my_orders AS
    SELECT id, customer_id, status, ordered_on, amount FROM public.orders WHERE sales_rep = current_user();
GRANT SELECT ON VIEW my_orders TO analysts;
