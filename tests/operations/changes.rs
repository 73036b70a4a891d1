//! Policies follow what changed: the snapshot made of the one before is the one that loading all of it makes, or everything is loaded.

use pgusher::catalog::SearchPath;
use pgusher::governance::parse;
use pgusher::policy::{Mechanism, PolicySnapshot, PrincipalKind};
use pgusher::store::channel::{Control, Owned};
use pgusher::store::govern::{Terms, carry_out, operator};
use pgusher::store::load::{increment, policies};
use pgusher::upstream::OwnerChannel;

use crate::differential::Tape;
use crate::harness::{Bench, account, block, until};

const TABLES: &str = "CREATE SCHEMA s; CREATE TABLE s.a (id int, v text); CREATE TABLE s.b (id int, v text); CREATE TABLE s.c (id int, v text); \
    CREATE FUNCTION s.f(text) RETURNS boolean LANGUAGE sql RETURN true";

fn bench() -> Bench {
    Bench::new(Mechanism::Rls, TABLES, "SELECT 1")
}

async fn connect(bench: &Bench) -> Control {
    Control::connect(&bench.target, &account("pgusher_control")).await.unwrap()
}

/// All of them, as a proxy loads them that has just come.
async fn whole(control: &mut Control) -> PolicySnapshot {
    let mut owned = control.begin().await.unwrap();
    let found = policies(&mut owned, None).await.unwrap();
    owned.commit().await.unwrap();
    assert!(found.seen().is_some());
    found
}

async fn after(control: &mut Control, before: &PolicySnapshot) -> Option<PolicySnapshot> {
    let mut owned = control.begin().await.unwrap();
    let found = increment(&mut owned, before).await.unwrap();
    owned.commit().await.unwrap();
    found
}

async fn run(control: &mut Control, sql: &str) {
    let mut owned = control.begin().await.unwrap();
    owned.execute(sql).await.unwrap();
    owned.commit().await.unwrap();
}

async fn govern(owned: &mut Owned<'_>, text: &str) -> bool {
    let command = parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    carry_out(&command, &operator(), &SearchPath::default(), &Terms::default(), None, owned).await.is_ok()
}

async fn kept(control: &mut Control) -> u64 {
    let counted = control.client().query_one("SELECT count(*) FROM pgusher.change", &[]).await.unwrap();
    counted.get::<_, i64>(0).unsigned_abs()
}

/// A statement at random; the one thing that is certain about it is that it can be read.
fn statement(tape: &mut Tape, database: &str) -> String {
    let users = ["ana", "bob", "cid", "dan"];
    let groups = ["g1", "g2", "g3", "admins"];
    let privileges = ["SELECT", "MODIFY", "ALL PRIVILEGES", "READ_METADATA, SELECT", "MANAGE"];
    let objects = ["TABLE s.a", "TABLE s.b", "TABLE s.c", "SCHEMA s", "CATALOG", "FUNCTION s.f(text)"];
    let (user, other) = (*tape.one(&users), *tape.one(&users));
    let (group, within) = (*tape.one(&groups), *tape.one(&groups));
    let whom = if tape.chance(40) { format!("\"{group}\"") } else { format!("\"{user}\", \"{other}\"") };
    let (privilege, object) = (*tape.one(&privileges), *tape.one(&objects));
    let object = if object == "CATALOG" { format!("CATALOG {database}") } else { object.to_owned() };
    match tape.below(16) {
        0..=3 => format!("GRANT {privilege} ON {object} TO {whom}"),
        4..=5 => format!("REVOKE {privilege} ON {object} FROM {whom}"),
        6 => format!("CREATE USER \"{user}\""),
        7 => format!("CREATE GROUP \"{group}\""),
        8 => format!("DROP USER \"{user}\""),
        9 => format!("DROP GROUP \"{group}\""),
        10 => format!("ALTER GROUP \"{group}\" ADD USER \"{user}\""),
        11 => format!("ALTER GROUP \"{group}\" {} GROUP \"{within}\"", tape.one(&["ADD", "DROP"])),
        12 => format!("ALTER GROUP \"{group}\" DROP USER \"{user}\""),
        13 => format!("ALTER USER \"{user}\" {}", tape.one(&["DISABLE", "ENABLE"])),
        14 => format!("ALTER TABLE s.{} OWNER TO {}", tape.one(&["a", "b"]), tape.one(&["\"ana\"", "\"g1\""])),
        _ => match tape.below(4) {
            0 => "ALTER TABLE s.c SET ROW FILTER (id > 0)".to_owned(),
            1 => "ALTER TABLE s.c DROP ROW FILTER".to_owned(),
            2 => "ALTER TABLE s.b ALTER COLUMN v SET MASK ('x')".to_owned(),
            _ => "MSCK REPAIR TABLE s.a PRIVILEGES".to_owned(),
        },
    }
}

#[test]
fn after_any_changes_the_followed_policies_are_those_that_loading_all_of_them_gives() {
    let bench = bench();
    block(async {
        let (mut watch, mut writer) = (connect(&bench).await, connect(&bench).await);
        let mut tape = Tape::random(0x5ca1e);
        let people =
            "INSERT INTO pgusher.principal (name, kind) VALUES ('ana', 'user'), ('bob', 'user'), ('g1', 'group'), ('g2', 'group')";
        run(&mut writer, people).await;
        let mut followed = whole(&mut watch).await;
        let (mut changed, mut log) = (0, Vec::new());
        for _ in 0..25 {
            // Several statements in one transaction, some of which is undone.
            let mut owned = writer.begin().await.unwrap();
            let (mut undone, mut written) = (tape.chance(15), false);
            for _ in 0..=tape.below(3) {
                let text = statement(&mut tape, &bench.database);
                owned.execute("SAVEPOINT one").await.unwrap();
                let done = govern(&mut owned, &text).await;
                owned.execute(if done { "RELEASE one" } else { "ROLLBACK TO one" }).await.unwrap();
                log.push(format!("{text} -- {done}"));
                // A transaction sees what it has changed itself, before anybody else does.
                let own = increment(&mut owned, &followed).await.unwrap().expect("its own changes can be followed");
                assert!(own.says_the_same(&policies(&mut owned, None).await.unwrap()), "within:\n{}", log.join("\n"));
                written |= done;
                assert!(!written || own.seen().is_none(), "nobody goes on from what is not committed");
                undone |= !done && tape.chance(10);
            }
            if undone {
                drop(owned);
                log.push("ROLLBACK".to_owned());
            } else {
                owned.commit().await.unwrap();
            }
            let next = after(&mut watch, &followed).await.expect("the changes can be followed");
            changed += u32::from(!next.says_the_same(&followed));
            assert!(next.says_the_same(&whole(&mut watch).await), "{}", log.join("\n"));
            followed = next;
        }
        assert!(changed > 4, "only {changed} of the transactions changed anything");
        assert!(followed.principals().any(|p| p.kind == PrincipalKind::User), "somebody is left");
    });
}

/// Non-administrators' DDL writes owners while others govern: transactions end in another order than they began.
#[test]
fn what_was_written_before_and_committed_after_a_snapshot_is_followed() {
    let bench = bench();
    block(async {
        let (mut watch, mut early, mut late) = (connect(&bench).await, connect(&bench).await, connect(&bench).await);
        run(&mut late, "INSERT INTO pgusher.principal (name, kind) VALUES ('ana', 'user')").await;
        let mut open = early.begin().await.unwrap();
        let owner = "INSERT INTO pgusher.owner (kind, object, principal) SELECT 'relation', 's.a'::regclass, p.id FROM pgusher.principal AS p WHERE p.name = 'ana'";
        open.execute(owner).await.unwrap();
        run(&mut late, "INSERT INTO pgusher.principal (name, kind) VALUES ('bob', 'user'); SELECT pgusher.changed()").await;
        let between = whole(&mut watch).await;
        assert_eq!(between.owners().count(), 0);
        open.commit().await.unwrap();
        let next = after(&mut watch, &between).await.expect("the change can be followed");
        assert_eq!(next.owners().count(), 1);
        assert!(next.says_the_same(&whole(&mut watch).await));
    });
}

#[test]
fn a_name_that_passes_from_one_principal_to_another_stands_for_the_other() {
    let bench = bench();
    block(async {
        let (mut watch, mut writer) = (connect(&bench).await, connect(&bench).await);
        run(&mut writer, "INSERT INTO pgusher.principal (name, kind) VALUES ('ana', 'user'), ('bob', 'user')").await;
        let before = whole(&mut watch).await;
        let swap = "UPDATE pgusher.principal SET name = 'x' WHERE name = 'ana'; UPDATE pgusher.principal SET name = 'ana' WHERE name = 'bob'; \
                    UPDATE pgusher.principal SET name = 'bob' WHERE name = 'x'";
        run(&mut writer, swap).await;
        let next = after(&mut watch, &before).await.expect("the change can be followed");
        let of = |policies: &PolicySnapshot, name| policies.principal_named(name).map(|p| p.id);
        assert_eq!((of(&next, "ana"), of(&next, "bob")), (of(&before, "bob"), of(&before, "ana")));
        assert!(next.says_the_same(&whole(&mut watch).await));
    });
}

#[test]
fn what_cannot_be_told_by_the_changes_is_loaded_anew() {
    let bench = bench();
    block(async {
        let (mut watch, mut writer) = (connect(&bench).await, connect(&bench).await);
        run(&mut writer, "INSERT INTO pgusher.principal (name, kind) VALUES ('ana', 'user'); SELECT pgusher.changed()").await;
        let many = "INSERT INTO pgusher.grants (kind, object, privilege, principal) SELECT 'relation', n, 'SELECT', p.id \
                    FROM pgusher.principal AS p, generate_series(100001, 101001) AS n WHERE p.name = 'ana'";
        let unlogged = "ALTER TABLE pgusher.grants DISABLE TRIGGER USER; DELETE FROM pgusher.grants; ALTER TABLE pgusher.grants ENABLE TRIGGER USER";
        let forgotten =
            "SELECT pgusher.changed(); UPDATE pgusher.trimmed SET through = pg_current_xact_id(); DELETE FROM pgusher.change";
        for (why, sql) in [
            ("more rows than are noted", many.to_owned()),
            (
                "more changes than are followed",
                "INSERT INTO pgusher.change (kind, one) SELECT 'principal', n FROM generate_series(1, 10001) AS n".to_owned(),
            ),
            ("the version was moved by hand", format!("{unlogged}; UPDATE pgusher.version SET policy = policy + 1")),
            ("the version was set back", "UPDATE pgusher.version SET policy = policy - 1".to_owned()),
            ("all rows at once", "TRUNCATE pgusher.membership".to_owned()),
            (
                "of a kind that is not known",
                "INSERT INTO pgusher.change (kind) VALUES ('share'); SELECT pgusher.changed()".to_owned(),
            ),
            (
                "of a securable that is not known",
                "INSERT INTO pgusher.change (kind, securable, object, privilege, one) VALUES ('grants', 'cloud', 1, 'SELECT', 1)"
                    .to_owned(),
            ),
            ("the changes were trimmed", forgotten.to_owned()),
        ] {
            let before = whole(&mut watch).await;
            run(&mut writer, &sql).await;
            assert!(after(&mut watch, &before).await.is_none(), "{why}");
        }
        // A snapshot that says nothing of transactions is no ground either.
        let before = PolicySnapshot::default();
        assert!(after(&mut watch, &before).await.is_none());
    });
}

/// A transaction that sees less than the snapshot shows must not mix the two.
#[test]
fn a_transaction_with_an_older_view_loads_its_own() {
    let bench = bench();
    block(async {
        let (mut watch, mut reader, mut writer) = (connect(&bench).await, connect(&bench).await, connect(&bench).await);
        let mut old = reader.begin().await.unwrap();
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pgusher.principal").await.unwrap();
        run(&mut writer, "INSERT INTO pgusher.principal (name, kind) VALUES ('ana', 'user'); SELECT pgusher.changed()").await;
        let now = whole(&mut watch).await;
        assert!(increment(&mut old, &now).await.unwrap().is_none());
        assert!(policies(&mut old, None).await.unwrap().principal_named("ana").is_none());
    });
}

/// Nothing but the transactions tells, where rows are written by hand and the version stays.
#[test]
fn a_snapshot_with_rows_that_a_transaction_does_not_see_is_no_ground_for_its_own() {
    let bench = bench();
    block(async {
        let (mut watch, mut reader, mut writer) = (connect(&bench).await, connect(&bench).await, connect(&bench).await);
        let look = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pgusher.principal";
        let mut old = reader.begin().await.unwrap();
        old.execute(look).await.unwrap();
        run(&mut writer, "INSERT INTO pgusher.principal (name, kind) VALUES ('ana', 'user')").await;
        let now = whole(&mut watch).await;
        assert!(now.principal_named("ana").is_some());
        assert!(increment(&mut old, &now).await.unwrap().is_none(), "written by one that began later");
        old.commit().await.unwrap();
        let mut slow = writer.begin().await.unwrap();
        slow.execute("INSERT INTO pgusher.principal (name, kind) VALUES ('bob', 'user')").await.unwrap();
        run(&mut watch, "INSERT INTO pgusher.principal (name, kind) VALUES ('cid', 'user')").await;
        let mut old = reader.begin().await.unwrap();
        old.execute(look).await.unwrap();
        slow.commit().await.unwrap();
        let now = whole(&mut watch).await;
        assert!(now.principal_named("bob").is_some());
        assert!(increment(&mut old, &now).await.unwrap().is_none(), "written by one that ran at the time");
    });
}

#[test]
fn changes_are_forgotten_when_they_are_old_and_when_there_are_too_many() {
    let bench = bench();
    bench.govern("INSERT INTO pgusher.principal (name, kind) VALUES ('ana', 'user')");
    let trimmed = |sql: &str| {
        block(async {
            let mut writer = connect(&bench).await;
            run(&mut writer, sql).await;
            run(&mut writer, "SELECT pgusher.trim_changes()").await;
            kept(&mut writer).await
        })
    };
    assert!(trimmed("SELECT 1") > 0, "what is fresh stays");
    // As long as an older transaction runs, here in the databases of other tests, they stay as well.
    until("old changes to go", || (trimmed("UPDATE pgusher.change SET at = at - interval '11 minutes'") == 0).then_some(()));
    block(async {
        let mut watch = connect(&bench).await;
        let before = whole(&mut watch).await;
        assert!(after(&mut watch, &before).await.is_some(), "all that was forgotten was in it");
        let many = "INSERT INTO pgusher.change (kind, one) SELECT 'principal', n FROM generate_series(1, 100001) AS n";
        run(&mut watch, many).await;
        run(&mut watch, "SELECT pgusher.trim_changes()").await;
        assert_eq!(kept(&mut watch).await, 0, "too many go");
        assert!(after(&mut watch, &before).await.is_none(), "who has not read them loads everything");
    });
    // A database that was brought here from another cluster has numbers of transactions from there.
    let strange = "INSERT INTO pgusher.change (writer, kind) VALUES ('9000000000000000000', 'everything'); UPDATE pgusher.trimmed SET through = '9000000000000000000'";
    let followed = || {
        block(async {
            let mut watch = connect(&bench).await;
            let before = whole(&mut watch).await;
            after(&mut watch, &before).await.is_some()
        })
    };
    block(async { run(&mut connect(&bench).await, strange).await });
    assert!(!followed());
    assert_eq!(trimmed("SELECT 1"), 0);
    until("changes to be followed again", || followed().then_some(()));
}
