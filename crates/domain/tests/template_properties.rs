//! Properties that hold for all cells.

mod template_support;

use domain::row::Cell;
use proptest::prelude::*;
use template_support::{Table, list, object, text};

fn any_cell() -> impl Strategy<Value = Cell> {
    let leaf = prop_oneof![
        Just(Cell::Null),
        any::<bool>().prop_map(Cell::Bool),
        any::<i64>().prop_map(Cell::Int),
        any::<u64>().prop_map(Cell::UInt),
        any::<f64>().prop_map(Cell::Float),
        any::<String>().prop_map(text),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(list),
            prop::collection::btree_map("[a-c]{1,3}", inner, 0..4).prop_map(object),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_renders_to_itself(cell in any::<String>()) {
        let table = Table::new([("cell", text(cell.as_str()))]);
        prop_assert_eq!(table.render("{{ cell }}"), Ok(cell.clone()));
        prop_assert_eq!(table.render("{{ row['cell'] }}"), Ok(cell.clone()));
        prop_assert_eq!(table.render("{% if true %}{{ cell }}{% endif %}"), Ok(cell.clone()));
        prop_assert_eq!(table.render("{{ cell|string }}"), Ok(cell));
    }

    /// Text and columns only are rendered without the engine; an empty comparison sends the same text through it.
    #[test]
    fn plain_templates_read_the_same_as_through_the_engine(first in any_cell(), second in any_cell(), between in "[^{}]*") {
        let table = Table::new([("first", first), ("Second one", second)]);
        let plain = format!("{{{{ first }}}}{between}{{{{ row['Second one'] }}}}\n");
        let engine = format!("{plain}{{% if 1 == 2 %}}{{% endif %}}");
        prop_assert_eq!(table.render(&plain), table.render(&engine));
    }

    #[test]
    fn lists_and_objects_are_valid_json(cell in any_cell()) {
        let is_nested = matches!(cell, Cell::List(_) | Cell::Object(_));
        let table = Table::new([("cell", cell)]);
        let printed = table.render("{{ cell }}").expect("any cell renders");
        let json = table.render("{{ cell|tojson }}").expect("any cell is JSON");
        prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
        if is_nested {
            prop_assert_eq!(printed, json);
        }
    }

    /// Meters and filters take any value without a panic; a value that doesn't fit fails the row.
    #[test]
    fn no_cell_makes_operators_or_filters_panic(left in any_cell(), right in any_cell()) {
        let table = Table::new([("l", left), ("r", right)]);
        for source in [
            "{{ l == r }}{{ l < r }}{{ l >= r != l }}", "{{ l in r }}", "{{ l - r }}", "{{ l % r }}", "{{ l // r }}", "{{ l / r }}",
            "{{ l[:3] }}", "{{ l[r] }}", "{{ l[r:] }}", "{{ l|int(3) }}", "{{ l|float(1.5)|round }}", "{{ l|round(r|int(0)) }}",
            "{{ l|sort }}", "{{ l|unique|length }}", "{{ [l, r, l]|sort }}", "{{ l|replace(r, l) }}", "{{ l|truncate(3) }}",
            "{{ l|split|join(r) }}", "{{ l|upper|title|capitalize }}", "{{ l|abs }}", "{{ -(l|int(1)) }}", "{{ {l: r}[l] }}",
            "{% for x in l %}{{ x == r }}{{ x|lines|last }}{% endfor %}", "{{ l is divisibleby r }}", "{{ l is in r }}",
            "{{ l is eq r and l is odd or r is even }}", "{{ l|int(0) * (r|int(0)) }}", "{{ l|reverse|list|items }}",
        ] {
            let _ = table.code(source);
        }
    }
}
