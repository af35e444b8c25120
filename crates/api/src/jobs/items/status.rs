//! How an item stands, by name.

use domain::outcome::Status;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::jobs) enum ItemStatus {
    Pending,
    Running,
    Ended(Status),
}

impl ItemStatus {
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Running,
        Self::Ended(Status::Succeeded),
        Self::Ended(Status::Failed),
        Self::Ended(Status::Cancelled),
        Self::Ended(Status::Expired),
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Ended(status) => status.name(),
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}
