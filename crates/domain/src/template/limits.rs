//! How large a template and its work may get. All of them are far above what prompts need.

/// Bytes of a template's source.
pub(super) const SOURCE_BYTES: usize = 256 * 1024;

/// `if`, `elif` and `for` inside each other. Parsing, compiling and freeing recurse once per level.
pub(super) const NESTED_BLOCKS: usize = 64;

/// Names, operators and brackets in one `{{ }}` or `{% %}`; literals and commas are free. It bounds how deep an
/// expression can be, because each level takes one of them, and so the stack that parsing it takes.
pub(super) const TAG_SYMBOLS: usize = 200;

/// Brackets inside each other in one tag. The parser takes a dozen calls for each.
pub(super) const NESTED_BRACKETS: usize = 16;

/// Instructions of one rendering: one emitted column takes two, one round of a loop about five.
pub(super) const INSTRUCTIONS: u64 = 250_000;

/// Bytes that the operators and filters of one rendering may read and build together. What a filter builds is counted
/// before it is built, so this bounds memory too.
pub(super) const WORK_BYTES: usize = 64 * 1024 * 1024;

/// What a value costs in a list or an object, beside its text.
pub(super) const NODE_BYTES: usize = 32;

/// Lists and objects inside each other in one cell.
pub(super) const CELL_DEPTH: usize = 128;
