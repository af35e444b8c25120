//! Checks a submission against what there is: the model, the grants, the objects in storage.

use dataset::input::{InputSchema, ReadOptions, Source};
use dataset::output::OutputColumns;
use db::TenantTx;
use db::storage_grants::Grant;
use domain::format::InputFormat;
use domain::job::spec::{IfExists, InputSpec};
use domain::prompt::Prompt;
use domain::provider;
use domain::template::Columns;

use super::request::Request;
use crate::App;
use crate::admin::credentials;
use crate::problem::{Problem, Problems};
use crate::storage::{self, Access};

/// The grants that cover a submission's objects.
pub(super) struct Granted {
    input: Grant,
    output: Option<Grant>,
}

/// The part of the checks that asks the database.
pub(super) async fn grants(tx: &mut TenantTx, request: &Request) -> Result<Granted, Problem> {
    check_model(tx, request).await?;
    let input = storage::grant(tx, &request.input, Access::Read).await?;
    let output = match &request.output {
        Some(uri) => Some(storage::grant(tx, uri, Access::Write).await?),
        None => None,
    };
    Ok(Granted { input, output })
}

async fn check_model(tx: &mut TenantTx, request: &Request) -> Result<(), Problem> {
    let Some(capability) = db::providers::capability(tx, &request.model).await? else {
        let detail = format!("there is no model `{}`; `GET /v1/models` lists those there are", request.model);
        return Err(Problem::field("/model", "model_not_found", detail));
    };
    if let Some(credential) = capability.provider.credential.as_deref().filter(|_| !capability.has_credential) {
        return Err(Problem::field("/model", "credential_not_found", credentials::not_found(credential)));
    }
    if !provider::is_callable(&capability.provider, &capability.model) {
        let detail =
            format!("the records of `{}` leave no way to call it; an administrator can change them", request.model);
        return Err(Problem::field("/model", "model_not_callable", detail));
    }
    match (request.spec.params.max_output_tokens, capability.model.max_output_tokens) {
        (Some(wanted), Some(most)) if wanted > most => {
            let detail = format!("`{}` writes at most {most} tokens", request.model);
            Err(Problem::field("/params/max_output_tokens", "out_of_range", detail))
        }
        _ => Ok(()),
    }
}

/// The part of the checks that asks storage: pins the input and reads its header. No transaction may be open.
pub(super) async fn inspect(app: &App, request: &Request, granted: &Granted) -> Result<Source, Problem> {
    let location = storage::open(app, &request.input, &granted.input, "/input/uri").await?;
    let pinned = dataset::input::pin(&location).await.map_err(Problem::of_input)?;
    let InputSpec { format, delimiter, .. } = request.spec.input;
    let options = ReadOptions { format: format.file(), delimiter };
    let schema = dataset::input::inspect(&location, &pinned, options).await.map_err(Problem::of_input)?;
    check_columns(request, &schema)?;
    if let (Some(uri), Some(grant)) = (&request.output, &granted.output) {
        let location = storage::open(app, uri, grant, "/output/uri").await?;
        let replace = request.spec.output.if_exists == IfExists::Replace;
        if !replace && location.exists().await.map_err(|error| Problem::of_store(error, "/output/uri"))? {
            let detail = format!(
                "`{uri}` exists already: choose another output, or allow it to be replaced with `output.if_exists`"
            );
            return Err(Problem::conflict("output_exists", detail));
        }
    }
    Ok(Source { pinned, schema })
}

fn check_columns(request: &Request, schema: &InputSchema) -> Result<(), Problem> {
    let mut problems = Problems::default();
    if request.spec.input.format != InputFormat::Openai
        && let Err(errors) = Prompt::compile(&request.spec.prompt, &Columns::new(schema.column_names()))
    {
        for error in errors {
            problems.report(error.pointer, error.problem.code(), error.problem.to_string());
        }
    }
    if let Err(conflict) = OutputColumns::new(schema, &request.spec.output.column_prefix) {
        problems.report("/output/column_prefix", conflict.code(), conflict.to_string());
    }
    problems.check()
}
