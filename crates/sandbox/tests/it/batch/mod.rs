//! Files and provider batches.

mod anthropic;
mod client;
mod gemini;
mod openai;
