//! Files and provider batches.

mod azure;
mod calls;
mod client;
mod groq;
mod limits;
mod many;
mod mistral;
mod openai;
mod outcomes;
mod rows;
mod together;
mod webhook;
