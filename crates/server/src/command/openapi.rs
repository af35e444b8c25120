//! `gristmill openapi`

use super::say;

#[expect(clippy::unnecessary_wraps, reason = "every command has this form")]
pub fn run() -> anyhow::Result<()> {
    say(api::openapi_json().trim_end());
    Ok(())
}
