//! Lists, page by page, without the results that stand in them.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Gemini;
use crate::CallError;
use crate::call_error::{Target, parse};
use crate::list::{MAX_PAGES, too_long};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound = "T: DeserializeOwned")]
struct Page<T> {
    #[serde(default = "Vec::new", alias = "operations", alias = "files")]
    entries: Vec<T>,
    next_page_token: Option<String>,
}

impl Gemini {
    /// All of a collection that `keep` wants.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        collection: &str,
        mut keep: impl FnMut(&T) -> bool,
    ) -> Result<Vec<T>, CallError> {
        let mut kept = Vec::new();
        let mut token = None::<String>;
        for _ in 0..MAX_PAGES {
            let mut url = self.api.url(&[collection])?;
            url.query_pairs_mut()
                .append_pair("pageSize", "100")
                .extend_pairs(token.iter().map(|token| ("pageToken", token)));
            let page: Page<T> = parse(&self.frame(Target::Collection, &url, None).await?)?;
            kept.extend(page.entries.into_iter().filter(|entry| keep(entry)));
            let next = page.next_page_token.filter(|next| !next.is_empty());
            if next.is_none() || next == token {
                return Ok(kept);
            }
            token = next;
        }
        Err(too_long())
    }
}
