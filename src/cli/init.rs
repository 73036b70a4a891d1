//! `pgusher init`.

use super::arguments;
use super::{Failure, wiring};
use crate::config::{Password, Settings};
use crate::store::init::Init;
use crate::upstream::Account;

/// Makes or updates what pgusher needs upstream, or prints the SQL for it.
pub(super) async fn run(settings: Settings, arguments: arguments::Init) -> Result<(), Failure> {
    let arguments::Init { print, admin, role } = arguments;
    let password = std::env::var("PGPASSWORD").ok().filter(|text| !text.is_empty()).map(Password::new);
    let init = Init {
        upstream: wiring::upstream(&settings)?,
        administrator: Account { user: role, password },
        session: wiring::session_account(&settings),
        control: wiring::control_account(&settings),
        settings: wiring::enforcement(&settings),
        harden: true,
        admin: admin.clone(),
    };
    if print {
        print!("{}", init.print());
        return Ok(());
    }
    let done = init.run().await?;
    println!("Database \"{}\" is ready.", settings.upstream.database);
    if let (Some(name), Some(token)) = (admin, done.token) {
        println!("Administrator \"{name}\" logs in with this token, which is not shown again:");
        println!("{}", token.expose());
    }
    Ok(())
}
