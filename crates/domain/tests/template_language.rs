//! What templates can say, and how values read.

mod template_support;

use domain::row::Cell;
use template_support::{Table, list, object, text};

fn table() -> Table {
    Table::new([
        ("body", text("Hello world")),
        ("Major Genre", text("Drama")),
        ("year", Cell::Int(1994)),
        ("big", Cell::UInt(u64::MAX)),
        ("score", Cell::Float(1.0)),
        ("tiny", Cell::Float(0.1)),
        ("nan", Cell::Float(f64::NAN)),
        ("good", Cell::Bool(true)),
        ("nothing", Cell::Null),
        ("empty", text("")),
        ("digits", text(" 12 ")),
        ("tags", list([text("b"), text("a"), Cell::Null, text("b")])),
        (
            "messages",
            list([
                object([("role", text("user")), ("text", text("hi \"you\""))]),
                object([("role", text("bot")), ("text", text("yo"))]),
            ]),
        ),
        ("meta", object([("a", Cell::Int(1)), ("b", object([("c", text("deep"))])), ("n", Cell::Null)])),
        ("loop", text("a column")),
        ("row", text("the row column")),
    ])
}

#[track_caller]
fn renders(source: &str, expected: &str) {
    assert_eq!(table().render(source).as_deref(), Ok(expected), "{source}");
}

#[test]
fn columns_are_named_by_identifier_or_by_subscript() {
    renders(
        "{{ body }}/{{ row.body }}/{{ row['body'] }}/{{ row[\"Major Genre\"] }}",
        "Hello world/Hello world/Hello world/Drama",
    );
    renders(
        "{{ row['loop'] }}, {{ row['row'] }}, {{ row[body|replace('Hello world', 'year')] }}",
        "a column, the row column, 1994",
    );
}

#[test]
fn numbers_and_booleans_read_as_in_json() {
    renders(
        "{{ year }} {{ big }} {{ score }} {{ tiny }} {{ nan }} {{ good }}",
        "1994 18446744073709551615 1.0 0.1 NaN true",
    );
    renders(
        "{{ year + 1 }} {{ digits|int * 2 }} {{ digits|float / 8 }} {{ 7 // 2 }} {{ -year }}",
        "1995 24 1.5 3 -1994",
    );
    renders("{{ 3.14159|round(2) }} {{ (0 - 3)|abs }} {{ 'x'|int(7) }}", "3.14 3 7");
}

#[test]
fn lists_and_objects_printed_whole_are_json() {
    renders("{{ tags }} {{ meta }}", r#"["b","a",null,"b"] {"a":1,"b":{"c":"deep"},"n":null}"#);
    renders(
        "{{ messages[0] }} {{ tags|tojson }} {{ nothing|tojson }}",
        r#"{"role":"user","text":"hi \"you\""} ["b","a",null,"b"] null"#,
    );
    renders("{{ meta.b|tojson(indent=2) }}", "{\n  \"c\": \"deep\"\n}");
    let small = Table::new([("a", Cell::Int(1)), ("b", text("x"))]);
    assert_eq!(small.render("{{ row }} {{ row|tojson }}").as_deref(), Ok(r#"{"a":1,"b":"x"} {"a":1,"b":"x"}"#));
    assert_eq!(
        small.render("{% for name, cell in row|items %}{{ name }}={{ cell }};{% endfor %}").as_deref(),
        Ok("a=1;b=x;")
    );
}

#[test]
fn absent_fields_are_empty_however_deep() {
    renders("[{{ meta.x }}][{{ meta.x.y.z }}][{{ body.x }}][{{ meta['x'] }}][{{ tags[99] }}]", "[][][][][]");
    renders("{{ meta.b.c }} {{ meta.n|default('none') }} {{ meta.x is none }}", "deep none true");
}

#[test]
fn loops_know_their_place_and_bind_names() {
    renders("{% for t in tags %}{{ loop.index }}{{ t }}{% if not loop.last %},{% endif %}{% endfor %}", "1b,2a,3,4b");
    renders("{% for m in messages %}{{ m.role }}: {{ m['text'] }}\n{% endfor %}", "user: hi \"you\"\nbot: yo\n");
    renders("{% for m in messages if m.role == 'bot' %}{{ m.text }}{% else %}none{% endfor %}", "yo");
    renders("{% for body in tags %}{{ body }}{% endfor %} {{ body }}", "bab Hello world");
    renders(
        "{% for m in messages %}{% for t in tags %}{% if t == m.role %}!{% endif %}{{ loop.index0 }}{% endfor %};{% endfor %}",
        "0123;0123;",
    );
    renders(
        "{% for t in tags %}{% if t == 'a' %}{% continue %}{% endif %}{% if loop.index > 3 %}{% break %}{% endif %}{{ t }}{% endfor %}",
        "b",
    );
    renders("{% for t in tags %}{{ tags[loop.index0] }}{% endfor %}{% for c in 'ab' %}{{ c }}.{% endfor %}", "baba.b.");
    renders(
        "{% for k, v in meta|items %}{{ k }}={{ v }};{% endfor %}{% for k in meta %}{{ k }}{% endfor %}",
        r#"a=1;b={"c":"deep"};n=;abn"#,
    );
}

#[test]
fn conditions_compare_and_test() {
    renders("{% if year > 1990 and 'world' in body %}yes{% elif good %}no{% else %}never{% endif %}", "yes");
    renders("{{ 'a' if year == 1994 else 'b' }}{{ 'c' if not good }}", "a");
    renders(
        "{{ 1990 < year <= 1994 }} {{ 'x' not in body }} {{ year in [1993, 1994] }} {{ 'a' in tags }}",
        "true true true true",
    );
    renders(
        "{{ year is number }} {{ year is divisibleby 2 }} {{ year is divisibleby(0) }} {{ body is startingwith 'Hell' }}",
        "true true false true",
    );
    renders(
        "{{ body is string }} {{ tags is sequence }} {{ meta is mapping }} {{ year is not string }} {{ year is eq year }}",
        "true true true true true",
    );
}

/// Operands pass through meters, which are put into the source.
#[test]
fn parentheses_around_operands_keep_their_meaning() {
    renders(
        "{{ ((meta.b)).c == 'deep' }} {{ (meta).b['c'] in [(meta.b).c] }} {{ year is eq year }} {{ not (good == good) }}",
        "true true true false",
    );
    renders(
        "{{ ( meta.b )['c'][0] == 'd' }} {{ (tags)[year - 1994] == tags[ 0 ] }} {{ -(year) < year }} {{ (year, good) == (year, good) }}",
        "true true true true",
    );
    renders(
        "{{ {'é': year}['é'] == year }} {{ (body if good else tags)[0:1] == 'H' }}é{{ 1 < year < 3000 }}",
        "true trueétrue",
    );
}

#[test]
fn slices_cut_text_and_lists() {
    renders(
        "{{ body[:5] }}|{{ body[-5:] }}|{{ body[0] }}|{{ tags[1:3] }}|{{ body[::2] }}",
        r#"Hello|world|H|["a",null]|Hlowrd"#,
    );
    renders("{% for m in messages %}{{ m.text[:2] }}{% endfor %}{{ (body or empty)[:3] }}", "hiyoHel");
}

#[test]
fn filters_change_text() {
    renders(
        "{{ body|upper }} {{ body|lower }} {{ 'a b-c'|title }} {{ 'aBC'|capitalize }} {{ '  x '|trim }}",
        "HELLO WORLD hello world A B-C Abc x",
    );
    renders(
        "{{ body|replace('l', 'L') }} {{ 'abc'|replace('', '-') }} {{ 'xxaxx'|trim('x') }}",
        "HeLLo worLd -a-b-c- a",
    );
    renders(
        "{{ body|truncate(8) }} {{ body|truncate(8, true) }} {{ body|truncate(99) }} {{ body|truncate(7, end='…') }}",
        "Hello... Hello... Hello world Hello…",
    );
    renders(
        "{{ body|length }} {{ tags|length }} {{ nothing|length }} {{ year|string|length }} {{ body|reverse }}",
        "11 4 0 4 dlrow olleH",
    );
}

#[test]
fn filters_change_lists() {
    renders("{{ tags|join(', ') }} {{ tags|join }} {{ nothing|join('x') }}", "b, a, , b bab ");
    renders(
        "{{ tags|unique }} {{ tags|sort }} {{ [3, 1, 20]|sort(reverse=true) }} {{ tags|reverse }}",
        r#"["b","a",null] [null,"a","b","b"] [20,3,1] ["b",null,"a","b"]"#,
    );
    renders("{{ messages|sort(attribute='role')|first|tojson }}", r#"{"role":"bot","text":"yo"}"#);
    renders("{{ tags|first }}{{ tags|last }}{{ 'ab'|list }}{{ nothing|first }}", r#"bb["a","b"]"#);
    renders(
        "{{ body|split }} {{ 'a,b,c'|split(',', 2) }} {{ 'a\nb\n'|lines }}",
        r#"["Hello","world"] ["a","b,c"] ["a","b"]"#,
    );
}

#[test]
fn default_fills_null_and_on_request_what_is_false() {
    renders(
        "{{ nothing|default('n/a') }} {{ nothing|d('-') }} {{ empty|default('n/a') }} {{ empty|default('n/a', true) }}",
        "n/a -  n/a",
    );
}

#[test]
fn comments_raw_blocks_and_whitespace_control() {
    renders("a{# {{ nobody }} #}b {% raw %}{{ body }}{% endraw %} {{- year -}}  \n c", "ab {{ body }}1994c");
    renders("kept to the last newline\n", "kept to the last newline\n");
    renders("", "");
}

#[test]
fn an_operation_that_the_values_do_not_allow_fails_the_row_with_its_line() {
    let error = table().render("\n\n{{ body + 1 }}").expect_err("text plus a number");
    assert_eq!(error.code(), "template_error");
    assert!(error.to_string().starts_with("line 3: "), "{error}");
    assert_eq!(table().code("{{ body|int }}"), Some("template_error"));
    assert_eq!(table().code("{{ year|join }}"), Some("template_error"));
    assert_eq!(table().code("{{ 1 / 0 }}"), Some("template_error"));
    assert_eq!(table().code("{{ 1 % 0 }}"), Some("template_error"));
}

#[test]
fn a_template_knows_the_columns_that_it_reads() {
    let table = table();
    let columns = |source: &str| table.compile(source).expect(source).columns().to_vec();
    assert_eq!(columns("{{ year }} {{ body }} {{ year }}"), [0, 2]);
    assert_eq!(
        columns("{% for t in tags if t == body %}{{ t|replace('a', row['Major Genre']) }}{% endfor %}"),
        [0, 1, 11]
    );
    assert_eq!(columns("{{ row[body] }}").len(), 16);
    assert_eq!(columns("{{ row }}").len(), 16);
    assert_eq!(columns("no columns"), [] as [usize; 0]);
}

#[test]
fn a_failed_rendering_leaves_the_output_as_it_was() {
    let table = table();
    for source in ["12345{{ body }}", "12345{{ body|upper }}"] {
        let mut out = "before ".to_owned();
        let error = table.compile(source).expect(source).render(&table.row, 10, &mut out).expect_err("too large");
        assert_eq!((out.as_str(), error.code()), ("before ", "prompt_too_large"));
    }
}
