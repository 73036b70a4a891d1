-- The shop cut down to a size at which random joins of three tables stay cheap, and a table with every type that the generator
-- knows. Run after the demo's shop, as a superuser.

DELETE FROM public.customers AS c WHERE c.id > 30 AND NOT EXISTS (SELECT FROM public.orders AS o WHERE o.customer_id = c.id);
DELETE FROM public.employees AS e
WHERE e.id > 25 AND e.id % 10 <> 0 AND NOT EXISTS (SELECT FROM public.orders AS o WHERE o.sales_rep = e.email);
DELETE FROM public.products AS p WHERE p.id > 20 AND NOT EXISTS (SELECT FROM public.order_items AS i WHERE i.product_id = p.id);
UPDATE public.orders SET note = region || '-note-' || id WHERE id % 3 = 0;

SET ROLE shop_owner;
CREATE TYPE public.mood AS ENUM ('low', 'fair', 'high');
CREATE TABLE public.things (
    id integer PRIMARY KEY,
    flag boolean,
    small smallint,
    big bigint,
    ratio double precision,
    cost numeric(10,2),
    word text,
    code varchar(12) NOT NULL,
    region text NOT NULL REFERENCES public.regions,
    day date,
    seen timestamp,
    tags text[],
    nums integer[],
    doc jsonb,
    feel public.mood,
    secret text NOT NULL
);
INSERT INTO public.things
SELECT n,
       CASE public.pick('flag' || n, 3) WHEN 0 THEN true WHEN 1 THEN false END,
       CASE WHEN n % 11 <> 0 THEN public.pick('small' || n, 40) - 20 END,
       CASE WHEN n % 7 <> 0 THEN public.pick('big' || n, 100000000000) END,
       CASE WHEN n % 5 <> 0 THEN (public.pick('ratio' || n, 64) - 32) / 4.0 END,
       CASE WHEN n % 9 <> 0 THEN (public.pick('cost' || n, 200000) - 50000) / 100.0 END,
       CASE WHEN n % 8 <> 0 THEN public.choose('word' || n, '{apple,Pear,fig tree,12,7,-3,2024-02-29,été,"",x%y,o''hara,"null",true,"{}"}') END,
       'T' || pg_catalog.lpad(n::text, 3, '0'),
       public.choose('tregion' || n, '{EMEA,AMER,APAC}'),
       CASE WHEN n % 6 <> 0 THEN date '2023-06-01' + public.pick('tday' || n, 900)::integer END,
       CASE WHEN n % 10 <> 0 THEN timestamp '2024-01-01' + public.pick('seen' || n, 30000000) * interval '1 second' END,
       CASE WHEN n % 4 <> 0 THEN ARRAY[public.choose('t1' || n, '{red,green,blue}'), public.choose('t2' || n, '{red,green,blue,NULL}')] END,
       CASE WHEN n % 13 <> 0 THEN ARRAY[public.pick('n1' || n, 9)::integer, public.pick('n2' || n, 9)::integer, NULL, n] END,
       CASE WHEN n % 12 <> 0 THEN pg_catalog.jsonb_build_object('k', public.pick('dk' || n, 5), 's', public.choose('ds' || n, '{a,b,"7"}'), 'l', pg_catalog.jsonb_build_array(n % 3, 'x', NULL), 'o', pg_catalog.jsonb_build_object('in', n % 2 = 0)) END,
       (ARRAY['low', 'fair', 'high', NULL])[1 + public.pick('feel' || n, 4)]::public.mood,
       'hidden-' || pg_catalog.md5('secret' || n)
FROM pg_catalog.generate_series(1, 60) AS n;
CREATE INDEX things_cost ON public.things (cost);
CREATE INDEX things_code ON public.things (code);
-- Nobody is granted this one.
CREATE TABLE public.vault (id integer PRIMARY KEY, word text);
INSERT INTO public.vault VALUES (1, 'gold');
CREATE VIEW public.thing_notes AS SELECT t.id, t.word, t.region, t.cost, o.id AS order_id, o.note FROM public.things AS t LEFT JOIN public.orders AS o ON o.id = t.id;
RESET ROLE;
VACUUM ANALYZE;
