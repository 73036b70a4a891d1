-- The demo's shop: run by a superuser (or by a role that may create roles and grant on the schema public).
-- Deterministic: the same rows on every machine. `SET shop.orders = 2000` before it makes a smaller shop.
-- Everything belongs to the role shop_owner, which is no superuser.

DO $$
BEGIN
    CREATE ROLE shop_owner NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;
GRANT USAGE, CREATE ON SCHEMA public TO shop_owner;
SET ROLE shop_owner;

-- A number from 0 below `bound` that looks random and depends on nothing but its arguments.
CREATE FUNCTION public.pick(seed text, bound bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT ('x' || pg_catalog.substr(pg_catalog.md5(seed), 1, 15))::pg_catalog.bit(60)::bigint % bound $$;

CREATE FUNCTION public.choose(seed text, choices text[]) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT choices[1 + public.pick(seed, pg_catalog.cardinality(choices))] $$;

CREATE TABLE public.regions (
    code text PRIMARY KEY,
    name text NOT NULL
);
INSERT INTO public.regions VALUES
    ('EMEA', 'Europe, Middle East and Africa'), ('AMER', 'The Americas'), ('APAC', 'Asia and the Pacific');

CREATE TABLE public.employees (
    id integer PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL UNIQUE,
    phone text,
    title text NOT NULL,
    region text NOT NULL REFERENCES public.regions,
    manager_id integer REFERENCES public.employees,
    hired_on date NOT NULL,
    salary integer NOT NULL CHECK (salary > 0),
    ssn text NOT NULL UNIQUE
);
INSERT INTO public.employees
SELECT n,
       first || ' ' || last,
       CASE n WHEN 1 THEN 'ana@example.com' WHEN 2 THEN 'bob@example.com' WHEN 3 THEN 'hana@example.com' WHEN 4 THEN 'ivan@example.com'
              ELSE pg_catalog.lower(first) || '.' || pg_catalog.lower(last) || n || '@example.com' END,
       '+1 555 ' || pg_catalog.lpad(public.pick('phone' || n, 10000000)::text, 7, '0'),
       CASE WHEN n = 3 THEN 'People Partner' WHEN n = 4 THEN 'Intern' WHEN n % 10 = 0 THEN 'Manager' ELSE 'Sales Representative' END,
       CASE n WHEN 1 THEN 'EMEA' WHEN 2 THEN 'AMER' ELSE public.choose('region' || n, '{EMEA,AMER,APAC}') END,
       CASE WHEN n > 10 THEN 10 * (n / 10) - CASE WHEN n % 10 = 0 THEN 10 ELSE 0 END END,
       date '2015-01-01' + public.pick('hired' || n, 3650)::integer,
       (38000 + 250 * public.pick('salary' || n, 400))::integer,
       pg_catalog.lpad((100 + public.pick('ssn-a' || n, 800))::text, 3, '0') || '-' ||
       pg_catalog.lpad((10 + public.pick('ssn-b' || n, 90))::text, 2, '0') || '-' || pg_catalog.lpad((1000 + n)::text, 4, '0')
FROM (SELECT n,
             CASE n WHEN 1 THEN 'Ana' WHEN 2 THEN 'Bob' WHEN 3 THEN 'Hana' WHEN 4 THEN 'Ivan'
                    ELSE public.choose('first' || n, '{Ada,Bilal,Chen,Dara,Emil,Fatou,Grete,Hiro,Ines,Jonas,Kofi,Lena,Mila,Noor,Omar,Priya,Rosa,Sven,Tariq,Uma,Vera,Wei,Yara,Zoe}') END AS first,
             public.choose('last' || n, '{Abiola,Berg,Costa,Diaz,Evans,Fischer,Garcia,Haddad,Ito,Jensen,Kaya,Larsen,Moreau,Novak,Okafor,Park,Quist,Rossi,Sato,Tanaka,Usman,Vogel,Weber,Young}') AS last
      FROM pg_catalog.generate_series(1, 200) AS n) AS people;
CREATE INDEX employees_region ON public.employees (region);

CREATE TABLE public.customers (
    id integer PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL,
    phone text,
    city text NOT NULL,
    region text NOT NULL REFERENCES public.regions,
    since date NOT NULL
);
INSERT INTO public.customers
SELECT n,
       public.choose('adjective' || n, '{Amber,Blue,Clear,Deep,Early,Fine,Grand,High,Iron,Jade,Keen,Light,Main,North,Open,Prime,Quiet,Red,Silver,True}') || ' ' ||
       public.choose('noun' || n, '{Anchor,Bakery,Cycles,Dairy,Engines,Foods,Gardens,Homes,Imports,Jewels,Kitchens,Labs,Motors,Optics,Paper,Roasters,Sports,Tools,Vines,Works}') || ' ' || n,
       'buyer' || n || '@customer.example',
       '+44 20 ' || pg_catalog.lpad(public.pick('cphone' || n, 100000000)::text, 8, '0'),
       CASE region WHEN 'EMEA' THEN public.choose('city' || n, '{Berlin,Cairo,Lagos,Lisbon,Oslo,Paris}')
                   WHEN 'AMER' THEN public.choose('city' || n, '{Austin,Bogota,Denver,Lima,Quito,Toronto}')
                   ELSE public.choose('city' || n, '{Delhi,Hanoi,Manila,Osaka,Perth,Seoul}') END,
       region,
       date '2019-01-01' + public.pick('since' || n, 1800)::integer
FROM (SELECT n, public.choose('cregion' || n, '{EMEA,EMEA,EMEA,AMER,AMER,AMER,AMER,APAC,APAC}') AS region
      FROM pg_catalog.generate_series(1, 5000) AS n) AS buyers;
CREATE INDEX customers_region ON public.customers (region);

CREATE TABLE public.products (
    id integer PRIMARY KEY,
    sku text NOT NULL UNIQUE,
    name text NOT NULL,
    price numeric(10,2) NOT NULL CHECK (price > 0)
);
INSERT INTO public.products
SELECT n, 'SKU-' || pg_catalog.lpad(n::text, 5, '0'),
       public.choose('material' || n, '{Birch,Brass,Cotton,Glass,Leather,Linen,Oak,Slate,Steel,Wool}') || ' ' ||
       public.choose('thing' || n, '{Basket,Bench,Bowl,Chair,Clock,Desk,Frame,Lamp,Shelf,Table}'),
       (100 + public.pick('price' || n, 49900)) / 100.0
FROM pg_catalog.generate_series(1, 300) AS n;

CREATE TABLE public.orders (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES public.customers,
    region text NOT NULL REFERENCES public.regions,
    sales_rep text NOT NULL REFERENCES public.employees (email),
    status text NOT NULL CHECK (status IN ('open', 'paid', 'shipped', 'returned')),
    ordered_on date NOT NULL,
    amount numeric(12,2) NOT NULL DEFAULT 0,
    note text,
    UNIQUE (id, region)
);
INSERT INTO public.orders (id, customer_id, region, sales_rep, status, ordered_on, note)
SELECT o.n, c.id, c.region,
       CASE WHEN c.region = 'EMEA' AND public.pick('rep' || o.n, 4) = 0 THEN 'ana@example.com'
            WHEN c.region = 'AMER' AND public.pick('rep' || o.n, 4) = 0 THEN 'bob@example.com'
            ELSE e.email END,
       public.choose('status' || o.n, '{open,paid,paid,shipped,shipped,shipped,shipped,returned}'),
       date '2023-01-01' + public.pick('day' || o.n, 1095)::integer,
       CASE WHEN public.pick('note' || o.n, 20) = 0 THEN 'gift wrap' END
FROM (SELECT n, 1 + public.pick('customer' || n, 5000)::integer AS customer, 5 + public.pick('employee' || n, 196)::integer AS employee
      FROM pg_catalog.generate_series(1, coalesce(nullif(pg_catalog.current_setting('shop.orders', true), ''), '120000')::integer) AS n) AS o
JOIN public.customers AS c ON c.id = o.customer
JOIN public.employees AS e ON e.id = o.employee;
SELECT pg_catalog.setval('public.orders_id_seq', (SELECT pg_catalog.max(id) FROM public.orders));

CREATE TABLE public.order_items (
    order_id bigint NOT NULL,
    line smallint NOT NULL,
    region text NOT NULL,
    product_id integer NOT NULL REFERENCES public.products,
    quantity integer NOT NULL CHECK (quantity > 0),
    price numeric(10,2) NOT NULL,
    PRIMARY KEY (order_id, line),
    FOREIGN KEY (order_id, region) REFERENCES public.orders (id, region) ON DELETE CASCADE
);
INSERT INTO public.order_items
SELECT o.id, l.line, o.region, p.id, 1 + public.pick('quantity' || o.id || '/' || l.line, 5)::integer, p.price
FROM public.orders AS o
CROSS JOIN LATERAL pg_catalog.generate_series(1, 1 + public.pick('lines' || o.id, 3)::integer) AS l (line)
JOIN public.products AS p ON p.id = 1 + public.pick('product' || o.id || '/' || l.line, 300);
UPDATE public.orders AS o SET amount = i.total
FROM (SELECT order_id, pg_catalog.sum(quantity * price) AS total FROM public.order_items GROUP BY order_id) AS i
WHERE i.order_id = o.id;

CREATE INDEX orders_customer ON public.orders (customer_id);
CREATE INDEX orders_ordered_on ON public.orders (ordered_on);
CREATE INDEX orders_region ON public.orders (region);
CREATE INDEX orders_sales_rep ON public.orders (sales_rep);
CREATE INDEX order_items_product ON public.order_items (product_id);

-- Partitioned by year; the year 2025 is partitioned again, so filters have two levels to come down.
CREATE TABLE public.shipments (
    id bigint NOT NULL,
    order_id bigint NOT NULL,
    region text NOT NULL,
    carrier text NOT NULL,
    tracking text NOT NULL,
    shipped_on date NOT NULL,
    PRIMARY KEY (id, shipped_on, region)
) PARTITION BY RANGE (shipped_on);
CREATE TABLE public.shipments_2023 PARTITION OF public.shipments FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE public.shipments_2024 PARTITION OF public.shipments FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE public.shipments_2025 PARTITION OF public.shipments FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY LIST (region);
CREATE TABLE public.shipments_2025_emea PARTITION OF public.shipments_2025 FOR VALUES IN ('EMEA');
CREATE TABLE public.shipments_2025_rest PARTITION OF public.shipments_2025 DEFAULT;
CREATE TABLE public.shipments_later PARTITION OF public.shipments DEFAULT;
INSERT INTO public.shipments
SELECT o.id, o.id, o.region, public.choose('carrier' || o.id, '{Falcon,Heron,Kestrel}'), 'TRK' || pg_catalog.upper(pg_catalog.substr(pg_catalog.md5('tracking' || o.id), 1, 12)),
       o.ordered_on + 1 + public.pick('transit' || o.id, 9)::integer
FROM public.orders AS o WHERE o.status IN ('shipped', 'returned');
CREATE INDEX shipments_order ON public.shipments (order_id);

CREATE SEQUENCE public.invoice_number START 1000;
CREATE TABLE public.invoices (
    number bigint PRIMARY KEY DEFAULT pg_catalog.nextval('public.invoice_number'),
    order_id bigint NOT NULL REFERENCES public.orders,
    region text NOT NULL,
    issued_on date NOT NULL DEFAULT CURRENT_DATE,
    total numeric(12,2) NOT NULL
);
ALTER SEQUENCE public.invoice_number OWNED BY public.invoices.number;
INSERT INTO public.invoices (order_id, region, issued_on, total)
SELECT id, region, ordered_on, amount FROM public.orders WHERE status = 'paid' ORDER BY id;

-- Which manager looks after which region: a mapping table that a row filter reads and its readers cannot.
CREATE TABLE public.region_desk (
    principal text NOT NULL,
    region text NOT NULL REFERENCES public.regions,
    PRIMARY KEY (principal, region)
);
INSERT INTO public.region_desk VALUES ('ana@example.com', 'EMEA'), ('bob@example.com', 'AMER');

-- Views that the shop's own people made, long before there was a proxy.
CREATE VIEW public.recent_orders AS
    SELECT id, customer_id, region, status, ordered_on, amount FROM public.orders WHERE ordered_on >= date '2025-10-01';
CREATE VIEW public.order_totals AS
    SELECT o.region, o.status, pg_catalog.count(*) AS orders, pg_catalog.sum(o.amount) AS amount FROM public.orders AS o GROUP BY o.region, o.status;
CREATE VIEW public.staff_directory AS
    SELECT e.id, e.name, e.title, e.region, e.email, m.name AS manager
    FROM public.employees AS e LEFT JOIN public.employees AS m ON m.id = e.manager_id;

COMMENT ON TABLE public.orders IS 'What customers ordered, a row per order';
COMMENT ON COLUMN public.employees.ssn IS 'Social security number';

RESET ROLE;
ANALYZE;
