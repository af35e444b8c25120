//! The database layer against a real Postgres: isolation, leases, fencing and the accounting of what comes late.

mod collect;
mod credentials;
mod dispatches;
mod fixture;
mod isolation;
mod jobs;
mod late;
mod leases;
mod provider_batches;
mod records;
mod seal;
mod stale;
