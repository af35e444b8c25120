//! The bare reqwest loop: a tokio program on all cores, so many calls at once, which parses every answer and stores nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: String,
}

/// Sends `rows` calls, `concurrency` at once. Returns the bytes of all answers.
pub async fn run(base_url: &str, rows: usize, concurrency: usize) -> anyhow::Result<usize> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let next = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..concurrency)
        .map(|_| {
            let (client, next, url) = (client.clone(), next.clone(), format!("{base_url}/chat/completions"));
            tokio::spawn(async move {
                let mut bytes = 0;
                loop {
                    let row = next.fetch_add(1, Ordering::Relaxed);
                    if row >= rows {
                        return anyhow::Ok(bytes);
                    }
                    let body =
                        json!({"model": "echo", "messages": [{"role": "user", "content": format!("row {row}")}]});
                    let request = client.post(&url).bearer_auth("secret").json(&body);
                    let answer: Completion = request.send().await?.error_for_status()?.json().await?;
                    bytes += answer.choices.first().context("a choice")?.message.content.len();
                }
            })
        })
        .collect();
    let mut bytes = 0;
    for task in tasks {
        bytes += task.await??;
    }
    Ok(bytes)
}
