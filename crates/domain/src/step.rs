//! Leased steps of a job other than run.

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Reads the input once and cuts it into chunks.
    Plan,
    /// Writes a closed chunk's results and its part of the output.
    Seal { chunk_no: u32 },
    /// Joins the parts into one object.
    Assemble,
}

impl Kind {
    /// As the database calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Seal { .. } => "seal",
            Self::Assemble => "assemble",
        }
    }
}
