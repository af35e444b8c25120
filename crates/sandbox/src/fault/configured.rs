//! Faults that meet a share of all requests.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Fault;
use crate::deliveries::Digest;

/// A fault for a share of the requests, chosen by a hash of the request's body and the sandbox's seed: which
/// requests are chosen depends neither on time nor on order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfiguredFault {
    /// As in a marker: `status code=503`.
    #[serde(serialize_with = "write", deserialize_with = "read")]
    pub fault: Fault,
    /// The share of requests chosen, 0 to 1. Either this or `every_nth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f64>,
    /// Chooses one request in so many, on average. Either this or `fraction`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_nth: Option<u32>,
    /// Only requests to this model. None means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// True: a chosen request meets the fault at each delivery. False: only at its first.
    #[serde(default)]
    pub sticky: bool,
}

impl ConfiguredFault {
    /// Exactly one way of choosing, within its range.
    pub(crate) fn validate(&self) -> Result<(), &'static str> {
        match (self.fraction, self.every_nth) {
            (Some(fraction), None) if (0.0..=1.0).contains(&fraction) => Ok(()),
            (Some(_), None) => Err("fraction must be from 0 to 1"),
            (None, Some(1..)) => Ok(()),
            (None, Some(0)) => Err("every_nth must be at least 1"),
            _ => Err("give exactly one of fraction and every_nth"),
        }
    }

    /// Whether the request with this body, delivered so many times, meets the fault. `index` is the
    /// fault's place in the list, so that two faults choose independently.
    pub(crate) fn meets(&self, model: &str, digest: Digest, delivery: u32, seed: u64, index: usize) -> bool {
        let for_model = self.model.as_deref().is_none_or(|only| only == model);
        for_model && (self.sticky || delivery == 1) && self.chooses(mix(digest, seed, index))
    }

    fn chooses(&self, hash: u64) -> bool {
        match (self.fraction, self.every_nth) {
            (Some(fraction), _) => unit_interval(hash) < fraction,
            (None, Some(nth)) => hash.is_multiple_of(u64::from(nth)),
            (None, None) => false,
        }
    }
}

/// The finalizer of SplitMix64 over digest, seed and index.
fn mix(digest: Digest, seed: u64, index: usize) -> u64 {
    let index = u64::try_from(index).unwrap_or(u64::MAX);
    let salt = seed.wrapping_add(index.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    split_mix(u64::from_be_bytes(digest.first()) ^ split_mix(salt))
}

/// SplitMix64's finalizer (Steele, Lea and Flood, 2014): every bit of the input changes half of the output.
pub(crate) fn split_mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// The hash's upper 53 bits, all that a float holds, as a number from 0 to below 1.
#[expect(clippy::cast_precision_loss, reason = "53 bits are exact in an f64")]
fn unit_interval(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

fn write<S: Serializer>(fault: &Fault, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(fault)
}

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Fault, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(json: &str) -> ConfiguredFault {
        serde_json::from_str(json).expect("valid fault")
    }

    fn digest(number: u64) -> Digest {
        Digest::of(&number.to_be_bytes())
    }

    fn met(fault: &ConfiguredFault, seed: u64) -> Vec<u64> {
        (0..10_000).filter(|&number| fault.meets("echo", digest(number), 1, seed, 0)).collect()
    }

    #[test]
    fn share_is_as_asked_and_the_same_each_time() {
        let fault = configured(r#"{"fault": "html", "fraction": 0.1}"#);
        assert!((900..1100).contains(&met(&fault, 1).len()));
        assert_eq!(met(&fault, 1), met(&fault, 1));
        assert_ne!(met(&fault, 1), met(&fault, 2));
        let fault = configured(r#"{"fault": "html", "every_nth": 100}"#);
        assert!((70..130).contains(&met(&fault, 1).len()));
    }

    #[test]
    fn fraction_of_one_meets_all_and_of_zero_none() {
        let all = configured(r#"{"fault": "html", "fraction": 1.0}"#);
        let none = configured(r#"{"fault": "html", "fraction": 0}"#);
        assert_eq!((met(&all, 1).len(), met(&none, 1).len()), (10_000, 0));
    }

    #[test]
    fn later_deliveries_meet_only_a_sticky_fault() {
        let once = configured(r#"{"fault": "html", "fraction": 1.0}"#);
        let sticky = configured(r#"{"fault": "html", "fraction": 1.0, "sticky": true}"#);
        assert!(!once.meets("echo", digest(0), 2, 0, 0));
        assert!(sticky.meets("echo", digest(0), 2, 0, 0));
    }

    #[test]
    fn other_models_are_spared() {
        let fault = configured(r#"{"fault": "html", "fraction": 1.0, "model": "echo-2"}"#);
        assert!(!fault.meets("echo", digest(0), 1, 0, 0));
        assert!(fault.meets("echo-2", digest(0), 1, 0, 0));
    }
}
