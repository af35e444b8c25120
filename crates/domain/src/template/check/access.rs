//! Variables, attributes and subscripts.

use minijinja::machinery::Span;
use minijinja::machinery::ast::{Const, Expr, GetAttr, GetItem};

use super::{Checked, Checker, Use};
use crate::template::error::TemplateError;
use crate::template::guard::Meter;

/// What `loop` tells.
const LOOP_ATTRIBUTES: [&str; 9] =
    ["depth", "depth0", "first", "index", "index0", "last", "length", "revindex", "revindex0"];

impl<'template> Checker<'template> {
    pub(super) fn access(&mut self, expression: &Expr<'template>, read_by: Use) -> Checked {
        match expression {
            Expr::Var(name) => self.variable(name.id, name.span())?,
            Expr::GetAttr(access) => {
                if self.attribute_of_loop(access)? {
                    return Ok(());
                }
                self.attribute(access, read_by)?;
            }
            Expr::GetItem(access) => self.subscript(access, read_by)?,
            other => return self.expression(other, read_by),
        }
        if let (Some(meter), Some(start)) = (read_by, start_of_path(expression)) {
            self.meters.push((start..expression.span().end_offset as usize, meter));
        }
        Ok(())
    }

    fn variable(&mut self, name: &str, span: Span) -> Checked {
        if self.bound.contains(&name) {
            Ok(())
        } else if name == "row" {
            self.used.extend(0..self.columns.names().len());
            Ok(())
        } else if name == "loop" {
            self.refuse(span, "`loop` by itself", "write `loop.index` in a loop, or `row[\"loop\"]` for the column")
        } else {
            self.column(name, span)
        }
    }

    fn column(&mut self, name: &str, span: Span) -> Checked {
        match self.columns.position(name) {
            Some(column) => {
                self.used.insert(column);
                Ok(())
            }
            None => Err(TemplateError::UnknownVariable {
                at: self.position(span),
                name: name.to_owned(),
                suggestion: self.columns.nearest(name).map(str::to_owned),
            }),
        }
    }

    fn attribute_of_loop(&self, access: &GetAttr<'template>) -> Result<bool, TemplateError> {
        match &access.expr {
            Expr::Var(name) if name.id == "loop" && self.loops > 0 => {
                if LOOP_ATTRIBUTES.contains(&access.name) {
                    return Ok(true);
                }
                self.refuse(name.span(), &format!("`loop.{}`", access.name), "")?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn attribute(&mut self, access: &GetAttr<'template>, read_by: Use) -> Checked {
        if let Expr::Var(name) = &access.expr
            && self.is_row(&access.expr)
        {
            return self.column(access.name, name.span());
        }
        self.base(&access.expr, read_by)
    }

    fn subscript(&mut self, access: &GetItem<'template>, read_by: Use) -> Checked {
        if let Expr::Const(key) = &access.subscript_expr
            && let Some(name) = text_of(key)
        {
            return if self.is_row(&access.expr) {
                self.column(name, access.subscript_expr.span())
            } else {
                self.base(&access.expr, read_by)
            };
        }
        self.expression(&access.subscript_expr, Some(Meter::Operand))?;
        // The n-th character or item is found by counting.
        let meter = if self.is_row(&access.expr) { None } else { Some(Meter::Operand) };
        self.expression(&access.expr, meter)
    }

    /// What stands before a dot: a path is metered at its end; of anything else, all that it may be is metered.
    fn base(&mut self, expression: &Expr<'template>, read_by: Use) -> Checked {
        if start_of_path(expression).is_some() {
            self.access(expression, None)
        } else {
            self.expression(expression, read_by)
        }
    }

    fn is_row(&self, expression: &Expr<'template>) -> bool {
        matches!(expression, Expr::Var(name) if name.id == "row") && !self.bound.contains(&"row")
    }
}

fn text_of(constant: &Const) -> Option<&str> {
    constant.value.as_str()
}

/// Where a path such as `a.b["c"]` begins, by its variable; `None` for what doesn't begin with a variable.
fn start_of_path(expression: &Expr<'_>) -> Option<usize> {
    match expression {
        Expr::Var(name) => Some(name.span().start_offset as usize),
        Expr::GetAttr(access) => start_of_path(&access.expr),
        Expr::GetItem(access) => start_of_path(&access.expr),
        _ => None,
    }
}
