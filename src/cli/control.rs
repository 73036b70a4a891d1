//! The operator's control connection.

use super::{Failure, wiring};
use crate::catalog::SearchPath;
use crate::config::Settings;
use crate::error::Report;
use crate::governance::Command;
use crate::session::Reply;
use crate::store::channel::Control;
use crate::store::govern::{Terms, carry_out, operator};

/// A control connection on which the operator governs.
pub(super) struct Operator {
    control: Control,
    terms: Terms,
}

impl Operator {
    /// Connects.
    pub(super) async fn connect(settings: &Settings) -> Result<Self, Failure> {
        let control = Control::connect(&wiring::upstream(settings)?, &wiring::control_account(settings)).await?;
        Ok(Self { control, terms: wiring::terms(settings) })
    }

    /// Carries out one command in a transaction of its own.
    pub(super) async fn govern(&mut self, command: &Command) -> Result<Reply, Failure> {
        let mut transaction = self.control.begin().await?;
        let done = carry_out(command, &operator(), &SearchPath::default(), &self.terms, None, &mut transaction).await;
        let reply = done.map_err(|error| Failure::Refused(Box::new(Report::from(&error))))?;
        transaction.commit().await?;
        Ok(reply)
    }
}
