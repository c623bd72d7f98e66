//! Nothing that holds a secret shows it when it is printed for debugging.

use meshline_wallet::derive::SecretNode;
use meshline_wallet::file::{Cost, Sealer};
use meshline_wallet::keys::Keys;
use meshline_wallet::secrets::Secrets;
use meshline_wallet::verbs;

use crate::support::{Home, Seeded, passphrase, phrase, prefix, wallet};

#[test]
fn printing_for_debugging_shows_no_secret() {
    let node = SecretNode::master(phrase().seed("").as_slice());
    let sealer = Sealer::new(&passphrase(), Cost::LEAST, &mut Seeded::new(1)).unwrap();
    let mut home = Home::new();
    let document = home.open(|access| verbs::new(access, prefix(), None)).unwrap();
    let words = document.phrase.clone().unwrap();
    let printed = [
        format!("{:?}", phrase()),
        format!("{:?}", passphrase()),
        format!("{node:?}"),
        format!("{sealer:?}"),
        format!("{:?}", Secrets::new(&phrase())),
        format!("{:?}", Keys::new(&phrase())),
        format!("{:?}", wallet()),
        format!("{document:?}"),
        home.open(|access| format!("{access:?}")),
    ];
    let secret = [node.secret(), node.chain_code()].map(|bytes| format!("{bytes:?}"));
    for text in printed {
        let shown = [words.as_str(), "abandon", "correct horse", &secret[0], &secret[1], "entropy", "[0, 0, 0, 0"];
        assert!(shown.iter().all(|part| !text.contains(part)), "{text}");
    }
}
