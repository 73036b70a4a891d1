use std::collections::BTreeSet;

use pg_query::protobuf::Node;
use prost::Message;

use super::super::lexer::Lexer;
use super::super::{only, tree};
use super::CORPUS;

/// A default node of every type of the grammar: an empty message under each tag of `Node`.
fn every_node() -> Vec<Node> {
    (1u32..=400)
        .filter_map(|tag| {
            let mut key = Vec::new();
            prost::encoding::encode_varint(u64::from(tag << 3 | 2), &mut key);
            key.push(0);
            Node::decode(key.as_slice()).ok().filter(|n| n.node.is_some())
        })
        .collect()
}

fn numeric_fields(value: &serde_json::Value, found: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, field) in fields {
                if field.is_number() {
                    found.insert(name.clone());
                }
                numeric_fields(field, found);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| numeric_fields(item, found)),
        _ => {}
    }
}

#[test]
fn every_numeric_field_that_says_where_something_stood_is_known() {
    let nodes = every_node();
    assert_eq!(nodes.len(), 271, "the grammar has changed: review PLACES");
    let mut fields = BTreeSet::new();
    for node in &nodes {
        numeric_fields(&serde_json::to_value(node).unwrap(), &mut fields);
    }
    let suspicious: BTreeSet<&str> = fields
        .iter()
        .map(String::as_str)
        .filter(|f| ["loc", "len", "start", "end", "pos", "offset", "begin"].iter().any(|part| f.contains(part)))
        .collect();
    let meant: BTreeSet<&str> = MEANT.iter().copied().collect();
    let places: BTreeSet<&str> = tree::PLACES.iter().copied().collect();
    assert_eq!(suspicious, &meant | &places);
}

/// Numeric fields whose names look like places and are none: functions, costs and locks of planned trees.
const MEANT: &[&str] =
    &["end_in_range_func", "start_in_range_func", "old_first_relfilelocator_subid", "rellockmode", "startup_cost"];

/// The text with a comment before every token: same statement, other places.
fn spread(text: &str) -> String {
    let mut spread = String::new();
    for token in Lexer::new(text) {
        if !token.kind.is_trivia() && token.kind.is_name() {
            spread.push_str(" /*x*/ ");
        }
        spread.push_str(&text[token.range()]);
    }
    spread
}

#[test]
fn trees_are_equal_wherever_their_words_stand() {
    for text in CORPUS {
        for statement in super::super::parse(text, &super::super::Limits::default()).unwrap() {
            let moved = spread(&statement.sql);
            let found = only(&moved).unwrap_or_else(|e| panic!("{moved:?}: {e:?}")).unwrap();
            assert!(tree::equal(&statement.tree, &found), "{moved:?}");
        }
    }
}

#[test]
fn trees_differ_where_a_fingerprint_would_not() {
    let pairs = [
        ("SELECT a.secret FROM t a", "SELECT b.secret FROM t b"),
        ("SELECT secret AS x FROM t", "SELECT other AS x FROM t"),
        ("SELECT * FROM t2024", "SELECT * FROM t2025"),
        ("SELECT 1", "SELECT 2"),
        ("SELECT 'a'", "SELECT 'b'"),
        ("SELECT * FROM t", "SELECT * FROM ONLY t"),
        ("SELECT * FROM a.t", "SELECT * FROM t"),
        ("SELECT ''", "SELECT NULL"),
        ("SELECT a, b FROM t", "SELECT b, a FROM t"),
        ("SELECT f(a)", "SELECT f(DISTINCT a)"),
        ("SELECT 1 UNION SELECT 2", "SELECT 1 UNION ALL SELECT 2"),
        ("SELECT a ISNULL", "SELECT a AS isnull"),
        ("CREATE TABLESPACE t LOCATION '/a'", "CREATE TABLESPACE t LOCATION '/b'"),
        ("SELECT 1.0", "SELECT 1.00"),
        ("SELECT (a).b", "SELECT a.b"),
    ];
    for (left, right) in pairs {
        let (left, right) = (only(left).unwrap().unwrap(), only(right).unwrap().unwrap());
        assert!(tree::equal(&left, &left.clone()) && !tree::equal(&left, &right) && !tree::equal(&right, &left), "{left:?}");
    }
}

#[test]
fn depth_is_that_of_messages() {
    let node = only("SELECT ((1 + 2))").unwrap().unwrap();
    // Node, SelectStmt, Node, ResTarget, Node, A_Expr, Node, A_Const, Integer
    assert!(tree::depth_within(&node, 9) && !tree::depth_within(&node, 8));
}
