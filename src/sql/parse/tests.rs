use super::*;
use crate::sql::rewrite::guard::prove;

/// On a stack as large as the workers' (main gives them 64 MiB).
fn on_worker<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(64 << 20).spawn(work).unwrap().join().unwrap()
}

fn outcome(text: String) -> Result<usize, ParseError> {
    on_worker(move || {
        let started = std::time::Instant::now();
        let parsed = parse(&text, &Limits::default());
        let parsing = started.elapsed();
        let count = match parsed {
            Err(error) => Err(error),
            Ok(statements) => {
                for statement in &statements {
                    prove(&statement.sql, &statement.tree).unwrap();
                    let copy = statement.tree.clone();
                    assert!(copy == statement.tree);
                }
                Ok(statements.len())
            }
        };
        let head: String = text.chars().take(40).collect();
        eprintln!(
            "{head:42} {:>9} bytes parse {parsing:>10.1?} all {:>10.1?} {:?}",
            text.len(),
            started.elapsed(),
            count.as_ref().map_err(|e| e.to_string())
        );
        count
    })
}

#[test]
fn extremes() {
    let chain = |item: &str, by: &str, n: usize| vec![item; n].join(by);
    let nested = |open: &str, inner: &str, close: &str, n: usize| format!("{}{inner}{}", open.repeat(n), close.repeat(n));
    let _ = outcome(format!("SELECT * FROM t WHERE a IN ({})", chain("1", ",", 100_000)));
    let _ = outcome(format!("INSERT INTO t VALUES {}", chain("(1,'abcdefgh',now(),4.5,NULL)", ",", 10_000)));
    let _ = outcome(format!("SELECT '{}'", "x".repeat(1_000_000)));
    let _ = outcome(format!("SELECT {}", chain("1", ",", 199_000)));
    let _ = outcome(format!("SELECT {}", chain("a.b", ",", 99_000)));
    let _ = outcome(format!("SELECT {}", chain("f()", ",", 99_000)));
    let _ = outcome(chain("SELECT 1", ";", 10_000));
    let _ = outcome(chain("SELECT 1", ";", 50_000));
    let _ = outcome(";".repeat(1_000_000));
    for n in [1_000, 1_001, 50_000] {
        let _ = outcome(chain("SELECT 1", " UNION ALL ", n));
    }
    for n in [10_000, 20_000, 100_000] {
        let _ = outcome(format!("SELECT 1 WHERE {}", chain("a", " AND ", n)));
    }
    let _ = outcome(format!("SELECT 1 WHERE {}", chain("a = 1", " OR ", 20_000)));
    for n in [900, 1_000, 100_000] {
        let _ = outcome(format!("SELECT {}", chain("1", "+", n)));
        let _ = outcome(format!("SELECT {}", chain("a", "||", n)));
        let _ = outcome(format!("SELECT 1{}", "::int".repeat(n)));
        let _ = outcome(format!("SELECT {} a", "NOT ".repeat(n)));
        let _ = outcome(format!("SELECT {} a", "- ".repeat(n)));
        let _ = outcome(format!("SELECT {}", chain("1 BETWEEN 1 ", " AND NOT ", n)));
        let _ = outcome(format!("SELECT * FROM {}", chain("t", " CROSS JOIN ", n)));
        let _ = outcome(format!("SELECT * FROM t{}", " JOIN t ON a = b".repeat(n.min(20_000))));
        let _ = outcome(format!("SELECT a{}", " COLLATE c".repeat(n)));
        let _ = outcome(format!("SELECT 1::int{}", "[]".repeat(n)));
        let _ = outcome(format!("SELECT a{}", "[1]".repeat(n)));
        let _ = outcome(format!("SELECT a{}", ".a".repeat(n)));
    }
    for n in [400, 500, 5_000, 100_000] {
        let _ = outcome(format!("SELECT {}", nested("(", "1", ")", n)));
        let _ = outcome(format!("SELECT {}", nested("(SELECT ", "1", ")", n)));
        let _ = outcome(format!("SELECT {}", nested("f(", "1", ")", n)));
        let _ = outcome(format!("SELECT * FROM {}", nested("(SELECT * FROM ", "t", ") x", n)));
        let _ = outcome(format!("SELECT 1 WHERE {}", nested("EXISTS (SELECT 1 WHERE ", "true", ")", n)));
        let _ = outcome(format!("SELECT {}", nested("CASE WHEN ", "a", " THEN 1 END", n)));
        let _ = outcome(format!("SELECT {}", nested("CAST(", "a", " AS int)", n)));
        let _ = outcome(format!("SELECT {}", nested("ARRAY[", "1", "]", n)));
        let _ = outcome(nested("WITH a AS (", "SELECT 1", ") SELECT 1", n));
        let _ = outcome(nested("(", "SELECT 1", ")", n));
        let _ = outcome(format!("SELECT 1 {}", nested("/*", "", "*/", n)));
        let _ = outcome(format!("SELECT 1 {}", "/*".repeat(n)));
        let _ = outcome(format!("SELECT {}", nested("ROW(a.b + 1 <= ", "1", ")", n)));
    }
}

#[test]
#[ignore]
fn stack_probe() {
    let kb: usize = std::env::var("STACK_KB").unwrap().parse().unwrap();
    let which = std::env::var("WHICH").unwrap();
    std::thread::Builder::new()
        .stack_size(kb << 10)
        .spawn(move || {
            let n = 300;
            let text = match which.as_str() {
                "ops" => format!("SELECT {}", vec!["1"; 1000].join("+")),
                "sub" => format!("SELECT {}1{}", "(SELECT ".repeat(n), ")".repeat(n)),
                "derived" => format!("SELECT * FROM {}t{}", "(SELECT * FROM ".repeat(n), ") x".repeat(n)),
                "func" => format!("SELECT * FROM {}t{}", "f((SELECT a FROM ".repeat(149), "))".repeat(149)),
                "union" => vec!["SELECT 1"; 1000].join(" UNION "),
                "exists" => format!("SELECT 1 WHERE {}true{}", "EXISTS (SELECT 1 WHERE ".repeat(n), ")".repeat(n)),
                "with" => format!("{}SELECT 1{}", "WITH a AS (".repeat(n), ") SELECT 1".repeat(n)),
                "caseops" => format!("SELECT {}1{}", "CASE WHEN 1+1+(".repeat(150), ") THEN 1 END".repeat(150)),
                _ => format!("SELECT * FROM t{}", " JOIN t ON a = b".repeat(1000)),
            };
            let p = parse(&text, &Limits::default()).unwrap();
            eprintln!("parsed");
            prove(&p[0].sql, &p[0].tree).unwrap();
            eprintln!("proved");
            let c = p[0].tree.clone();
            assert!(c == p[0].tree);
            eprintln!("cloned, compared");
            drop(p);
        })
        .unwrap()
        .join()
        .unwrap();
}
