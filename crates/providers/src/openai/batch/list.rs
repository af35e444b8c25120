//! OpenAI's lists, page by page.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::rest::Rest;
use crate::CallError;
use crate::call_error::parse;
use crate::list::{MAX_PAGES, too_long};

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
    has_more: Option<bool>,
}

/// An uploaded file.
#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    pub id: String,
    filename: Option<String>,
}

impl Named {
    pub fn is_named(&self, name: &str) -> bool {
        self.filename.as_deref() == Some(name)
    }
}

impl Entry for Named {
    fn id(&self) -> &str {
        &self.id
    }
}

/// What a list holds.
pub(crate) trait Entry {
    fn id(&self) -> &str;
}

impl Rest {
    /// Shows a list's pages to `look` until it wants no more or the list ends.
    pub async fn pages<T: Entry + DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        mut look: impl FnMut(&[T]) -> bool,
    ) -> Result<(), CallError> {
        let mut after = None::<String>;
        for _ in 0..MAX_PAGES {
            let mut query = query.to_vec();
            query.extend(after.as_deref().map(|id| ("after", id)));
            let page: Page<T> = parse(&self.list(path, &query).await?)?;
            let Some(last) = page.data.last() else { return Ok(()) };
            // Where pages are unknown, every page is the first one.
            if !look(&page.data) || page.has_more == Some(false) || after.as_deref() == Some(last.id()) {
                return Ok(());
            }
            after = Some(last.id().to_owned());
        }
        Err(too_long())
    }
}
