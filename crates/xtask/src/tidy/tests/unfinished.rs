use super::super::unfinished::check;
use super::lines;

#[test]
fn what_is_left_half_done_is_named_with_its_line() {
    assert_eq!(lines(check, "x.rs", "fn a() {\n    todo!()\n}\nfn b() { unimplemented!(\"x\") }\n"), [2, 4]);
    assert_eq!(lines(check, "x.rs", "let a = dbg!(b);"), [1]);
    let mark = ["FIX", "ME"].concat();
    assert_eq!(lines(check, "x.rs", &format!("a();\n// {mark}: later\n")), [2]);
}

#[test]
fn speaking_of_it_in_strings_is_fine() {
    assert!(lines(check, "x.rs", "print(\"todo! FIXME\"); // todo! is a macro\n").is_empty());
}
