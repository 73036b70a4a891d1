//! TPC-H: data after the specification's rules at a small scale, and its 22 queries.

mod words;

use std::fmt::Write as _;

use self::words::*;
use super::grammar::Tape;
use super::run::file;
use super::world::Data;
use crate::harness::Client;

/// A five-hundredth of the benchmark's smallest size.
pub const TPCH: Data = Data {
    name: "tpch",
    load,
    readable: &["region", "nation", "supplier", "part", "partsupp", "customer", "orders", "lineitem"],
    writable: &[],
};

const SUPPLIERS: usize = 20;
const PARTS: usize = 400;
const CUSTOMERS: usize = 300;
const ORDERS: usize = 3000;

/// The days of the data, counted from 1992-01-01.
const LAST_ORDER: usize = 2405;
/// 1995-06-17.
const TODAY: usize = 1263;

fn load(root: &Client) {
    root.run(&file("tpch/schema.sql"));
    let tables = generate();
    for (table, rows) in &tables {
        root.copy_in(&format!("COPY {table} FROM STDIN"), rows).unwrap_or_else(|refusal| panic!("{table}: {refusal}"));
    }
    root.run(&file("tpch/constraints.sql"));
    root.run("VACUUM ANALYZE");
}

fn money(cents: i64) -> String {
    format!("{}{}.{:02}", if cents < 0 { "-" } else { "" }, cents.abs() / 100, cents.abs() % 100)
}

/// A day as a date, from 1992-01-01.
fn date(day: usize) -> String {
    let (mut year, mut rest) = (1992, day);
    loop {
        let length = if year % 4 == 0 { 366 } else { 365 };
        if rest < length {
            break;
        }
        rest -= length;
        year += 1;
    }
    let february = if year % 4 == 0 { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if rest < length {
            break;
        }
        rest -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", rest + 1)
}

fn between(tape: &mut Tape, low: i64, high: i64) -> i64 {
    low + tape.below((high - low + 1) as usize) as i64
}

fn comment(tape: &mut Tape, words: usize) -> String {
    let count = 2 + tape.below(words);
    let word = |n: usize| {
        let kind = (n + tape.below(2)) % 4;
        *tape.one([&ADVERBS[..], &ADJECTIVES[..], &NOUNS[..], &VERBS[..]][kind])
    };
    (0..count).map(word).collect::<Vec<_>>().join(" ")
}

fn phone(tape: &mut Tape, nation: usize) -> String {
    format!("{}-{}-{}-{}", nation + 10, between(tape, 100, 999), between(tape, 100, 999), between(tape, 1000, 9999))
}

fn retail_price(part: usize) -> i64 {
    (90_000 + (part / 10) % 20_001 + 100 * (part % 1000)) as i64
}

fn supplier_of(part: usize, n: usize) -> usize {
    (part + n * (SUPPLIERS / 4 + (part - 1) / SUPPLIERS % (SUPPLIERS / 4))) % SUPPLIERS + 1
}

/// The tables' rows in COPY's text format, in an order in which they can be loaded.
pub fn generate() -> Vec<(&'static str, String)> {
    let mut tape = Tape::random(0x7470_6368);
    let tape = &mut tape;
    let mut out = Vec::new();
    let mut rows = String::new();
    for (key, name) in REGIONS.iter().enumerate() {
        let _ = writeln!(rows, "{key}\t{name}\t{}", comment(tape, 8));
    }
    out.push(("region", std::mem::take(&mut rows)));
    for (key, (name, region)) in NATIONS.iter().enumerate() {
        let _ = writeln!(rows, "{key}\t{name}\t{region}\t{}", comment(tape, 8));
    }
    out.push(("nation", std::mem::take(&mut rows)));
    for key in 1..=SUPPLIERS {
        let nation = if key <= 3 { [3, 7, 20][key - 1] } else { tape.below(25) };
        let about = match key {
            5 => "carefully Customer slow Complaints haggle".to_owned(),
            6 => "Customer furiously Recommends deposits".to_owned(),
            _ => comment(tape, 7),
        };
        let _ = writeln!(
            rows,
            "{key}\tSupplier#{key:09}\t{}\t{nation}\t{}\t{}\t{about}",
            comment(tape, 2),
            phone(tape, nation),
            money(between(tape, -99_999, 999_999))
        );
    }
    out.push(("supplier", std::mem::take(&mut rows)));
    for key in 1..=PARTS {
        let name: Vec<&str> = (0..5).map(|_| *tape.one(&COLORS)).collect();
        let (maker, brand) = (1 + tape.below(5), 1 + tape.below(5));
        let _ = writeln!(
            rows,
            "{key}\t{}\tManufacturer#{maker}\tBrand#{maker}{brand}\t{} {} {}\t{}\t{} {}\t{}\t{}",
            name.join(" "),
            tape.one(&["STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO"]),
            tape.one(&["ANODIZED", "BURNISHED", "PLATED", "POLISHED", "BRUSHED"]),
            tape.one(&["TIN", "NICKEL", "BRASS", "STEEL", "COPPER"]),
            1 + tape.below(50),
            tape.one(&["SM", "LG", "MED", "JUMBO", "WRAP"]),
            tape.one(&["CASE", "BOX", "BAG", "JAR", "PKG", "PACK", "CAN", "DRUM"]),
            money(retail_price(key)),
            comment(tape, 3)
        );
    }
    out.push(("part", std::mem::take(&mut rows)));
    for part in 1..=PARTS {
        for n in 0..4 {
            let _ = writeln!(
                rows,
                "{part}\t{}\t{}\t{}\t{}",
                supplier_of(part, n),
                1 + tape.below(9999),
                money(between(tape, 100, 100_000)),
                comment(tape, 12)
            );
        }
    }
    out.push(("partsupp", std::mem::take(&mut rows)));
    for key in 1..=CUSTOMERS {
        let nation = tape.below(25);
        let _ = writeln!(
            rows,
            "{key}\tCustomer#{key:09}\t{}\t{nation}\t{}\t{}\t{}\t{}",
            comment(tape, 2),
            phone(tape, nation),
            money(between(tape, -99_999, 999_999)),
            tape.one(&["AUTOMOBILE", "BUILDING", "FURNITURE", "MACHINERY", "HOUSEHOLD"]),
            comment(tape, 7)
        );
    }
    out.push(("customer", std::mem::take(&mut rows)));
    orders(tape, &mut out);
    out
}

fn orders(tape: &mut Tape, out: &mut Vec<(&'static str, String)>) {
    let (mut orders, mut lines) = (String::new(), String::new());
    for n in 0..ORDERS {
        // Eight of every thirty-two keys are used.
        let key = n / 8 * 32 + n % 8 + 1;
        let mut customer = 1 + tape.below(CUSTOMERS);
        // A third of the customers orders nothing.
        if customer.is_multiple_of(3) {
            customer -= 1;
        }
        let day = tape.below(LAST_ORDER - 151);
        let (mut total, mut open, mut done) = (0, 0, 0);
        for line in 1..=1 + tape.below(7) {
            let part = 1 + tape.below(PARTS);
            let supplier = supplier_of(part, tape.below(4));
            let quantity = between(tape, 1, 50);
            let price = quantity * retail_price(part);
            let (discount, tax) = (between(tape, 0, 10), between(tape, 0, 8));
            let shipped = day + 1 + tape.below(121);
            let committed = day + 30 + tape.below(61);
            let received = shipped + 1 + tape.below(30);
            let flag = if received <= TODAY { *tape.one(&["R", "A"]) } else { "N" };
            let status = if shipped > TODAY { "O" } else { "F" };
            *(if status == "O" { &mut open } else { &mut done }) += 1;
            total += price * (100 + tax) / 100 * (100 - discount) / 100;
            let _ = writeln!(
                lines,
                "{key}\t{part}\t{supplier}\t{line}\t{quantity}\t{}\t0.{discount:02}\t0.{tax:02}\t{flag}\t{status}\t{}\t{}\t{}\t{}\t{}\t{}",
                money(price),
                date(shipped),
                date(committed),
                date(received),
                tape.one(&["DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"]),
                tape.one(&["REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB"]),
                comment(tape, 3)
            );
        }
        let status = if open == 0 {
            "F"
        } else if done == 0 {
            "O"
        } else {
            "P"
        };
        let about = if n % 50 == 0 { "special packages requests".to_owned() } else { comment(tape, 5) };
        let _ = writeln!(
            orders,
            "{key}\t{customer}\t{status}\t{}\t{}\t{}\tClerk#{:09}\t0\t{about}",
            money(total),
            date(day),
            tape.one(&["1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW"]),
            1 + tape.below(3)
        );
    }
    out.push(("orders", orders));
    out.push(("lineitem", lines));
}

#[test]
fn generated_data_follow_the_specification() {
    let tables = generate();
    let count = |table: &str| tables.iter().find(|(t, _)| *t == table).map_or(0, |(_, rows)| rows.lines().count());
    assert_eq!((count("nation"), count("partsupp"), count("orders")), (25, 4 * PARTS, ORDERS));
    assert!((3 * ORDERS..5 * ORDERS).contains(&count("lineitem")));
    assert_eq!(
        (date(0), date(59), date(366), date(TODAY)),
        ("1992-01-01".into(), "1992-02-29".into(), "1993-01-01".into(), "1995-06-17".into())
    );
}
