use super::super::links::links;

fn targets(text: &str) -> Vec<String> {
    links(text).into_iter().map(|(_, target)| target).collect()
}

#[test]
fn relative_links_are_found_with_their_lines() {
    assert_eq!(
        links("a\n[b](docs/c.md) and ![d](e.png \"title\")\n"),
        [(2, "docs/c.md".to_owned()), (2, "e.png".to_owned())]
    );
    assert_eq!(targets("[label]: ../other.md\n[x](<a.md>)"), ["../other.md", "a.md"]);
}

#[test]
fn sections_are_cut_off_and_other_places_left_alone() {
    assert_eq!(targets("[a](b.md#part) [c](#here) [d](https://example.org/x.md) [e](mailto:a@b.c)"), ["b.md"]);
}

#[test]
fn code_holds_no_links() {
    assert!(targets("`[a](b.md)`\n```\n[c](d.md)\n```\n").is_empty());
    assert_eq!(targets("```\nx\n```\n[a](b.md)"), ["b.md"]);
}
