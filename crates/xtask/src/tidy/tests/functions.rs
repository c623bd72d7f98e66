use super::super::functions::functions;
use super::super::source::Source;

/// Name, first line and length of every function in the text.
fn found(text: &str) -> Vec<(String, usize, usize)> {
    let source = Source::new("x.rs", text);
    functions(&source.code).into_iter().map(|function| (function.name, function.line, function.lines)).collect()
}

fn one(name: &str, line: usize, lines: usize) -> (String, usize, usize) {
    (name.to_owned(), line, lines)
}

#[test]
fn a_function_is_counted_from_its_signature_to_its_closing_brace() {
    assert_eq!(found("\nfn a(\n    x: u8,\n) {\n    b();\n}\n"), [one("a", 2, 5)]);
    assert_eq!(found("fn a() {}"), [one("a", 1, 1)]);
}

#[test]
fn braces_in_strings_characters_and_comments_do_not_count() {
    assert_eq!(
        found("fn a() {\n    b(\"}\"); // }\n    c('}', r#\"}\"#);\n}\nfn d() {}"),
        [one("a", 1, 4), one("d", 5, 1)]
    );
}

#[test]
fn a_function_inside_another_counts_for_both() {
    assert_eq!(found("fn a() {\n    fn b() {\n    }\n}"), [one("b", 2, 2), one("a", 1, 4)]);
}

#[test]
fn signatures_without_a_body_and_function_types_are_not_functions() {
    assert_eq!(found("trait T {\n    fn a(&self, x: [u8; 4]) -> [u8; 2];\n}"), []);
    assert_eq!(found("struct S {\n    run: fn(u8) -> u8,\n}\nimpl S {\n}"), []);
}

#[test]
fn semicolons_in_array_types_do_not_end_a_signature() {
    assert_eq!(found("fn a(x: [u8; 4]) -> [u8; 2]\nwhere\n    u8: Copy,\n{\n}"), [one("a", 1, 5)]);
}

#[test]
fn closures_and_blocks_belong_to_their_function() {
    assert_eq!(found("fn a() {\n    b(|| {\n        if c { d() }\n    });\n}"), [one("a", 1, 5)]);
}
