use super::super::docs::check;
use super::lines;

#[test]
fn a_file_of_more_than_100_lines_begins_with_its_doc() {
    let body = "\n".repeat(100);
    assert_eq!(lines(check, "x.rs", &format!("use a::b;{body}\n")), [1]);
    assert!(lines(check, "x.rs", &format!("//! What it is for.\n{body}\n")).is_empty());
    assert!(lines(check, "x.rs", &body).is_empty(), "a short file needs none");
}
