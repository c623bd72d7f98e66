//! The content of a wallet file: what is sealed comes back, and nothing else is accepted.

use meshline_wallet::file::{Cost, FileError, MAX_LANES, MAX_MEMORY_KIB, MAX_PASSES, Sealer};
use meshline_wallet::secrets::Secrets;
use meshline_wallet::{Passphrase, Phrase};
use sha2::{Digest, Sha256};

use crate::support::{Dry, Seeded, passphrase, phrase};

fn sealed() -> Vec<u8> {
    let mut random = Seeded::new(5);
    let sealer = Sealer::new(&passphrase(), Cost::LEAST, &mut random).unwrap();
    sealer.seal(&Secrets::new(&phrase()), &mut random).unwrap()
}

fn refusal(file: &[u8]) -> FileError {
    Sealer::open(file, &passphrase()).map(drop).unwrap_err()
}

/// The file with a checksum that fits, as somebody makes it who alters it on purpose.
fn summed(mut file: Vec<u8>) -> Vec<u8> {
    file.truncate(file.len() - 32);
    let checksum = Sha256::digest(&file);
    file.extend_from_slice(&checksum);
    file
}

/// The file with another header line.
fn with_line(change: impl FnOnce(&str) -> String) -> Vec<u8> {
    let file = sealed();
    let end = file.iter().position(|byte| *byte == b'\n').unwrap();
    let line = change(std::str::from_utf8(&file[..end]).unwrap());
    summed([line.as_bytes(), &file[end..]].concat())
}

#[test]
fn what_is_sealed_comes_back() {
    println!("seed 11");
    let mut random = Seeded::new(11);
    for length in [16, 20, 24, 28, 32] {
        let phrase = Phrase::from_entropy(&random.bytes::<32>()[..length]).unwrap();
        let mut secrets = Secrets::new(&phrase);
        (secrets.receive, secrets.change) = (length as u32, 3);
        let sealer = Sealer::new(&passphrase(), Cost::LEAST, &mut random).unwrap();
        let file = sealer.seal(&secrets, &mut random).unwrap();
        let (_, opened) = Sealer::open(&file, &passphrase()).unwrap();
        assert_eq!(opened, secrets);
        assert_eq!(opened.phrase().unwrap().words(), phrase.words());
    }
}

#[test]
fn the_first_line_can_be_read_and_holds_nothing_secret() {
    let file = sealed();
    let line = file.split(|byte| *byte == b'\n').next().unwrap();
    let line: serde_json::Value = serde_json::from_slice(line).unwrap();
    assert_eq!(line["meshline_wallet"], 1);
    assert_eq!((&line["kdf"], &line["cipher"]), (&"argon2id".into(), &"xchacha20poly1305".into()));
    assert_eq!((&line["memory_kib"], &line["passes"], &line["lanes"]), (&8.into(), &1.into(), &1.into()));
}

#[test]
fn no_two_files_are_sealed_alike() {
    let mut random = Seeded::new(5);
    let sealer = Sealer::new(&passphrase(), Cost::LEAST, &mut random).unwrap();
    let secrets = Secrets::new(&phrase());
    assert_ne!(sealer.seal(&secrets, &mut random).unwrap(), sealer.seal(&secrets, &mut random).unwrap());
}

#[test]
fn every_flipped_bit_is_found_as_damage() {
    let file = sealed();
    for index in 0..file.len() {
        for bit in 0..8 {
            let mut wrong = file.clone();
            wrong[index] ^= 1 << bit;
            let error = refusal(&wrong);
            assert!(matches!(error, FileError::Damaged | FileError::NotAWallet), "byte {index}: {error}");
        }
    }
}

/// Whoever alters the file can make the checksum fit, but not what authenticates line and secrets.
#[test]
fn every_flipped_bit_is_refused_though_the_checksum_fits() {
    let file = sealed();
    for index in 0..file.len() - 32 {
        for bit in 0..8 {
            let mut wrong = file.clone();
            wrong[index] ^= 1 << bit;
            // With these digits altered it would merely cost seconds until it is refused.
            let opened = Sealer::open(&cheap_only(summed(wrong)), &passphrase());
            assert!(opened.is_err(), "byte {index} bit {bit} was accepted");
        }
    }
}

/// The file, or nothing if its line asks for more than a test should spend.
fn cheap_only(file: Vec<u8>) -> Vec<u8> {
    let end = file.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let cost = |name: &str| {
        let line = serde_json::from_slice::<serde_json::Value>(&file[..end]).ok()?;
        line.get(name)?.as_u64()
    };
    let cheap = cost("memory_kib").is_none_or(|kib| kib <= 64) && cost("passes").is_none_or(|passes| passes <= 9);
    if cheap { file } else { Vec::new() }
}

#[test]
fn every_shorter_and_every_longer_file_is_refused() {
    let file = sealed();
    for length in 0..file.len() {
        assert!(Sealer::open(&file[..length], &passphrase()).is_err(), "{length}");
    }
    let longer = [file.as_slice(), b"\n"].concat();
    assert_eq!(refusal(&longer), FileError::Damaged);
    assert_eq!(refusal(&summed([file.as_slice(), &[0; 33]].concat())), FileError::WrongPassphrase);
}

#[test]
fn another_passphrase_is_told_from_damage() {
    let file = sealed();
    for text in ["correct horse ", "Correct horse", "correct hors", "x"] {
        let other = Passphrase::new(text.to_owned()).unwrap();
        assert_eq!(Sealer::open(&file, &other).map(drop), Err(FileError::WrongPassphrase));
    }
    let mut damaged = file;
    let last = damaged.len() - 40;
    damaged[last] ^= 1;
    let other = Passphrase::new("x".to_owned()).unwrap();
    assert_eq!(Sealer::open(&damaged, &other).map(drop), Err(FileError::Damaged));
}

#[test]
fn other_files_are_told_as_such() {
    for bytes in [b"".as_slice(), b"\n", b"{}\n", b"-----BEGIN PRIVATE KEY-----\n", &[0; 600], &[b'{'; 600]] {
        assert_eq!(refusal(bytes), FileError::NotAWallet);
    }
    let other = with_line(|line| line.replace("{\"meshline_wallet\":1", "{\"meshline_wallet\":1,\"more\":0"));
    assert_eq!(refusal(&other), FileError::Damaged);
    let twice = with_line(|line| line.replace("\"passes\":1", "\"passes\":1,\"passes\":1"));
    assert_eq!(refusal(&twice), FileError::Damaged);
}

#[test]
fn a_newer_version_is_told_even_if_its_line_has_more() {
    let newer = with_line(|line| line.replace("{\"meshline_wallet\":1", "{\"meshline_wallet\":2,\"more\":0"));
    assert_eq!(refusal(&newer), FileError::Version(2));
    assert_eq!(refusal(&newer).to_string(), "the wallet file is of version 2, and this program reads version 1");
}

#[test]
fn a_file_cannot_ask_for_more_than_the_bounds() {
    let asking = |memory: u64, passes: u64, lanes: u64| {
        with_line(|line| {
            line.replace("\"memory_kib\":8", &format!("\"memory_kib\":{memory}"))
                .replace("\"passes\":1", &format!("\"passes\":{passes}"))
                .replace("\"lanes\":1", &format!("\"lanes\":{lanes}"))
        })
    };
    let (memory, passes, lanes) = (MAX_MEMORY_KIB.into(), MAX_PASSES.into(), MAX_LANES.into());
    let past = [
        (memory + 1, 1, 1),
        (u32::MAX.into(), 1, 1),
        (8, passes + 1, 1),
        (64, 1, lanes + 1),
        (8, 0, 1),
        (8, 1, 0),
        (7, 1, 1),
        (15, 1, 2),
    ];
    for (memory, passes, lanes) in past {
        let error = refusal(&asking(memory, passes, lanes));
        assert!(matches!(error, FileError::TooCostly(_)), "{memory} {passes} {lanes}: {error}");
    }
    assert_eq!(refusal(&asking(1 << 32, 1, 1)), FileError::Damaged);
    // At the bounds it is tried: the line is not the one that was sealed, so the key does not open it.
    assert_eq!(refusal(&asking(8, passes, 1)), FileError::WrongPassphrase);
    assert_eq!(refusal(&asking(8 * lanes, 1, lanes)), FileError::WrongPassphrase);
    assert_eq!(refusal(&asking(memory, 1, 1)), FileError::WrongPassphrase);
}

#[test]
fn a_new_file_is_not_made_outside_of_the_bounds_or_without_random_bytes() {
    let weak = Cost { passes: 0, ..Cost::LEAST };
    let error = Sealer::new(&passphrase(), weak, &mut Seeded::new(1)).map(drop);
    assert_eq!(error, Err(FileError::TooCostly(weak)));
    let error = Sealer::new(&passphrase(), Cost::LEAST, &mut Dry).map(drop).unwrap_err();
    assert_eq!(error.to_string(), "the system gives no random bytes");
}

/// Read again by every later version: money hangs on it.
#[test]
fn f7_a_file_of_the_first_version_is_opened() {
    let mut random = Seeded::new(5);
    let (_, secrets) = Sealer::open(include_bytes!("vectors/wallet-1"), &passphrase()).unwrap();
    assert_eq!(secrets.phrase().unwrap(), phrase());
    assert_eq!((secrets.receive, secrets.change), (3, 1));
    let (sealer, _) = Sealer::open(include_bytes!("vectors/wallet-1"), &passphrase()).unwrap();
    assert!(sealer.seal(&secrets, &mut random).is_ok());
}

#[test]
fn the_normal_cost_lies_within_the_bounds_and_asks_for_64_mib() {
    assert!(Cost::NORMAL.is_bounded());
    let mut random = Seeded::new(1);
    let sealer = Sealer::new(&passphrase(), Cost::NORMAL, &mut random).unwrap();
    let file = sealer.seal(&Secrets::new(&phrase()), &mut random).unwrap();
    assert!(String::from_utf8_lossy(&file).contains("\"memory_kib\":65536"));
    assert!(Sealer::open(&file, &passphrase()).is_ok());
}

#[test]
fn a_passphrase_has_one_to_4096_bytes() {
    assert_eq!(Passphrase::new(String::new()).map(drop), Err(FileError::BadPassphrase));
    assert!(Passphrase::new("x".to_owned()).is_ok());
    assert!(Passphrase::new("x".repeat(4096)).is_ok());
    assert_eq!(Passphrase::new("x".repeat(4097)).map(drop), Err(FileError::BadPassphrase));
}
