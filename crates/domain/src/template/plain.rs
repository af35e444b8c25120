//! Templates that are text and columns only.

use std::fmt::Write as _;

use minijinja::machinery::ast::{Expr, Stmt};

use super::error::RenderError;
use super::{Columns, text};
use crate::row::Row;

#[derive(Debug)]
pub(super) enum Segment {
    Text(Box<str>),
    Column(usize),
}

/// The parts of a checked template, or `None` where it has more than text and columns.
pub(super) fn segments(statement: &Stmt<'_>, columns: &Columns) -> Option<Vec<Segment>> {
    let Stmt::Template(template) = statement else {
        return None;
    };
    template
        .children
        .iter()
        .map(|statement| match statement {
            Stmt::EmitRaw(raw) => Some(Segment::Text(raw.raw.into())),
            Stmt::EmitExpr(emit) => column(&emit.expr, columns).map(Segment::Column),
            _ => None,
        })
        .collect()
}

fn column(expression: &Expr<'_>, columns: &Columns) -> Option<usize> {
    let is_row = |expression: &Expr<'_>| matches!(expression, Expr::Var(name) if name.id == "row");
    match expression {
        Expr::Var(name) if name.id != "row" => columns.position(name.id),
        Expr::GetAttr(access) if is_row(&access.expr) => columns.position(access.name),
        Expr::GetItem(access) if is_row(&access.expr) => match &access.subscript_expr {
            Expr::Const(name) => columns.position(name.value.as_str()?),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn render(
    segments: &[Segment],
    row: &dyn Row,
    max_bytes: usize,
    out: &mut String,
) -> Result<(), RenderError> {
    let mut out = text::Bounded::new(out, max_bytes);
    for segment in segments {
        let written = match segment {
            Segment::Text(text) => out.write_str(text),
            Segment::Column(column) => {
                let value =
                    text::from_cell(row.cell(*column)).ok_or(RenderError::Limit { what: "nesting in a cell" })?;
                text::write(&mut out, &value)
            }
        };
        written.map_err(|_| RenderError::TooLarge { max_bytes })?;
    }
    Ok(())
}
