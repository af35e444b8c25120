//! Calls that need a key with the scope `admin`.

pub mod grants;
pub mod keys;
pub mod providers;
pub mod tenants;
