//! What the end-to-end tests stand on: a database each, and the shipped binary as separate processes.

pub mod database;
pub mod process;
pub mod rig;
pub mod s3;

pub use database::TestDb;
pub use process::Process;
pub use rig::{Rig, RigOptions};
pub use s3::S3Server;
