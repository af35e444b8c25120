//! ARCHITECTURE.md names files that are there.

use anyhow::ensure;

use super::pages;

#[test]
fn every_source_path_of_the_architecture_exists() -> anyhow::Result<()> {
    let page = pages::one("ARCHITECTURE.md")?.prose();
    let paths: Vec<&str> = page.split('`').skip(1).step_by(2).filter(|word| word.contains("/src/")).collect();
    ensure!(paths.len() > 10, "the search finds paths no more");
    let crates = pages::root().join("crates");
    let missing: Vec<&str> = paths.into_iter().filter(|path| !crates.join(path).exists()).collect();
    ensure!(missing.is_empty(), "not there below crates/: {missing:?}");
    Ok(())
}
