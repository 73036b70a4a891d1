//! Classes 17 and 18 by the long way: errors about hidden rows that a statement meets through triggers, foreign keys, cascades,
//! constraints of every kind, and expressions of the row filter and masks themselves.

use crate::harness::{Refusal, Shop, both_mechanisms};

/// Nothing of ours is named, and nothing is quoted.
fn innocent(refusal: &Refusal, secret: &str, sql: &str) {
    let all = format!("{refusal} {:?}", refusal.names);
    assert!(!all.contains(secret), "{sql}: {all}");
    for inner in ["pgusher", "$w", "$i", "$raw", "Failing row"] {
        assert!(!all.contains(inner), "{sql}: {all}");
    }
    assert_eq!((&refusal.detail, &refusal.context), (&None, &None), "{sql}");
}

/// `kept` is ana's to see by half; `open` is not governed; both are hers to write.
fn tables(shop: &Shop) {
    shop.truth().run(
        "SET ROLE shop_owner;
         CREATE TABLE public.open (id integer PRIMARY KEY, note text);
         CREATE TABLE public.kept (id integer PRIMARY KEY, owner text NOT NULL, word text UNIQUE CHECK (word <> 'bad'), size integer NOT NULL DEFAULT 1,
             open_id integer REFERENCES public.open, EXCLUDE (size WITH =) WHERE (size > 100), CHECK (length(word) < 20));
         INSERT INTO public.open SELECT n, 'n' || n FROM generate_series(1, 4) n;
         INSERT INTO public.kept SELECT n, CASE WHEN n % 2 = 1 THEN 'ana' ELSE 'bob' END, 'secret-' || n, 100 + n, n FROM generate_series(1, 4) n;
         CREATE TABLE public.log (id integer);
         CREATE FUNCTION public.spoil() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
             BEGIN
                 IF NEW.id = 1 THEN UPDATE public.kept SET word = 'bad' WHERE id = 2; END IF;
                 IF NEW.id = 2 THEN UPDATE public.kept SET owner = NULL WHERE id = 2; END IF;
                 IF NEW.id = 3 THEN INSERT INTO public.kept SELECT id + 10, owner, word FROM public.kept WHERE id = 2; END IF;
                 RETURN NEW;
             END $$;
         CREATE TRIGGER spoil BEFORE INSERT ON public.log FOR EACH ROW EXECUTE FUNCTION public.spoil();
         CREATE FUNCTION public.told() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING DETAIL = 'row ' || OLD.word; END $$;
         CREATE TRIGGER told BEFORE DELETE ON public.kept FOR EACH ROW WHEN (OLD.id IN (1, 2)) EXECUTE FUNCTION public.told()",
    );
    let admin = shop.admin();
    admin.run("ALTER TABLE kept SET ROW FILTER (owner = split_part(current_user(), '@', 1))");
    admin.run("ALTER TABLE kept ALTER COLUMN word SET MASK ('***')");
    for table in ["open", "kept", "log"] {
        admin.run(&format!("GRANT SELECT, MODIFY ON TABLE {table} TO \"ana@example.com\""));
    }
}

both_mechanisms! {
    fn what_upstream_says_of_a_hidden_row_is_withheld_on_every_way_to_it(shop: fresh) {
        tables(shop);
        let ana = shop.ana();
        for (sql, code) in [
            // Through a trigger of an ungoverned table.
            ("INSERT INTO log VALUES (1)", "23514"),
            ("INSERT INTO log VALUES (2)", "23502"),
            ("INSERT INTO log VALUES (3)", "23505"),
            // Through a foreign key: that something refers to it is PostgreSQL's to say, and not what.
            ("DELETE FROM open WHERE id = 2", "23503"),
            ("UPDATE open SET id = 9 WHERE id = 4", "23503"),
            // By constraints of every kind.
            ("INSERT INTO kept (id, owner) VALUES (2, 'ana')", "23505"),
            ("INSERT INTO kept (id, owner, word) VALUES (12, 'ana', 'secret-2')", "23505"),
            ("INSERT INTO kept (id, owner, size) VALUES (12, 'ana', 102)", "23P01"),
            ("UPDATE kept SET size = 104 WHERE id = 1", "23P01"),
            ("UPDATE kept SET word = 'bad' WHERE id = 1", "23514"),
            ("UPDATE kept SET size = NULL WHERE id = 1", "23502"),
            ("UPDATE kept SET open_id = 77 WHERE id = 1", "23503"),
            ("UPDATE kept SET owner = 'bob' WHERE id = 1", "42501"),
            ("INSERT INTO kept SELECT id + 20, owner, 'way too long a word for it', 5 FROM kept", "23514"),
            // By a trigger's own words.
            ("DELETE FROM kept WHERE id = 1", "P0001"),
        ] {
            innocent(&ana.refused(sql, code), "secret-", sql);
        }
        assert_eq!(ana.affected("DELETE FROM kept WHERE id = 2"), 0);
        // Where nothing is hidden, PostgreSQL's words stay as they are.
        assert_eq!(ana.refused("INSERT INTO open VALUES (1)", "23505").detail.as_deref(), Some("Key (id)=(1) already exists."));
    }

    /// An expression of the filter or of a mask that fails does so on a row that its reader may not see.
    fn a_filter_or_mask_that_fails_does_not_say_on_what(shop: fresh) {
        shop.truth().run(
            "SET ROLE shop_owner; CREATE TABLE public.odd (id integer, word text);
             INSERT INTO public.odd VALUES (1, '5'), (2, 'secret-2')",
        );
        let (admin, ana) = (shop.admin(), shop.ana());
        admin.run("GRANT SELECT, MODIFY ON TABLE odd TO \"ana@example.com\"");
        admin.run("ALTER TABLE odd SET ROW FILTER (word::integer > 3)");
        for sql in ["SELECT * FROM odd", "UPDATE odd SET id = 3", "DELETE FROM odd", "SELECT count(*) FROM odd WHERE id = 2"] {
            innocent(&ana.refused(sql, "22P02"), "secret-", sql);
        }
        admin.run("ALTER TABLE odd SET ROW FILTER (id > 0)");
        admin.run("ALTER TABLE odd ALTER COLUMN word SET MASK ((word::integer + 1)::text)");
        for sql in ["SELECT word FROM odd", "UPDATE odd SET id = 3 RETURNING *", "DELETE FROM odd WHERE word = 'x'", "COPY odd TO STDOUT"] {
            let refusal = ana.try_copy_out(sql).err().filter(|_| sql.starts_with("COPY")).unwrap_or_else(|| ana.refused(sql, "22P02"));
            innocent(&refusal, "secret-", sql);
        }
    }

    fn a_partition_says_no_more_than_its_parent(shop: fresh) {
        shop.truth().run(
            "SET ROLE shop_owner; CREATE TABLE public.parts (id integer, region text) PARTITION BY RANGE (id);
             CREATE TABLE public.parts_low PARTITION OF public.parts FOR VALUES FROM (0) TO (10)",
        );
        let admin = shop.admin();
        admin.run("ALTER TABLE parts SET ROW FILTER (region = 'EMEA')");
        admin.run("GRANT SELECT, MODIFY ON TABLE parts TO analysts");
        admin.run("GRANT MODIFY ON TABLE shipments TO analysts");
        let ana = shop.ana();
        innocent(&ana.refused("INSERT INTO parts VALUES (1999, 'EMEA')", "23514"), "1999", "no partition");
        let refusal = ana.refused("UPDATE shipments SET region = 'AMER' WHERE id = (SELECT min(id) FROM shipments)", "42501");
        innocent(&refusal, "AMER", "another region");
    }

    /// The fields that name things do so by the client's names.
    fn fields_name_what_the_client_knows(shop: fresh) {
        tables(shop);
        let ana = shop.ana();
        let refusal = ana.refused("UPDATE kept SET word = 'bad' WHERE id = 1", "23514");
        assert_eq!(refusal.names, ["public", "kept", "kept_word_check"], "{refusal}");
        let refusal = ana.refused("INSERT INTO kept (id, owner, size) VALUES (13, 'ana', NULL)", "23502");
        assert_eq!(refusal.names, ["public", "kept", "size"], "{refusal}");
        for sql in ["SELECT is_member(1) FROM kept", "SELECT nosuch(kept) FROM kept", "UPDATE kept SET word = ROW(1)", "SELECT kept.nosuch FROM kept", "SELECT word + 1 FROM public.kept", "UPDATE kept SET word = 'x' RETURNING kept.nosuch", "INSERT INTO kept (id, word) VALUES (1)"] {
            let refusal = ana.try_rows(sql).expect_err(sql);
            let all = format!("{refusal} {:?}", refusal.names);
            assert!(!all.contains("pgusher") && !all.contains('$'), "{sql}: {all}");
        }
    }
}
