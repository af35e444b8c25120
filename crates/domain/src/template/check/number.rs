//! Which expressions are numbers, whatever the row.

use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, UnaryOpKind};
use minijinja::value::ValueKind;

/// Filters that make numbers (or fail), where their defaults are numbers too.
const NUMBER_FILTERS: [&str; 5] = ["abs", "float", "int", "length", "round"];

pub(super) fn is(expression: &Expr<'_>) -> bool {
    match expression {
        Expr::Const(constant) => constant.value.kind() == ValueKind::Number,
        Expr::Filter(filter) => {
            NUMBER_FILTERS.contains(&filter.name)
                && filter.args.iter().all(|argument| match argument {
                    CallArg::Pos(value) | CallArg::Kwarg(_, value) => is(value),
                    CallArg::PosSplat(_) | CallArg::KwargSplat(_) => false,
                })
        }
        Expr::GetAttr(access) => {
            matches!(&access.expr, Expr::Var(name) if name.id == "loop")
                && matches!(access.name, "depth" | "depth0" | "index" | "index0" | "length" | "revindex" | "revindex0")
        }
        Expr::UnaryOp(operation) => matches!(operation.op, UnaryOpKind::Neg),
        // Minus and the divisions fail on anything else; plus and times are checked where they stand.
        Expr::BinOp(operation) => matches!(
            operation.op,
            BinOpKind::Add | BinOpKind::Sub | BinOpKind::Mul | BinOpKind::Div | BinOpKind::FloorDiv | BinOpKind::Rem
        ),
        Expr::IfExpr(choice) => is(&choice.true_expr) && choice.false_expr.as_ref().is_some_and(is),
        _ => false,
    }
}

pub(super) fn is_positive_literal(expression: &Expr<'_>) -> bool {
    matches!(expression, Expr::Const(constant) if constant.value.as_i64().is_some_and(|step| step > 0))
}
