//! The dialect of governance: text → [`Command`].
//!
//! In: the text of one statement that the router took for governance. Out: a [`Command`], names still as written, values taken
//! from tokens; or a [`GovernanceError`] with a position. Never: names looked up, rights checked, anything run.
//!
//! The tokenizer and the cursor over tokens are sqlparser's, with a dialect of ours; the grammar is in `grammar`.

mod command;
mod cursor;
mod error;
mod grammar;
#[cfg(test)]
mod tests;
mod text;

pub use command::{
    Argument, Command, Member, MemberChange, NewPassword, ObjectName, PolicyBody, ProxyView, SecurableName, TokensOf, columns,
};
pub use error::GovernanceError;
pub use grammar::unfit;

/// Parses the text of one governance statement; a semicolon may end it.
pub fn parse(text: &str) -> Result<Command, GovernanceError> {
    grammar::statement(text)
}
