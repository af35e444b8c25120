//! Jobs that are disturbed: kills, stops, outages.

pub mod disturbed;
mod kills;
mod outage;
pub mod own_postgres;
mod resume;
mod stops;
