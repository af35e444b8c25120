//! Jobs that are disturbed: kills, stops, outages.

mod kills;
