//! Drivers against servers that do what providers do, well or badly.

mod anthropic;
mod azure_openai;
mod bodies;
mod calls;
mod gemini;
mod groq;
mod mistral;
mod support;
mod together;
mod transfers;
mod wire;
