//! `gristmill models`

use clap::Args;

use super::pages::{self, Extent};
use super::{Outcome, Result, Session, text};
use crate::api::Model;

#[derive(Debug, Args)]
pub struct Arguments {}

pub async fn run(_: Arguments, session: &mut Session) -> Result<Outcome> {
    let header = ["MODEL", "CONTEXT", "LONGEST ANSWER"];
    let fetch = async |session: &Session, _: u32, cursor: Option<&str>| session.client.models(cursor).await;
    pages::print(session, Extent::ALL, &header, row, fetch).await?;
    Ok(Outcome::Done)
}

fn row(model: &Model) -> Vec<String> {
    let tokens = |tokens: Option<u64>| tokens.map_or_else(|| "-".to_owned(), text::count);
    vec![model.id.clone(), tokens(model.context_tokens), tokens(model.max_output_tokens)]
}
