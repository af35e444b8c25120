//! The address of a provider.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// The URL without a slash at its end. Names are looked up and checked again when a call is made.
///
/// # Errors
/// Code and words of what is wrong.
pub(super) fn check(text: &str, allow_private: bool) -> Result<String, (&'static str, &'static str)> {
    let url = Url::parse(text).map_err(|_| ("invalid_value", "expected a URL such as https://api.openai.com/v1"))?;
    if !(url.scheme() == "https" || (allow_private && url.scheme() == "http")) {
        return Err(("invalid_value", "expected an https URL"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err((
            "invalid_value",
            "a user, a query or a fragment has no place here; a key belongs into `credential`",
        ));
    }
    let blocked = match url.host() {
        Some(Host::Ipv4(address)) => !is_public(address.into()),
        Some(Host::Ipv6(address)) => !is_public(address.into()),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => true,
    };
    if blocked && !allow_private {
        return Err(("blocked_address", "private, local and reserved addresses are not allowed here"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// By the IANA registry of special-purpose addresses, RFC 6890.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || first == 0
        || first >= 240
        || (first == 100 && (64..128).contains(&second))
        || (first == 192 && second == 0 && third == 0)
        || (first == 198 && (18..20).contains(&second));
    !special
}

/// Only global unicast, and none of its parts that embed or tunnel to other addresses.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let global = first & 0xe000 == 0x2000;
    let tunnelled = first == 0x2002 || (first == 0x2001 && second < 0x0200) || (first == 0x2001 && second == 0x0db8);
    global && !tunnelled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c2_c3_c4_private_addresses_are_blocked_in_every_spelling() {
        for host in [
            "127.0.0.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "[::1]",
            "[::]",
            "[fe80::1]",
            "[fc00::1]",
            "[::ffff:10.0.0.1]",
            "[64:ff9b::a00:1]",
            "[2002::1]",
            "[2001::1]",
            "[2001:db8::1]",
            "[100::1]",
            "localhost",
            "a.localhost",
        ] {
            assert_eq!(
                check(&format!("https://{host}/v1"), false).map_err(|(code, _)| code),
                Err("blocked_address"),
                "{host}"
            );
            assert!(check(&format!("https://{host}/v1"), true).is_ok(), "{host}");
        }
    }

    #[test]
    fn only_https_without_credentials_is_taken() {
        for bad in [
            "http://api.acme.test/v1",
            "ftp://api.acme.test",
            "https://user@api.acme.test",
            "https://api.acme.test/?key=1",
            "api.acme.test",
            "",
        ] {
            assert_eq!(check(bad, false).map_err(|(code, _)| code), Err("invalid_value"), "{bad}");
        }
        assert_eq!(check("https://api.acme.test/v1/", false).as_deref(), Ok("https://api.acme.test/v1"));
        assert!(check("http://127.0.0.1:8080/v1", true).is_ok());
    }
}
