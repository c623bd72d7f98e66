use meshline_gateway::{ForwardConfig, StoredForwards};

use super::stored::Stored;

fn forward(listen: &str) -> ForwardConfig {
    let target = Some("tcp://127.0.0.1:80".parse().expect("a target"));
    ForwardConfig { listen: listen.parse().expect("a target"), peer: "auto".to_owned(), target, reverse: false }
}

#[tokio::test]
async fn forwards_come_back_as_they_were_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let stored = Stored::at(folder.path());
    assert_eq!(stored.load(), []);
    let forwards = vec![forward("tcp://127.0.0.1:1"), forward("unix:/run/x")];
    let file = StoredForwards { schema: StoredForwards::SCHEMA.to_owned(), forwards: forwards.clone() };
    stored.save(file).await.expect("kept");
    assert_eq!(Stored::at(folder.path()).load(), forwards);
    let mode = std::fs::metadata(folder.path().join("forwards.json")).expect("there").permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
}

#[tokio::test]
async fn a_damaged_file_or_one_of_another_kind_is_put_aside() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("forwards.json");
    for (number, damage) in (1..).zip(["{\"schema\":", r#"{"schema":"meshline/other/1","forwards":[]}"#]) {
        std::fs::write(&path, damage).expect("written");
        assert_eq!(Stored::at(folder.path()).load(), []);
        let aside = folder.path().join(format!("forwards.json.damaged-{number}"));
        assert_eq!(std::fs::read_to_string(aside).expect("kept"), damage);
    }
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let stored = Stored::at(&folder.path().join("missing"));
    let file = StoredForwards { schema: StoredForwards::SCHEMA.to_owned(), forwards: vec![] };
    let refusal = stored.save(file).await.expect_err("no such folder");
    assert_eq!(refusal.code.name(), "storage_failed");
}
