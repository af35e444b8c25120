//! The pages and the fenced blocks in them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

/// A page of the documentation.
pub struct Page {
    pub path: PathBuf,
    /// From the repository's root.
    pub name: String,
    pub text: String,
}

/// A fenced block.
pub struct Block {
    /// What stands after the fence, such as `sh` or `sh no-run`.
    pub info: String,
    /// Of its fence, from 1.
    pub line: usize,
    pub text: String,
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_owned()
}

/// README.md and all below `docs/`.
pub fn all() -> anyhow::Result<Vec<Page>> {
    let mut paths = vec![root().join("README.md")];
    let mut directories = vec![root().join("docs")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    paths.into_iter().map(Page::read).collect()
}

/// The page of this name, such as `docs/reference/limits.md`.
pub fn one(name: &str) -> anyhow::Result<Page> {
    Page::read(root().join(name))
}

impl Page {
    fn read(path: PathBuf) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let name = path.strip_prefix(root())?.display().to_string();
        Ok(Self { path, name, text })
    }

    pub fn blocks(&self) -> anyhow::Result<Vec<Block>> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut open = false;
        for (number, line) in (1..).zip(self.text.lines()) {
            match line.trim_start().strip_prefix("```") {
                Some(_) if open => open = false,
                Some(info) => {
                    open = true;
                    blocks.push(Block { info: info.trim().to_owned(), line: number, text: String::new() });
                }
                None if open => {
                    let block = blocks.last_mut().context("an open block")?;
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                None => {}
            }
        }
        ensure!(!open, "{}: a block is not closed", self.name);
        Ok(blocks)
    }

    /// The text without its fenced blocks.
    pub fn prose(&self) -> String {
        self.text.split("```").step_by(2).collect()
    }
}
