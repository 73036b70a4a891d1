-- TPC-H's data at scale 0.1, after the rules of its specification as far as its 22 queries ask for them. Made by the server itself.
SELECT setseed(0.4711);

CREATE TEMPORARY TABLE words AS SELECT
  string_to_array('almond antique aquamarine azure beige black blue brown chocolate coral cream dark forest frosted green grey honeydew ivory lemon maroon navy olive salmon yellow', ' ') AS colors,
  string_to_array('carefully quickly furiously special express pending requests deposits accounts packages foxes ideas theodolites pinto beans sleep haggle wake detect regular final ironic even bold silent', ' ') AS prose;
CREATE FUNCTION pg_temp.one(VARIADIC words text[]) RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT words[1 + floor(random() * cardinality(words))::int] $$;
CREATE FUNCTION pg_temp.prose(most int) RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT array_to_string(w.prose[f:f + n], ' ') FROM (SELECT prose, 1 + floor(random() * 20)::int AS f, 2 + floor(random() * most)::int AS n FROM words) AS w $$;
CREATE FUNCTION pg_temp.up_to(most int) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT 1 + floor(random() * most)::int $$;
CREATE FUNCTION pg_temp.phone(nation int) RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT format('%s-%s-%s-%s', nation + 10, 99 + pg_temp.up_to(900), 99 + pg_temp.up_to(900), 999 + pg_temp.up_to(9000)) $$;

INSERT INTO region SELECT n - 1, name, 'regular deposits' FROM unnest('{AFRICA,AMERICA,ASIA,EUROPE,MIDDLE EAST}'::text[]) WITH ORDINALITY AS r (name, n);
INSERT INTO nation SELECT n - 1, name, ('{0,1,1,1,4,0,3,3,2,2,4,4,2,4,0,0,0,1,2,3,4,2,3,3,1}'::int[])[n], 'final accounts'
  FROM unnest('{ALGERIA,ARGENTINA,BRAZIL,CANADA,EGYPT,ETHIOPIA,FRANCE,GERMANY,INDIA,INDONESIA,IRAN,IRAQ,JAPAN,JORDAN,KENYA,MOROCCO,MOZAMBIQUE,PERU,CHINA,ROMANIA,SAUDI ARABIA,VIETNAM,RUSSIA,UNITED KINGDOM,UNITED STATES}'::text[]) WITH ORDINALITY AS r (name, n);
INSERT INTO supplier SELECT k, 'Supplier#' || lpad(k::text, 9, '0'), pg_temp.prose(2), n, pg_temp.phone(n), (random() * 11000 - 1000)::numeric(15,2),
    CASE k % 200 WHEN 5 THEN 'carefully Customer slow Complaints haggle' WHEN 6 THEN 'Customer furiously Recommends deposits' ELSE pg_temp.prose(6) END
  FROM (SELECT k, floor(random() * 25)::int AS n FROM generate_series(1, 1000) AS k) AS s;
INSERT INTO part SELECT k, array_to_string(ARRAY(SELECT c FROM words, unnest(colors) AS c WHERE k > 0 ORDER BY random() LIMIT 5), ' '), 'Manufacturer#' || m, 'Brand#' || m || b,
    pg_temp.one('STANDARD', 'SMALL', 'MEDIUM', 'LARGE', 'ECONOMY', 'PROMO') || ' ' || pg_temp.one('ANODIZED', 'BURNISHED', 'PLATED', 'POLISHED', 'BRUSHED') || ' ' || pg_temp.one('TIN', 'NICKEL', 'BRASS', 'STEEL', 'COPPER'),
    pg_temp.up_to(50), pg_temp.one('SM', 'LG', 'MED', 'JUMBO', 'WRAP') || ' ' || pg_temp.one('CASE', 'BOX', 'BAG', 'JAR', 'PKG', 'PACK', 'CAN', 'DRUM'),
    ((90000 + (k / 10) % 20001 + 100 * (k % 1000)) / 100.0)::numeric(15,2), pg_temp.prose(2)
  FROM (SELECT k, pg_temp.up_to(5) AS m, pg_temp.up_to(5) AS b FROM generate_series(1, 20000) AS k) AS p;
INSERT INTO partsupp SELECT p, (p + n * (250 + (p - 1) / 1000 % 250)) % 1000 + 1, pg_temp.up_to(9999), (1 + random() * 999)::numeric(15,2), pg_temp.prose(10)
  FROM generate_series(1, 20000) AS p, generate_series(0, 3) AS n;
INSERT INTO customer SELECT k, 'Customer#' || lpad(k::text, 9, '0'), pg_temp.prose(2), n, pg_temp.phone(n), (random() * 11000 - 1000)::numeric(15,2),
    pg_temp.one('AUTOMOBILE', 'BUILDING', 'FURNITURE', 'MACHINERY', 'HOUSEHOLD'), pg_temp.prose(6)
  FROM (SELECT k, floor(random() * 25)::int AS n FROM generate_series(1, 15000) AS k) AS c;
-- Eight of every thirty-two keys are used; a third of the customers orders nothing.
INSERT INTO orders SELECT n / 8 * 32 + n % 8 + 1, c - CASE WHEN c % 3 = 0 THEN 1 ELSE 0 END, 'O', 0, date '1992-01-01' + floor(random() * 2254)::int,
    pg_temp.one('1-URGENT', '2-HIGH', '3-MEDIUM', '4-NOT SPECIFIED', '5-LOW'), 'Clerk#' || lpad(pg_temp.up_to(100)::text, 9, '0'), 0, pg_temp.prose(5)
  FROM (SELECT n, pg_temp.up_to(15000) AS c FROM generate_series(0, 149999) AS n) AS o;
INSERT INTO lineitem SELECT o_orderkey, p, (p + s * (250 + (p - 1) / 1000 % 250)) % 1000 + 1, line, q, (q * (90000 + (p / 10) % 20001 + 100 * (p % 1000)) / 100.0)::numeric(15,2),
    (floor(random() * 11) / 100)::numeric(15,2), (floor(random() * 9) / 100)::numeric(15,2),
    CASE WHEN o_orderdate + shipped + received <= date '1995-06-17' THEN pg_temp.one('R', 'A') ELSE 'N' END, CASE WHEN o_orderdate + shipped > date '1995-06-17' THEN 'O' ELSE 'F' END,
    o_orderdate + shipped, o_orderdate + 29 + pg_temp.up_to(61), o_orderdate + shipped + received,
    pg_temp.one('DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'), pg_temp.one('REG AIR', 'AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB'), pg_temp.prose(3)
  FROM (SELECT o_orderkey, o_orderdate, line, pg_temp.up_to(20000) AS p, pg_temp.up_to(4) - 1 AS s, pg_temp.up_to(50) AS q, pg_temp.up_to(121) AS shipped, pg_temp.up_to(30) AS received
        FROM orders, LATERAL generate_series(1, 1 + (o_orderkey / 7 + o_custkey) % 7) AS line) AS l;
UPDATE orders SET o_orderstatus = l.status, o_totalprice = l.total
  FROM (SELECT l_orderkey, CASE WHEN bool_and(l_linestatus = 'O') THEN 'O' WHEN bool_and(l_linestatus = 'F') THEN 'F' ELSE 'P' END AS status,
        sum(l_extendedprice * (1 + l_tax) * (1 - l_discount))::numeric(15,2) AS total FROM lineitem GROUP BY l_orderkey) AS l WHERE l_orderkey = o_orderkey;
