//! Phrases, against the published vectors.

use data_encoding::HEXLOWER;
use meshline_wallet::Phrase;
use meshline_wallet::PhraseError::{Checksum, TooLong, Unknown, Words};

use crate::support::{PHRASE, phrase};

/// Rows of a file of vectors.
pub(crate) fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect())
}

#[test]
fn the_published_vectors_hold_both_ways() {
    let mut count = 0;
    for row in rows(include_str!("vectors/bip39.tsv")) {
        let entropy = HEXLOWER.decode(row[0].as_bytes()).unwrap();
        let phrase = Phrase::from_entropy(&entropy).unwrap();
        assert_eq!(phrase.words().as_str(), row[1]);
        assert_eq!(Phrase::parse(row[1]).unwrap(), phrase);
        let (bytes, length) = phrase.entropy();
        assert_eq!(&bytes[..length], entropy);
        assert_eq!(HEXLOWER.encode(phrase.seed("TREZOR").as_slice()), row[2]);
        count += 1;
    }
    assert_eq!(count, 24);
}

#[test]
fn a_phrase_may_be_written_with_capitals_and_any_white_space() {
    let text = format!("  {}\n", PHRASE.to_uppercase().replace(' ', "\t \n"));
    assert_eq!(Phrase::parse(&text), Ok(phrase()));
}

#[test]
fn each_mistake_has_its_own_words_and_repeats_none_of_the_phrase() {
    let swapped = PHRASE.replace("abandon about", "about abandon");
    let cases = [
        (String::new(), Words(0)),
        ("abandon".to_owned(), Words(1)),
        (format!("{PHRASE} abandon"), Words(13)),
        (["abandon"; 27].join(" "), Words(27)),
        (PHRASE.replace("about", "abouts"), Unknown(12)),
        (PHRASE.replacen("abandon", "ábandon", 1), Unknown(1)),
        (swapped, Checksum),
        (["abandon"; 12].join(" "), Checksum),
        (" ".repeat(1025), TooLong),
    ];
    for (text, error) in cases {
        assert_eq!(Phrase::parse(&text), Err(error), "{text}");
        assert!(!error.to_string().contains("about"), "{error}");
    }
}

#[test]
fn entropy_of_another_length_is_refused() {
    for length in (0..=40).filter(|length| ![16, 20, 24, 28, 32].contains(length)) {
        assert!(Phrase::from_entropy(&vec![1; length]).is_err(), "{length}");
    }
}
