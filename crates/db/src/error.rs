//! What can go wrong with a statement.

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Postgres or the way to it.
    #[error("database statement failed")]
    Sql(#[from] sqlx::Error),
    #[error("migrations failed")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A row that this version can't have written.
    #[error("table {table}: {what}")]
    Inconsistent { table: &'static str, what: String },
    /// The lease that a write was made under is somebody else's by now. Nothing was written.
    #[error("the lease was lost")]
    Fenced,
    /// A unique name is taken.
    #[error("{what} exists already")]
    Exists { what: &'static str },
    #[error(transparent)]
    MasterKey(#[from] crate::MasterKeyError),
    /// A job does not allow the change in the state that it is in.
    #[error(transparent)]
    Transition(#[from] domain::job::InvalidTransition),
    #[error("Postgres runs with {setting}={value}, so that it may lose what it has confirmed; set it to `{wanted}`")]
    NotDurable { setting: &'static str, value: String, wanted: &'static str },
}

impl Error {
    pub(crate) fn inconsistent(table: &'static str, what: impl Into<String>) -> Self {
        Self::Inconsistent { table, what: what.into() }
    }

    /// Whether the same call may succeed later: the database is away, restarting, full or too busy.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Sql(error) => sql_is_transient(error),
            Self::Migrate(_)
            | Self::Inconsistent { .. }
            | Self::Fenced
            | Self::Exists { .. }
            | Self::MasterKey(_)
            | Self::Transition(_)
            | Self::NotDurable { .. } => false,
        }
    }
}

/// By SQLSTATE class: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn sql_is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            // Connection, transaction state (ended for idling, read-only standby), rollback, resources, object state (locks),
            // operator intervention, system.
            ["08", "25", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}
