//! Drivers against servers that do what providers do, well or badly.

mod calls;
mod support;
mod transfers;
