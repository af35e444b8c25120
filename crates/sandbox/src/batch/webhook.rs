//! Webhooks, signed as the Standard Webhooks specification says.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Uri;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How often an event is sent until the receiver answers 2xx.
const ATTEMPTS: u32 = 4;

/// Before the second attempt; doubles before each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// For one attempt.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the ends of provider batches are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// `http://` on this machine; nothing else is called.
    pub url: String,
    /// `whsec_` and the key in base64.
    pub secret: String,
}

/// An event on its way.
pub(crate) struct Event {
    /// `webhook-id`; the same at each attempt.
    pub id: String,
    pub unix_s: u64,
    pub body: Vec<u8>,
}

impl Webhook {
    pub(super) fn validate(&self) -> Result<(), String> {
        self.target()?;
        self.key()?;
        Ok(())
    }

    /// Sends until it is taken, or too often.
    pub(super) async fn send(&self, event: &Event) {
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=ATTEMPTS {
            match tokio::time::timeout(PATIENCE, self.attempt(event)).await {
                Ok(Ok(status)) if (200..300).contains(&status) => return,
                Ok(Ok(status)) => tracing::info!(attempt, status, "the receiver refuses the sandbox's webhook"),
                Ok(Err(error)) => tracing::info!(attempt, %error, "the sandbox's webhook does not arrive"),
                Err(_) => tracing::info!(attempt, "the receiver of the sandbox's webhook is too slow"),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    /// The status of the answer.
    async fn attempt(&self, event: &Event) -> io::Result<u16> {
        let (address, path) = self.target().map_err(io::Error::other)?;
        let key = self.key().map_err(io::Error::other)?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nwebhook-id: {}\r\nwebhook-timestamp: {}\r\nwebhook-signature: {}\r\n\r\n",
            event.body.len(),
            event.id,
            event.unix_s,
            signature(&key, event),
        );
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&event.body).await?;
        let mut line = [0; "HTTP/1.1 200".len()];
        stream.read_exact(&mut line).await?;
        let status = std::str::from_utf8(&line[9..]).ok().and_then(|status| status.parse().ok());
        status.ok_or_else(|| io::Error::other("the answer is not HTTP"))
    }

    fn target(&self) -> Result<(SocketAddr, String), String> {
        let uri: Uri = self.url.parse().map_err(|_| "url is none".to_owned())?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let host = if host == "localhost" { "127.0.0.1" } else { host };
        let ip: Option<IpAddr> = host.parse().ok().filter(IpAddr::is_loopback);
        match (uri.scheme_str(), ip) {
            (Some("http"), Some(ip)) => {
                let path = uri.path_and_query().map_or("/", |path| path.as_str());
                Ok((SocketAddr::new(ip, uri.port_u16().unwrap_or(80)), path.to_owned()))
            }
            _ => Err("url must be http:// to this machine".to_owned()),
        }
    }

    fn key(&self) -> Result<hmac::Key, String> {
        let secret = self.secret.strip_prefix("whsec_").unwrap_or(&self.secret);
        let secret = STANDARD.decode(secret).map_err(|_| "secret must be whsec_ and base64".to_owned())?;
        Ok(hmac::Key::new(hmac::HMAC_SHA256, &secret))
    }
}

/// `v1,` and the base64 of the HMAC-SHA256 over id, timestamp and body.
fn signature(key: &hmac::Key, event: &Event) -> String {
    let mut signed = format!("{}.{}.", event.id, event.unix_s).into_bytes();
    signed.extend(&event.body);
    format!("v1,{}", STANDARD.encode(hmac::sign(key, &signed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_is_that_of_the_specification() {
        // Computed with Python's `hmac`.
        let webhook = Webhook {
            url: "http://localhost/x".to_owned(),
            secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
        };
        let event = Event {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(),
            unix_s: 1_614_265_330,
            body: br#"{"test": 2432232314}"#.to_vec(),
        };
        let key = webhook.key().expect("a key");
        assert_eq!(signature(&key, &event), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn only_this_machine_is_called() {
        let target = |url: &str| {
            Webhook { url: url.to_owned(), secret: String::new() }
                .target()
                .map(|(address, path)| format!("{address}{path}"))
        };
        assert_eq!(target("http://localhost:8080/a?b=1"), Ok("127.0.0.1:8080/a?b=1".to_owned()));
        assert_eq!(target("http://[::1]:8080"), Ok("[::1]:8080/".to_owned()));
        for url in ["https://127.0.0.1/", "http://10.0.0.1/", "http://example.org/", "nothing"] {
            assert!(target(url).is_err(), "{url}");
        }
    }
}
