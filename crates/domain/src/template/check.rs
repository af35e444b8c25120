//! Walks a parsed template: allows what is known to be bounded, finds the columns that it reads, and the places of meters.

mod access;
mod number;

use std::collections::BTreeSet;
use std::ops::Range;

use minijinja::machinery::Span;
use minijinja::machinery::ast::{BinOpKind, CallArg, CompareOpKind, Expr, ForLoop, Slice, Stmt};

use super::error::{Position, TemplateError};
use super::guard::Meter;
use super::{Columns, filters, jinja_tests};

type Checked = Result<(), TemplateError>;

/// What becomes of an expression's value: handed on (`None`) or read by an operator.
type Use = Option<Meter>;

pub(super) struct Checker<'template> {
    source: &'template str,
    columns: &'template Columns,
    /// Names bound by the loops around, innermost last.
    bound: Vec<&'template str>,
    loops: usize,
    in_slice: bool,
    pub(super) used: BTreeSet<usize>,
    pub(super) meters: Vec<(Range<usize>, Meter)>,
}

impl<'template> Checker<'template> {
    pub(super) fn new(source: &'template str, columns: &'template Columns) -> Self {
        Self {
            source,
            columns,
            bound: Vec::new(),
            loops: 0,
            in_slice: false,
            used: BTreeSet::new(),
            meters: Vec::new(),
        }
    }

    pub(super) fn statements(&mut self, statements: &[Stmt<'template>]) -> Checked {
        statements.iter().try_for_each(|statement| self.statement(statement))
    }

    fn statement(&mut self, statement: &Stmt<'template>) -> Checked {
        match statement {
            Stmt::Template(template) => self.statements(&template.children),
            Stmt::EmitRaw(_) | Stmt::Continue(_) | Stmt::Break(_) => Ok(()),
            Stmt::EmitExpr(emit) => self.expression(&emit.expr, None),
            Stmt::IfCond(condition) => {
                self.expression(&condition.expr, None)?;
                self.statements(&condition.true_body)?;
                self.statements(&condition.false_body)
            }
            Stmt::ForLoop(each) => self.for_loop(each, each.span()),
            Stmt::WithBlock(it) => self.refuse(it.span(), "`{% with %}`", ""),
            Stmt::Set(it) => self.refuse_growth(it.span(), "`{% set %}`", ""),
            Stmt::SetBlock(it) => self.refuse_growth(it.span(), "`{% set %}`", ""),
            Stmt::AutoEscape(it) => self.refuse(it.span(), "`{% autoescape %}`", ""),
            Stmt::FilterBlock(it) => self.refuse_growth(it.span(), "`{% filter %}`", ""),
            Stmt::Do(it) => self.refuse(it.span(), "`{% do %}`", ""),
        }
    }

    fn for_loop(&mut self, each: &ForLoop<'template>, span: Span) -> Checked {
        if each.recursive {
            return self.refuse_growth(span, "a recursive loop", "");
        }
        self.expression(&each.iter, Some(Meter::Operand))?;
        let bound_outside = self.bound.len();
        self.bind(&each.target);
        if let Some(filter) = &each.filter_expr {
            self.expression(filter, None)?;
        }
        self.loops += 1;
        self.statements(&each.body)?;
        self.loops -= 1;
        self.bound.truncate(bound_outside);
        self.statements(&each.else_body)
    }

    fn bind(&mut self, target: &Expr<'template>) {
        match target {
            Expr::Var(name) => self.bound.push(name.id),
            Expr::List(list) => list.items.iter().for_each(|item| self.bind(item)),
            _ => {}
        }
    }

    fn expression(&mut self, expression: &Expr<'template>, read_by: Use) -> Checked {
        match expression {
            Expr::Const(_) => Ok(()),
            Expr::Var(_) | Expr::GetAttr(_) | Expr::GetItem(_) => self.access(expression, read_by),
            Expr::Slice(slice) => self.slice(slice, slice.span()),
            Expr::UnaryOp(operation) => self.expression(&operation.expr, None),
            Expr::BinOp(operation) => {
                self.operator(operation.op, &operation.left, &operation.right, operation.span(), read_by)
            }
            Expr::Compare(comparison) => {
                self.expression(&comparison.expr, Some(Meter::Operand))?;
                comparison.ops.iter().try_for_each(|operand| {
                    let contains = matches!(operand.op, CompareOpKind::In | CompareOpKind::NotIn);
                    self.expression(&operand.expr, Some(if contains { Meter::Container } else { Meter::Operand }))
                })
            }
            Expr::IfExpr(choice) => {
                self.expression(&choice.test_expr, None)?;
                self.expression(&choice.true_expr, read_by)?;
                choice.false_expr.iter().try_for_each(|other| self.expression(other, read_by))
            }
            Expr::Filter(filter) => {
                let Some(input) = &filter.expr else {
                    return self.refuse_growth(filter.span(), "`{% filter %}`", "");
                };
                self.known(filter.span(), "filter", filter.name, &filters::NAMES)?;
                let in_slice = std::mem::replace(&mut self.in_slice, false);
                self.expression(input, None)?;
                self.arguments(&filter.args, filter.span(), None)?;
                self.in_slice = in_slice;
                Ok(())
            }
            Expr::Test(test) => {
                self.known(test.span(), "test", test.name, &jinja_tests::NAMES)?;
                self.expression(&test.expr, Some(Meter::Operand))?;
                self.arguments(&test.args, test.span(), Some(Meter::Operand))
            }
            Expr::Call(call) => self.call(&call.expr, call.span()),
            Expr::List(list) => list.items.iter().try_for_each(|item| self.expression(item, read_by)),
            Expr::Tuple(tuple) => tuple.items.iter().try_for_each(|item| self.expression(item, read_by)),
            Expr::Map(map) => {
                map.keys.iter().try_for_each(|key| self.expression(key, Some(Meter::Operand)))?;
                map.values.iter().try_for_each(|value| self.expression(value, read_by))
            }
        }
    }

    fn operator(
        &mut self,
        operator: BinOpKind,
        left: &Expr<'template>,
        right: &Expr<'template>,
        span: Span,
        read_by: Use,
    ) -> Checked {
        let (left_use, right_use) = match operator {
            BinOpKind::ScAnd | BinOpKind::ScOr => (read_by, read_by),
            BinOpKind::In => (Some(Meter::Operand), Some(Meter::Container)),
            BinOpKind::Concat => return self.refuse_growth(span, "`~`", "write `{{ a }}{{ b }}`"),
            BinOpKind::Pow => return self.refuse_growth(span, "`**`", ""),
            // Added to a number, text and lists are an error of the row; to each other, they grow.
            BinOpKind::Add if !number::is(left) && !number::is(right) => {
                return self.refuse_growth(
                    span,
                    "`+` on values that may be text",
                    "write `a|float + b|float` or `{{ a }}{{ b }}`",
                );
            }
            BinOpKind::Mul if !number::is(left) || !number::is(right) => {
                return self.refuse_growth(span, "`*` on values that may be text", "write `a|float * b|float`");
            }
            _ => (Some(Meter::Operand), Some(Meter::Operand)),
        };
        self.expression(left, left_use)?;
        self.expression(right, right_use)
    }

    fn slice(&mut self, slice: &Slice<'template>, span: Span) -> Checked {
        if std::mem::replace(&mut self.in_slice, true) {
            return self.refuse_growth(span, "a slice of a slice", "");
        }
        if !slice.step.as_ref().is_none_or(number::is_positive_literal) {
            return self.refuse(span, "a slice step that isn't a positive number", "`|reverse` turns a list around");
        }
        self.expression(&slice.expr, Some(Meter::Operand))?;
        self.in_slice = false;
        slice.start.iter().chain(&slice.stop).try_for_each(|bound| self.expression(bound, Some(Meter::Operand)))
    }

    fn arguments(&mut self, arguments: &[CallArg<'template>], span: Span, read_by: Use) -> Checked {
        arguments.iter().try_for_each(|argument| match argument {
            CallArg::Pos(value) | CallArg::Kwarg(_, value) => self.expression(value, read_by),
            CallArg::PosSplat(_) | CallArg::KwargSplat(_) => self.refuse(span, "`*` and `**` before an argument", ""),
        })
    }

    fn call(&mut self, called: &Expr<'template>, span: Span) -> Checked {
        match called {
            Expr::Var(name) if name.id == "loop" => self.refuse_growth(span, "`loop()`", ""),
            Expr::Var(name) if name.id == "range" => {
                self.refuse_growth(span, "`range()`", "loop over a list of the row instead")
            }
            Expr::Var(name) => self.refuse(span, &format!("calling `{}()`", name.id), ""),
            Expr::GetAttr(method) => {
                self.refuse(span, &format!("calling `.{}()`", method.name), "filters do the same, for example `|upper`")
            }
            _ => self.refuse(span, "calling a value", ""),
        }
    }

    fn known(&self, span: Span, kind: &str, name: &str, available: &[&str]) -> Checked {
        if available.contains(&name) {
            return Ok(());
        }
        Err(TemplateError::FeatureNotAllowed {
            at: self.position(span),
            feature: format!("the {kind} `{name}`"),
            advice: format!("there are {}", available.join(", ")),
        })
    }

    fn refuse(&self, span: Span, feature: &str, advice: &str) -> Checked {
        Err(TemplateError::FeatureNotAllowed {
            at: self.position(span),
            feature: feature.to_owned(),
            advice: advice.to_owned(),
        })
    }

    fn refuse_growth(&self, span: Span, feature: &str, advice: &str) -> Checked {
        Err(TemplateError::UnboundedFeature {
            at: self.position(span),
            feature: feature.to_owned(),
            advice: advice.to_owned(),
        })
    }

    fn position(&self, span: Span) -> Position {
        Position::of(self.source, span.start_offset as usize)
    }
}
