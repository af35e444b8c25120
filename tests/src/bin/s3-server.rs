//! An S3 server over a directory, as a process of its own: `s3-server DIRECTORY ACCESS_KEY SECRET_KEY`.
//!
//! It listens on a free loopback port, prints its address as its first line, and runs until it is killed.

use std::io::Write as _;

use anyhow::{Context as _, bail};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, access_key, secret_key] = arguments.as_slice() else {
        bail!("usage: s3-server DIRECTORY ACCESS_KEY SECRET_KEY");
    };
    let files = FileSystem::new(directory).map_err(|error| anyhow::anyhow!("{directory}: {error:?}"))?;
    let mut service = S3ServiceBuilder::new(files);
    service.set_auth(SimpleAuth::from_single(access_key.as_str(), secret_key.as_str()));
    let service = service.build();

    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    writeln!(std::io::stdout(), "http://{}", listener.local_addr()?).context("its address can't be told")?;
    let server = Builder::new(TokioExecutor::new());
    loop {
        let (connection, _) = listener.accept().await?;
        let serving = server.serve_connection(TokioIo::new(connection), service.clone()).into_owned();
        // A client that goes away is its own affair.
        tokio::spawn(async move { drop(serving.await) });
    }
}
