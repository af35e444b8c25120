//! Calls about files and provider batches, with their faults.

use std::future::Future;

use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::Wire;
use super::fault::{CallFault, Operation};
use crate::fault;
use crate::reply::{Payload, Reply};
use crate::state::Sandbox;

/// Works on a call, or meets a fault. The work is told whether its answer is sent.
pub(crate) async fn operate<F, E>(
    sandbox: &Sandbox,
    wire: &dyn Wire,
    operation: Operation,
    body: Incoming,
    work: impl FnOnce(Incoming, bool) -> F,
) -> Reply
where
    F: Future<Output = Result<Reply, E>>,
    E: Into<Reply>,
{
    let work = async |body, answered| work(body, answered).await.unwrap_or_else(Into::into);
    let Some(fault) = sandbox.batches.faults.fault(&sandbox.config().batch.faults, operation) else {
        return work(body, true).await;
    };
    sandbox.counters().met(&format!("{}:{fault}", operation.name()));
    match fault {
        CallFault::DropBefore => Reply::unanswered(Payload::Close),
        CallFault::Timeout => Reply::unanswered(Payload::Silence),
        CallFault::Status(status) => {
            drain(body).await;
            wire.error(Some(operation), status)
        }
        CallFault::Html => {
            drain(body).await;
            fault::page()
        }
        CallFault::DropAfter => {
            work(body, false).await;
            Reply::unanswered(Payload::Close)
        }
        CallFault::Truncate => work(body, true).await.truncated(),
    }
}

/// Clients that are still sending do not see an answer.
async fn drain(mut body: Incoming) {
    while let Some(Ok(_)) = body.frame().await {}
}
