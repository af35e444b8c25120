//! Files and provider batches.

mod client;
mod openai;
