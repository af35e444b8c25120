//! Pages of lists: `page` and `page_size`.

use super::error::ApiError;
use crate::call::Call;

/// Where the page that is asked for begins and ends in a list of `total`.
pub(super) fn page(call: &Call<'_>, total: usize) -> Result<(usize, usize), ApiError> {
    let (page, size) = (number(call, "page", 0)?, number(call, "page_size", 100)?);
    let start = page.saturating_mul(size).min(total);
    Ok((start, start.saturating_add(size).min(total)))
}

fn number(call: &Call<'_>, name: &str, usual: usize) -> Result<usize, ApiError> {
    let Some(text) = call.parameter(name) else {
        return Ok(usual);
    };
    text.parse().map_err(|_| ApiError::field(name, "int_parsing", "Input should be a valid integer"))
}
