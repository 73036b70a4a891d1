//! The legacy Databricks CLI and the Databricks SDK as they are: the whole life of a group and of a token, compared line by line.

use std::process::Command;

use super::program::{python, source, surroundings};
use crate::harness::Shop;

#[test]
fn the_cli_and_the_sdk_take_a_group_and_a_token_through_their_lives() {
    let shop = Shop::with_http("");
    let port = shop.proxy.http_port.expect("the shop speaks HTTP");
    let output = Command::new("timeout")
        .args(["--kill-after=5", "240", &python(), "-B", "-W", "ignore", &source("databricks_program.py")])
        .envs(surroundings(&shop))
        .env("PGUSHER_HTTP_PORT", port.to_string())
        .output()
        .expect("`timeout` of coreutils starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let expected = std::fs::read_to_string(source("databricks_transcript.txt")).expect("what they say, every time");
    if let Some(path) = std::env::var_os("PGUSHER_NEW_TRANSCRIPT") {
        std::fs::write(path, said.as_bytes()).expect("a place for it");
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    for (number, (line, expected)) in said.lines().zip(expected.lines()).enumerate() {
        assert_eq!(line, expected, "line {} of the transcript\n{errors}", number + 1);
    }
    assert_eq!(said.lines().count(), expected.lines().count(), "{said}\n{errors}\n{}", shop.proxy.log());
    assert!(output.status.success(), "{errors}");
}
