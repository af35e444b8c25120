//! A newtype per id, so that one thing's id can't be passed as another's.

use std::fmt;
use std::str::FromStr;

use mti::prelude::TypeIdSuffix;
use uuid::Uuid;

/// A string that is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {kind} id: these look like `{kind}_01h455vb4pex5vsknk084sn02q`")]
pub struct InvalidId {
    pub kind: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        ///
        /// A version 7 UUID inside, so that ids sort by creation; outside a TypeID (prefix and 26 base-32 digits).
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            pub const PREFIX: &str = $prefix;
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), TypeIdSuffix::from(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(|suffix| suffix.parse::<TypeIdSuffix>().ok())
                    .map(|suffix| Self(suffix.to_uuid()))
                    .ok_or(InvalidId { kind: $prefix })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// A team.
    TenantId = "ten";
    /// An API key; not the secret itself.
    KeyId = "key";
    /// A storage grant.
    GrantId = "gra";
    /// A job.
    JobId = "job";
    /// A dispatch: rows on their way to a provider.
    DispatchId = "dis";
    /// A leased step of a job.
    StepId = "stp";
    /// A process that leases work.
    WorkerId = "wrk";
    /// An entry of a job's history.
    EventId = "evt";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text() {
        let id = JobId(Uuid::from_u128(0x0190_f5fe_7b5c_7000_8000_0000_0000_0001));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().starts_with("job_"));
    }

    #[test]
    fn another_kinds_id_is_refused() {
        let text = TenantId(Uuid::nil()).to_string();
        assert_eq!(text.parse::<JobId>(), Err(InvalidId { kind: "job" }));
        assert_eq!("job_".parse::<JobId>(), Err(InvalidId { kind: "job" }));
    }
}
