use super::super::source::{Source, find_word};

fn code(text: &str) -> String {
    Source::new("x.rs", text).code
}

#[test]
fn strings_and_comments_leave_the_code_view_and_keep_its_shape() {
    assert_eq!(code("a(\"{ // no\") // {\nb"), "a(         )     \nb");
    assert_eq!(code("/* { /* } */ { */ x"), "                  x");
    assert_eq!(code("let s = \"two\nlines\";"), "let s =     \n      ;");
}

#[test]
fn an_escaped_quote_does_not_end_a_literal() {
    assert_eq!(code(r#"f("\"{", '\'', '{')x"#), format!("f({},{},{})x", " ".repeat(5), " ".repeat(5), " ".repeat(4)));
    assert_eq!(code(r#""\\" {"#), "     {");
}

#[test]
fn raw_strings_end_at_their_own_number_of_hashes() {
    assert_eq!(code(r###"r#"a"{"# b"###), "         b");
    assert_eq!(code(r###"br##"}"#"## b"###), "            b");
    assert_eq!(code(r#"r"\" b"#), "     b");
    assert_eq!(code("r#type { }"), "r#type { }");
}

#[test]
fn lifetimes_are_not_character_literals() {
    assert_eq!(code("fn f<'a>(x: &'a str) -> &'a str { x }"), "fn f<'a>(x: &'a str) -> &'a str { x }");
    assert_eq!(code("match c { '{' => 'b', _ => c }"), "match c {     =>    , _ => c }");
}

#[test]
fn the_comment_view_holds_comments_alone() {
    let source = Source::new("x.rs", "a(\"// no\"); // yes\nb /* c */");
    assert_eq!(source.comments, "            // yes\n  /* c */");
}

#[test]
fn a_word_is_found_only_as_a_whole() {
    assert_eq!(find_word("a.now, now", "now"), Some(2));
    assert_eq!(find_word("nowhere snow now_", "now"), None);
    assert_eq!(find_word("my_sleep(1); sleep(2)", "sleep("), Some(13));
}
