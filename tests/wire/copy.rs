//! COPY, frame by frame.

use super::shop;
use crate::harness::frame::{self, copy_data, copy_done, copy_fail, query};
use crate::harness::{Mechanism, Shop};

#[test]
fn copy_out_is_relayed_frame_by_frame() {
    let mut raw = shop().raw("ana@example.com");
    raw.send(&[query("COPY regions TO STDOUT")]);
    assert_eq!(raw.tags(), "HdddcCZI");
    raw.send(&[query("COPY (SELECT 1/0) TO STDOUT")]);
    let frames = raw.until_ready();
    assert_eq!(frames.iter().find(|f| f.tag == 'E').expect("an error").refusal().code, "22012");
    raw.send(&[query("COPY employees TO STDOUT; SELECT 1")]);
    let frames = raw.until_ready();
    assert_eq!(frames.iter().filter(|f| f.tag == 'd').count(), 200);
    assert!(crate::harness::tags(&frames).ends_with("dcCTDCZI"));
}

#[test]
fn copy_in_ends_by_done_or_by_fail() {
    let shop = Shop::fresh(Mechanism::Rls);
    shop.admin().run("GRANT MODIFY ON TABLE region_desk TO analysts");
    let mut raw = shop.raw("ana@example.com");
    let row = "ana@example.com\tAPAC\n";
    raw.send(&[query("COPY region_desk FROM STDIN")]);
    raw.expect('G');
    raw.send(&[copy_data(&row[..5]), copy_data(&row[5..]), copy_done()]);
    let frames = raw.until_ready();
    assert_eq!(frames[0].command(), "COPY 1");
    raw.send(&[query("COPY region_desk FROM STDIN"), copy_data("bob@example.com\tAPAC\n"), copy_fail("changed my mind")]);
    raw.expect('G');
    let frames = raw.until_ready();
    assert_eq!(frames[0].refusal().code, "57014");
    // Late copy messages are ignored, as PostgreSQL does.
    raw.send(&[copy_data("x"), copy_done(), copy_fail("late"), query("SELECT count(*) FROM regions")]);
    assert_eq!(raw.tags(), "TDCZI");
    // A statement that is refused sends no CopyInResponse; the data that a hasty client has sent already is ignored.
    raw.send(&[query("COPY employees FROM STDIN"), copy_data("x\n"), copy_done(), query("SELECT 1")]);
    let frames = raw.until_ready();
    assert_eq!(frames[0].refusal().code, "42501");
    assert_eq!(raw.tags(), "TDCZI");
}

#[test]
fn a_sync_behind_data_that_makes_copy_fail_ends_the_batch() {
    use crate::harness::frame::{run, sync};
    let shop = Shop::fresh(Mechanism::Rls);
    shop.admin().run("GRANT MODIFY ON TABLE region_desk TO analysts");
    let mut raw = shop.raw("ana@example.com");
    for table in ["region_desk", "orders (id, customer_id)"] {
        raw.send(&run(&format!("COPY {table} FROM STDIN")));
        raw.expect('1');
        raw.expect('2');
        raw.expect('G');
        raw.send(&[copy_data("too\tmany\tcolumns\tof\tthem\n"), sync()]);
        assert_eq!(raw.tags(), "EZI", "{table}");
        raw.send(&[query("SELECT 1")]);
        assert_eq!(raw.tags(), "TDCZI");
    }
    raw.send(&[query("COPY region_desk FROM STDIN")]);
    raw.expect('G');
    raw.send(&[copy_data("too\tmany\tcolumns\n"), sync()]);
    assert_eq!(raw.tags(), "EZI");
    assert_eq!(raw.tags(), "ZI");
}

#[test]
fn copy_into_a_governed_table_looks_like_any_copy() {
    let shop = Shop::fresh(Mechanism::Rls);
    let mut raw = shop.raw("ana@example.com");
    raw.send(&[query("COPY orders (id, customer_id, region, sales_rep, status, ordered_on) FROM STDIN")]);
    let response = raw.expect('G');
    assert_eq!(response.body[1..3], [0, 6], "six columns");
    raw.send(&[copy_data("900001\t1\tEMEA\tana@example.com\topen\t2025-01-01\n"), copy_data("\\.\n"), copy_done()]);
    let frames = raw.until_ready();
    assert_eq!(crate::harness::tags(&frames), "CZI");
    assert_eq!(frames[0].command(), "COPY 1");
    raw.send(&[query("COPY orders (id, customer_id, region, sales_rep, status, ordered_on) FROM STDIN")]);
    raw.expect('G');
    raw.send(&[copy_data("900002\t1\tAMER\tana@example.com\topen\t2025-01-01\n"), copy_done()]);
    let frames = raw.until_ready();
    assert_eq!((frames[0].refusal().code.as_str(), frames.len()), ("42501", 2));
    raw.send(&[
        frame::parse("", "COPY orders (id) FROM STDIN"),
        frame::bind("", "", &[], 0),
        frame::execute("", 0),
        copy_fail("no"),
        frame::sync(),
    ]);
    let frames = raw.until_ready();
    assert_eq!(frames.iter().find(|f| f.tag == 'E').expect("an error").refusal().code, "57014");
}
