//! What can be checked without a running service.

use anyhow::{Context as _, bail, ensure};
use domain::template::{Columns, Template};

use super::pages::{self, Block};

/// The columns that the pages' templates may use.
const COLUMNS: [&str; 9] =
    ["Title", "Release Date", "Major Genre", "US Gross", "body", "customer", "tags", "score", "row_id"];

#[test]
fn every_block_says_what_it_is_and_is_sound() -> anyhow::Result<()> {
    let mut failures = Vec::new();
    for page in pages::all()? {
        for block in page.blocks()? {
            failures.extend(check(&block).with_context(|| format!("{}:{}", page.name, block.line)).err());
        }
    }
    ensure!(failures.is_empty(), "{failures:#?}");
    Ok(())
}

fn check(block: &Block) -> anyhow::Result<()> {
    match block.info.as_str() {
        // `commands` runs the first; the second needs more than a test has, as the text beside it says.
        "sh" | "sh no-run" | "text" | "ini" | "mermaid" => Ok(()),
        "json" => serde_json::from_str::<serde_json::Value>(&block.text).map(drop).map_err(Into::into),
        "toml" => server::config::Config::from_toml(&block.text).map(drop),
        "jinja" => Template::compile(&block.text, &Columns::new(COLUMNS)).map(drop).map_err(Into::into),
        other => bail!("a block of the unknown kind `{other}`"),
    }
}

#[test]
fn every_link_leads_to_a_file() -> anyhow::Result<()> {
    for page in pages::all()? {
        let directory = page.path.parent().context("a directory")?;
        for target in links(&page.prose()) {
            let file = target.split('#').next().unwrap_or_default();
            let is_here = file.is_empty() || file.contains("://") || directory.join(file).exists();
            ensure!(is_here, "{} links to {target}, which is not there", page.name);
        }
    }
    Ok(())
}

#[test]
fn every_page_is_in_the_index() -> anyhow::Result<()> {
    let index = pages::one("docs/README.md")?.text;
    for page in pages::all()? {
        if let Some(name) = page.name.strip_prefix("docs/").filter(|name| *name != "README.md") {
            ensure!(index.contains(&format!("({name})")), "docs/README.md does not link to {name}");
        }
    }
    Ok(())
}

/// The targets of `[text](target)`.
fn links(text: &str) -> Vec<&str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect()
}

#[test]
fn the_example_configuration_is_sound() -> anyhow::Result<()> {
    let text = std::fs::read_to_string(pages::root().join("examples/gristmill.toml"))?;
    server::config::Config::from_toml(&text).map(drop)
}
