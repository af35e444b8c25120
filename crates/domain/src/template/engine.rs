//! The engine: minijinja, cut down to what is bounded.

use std::sync::{Arc, LazyLock};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, ErrorKind, UndefinedBehavior};

use super::error::RenderError;
use super::limits::INSTRUCTIONS;
use super::rendering::Rendering;
use super::{filters, jinja_tests, text};

const NAME: &str = "prompt";

/// A template's text is kept to its last newline.
pub(super) static SYNTAX: LazyLock<SyntaxConfig> = LazyLock::new(|| {
    SyntaxConfig::builder().keep_trailing_newline(true).build().expect("the usual delimiters are valid")
});

/// What all templates share. Cloning it copies pointers.
static BASE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::empty();
    environment.set_syntax(SYNTAX.clone());
    environment.set_debug(false);
    environment.set_fuel(Some(INSTRUCTIONS));
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_formatter(|out, _, value| text::write(out, value).map_err(Into::into));
    filters::add(&mut environment);
    jinja_tests::add(&mut environment);
    environment
});

#[derive(Debug)]
pub(super) struct Engine(Environment<'static>);

impl Engine {
    pub(super) fn compile(source: String) -> Result<Self, minijinja::Error> {
        let mut environment = BASE.clone();
        environment.add_template_owned(NAME, source)?;
        Ok(Self(environment))
    }

    pub(super) fn render(
        &self,
        rendering: &Arc<Rendering>,
        max_bytes: usize,
        out: &mut String,
    ) -> Result<(), RenderError> {
        let mut out = text::Bounded::new(out, max_bytes);
        let template = self.0.get_template(NAME).expect("the template was added under this name");
        let rendered = template.render_captured_to(Value::from_dyn_object(Arc::clone(rendering)), &mut out);
        let Err(error) = rendered else { return Ok(()) };
        Err(if out.full {
            RenderError::TooLarge { max_bytes }
        } else if let Some(what) = rendering.exceeded() {
            RenderError::Limit { what }
        } else if error.kind() == ErrorKind::OutOfFuel {
            RenderError::Limit { what: "steps" }
        } else {
            RenderError::Failed {
                line: error.line().unwrap_or(1),
                message: error.detail().map_or_else(|| error.kind().to_string(), str::to_owned),
            }
        })
    }
}
