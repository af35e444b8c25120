//! Answers to requests of provider batches, by the code that answers in real time.

use super::wire::{Answer, At};
use crate::desk::Desk;
use crate::family::{Family, Objection};
use crate::fault::Fault;
use crate::reply::{Payload, Reply};
use crate::value::Fields;

/// The error of a request that the provider failed to answer.
pub(super) const SERVER_ERROR: u16 = 500;

/// A larger answer is for real time only: a line of a result file must fit into memory.
const MAX_ANSWER_BYTES: u64 = 256 * 1024 * 1024;

/// Answers a request as in real time. What is wrong with a connection there is an error of the server here.
pub(crate) fn answer<F: Family>(family: &F, at: &At<'_>, fields: Result<Fields<'_>, Objection<'_>>) -> Answer {
    let answered =
        fields.map_err(|objection| family.error(&objection)).and_then(|fields| answered(family, at, &fields));
    answered.unwrap_or_else(|error| free(F::error_reply(error, at.seq), None))
}

/// Prompt tokens of a request; 0 where it is invalid.
pub(crate) fn prompt_tokens<F: Family>(family: &F, fields: &Fields<'_>) -> u64 {
    family.read(fields).map_or(0, |asked| asked.prompt_tokens())
}

fn answered<F: Family>(family: &F, at: &At<'_>, fields: &Fields<'_>) -> Result<Answer, F::Error> {
    let At { config, now, seq, identity, again, .. } = *at;
    let desk = Desk { family, config, at: now, seq, identity, again };
    let accepted = desk.accept(fields)?;
    let fault = desk.fault(&accepted.asked)?;
    let name = fault.as_ref().map(Fault::name);
    let failed = |status| free(error(family, status, seq), name);
    if fault.as_ref().is_some_and(Fault::is_of_the_connection) {
        return Ok(failed(SERVER_ERROR));
    }
    let reply = desk.reply(&accepted, fault.as_ref());
    let (status, billed) = (reply.status, reply.billed_tokens.map(|tokens| (accepted.prompt_tokens, tokens)));
    Ok(match into_json(reply) {
        Some(body) => Answer { status, body, billed, fault: name },
        None if status == 200 => failed(SERVER_ERROR),
        None => failed(status),
    })
}

/// The usual error of a status.
pub(crate) fn error<F: Family>(family: &F, status: u16, seq: u64) -> Reply {
    let objection = Objection::Status { status, code: None, kind: None };
    F::error_reply(family.error(&objection), seq)
}

/// An answer that costs nothing.
fn free(reply: Reply, fault: Option<&'static str>) -> Answer {
    let status = reply.status;
    Answer { status, body: into_json(reply).unwrap_or_else(|| b"{}".to_vec()), billed: None, fault }
}

/// The body, where it is JSON and not too large.
fn into_json(reply: Reply) -> Option<Vec<u8>> {
    match reply.payload {
        Payload::Whole(body) if reply.content_type != "text/html" => Some(body),
        Payload::Padded { head, filler, tail } if filler <= MAX_ANSWER_BYTES => {
            let filler = vec![b'f'; usize::try_from(filler).ok()?];
            Some([head, filler, tail].concat())
        }
        _ => None,
    }
}
