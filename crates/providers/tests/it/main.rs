//! Drivers against servers that do what providers do, well or badly.

mod anthropic;
mod calls;
mod gemini;
mod support;
mod transfers;
mod wire;
