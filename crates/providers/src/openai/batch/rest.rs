//! Calls about files and provider batches, with this family's errors.

use std::time::SystemTime;

use bytes::Bytes;
use domain::failure::Failure;
use serde::{Deserialize, Serialize};

use crate::CallError;
use crate::call_error::{Target, body_of, or_missing, parse};
use crate::client::{Api, Download, Form, HttpError, HttpReply, retry_after};
use crate::openai::error::{Classify, Signs};

/// An API whose errors are this family's, with files as OpenAI has them.
pub(crate) struct Rest {
    pub api: Api,
    pub classify: Classify,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Created {
    Bare {
        id: String,
    },
    /// Together's provider batches.
    Wrapped {
        job: Object,
    },
}

#[derive(Deserialize)]
struct Object {
    id: String,
}

impl Rest {
    fn done(&self, target: Target, reply: Result<HttpReply, HttpError>) -> Result<Bytes, CallError> {
        body_of(target, reply, |reply| {
            let signs = Signs::of_body(&reply.body);
            let status = reply.status.as_u16();
            let failure = signs.failure(status, (self.classify)(status, &signs));
            Failure { retry_after: retry_after(&reply.headers, SystemTime::now()), ..failure }
        })
    }

    pub async fn list(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Bytes, CallError> {
        self.done(Target::Collection, self.api.get(path, query).await)
    }

    pub async fn get(&self, path: &[&str]) -> Result<Bytes, CallError> {
        self.done(Target::Object, self.api.get(path, &[]).await)
    }

    /// Creates something and gives the provider's id of it.
    pub async fn create(&self, path: &[&str], body: &impl Serialize) -> Result<String, CallError> {
        let json = serde_json::to_vec(body).expect("strings and numbers always serialise");
        self.done(Target::Collection, self.api.post(path, json).await).and_then(|body| id_of(&body))
    }

    /// Asks for a cancel. A refusal because it has ended already is a success.
    pub async fn cancel(&self, path: &[&str]) -> Result<(), CallError> {
        let reply = self.api.post_nothing(path).await;
        if reply.as_ref().is_ok_and(|reply| matches!(reply.status.as_u16(), 400 | 409)) {
            return Ok(());
        }
        self.done(Target::Object, reply).map(drop)
    }

    /// Uploads a file and gives the provider's id of it.
    pub async fn upload(&self, path: &[&str], form: Form<'_>) -> Result<String, CallError> {
        self.done(Target::Collection, self.api.upload_form(path, form).await).and_then(|body| id_of(&body))
    }

    pub async fn download(&self, file: &str, into: &mut Download) -> Result<(), CallError> {
        self.done(Target::Object, self.api.download(&["files", file, "content"], into).await).map(drop)
    }

    pub async fn delete_file(&self, file: &str) -> Result<(), CallError> {
        or_missing(self.done(Target::Object, self.api.delete(&["files", file]).await).map(drop))
    }
}

/// The id of what was created: some wrap it.
fn id_of(body: &[u8]) -> Result<String, CallError> {
    let created: Created = parse(body)?;
    let (Created::Bare { id } | Created::Wrapped { job: Object { id } }) = created;
    if id.is_empty() { Err(CallError::unreadable("what was created has no id")) } else { Ok(id) }
}
