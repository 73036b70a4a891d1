//! What can be written on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::demo;

/// A PostgreSQL proxy that checks every ticket and shows each person to their own rows.
#[derive(Debug, Parser)]
#[command(name = "pgusher", version, max_term_width = 100)]
pub(super) struct Arguments {
    /// The configuration file; else ./pgusher.toml or /etc/pgusher/pgusher.toml if there is one
    #[arg(short, long, global = true, env = "PGUSHER_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub(super) action: Action,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Serve clients until SIGTERM; SIGHUP reads the configuration anew
    Serve,
    /// Make or update what pgusher needs in the upstream database
    Init(Init),
    /// Try the configuration and the upstream database
    Check,
    /// Users
    #[command(subcommand)]
    User(PrincipalAction),
    /// Service principals
    #[command(subcommand)]
    ServicePrincipal(PrincipalAction),
    /// Groups
    #[command(subcommand)]
    Group(GroupAction),
    /// Tokens
    #[command(subcommand)]
    Token(TokenAction),
    /// Run one governance statement as the operator
    Sql {
        /// The statement, for example 'GRANT SELECT ON TABLE orders TO analysts'
        statement: String,
    },
    /// The audit trail
    #[command(subcommand)]
    Audit(AuditAction),
    /// A shop behind pgusher on this machine, to try things out
    Demo(demo::Arguments),
}

/// `pgusher init`.
#[derive(Args, Clone, Debug)]
pub(super) struct Init {
    /// Print the SQL for an administrator of the database to run instead of running it
    #[arg(long)]
    pub(super) print: bool,
    /// Make this user an administrator and print a token for it, unless there is an administrator already
    #[arg(long, value_name = "NAME")]
    pub(super) admin: Option<String>,
    /// The upstream role to run as: a superuser, or one that may create roles and owns the tables; password in PGPASSWORD
    #[arg(long, env = "PGUSER", default_value = "postgres", value_name = "ROLE")]
    pub(super) role: String,
}

/// `pgusher user …`, `pgusher service-principal …`.
#[derive(Debug, Subcommand)]
pub(super) enum PrincipalAction {
    /// Make one
    Create {
        /// Its name
        name: String,
    },
    /// List them
    List,
    /// Let it log in again
    Enable {
        /// Its name
        name: String,
    },
    /// End its sessions and let it log in no more
    Disable {
        /// Its name
        name: String,
    },
    /// Remove it with its grants and tokens
    Drop {
        /// Its name
        name: String,
    },
}

/// `pgusher group …`.
#[derive(Debug, Subcommand)]
pub(super) enum GroupAction {
    /// Make one
    Create {
        /// Its name
        name: String,
    },
    /// List them with their members
    List,
    /// Remove it with its grants
    Drop {
        /// Its name
        name: String,
    },
    /// Add members
    Add(Members),
    /// Remove members
    Remove(Members),
}

/// A group and members.
#[derive(Args, Debug)]
pub(super) struct Members {
    /// The group
    pub(super) group: String,
    /// A user
    #[arg(long = "user", value_name = "NAME")]
    pub(super) users: Vec<String>,
    /// A service principal
    #[arg(long = "service-principal", value_name = "NAME")]
    pub(super) service_principals: Vec<String>,
    /// A group
    #[arg(long = "group", value_name = "NAME")]
    pub(super) groups: Vec<String>,
}

/// `pgusher token …`.
#[derive(Debug, Subcommand)]
pub(super) enum TokenAction {
    /// Make one and print it: it is not shown again
    Create {
        /// Whose
        principal: String,
        /// A remark
        #[arg(long)]
        comment: Option<String>,
        /// How many days it is good for; else the configured default
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=36_500))]
        lifetime_days: Option<u64>,
        /// What it is good for (sql, admin); else everything
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
    },
    /// List them
    List {
        /// Only this principal's
        principal: Option<String>,
    },
    /// Revoke one and end its sessions
    Revoke {
        /// Its id
        id: String,
    },
}

/// `pgusher audit …`.
#[derive(Debug, Subcommand)]
pub(super) enum AuditAction {
    /// Check that no record was changed, moved or taken away
    Verify {
        /// The files, oldest first; else the configured one and those that were put aside
        files: Vec<PathBuf>,
        /// The key of the chain; else the configured one
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
        /// Records before this number were put away on purpose
        #[arg(long, value_name = "NUMBER", default_value_t = 1)]
        from: u64,
        /// Nothing beside the files says where the trail ends: copies, or what standard output was kept in
        #[arg(long)]
        without_head: bool,
    },
    /// Show the last records
    Tail {
        /// How many
        #[arg(short = 'n', long = "lines", default_value_t = 10)]
        lines: usize,
        /// Go on showing new ones
        #[arg(short, long)]
        follow: bool,
        #[command(flatten)]
        shown: Shown,
    },
    /// Find records
    Search {
        /// Of this principal
        #[arg(long)]
        principal: Option<String>,
        /// Of this session
        #[arg(long)]
        session: Option<u64>,
        /// Not older: a moment ("2026-03-01", "2026-03-01T12:00:00Z") or an age ("15m", "24h", "7d")
        #[arg(long, value_name = "WHEN")]
        since: Option<String>,
        /// Older than that
        #[arg(long, value_name = "WHEN")]
        until: Option<String>,
        /// That read, write or use this relation or function ("orders", "public.orders")
        #[arg(long)]
        relation: Option<String>,
        /// With this outcome: allowed, denied, refused, failed
        #[arg(long)]
        outcome: Option<String>,
        /// Of this kind: statement, login, change, revocation
        #[arg(long)]
        event: Option<String>,
        /// Whose statement or reason has this text in it, in any case
        #[arg(long)]
        text: Option<String>,
        #[command(flatten)]
        shown: Shown,
    },
}

/// What is read, and how it is shown.
#[derive(Args, Debug)]
pub(super) struct Shown {
    /// The files, oldest first; else the configured one and those that were put aside
    #[arg(long = "file", value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// The records as they are
    #[arg(long)]
    pub(super) json: bool,
}
