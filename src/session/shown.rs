//! What a session tells of the proxy it is in: SHOW POOLS, SHOW SESSIONS, SHOW STATS. For administrators, for they tell of everybody.

use tokio_postgres::error::SqlState;

use super::Reply;
use super::run::Session;
use crate::config::PoolMode;
use crate::error::Report;
use crate::error::session::Refusal;
use crate::governance::{self, Command, ProxyView};
use crate::upstream::Login;

impl Session {
    /// The answer to such a command.
    pub(super) fn show_proxy(&self, view: ProxyView, command: &Command) -> Result<Reply, Refusal> {
        if !self.subject.admin {
            let report = Report::error(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied for {command}"))
                .detail("Only administrators, the members of the group admins, may do that.");
            return Err(Refusal::Told(Box::new(report)));
        }
        let rows: Vec<Vec<String>> = match view {
            ProxyView::Pools => vec![self.session_pool(), self.control_pool()],
            ProxyView::Sessions => self.sessions(),
            ProxyView::Stats => self.stats(),
        };
        Ok(Reply {
            columns: governance::columns(command).into_iter().map(str::to_owned).collect(),
            rows: rows.into_iter().map(|row| row.into_iter().map(Some).collect()).collect(),
            tag: command.tag().to_owned(),
            changed: false,
        })
    }

    fn session_pool(&self) -> Vec<String> {
        let shared = self.environment.pool.shared();
        let mode = match self.environment.pool.mode() {
            PoolMode::Session => "session",
            PoolMode::Transaction => "transaction",
        };
        let figures = shared.figures();
        let numbers = [
            figures.open as u64,
            figures.idle as u64,
            figures.waiting as u64,
            shared.most() as u64,
            figures.turns,
            figures.again,
            u64::try_from(figures.waited.as_millis()).unwrap_or(u64::MAX),
            figures.vain,
        ];
        ["pgusher_session".to_owned(), mode.to_owned()].into_iter().chain(numbers.map(|number| number.to_string())).collect()
    }

    fn control_pool(&self) -> Vec<String> {
        let pool = &self.environment.pool;
        let (most, free) = (pool.most(Login::Control), pool.free(Login::Control));
        let numbers = [most.saturating_sub(free), 0, 0, most, 0, 0, 0, 0];
        ["pgusher_control".to_owned(), "session".to_owned()].into_iter().chain(numbers.map(|number| number.to_string())).collect()
    }

    fn sessions(&self) -> Vec<Vec<String>> {
        let name = |id| self.shared.policies.principal(id).map_or_else(String::new, |principal| principal.name.to_string());
        let list = self.environment.registry.list().into_iter();
        list.map(|(session, principal, token, here)| {
            let connection = if here { "yes" } else { "no" };
            vec![session.0.to_string(), name(principal), token.to_string(), connection.to_owned()]
        })
        .collect()
    }

    fn stats(&self) -> Vec<Vec<String>> {
        let texts = self.environment.readings.figures();
        let shared = self.environment.pool.shared().figures();
        let (catalog, policies) = self.shared.versions();
        let counted = [
            ("sessions", self.environment.registry.len() as u64),
            ("turns", shared.turns),
            ("turns_again", shared.again),
            ("texts_remembered", texts.remembered),
            ("texts_shared", texts.hits),
            ("texts_filled", texts.filled),
            ("texts_analysed", texts.misses),
            ("texts_evicted", texts.evicted),
            ("texts_kept", texts.entries as u64),
            ("texts_bytes", texts.bytes as u64),
            ("catalog_version", catalog),
            ("policy_version", u64::try_from(policies).unwrap_or_default()),
        ];
        counted.into_iter().map(|(name, value)| vec![name.to_owned(), value.to_string()]).collect()
    }
}
