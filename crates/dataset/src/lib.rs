#![doc = include_str!("../README.md")]

pub mod stores;
pub mod work;

pub mod input;

pub mod attempts;
pub mod chunk;
pub mod results;
pub mod row;

pub mod output;

mod cell;
pub mod json_lines;
mod parquet_bytes;
