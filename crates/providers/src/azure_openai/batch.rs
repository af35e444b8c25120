//! What is Azure's own in `/files` and `/batches`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::openai::batch::{Expiry, OPENAI, Variant};

/// The driver's setting for the endpoint that provider batches and their lines name: documents and deployments differ.
const ENDPOINT_OPTION: &str = "batch_endpoint";

pub(super) fn variant(options: &BTreeMap<String, String>) -> Variant {
    let endpoint = options.get(ENDPOINT_OPTION).cloned().map_or(Cow::Borrowed("/chat/completions"), Cow::Owned);
    Variant {
        endpoint,
        expiry: Some(Expiry { anchor: "expires_after.anchor", seconds: "expires_after.seconds" }),
        media_type: "application/json",
        checks_files: true,
        // Azure asks for no more.
        least_poll_s: 60,
        ..OPENAI
    }
}
