//! Drivers against servers that do what providers do, well or badly.

mod azure_openai;
mod bodies;
mod calls;
mod groq;
mod mistral;
mod support;
mod together;
mod transfers;
