//! The dialect of DESIGN section 9: text → [`Command`].

/// A governance command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// SHOW USERS
    ShowUsers,
}
