//! The crate against real files and a real S3 server in this process.

mod compressed;
mod csv_cases;
mod csv_property;
mod csv_resume;
mod jsonl_cases;
mod jsonl_property;
mod output_cases;
mod parquet_cases;
mod parquet_types;
mod places;
mod round_trips;
mod store_cases;
mod support;
