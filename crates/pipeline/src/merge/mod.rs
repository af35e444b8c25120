//! Merge: a closed chunk becomes its results and one part of the output; the parts become one object.

pub(crate) mod assemble;
pub(crate) mod chunk_files;
pub(crate) mod seal;
