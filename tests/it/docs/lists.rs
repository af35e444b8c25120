//! The reference pages leave nothing out.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tests::process::binary;

use super::pages;

#[test]
fn every_command_and_option_is_documented() -> anyhow::Result<()> {
    let page = pages::one("docs/reference/command-line.md")?.text;
    let mut open = vec![Vec::<String>::new()];
    while let Some(command) = open.pop() {
        let output = Command::new(binary()?).args(&command).arg("--help").output()?;
        let help = String::from_utf8(output.stdout)?;
        let children = commands(&help);
        if children.is_empty() {
            let line = command.join(" ");
            ensure!(page.contains(&format!("`gristmill {line}")), "`gristmill {line}` is not documented");
            for option in options(&help) {
                ensure!(page.contains(&format!("`{option}")), "`{option}` of `gristmill {line}` is not documented");
            }
        }
        open.extend(children.into_iter().map(|child| [command.clone(), vec![child]].concat()));
    }
    Ok(())
}

/// The names in the list of commands.
fn commands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = lines
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// Long options, at the beginning of their lines.
fn options(help: &str) -> BTreeSet<&str> {
    let starts = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let words = starts.flat_map(|line| line.split([' ', ',']).take(3));
    words.filter(|word| word.starts_with("--") && !matches!(*word, "--help" | "--version")).collect()
}

#[test]
fn every_key_of_the_configuration_is_documented_with_its_default() -> anyhow::Result<()> {
    let page = pages::one("docs/reference/configuration.md")?.text;
    let defaults = serde_json::to_value(server::config::Config::default())?;
    let mut keys = vec![("database_url".to_owned(), Value::Null), ("master_key".to_owned(), Value::Null)];
    for (name, value) in defaults.as_object().context("sections")? {
        match value.as_object() {
            Some(section) => keys.extend(section.iter().map(|(key, value)| (format!("{name}.{key}"), value.clone()))),
            None => keys.push((name.clone(), value.clone())),
        }
    }
    for (key, default) in keys {
        let variable = format!("`GRISTMILL_{}`", key.replace('.', "__").to_uppercase());
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{key}` |")))
            .with_context(|| format!("{key} is missing"))?;
        ensure!(row.contains(&variable), "{key}: {variable} is missing");
        let default = default.to_string().trim_matches('"').trim_end_matches(".0").to_owned();
        ensure!(default == "null" || row.contains(&format!("| {default} |")), "{key}: its default is {default}");
    }
    Ok(())
}

/// Words of the code that look like codes and are none: providers' own codes, names of columns, labels, variables, options and kinds of prices.
const NOT_CODES: &[&str] = &[
    "access_key_id",
    "access_token",
    "after_id",
    "anthropic_version",
    "api_key",
    "authentication_error",
    "batch_canceled",
    "batch_endpoint",
    "billing_error",
    "billing_hard_limit_reached",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "cache_write",
    "cached_input",
    "chat_only",
    "conflict_error",
    "content_filter",
    "content_policy_violation",
    "contract_spend_limit_reached",
    "cost_usd_pico",
    "created_after",
    "credit_balance_exhausted",
    "enforced_spend_limit_reached",
    "exceed_context_size_error",
    "file_name",
    "file_type",
    "in_progress",
    "input_no_permissions",
    "insufficient_quota",
    "internal_server_error",
    "invalid_request_error",
    "job_failed",
    "limit_group",
    "max_tokens",
    "metered_container",
    "model_context_window_exceeded",
    "not_found_error",
    "order_by",
    "organization_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "output_config",
    "overloaded_error",
    "page_size",
    "permission_error",
    "project_spend_limit_exceeded",
    "rate_limit_error",
    "rate_limit_exceeded",
    "read_write",
    "request_hash",
    "row_no",
    "secret_access_key",
    "server_error",
    "server_is_overloaded",
    "service_unavailable",
    "snake_case",
    "stop_sequences",
    "stream_options",
    "timeout_error",
];

#[test]
fn every_error_code_is_documented() -> anyhow::Result<()> {
    let page = pages::one("docs/reference/error-codes.md")?.text;
    let contract = pages::one("docs/reference/http-api.md")?.text;
    let document = std::fs::read_to_string(pages::root().join("openapi/gristmill.json"))?;
    let mut found = BTreeSet::new();
    for name in ["api", "dataset", "domain", "pipeline", "providers"] {
        collect(&pages::root().join("crates").join(name).join("src"), &mut found)?;
    }
    ensure!(found.len() > 150, "the search finds codes no more");
    // Fields and operations have names of the same form.
    let is_name = |word: &str| document.contains(&format!("\"{word}\"")) || contract.contains(word);
    let invented = |word: &&str| is_code(word) && !found.contains(*word) && !is_name(word);
    let invented: Vec<&str> = page.split('`').skip(1).step_by(2).filter(invented).collect();
    ensure!(invented.is_empty(), "nothing has these codes: {invented:?}");
    found.retain(|word| !page.contains(&format!("`{word}`")) && !is_name(word) && !NOT_CODES.contains(&word.as_str()));
    ensure!(found.is_empty(), "document these codes, or list them in NOT_CODES: {found:#?}");
    Ok(())
}

/// The quoted words with underscores of all production code below a directory.
fn collect(directory: &Path, found: &mut BTreeSet<String>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else if path.file_name().is_some_and(|name| name != "tests.rs") {
            let text = std::fs::read_to_string(&path)?;
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let is_metric = |word: &str| word.starts_with("gristmill_");
            let words = code.split('"').skip(1).filter(|word| is_code(word) && !is_metric(word));
            found.extend(words.map(str::to_owned));
        }
    }
    Ok(())
}

fn is_code(word: &str) -> bool {
    word.contains('_')
        && word.len() > 5
        && word.starts_with(|first: char| first.is_ascii_lowercase())
        && !word.ends_with('_')
        && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
