//! Bounds on what one input may make this process hold. They bound memory, not the size of files.

/// Longest CSV record, in bytes of its cells, and longest line of JSON. A longer one becomes a row with
/// `cell_too_large` or `line_too_large`.
pub const MAX_ROW_BYTES: usize = 16 << 20;

/// Most columns of an input. Templates and output schemas are held per job.
pub const MAX_COLUMNS: usize = 2_000;

/// How much of a file is read to find its header.
pub const MAX_HEADER_BYTES: u64 = 1 << 20;

/// Most rows of one batch.
pub const MAX_BATCH_ROWS: usize = 1_024;

/// A batch ends with the row that takes it past this many bytes.
pub const MAX_BATCH_BYTES: usize = 4 << 20;

/// Size of one ranged read of a CSV file.
pub(crate) const BLOCK_BYTES: u64 = 4 << 20;

/// Ranged reads under way or waiting to be parsed, per input.
pub(crate) const BLOCKS_AHEAD: usize = 2;

/// Largest Parquet footer. Decoded, it takes several times as much.
pub const MAX_FOOTER_BYTES: u64 = 64 << 20;

/// Most row groups of a Parquet file, and most entries of any list of structures in its footer.
pub const MAX_ROW_GROUPS: u64 = 100_000;

/// Deepest nesting of a Parquet schema. Decoders recurse once per level.
pub const MAX_SCHEMA_DEPTH: usize = 64;

/// Largest page, decompressed, that a page header may claim; the reader allocates it before it looks at the data.
pub const MAX_PAGE_BYTES: u64 = 128 << 20;

/// Decompressed pages of all columns that are held at once.
pub const MAX_OPEN_PAGES_BYTES: u64 = 256 << 20;

/// Most values of one page of a repeated column: a few bytes can claim billions of list elements for one row.
pub const MAX_REPEATED_PAGE_VALUES: u64 = 16 << 20;

/// Decoded rows may be this much, and beyond it [`MAX_EXPANSION`] times the file's size.
pub const FREE_EXPANSION_BYTES: u64 = 1 << 30;

/// See [`FREE_EXPANSION_BYTES`]. Constant columns compress well, but not without end.
pub const MAX_EXPANSION: u64 = 1_000;

/// The text of a compressed file may be this much, and beyond it [`MAX_TEXT_EXPANSION`] times the file's size.
pub const FREE_TEXT_EXPANSION_BYTES: u64 = 128 << 20;

/// See [`FREE_TEXT_EXPANSION_BYTES`]. Tables of text compress to a twentieth, monotonous ones to some hundredth; a bomb
/// of gzip has a thousand times its size, and one of zstd more.
pub const MAX_TEXT_EXPANSION: u64 = 500;

/// Longest text of a compressed file, whatever the file's size.
pub const MAX_TEXT_BYTES: u64 = 1 << 40;

/// Largest window of a zstd file, as its exponent of 2: the most that zstd's own tool takes without being asked.
pub(crate) const MAX_WINDOW_LOG: u32 = 27;

/// Largest window of a zstd file. It is held in memory.
pub const MAX_WINDOW_BYTES: u64 = 1 << MAX_WINDOW_LOG;

/// Decompressed text that is parsed at once.
pub(crate) const TEXT_PIECE_BYTES: usize = 256 << 10;

/// Compressed bytes of a row group that are read ahead.
pub(crate) const GROUP_AHEAD_BYTES: u64 = 64 << 20;

/// A batch may decode this much more than it should where each of its cells could be the dictionary's longest.
pub(crate) const DICTIONARY_BATCH_BYTES: u64 = 128 << 20;
