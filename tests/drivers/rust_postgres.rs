//! tokio-postgres: everything it sends is prepared and binary; it pipelines and asks for the types it does not know.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, TryStreamExt, future, pin_mut};
use tokio_postgres::binary_copy::{BinaryCopyInWriter, BinaryCopyOutStream};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{Kind, Type};
use tokio_postgres::{AsyncMessage, Client, Error, IsolationLevel, NoTls};

use crate::harness::{PATIENCE, Shop, both_mechanisms};

/// A statement that nobody waits for.
const LONG: &str = "SELECT count(*) FROM generate_series(1, 1000000) AS a, generate_series(1, 1000000) AS b";
/// A new order of Ana's: the region and the note are parameters.
const ORDER: &str = "INSERT INTO orders (customer_id, region, sales_rep, status, ordered_on, note) \
                     VALUES (1, $1, 'ana@example.com', 'open', '2025-11-05', $2)";

fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await.expect("it ends in time") })
}

fn settings(shop: &Shop, user: &str) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(shop.proxy.port).dbname(&shop.database).user(user).password(shop.token(user));
    config
}

async fn connect(shop: &Shop, user: &str) -> Client {
    let (client, connection) = settings(shop, user).connect(NoTls).await.unwrap_or_else(|e| panic!("{user}: {e:?}"));
    tokio::spawn(connection);
    client
}

async fn ana(shop: &Shop) -> Client {
    connect(shop, "ana@example.com").await
}

fn own_orders(shop: &Shop) -> i64 {
    shop.truth().one("SELECT count(*) FROM orders WHERE region = 'EMEA'").parse().expect("a number")
}

async fn count(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap_or_else(|e| panic!("{sql}: {e:?}")).get(0)
}

fn code(error: &Error) -> &str {
    error.code().map_or("", SqlState::code)
}

fn refused<T>(result: Result<T, Error>, state: &SqlState) {
    match result {
        Ok(_) => panic!("{} was expected, it went through", state.code()),
        Err(error) => assert_eq!(code(&error), state.code(), "{error:?}"),
    }
}

both_mechanisms! {
    fn typed_queries_give_own_rows(shop: shared) {
        let expected = own_orders(shop);
        wait(async {
            let ana = ana(shop).await;
            let statement = ana.prepare_typed("SELECT count(*) FROM orders WHERE id > $1 AND region = ANY ($2)", &[Type::INT8]).await.expect("prepared");
            assert_eq!(statement.params(), [Type::INT8, Type::TEXT_ARRAY]);
            for _ in 0..5 {
                let row = ana.query_one(&statement, &[&0_i64, &vec!["EMEA", "AMER"]]).await.expect("a row");
                assert_eq!(row.get::<_, i64>(0), expected);
            }
            let rows = ana.query_typed("SELECT DISTINCT region FROM orders WHERE region <> $1", &[(&"APAC", Type::TEXT)]).await.expect("rows");
            assert_eq!(rows.iter().map(|r| r.get::<_, &str>(0)).collect::<Vec<_>>(), ["EMEA"]);
            assert_eq!(ana.query_one("SELECT current_user", &[]).await.expect("a row").get::<_, &str>(0), "ana@example.com");
        });
    }

    fn binary_values_are_masked_for_analysts_and_true_for_hr(shop: shared) {
        let truth = shop.truth().rows("SELECT salary, ssn FROM employees ORDER BY id");
        wait(async {
            let sql = "SELECT salary, ssn, phone FROM employees ORDER BY id";
            let (ana, hana) = (ana(shop).await, connect(shop, "hana@example.com").await);
            let (masked, seen) = future::try_join(ana.query(sql, &[]), hana.query(sql, &[])).await.expect("rows");
            assert_eq!((masked.len(), seen.len()), (truth.len(), truth.len()));
            for ((masked, seen), truth) in masked.iter().zip(&seen).zip(&truth) {
                assert_eq!(masked.get::<_, i32>(0), 0);
                assert_eq!(masked.get::<_, &str>(1), format!("***-**-{}", &truth[1][7..]));
                assert_eq!(masked.get::<_, Option<&str>>(2), None);
                assert_eq!((seen.get::<_, i32>(0).to_string(), seen.get::<_, String>(1)), (truth[0].clone(), truth[1].clone()));
            }
        });
    }

    fn pipelined_statements_answer_in_order(shop: shared) {
        let expected = own_orders(shop);
        wait(async {
            let ana = ana(shop).await;
            let statement = ana.prepare("SELECT count(*) + $1::bigint FROM orders").await.expect("prepared");
            let numbers: Vec<i64> = (0..100).collect();
            let answers = future::try_join_all(numbers.iter().map(|n| {
                let (ana, statement) = (&ana, &statement);
                async move { Ok::<i64, Error>(ana.query_one(statement, &[n]).await?.get(0)) }
            }));
            assert_eq!(answers.await.expect("answers"), numbers.iter().map(|n| n + expected).collect::<Vec<_>>());
            // One refusal among them takes no other with it.
            let (good, bad, after) = future::join3(
                ana.query_one("SELECT count(*) FROM orders", &[]),
                ana.query("SELECT * FROM region_desk", &[]),
                ana.query_one("SELECT count(*) FROM orders", &[]),
            ).await;
            refused(bad, &SqlState::INSUFFICIENT_PRIVILEGE);
            assert_eq!(good.expect("a row").get::<_, i64>(0), expected);
            assert_eq!(after.expect("a row").get::<_, i64>(0), expected);
        });
    }

    fn portals_give_own_rows_in_pieces(shop: shared) {
        let expected = own_orders(shop);
        wait(async {
            let mut ana = ana(shop).await;
            let transaction = ana.transaction().await.expect("a transaction");
            let portal = transaction.bind("SELECT region FROM orders", &[]).await.expect("a portal");
            let mut found = 0;
            loop {
                let rows = transaction.query_portal(&portal, 100).await.expect("rows");
                assert!(rows.iter().all(|r| r.get::<_, &str>(0) == "EMEA"));
                found += rows.len();
                if rows.len() < 100 { break; }
            }
            assert_eq!(found as i64, expected);
            transaction.commit().await.expect("committed");
        });
    }

    fn copy_out_gives_own_rows_and_masks(shop: shared) {
        let expected = own_orders(shop);
        wait(async {
            let ana = ana(shop).await;
            let text: Vec<Bytes> = ana.copy_out("COPY orders (region) TO STDOUT").await.expect("copying").try_collect().await.expect("copied");
            let text = text.concat();
            assert_eq!(text.len() as i64, expected * 5);
            assert!(text.chunks(5).all(|line| line == b"EMEA\n"));
            let stream = ana.copy_out("COPY employees (salary, ssn) TO STDOUT (FORMAT binary)").await.expect("copying");
            let rows: Vec<_> = BinaryCopyOutStream::new(stream, &[Type::INT4, Type::TEXT]).try_collect().await.expect("copied");
            assert_eq!(rows.len(), 200);
            assert!(rows.iter().all(|r| r.get::<i32>(0) == 0 && r.get::<&str>(1).starts_with("***-**-")));
        });
    }

    fn copy_in_keeps_to_the_row_filter(shop: fresh) {
        wait(async {
            let ana = ana(shop).await;
            let columns = "(customer_id, region, sales_rep, status, ordered_on, note)";
            let line = |region: &str| Bytes::from(format!("1\t{region}\tana@example.com\topen\t2025-11-05\trust\n"));
            let sink = ana.copy_in(&format!("COPY orders {columns} FROM STDIN")).await.expect("copying");
            pin_mut!(sink);
            sink.send(line("EMEA")).await.expect("sent");
            sink.send(line("EMEA")).await.expect("sent");
            assert_eq!(sink.finish().await.expect("copied"), 2);
            let sink = ana.copy_in(&format!("COPY orders {columns} FROM STDIN")).await.expect("copying");
            pin_mut!(sink);
            sink.send(line("EMEA")).await.expect("sent");
            sink.send(line("AMER")).await.expect("sent");
            let refusal = sink.finish().await.expect_err("a row that the filter hides");
            assert!(["42501", "44000"].contains(&code(&refusal)), "{refusal:?}");
            refused(ana.copy_in::<_, Bytes>("COPY customers (id, name) FROM STDIN").await, &SqlState::INSUFFICIENT_PRIVILEGE);
            assert_eq!(count(&ana, "SELECT count(*) FROM orders WHERE note = 'rust'").await, 2);
        });
    }

    fn a_copy_in_of_a_thousand_binary_rows_arrives(shop: fresh) {
        let admin = shop.admin();
        admin.run("CREATE TABLE parts (id integer PRIMARY KEY, word text)");
        admin.run("GRANT SELECT, MODIFY ON TABLE parts TO analysts");
        wait(async {
            let ana = ana(shop).await;
            let sink = ana.copy_in("COPY parts (id, word) FROM STDIN (FORMAT binary)").await.expect("copying");
            let writer = BinaryCopyInWriter::new(sink, &[Type::INT4, Type::TEXT]);
            pin_mut!(writer);
            for n in 0..1000_i32 {
                writer.as_mut().write(&[&n, &format!("part {n}")]).await.expect("written");
            }
            assert_eq!(writer.finish().await.expect("copied"), 1000);
            assert_eq!(count(&ana, "SELECT count(*) FROM parts").await, 1000);
            // A copy that its client drops is rolled back and leaves a usable session.
            let sink = ana.copy_in("COPY parts (id, word) FROM STDIN").await.expect("copying");
            {
                pin_mut!(sink);
                sink.send(Bytes::from_static(b"5000\thalf\n")).await.expect("sent");
            }
            assert_eq!(count(&ana, "SELECT count(*) FROM parts").await, 1000);
        });
    }

    fn transactions_and_savepoints_keep_what_was_allowed(shop: fresh) {
        wait(async {
            let mut ana = ana(shop).await;
            let mut transaction = ana.build_transaction().isolation_level(IsolationLevel::Serializable).start().await.expect("begun");
            assert_eq!(transaction.execute(ORDER, &[&"EMEA", &"kept"]).await.expect("inserted"), 1);
            let savepoint = transaction.savepoint("before").await.expect("a savepoint");
            refused(savepoint.query("SELECT * FROM region_desk", &[]).await, &SqlState::INSUFFICIENT_PRIVILEGE);
            refused(savepoint.query("SELECT 1", &[]).await, &SqlState::IN_FAILED_SQL_TRANSACTION);
            savepoint.rollback().await.expect("rolled back");
            let nested = transaction.transaction().await.expect("nested");
            nested.execute(ORDER, &[&"EMEA", &"dropped"]).await.expect("inserted");
            drop(nested);
            transaction.commit().await.expect("committed");
            assert_eq!(count(&ana, "SELECT count(*) FROM orders WHERE note = 'kept'").await, 1);
            assert_eq!(count(&ana, "SELECT count(*) FROM orders WHERE note = 'dropped'").await, 0);
            let reading = ana.build_transaction().read_only(true).start().await.expect("begun");
            refused(reading.execute(ORDER, &[&"EMEA", &"never"]).await, &SqlState::READ_ONLY_SQL_TRANSACTION);
        });
    }

    fn a_row_beyond_the_filter_cannot_be_written(shop: shared) {
        wait(async {
            let ana = ana(shop).await;
            let refusal = ana.execute(ORDER, &[&"AMER", &"beyond"]).await.expect_err("hidden from its writer");
            assert!(["42501", "44000"].contains(&code(&refusal)), "{refusal:?}");
            assert_eq!(ana.execute("UPDATE orders SET note = 'x' WHERE region = $1", &[&"AMER"]).await.expect("no rows"), 0);
        });
    }

    fn a_cancel_request_ends_the_statement_and_not_the_session(shop: shared) {
        wait(async {
            let ana = ana(shop).await;
            let token = ana.cancel_token();
            let running = ana.query(LONG, &[]);
            let cancelling = async {
                loop {
                    token.cancel_query(NoTls).await.expect("the request is taken");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let ended = tokio::select! {
                ended = running => ended,
                never = cancelling => never,
            };
            refused(ended, &SqlState::QUERY_CANCELED);
            assert_eq!(ana.query_one("SELECT 1", &[]).await.expect("a row").get::<_, i32>(0), 1);
        });
    }

    fn errors_carry_their_sqlstate_detail_and_hint(shop: shared) {
        wait(async {
            let ivan = connect(shop, "ivan@example.com").await;
            let refusal = ivan.query("SELECT * FROM employees", &[]).await.expect_err("no grant");
            let said = refusal.as_db_error().expect("a message of the server");
            assert_eq!((said.code(), said.message()), (&SqlState::INSUFFICIENT_PRIVILEGE, "permission denied for table employees"));
            assert!(said.detail().is_some_and(|d| d.contains("SELECT")) && said.hint().is_some(), "{said:?}");
            refused(ivan.query("SELECT * FROM nowhere", &[]).await, &SqlState::UNDEFINED_TABLE);
            refused(ivan.query("SELECT 1 / $1::integer", &[&0_i32]).await, &SqlState::DIVISION_BY_ZERO);
            refused(ivan.batch_execute("CREATE TABLE mine (id integer)").await, &SqlState::INSUFFICIENT_PRIVILEGE);
            let mut wrong = settings(shop, "ivan@example.com");
            let refusal = wrong.password("pgu_wrong").connect(NoTls).await.err().expect("a wrong token");
            assert_eq!(code(&refusal), "28P01");
        });
    }

    fn unknown_types_are_looked_up(shop: fresh) {
        let admin = shop.admin();
        for sql in ["CREATE TYPE mood AS ENUM ('calm', 'merry')", "CREATE TYPE parcel AS (weight integer, mood mood)"] {
            admin.run(sql);
        }
        wait(async {
            let ana = ana(shop).await;
            let statement = ana.prepare("SELECT 'calm'::mood, NULL::parcel, ARRAY['calm'::mood]").await.expect("prepared");
            let kinds: Vec<&Kind> = statement.columns().iter().map(|c| c.type_().kind()).collect();
            assert!(matches!(kinds[0], Kind::Enum(labels) if labels == &["calm", "merry"]), "{kinds:?}");
            assert!(matches!(kinds[1], Kind::Composite(fields) if fields.len() == 2 && fields[1].name() == "mood"), "{kinds:?}");
            assert!(matches!(kinds[2], Kind::Array(of) if of.name() == "mood"), "{kinds:?}");
        });
    }

    fn notifications_and_parameter_changes_arrive(shop: shared) {
        wait(async {
            let (client, mut connection) = settings(shop, "ana@example.com").connect(NoTls).await.expect("connected");
            let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
            tokio::spawn(async move {
                while let Some(Ok(message)) = future::poll_fn(|cx| connection.poll_message(cx)).await {
                    if let AsyncMessage::Notification(note) = message {
                        let _ = sender.send((note.channel().to_string(), note.payload().to_string()));
                    }
                }
            });
            client.batch_execute("LISTEN the_rust_bell; NOTIFY the_rust_bell, 'ding'").await.expect("heard");
            assert_eq!(heard.recv().await.expect("a notification"), ("the_rust_bell".into(), "ding".into()));
        });
    }

    fn rows_stream_as_they_come(shop: shared) {
        let expected = own_orders(shop);
        wait(async {
            let ana = ana(shop).await;
            let none: [&str; 0] = [];
            let rows = ana.query_raw("SELECT region FROM orders", none).await.expect("a stream");
            let found = rows.fold(0_i64, |n, row| async move {
                assert_eq!(row.expect("a row").get::<_, &str>(0), "EMEA");
                n + 1
            });
            assert_eq!(found.await, expected);
        });
    }
}
