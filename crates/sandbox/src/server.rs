//! Connections and routes.
//!
//! hyper is used directly: faults need a say over the connection, which a service that fails or a body that ends
//! in an error has, and a router would cost more than the few routes are worth.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, body};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::Config;
use crate::error::Error;
use crate::exchange::exchange;
use crate::family::Family;
use crate::openai::{self, OpenAi};
use crate::reply::{Body, LONGEST, Payload, Reply};
use crate::state::Sandbox;
use crate::{anthropic, control, gemini, mistral, together};

/// How long requests at work may go on after the shutdown began.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// Rest after a failed accept, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

pub(crate) type HttpResponse = Response<Body>;

/// Makes hyper close the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox closes the connection on demand")]
pub(crate) struct ConnectionClosed;

/// Serves a sandbox on `listener` until `shutdown` is ready. Requests at work then have a second to finish.
///
/// # Errors
///
/// [`Error::Config`] if the configuration makes no sense, [`Error::Log`] if the log cannot be opened,
/// [`Error::Listen`] if the listener has no address.
pub async fn serve(listener: TcpListener, config: Config, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    let sandbox = Arc::new(Sandbox::new(config)?);
    let address = listener.local_addr().map_err(Error::Listen)?;
    tracing::info!(%address, "sandbox provider is ready");
    let (stop, stopping) = watch::channel(());
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(Arc::clone(&sandbox), stream, stopping.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "sandbox cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    drop(stop);
    sandbox.batches.stop().await;
    let drained = async { while connections.join_next().await.is_some() {} };
    // What is still open then is cut by dropping the set.
    let _ = tokio::time::timeout(SHUTDOWN_GRACE, drained).await;
    Ok(())
}

async fn connection(sandbox: Arc<Sandbox>, stream: TcpStream, mut stopping: watch::Receiver<()>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the client went away at once");
        return;
    }
    let service = service_fn(|request| route(&sandbox, request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        // The sender is never used, only dropped.
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the sandbox broke");
    }
}

async fn route(sandbox: &Arc<Sandbox>, request: Request<body::Incoming>) -> Result<HttpResponse, ConnectionClosed> {
    let path = request.uri().path();
    if path.starts_with("/anthropic/") {
        return anthropic::handle(sandbox, request).await;
    }
    if path.starts_with("/gemini/") {
        return gemini::handle(sandbox, request).await;
    }
    if path.starts_with("/mistral/") {
        return mistral::handle(sandbox, request).await;
    }
    if path.starts_with("/together/") {
        return together::handle(sandbox, request).await;
    }
    if path.ends_with("/chat/completions") && request.method() == Method::POST {
        return exchange::<OpenAi>(sandbox, request).await;
    }
    let reply = if path.starts_with("/_sandbox/") {
        control::handle(sandbox, request).await
    } else {
        openai::handle(sandbox, request).await
    };
    send(reply, OpenAi::REQUEST_ID).await
}

/// Sends a reply that is not one of the numbered requests'; those of the oracle log have no gaps.
pub(crate) async fn send(reply: Reply, request_id: Option<&'static str>) -> Result<HttpResponse, ConnectionClosed> {
    if let Payload::Silence = reply.payload {
        tokio::time::sleep(LONGEST).await;
        return Err(ConnectionClosed);
    }
    reply.into_response(request_id, 0, ()).ok_or(ConnectionClosed)
}
