//! Files and provider batches.

mod anthropic;
mod azure;
mod calls;
mod client;
mod gemini;
mod groq;
mod limits;
mod many;
mod mistral;
mod openai;
mod outcomes;
mod rows;
mod together;
mod webhook;
