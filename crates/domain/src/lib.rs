#![doc = include_str!("../README.md")]

pub mod api_key;
pub mod backoff;
pub mod chunk;
pub mod failure;
pub mod format;
pub mod ids;
pub mod job;
pub mod money;
pub mod outcome;
pub mod prompt;
pub mod provider;
pub mod row;
pub mod row_set;
pub mod step;
pub mod storage_uri;
pub mod template;
