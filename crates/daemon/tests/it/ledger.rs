//! Ledger and wallet over the API: what is answered is as described, and what is refused has a name.

use meshline_mesh::Config;
use serde_json::{Value, json};

use crate::schema::assert_valid;
use crate::support::{Member, PATIENCE, until};

const PASSPHRASE: &str = "correct horse";

/// A good answer, as it is described.
async fn described(member: &Member, method: &str, of: &str, path: &str, body: &Value) -> Value {
    let answer = match method {
        "post" => member.post(path, &body.to_string()).await,
        _ => member.get(path).await,
    };
    assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");
    let document = member.get("/openapi.json").await.json();
    let schema = &document["paths"][of][method]["responses"]["200"]["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{method} {of} is not described");
    assert_valid(&document, schema, &answer.json());
    answer.json()
}

async fn get(member: &Member, of: &str, path: &str) -> Value {
    described(member, "get", of, path, &Value::Null).await
}

async fn post(member: &Member, path: &str, body: Value) -> Value {
    described(member, "post", path, path, &body).await
}

async fn new_address(member: &Member) -> String {
    let made = post(member, "/api/v1/wallet/new", json!({"passphrase": PASSPHRASE})).await;
    made["address"].as_str().unwrap().to_owned()
}

/// A member with a new chain of the preset `tutorial`; whose first money is at the address.
async fn with_ledger() -> (Member, String) {
    let member = Member::start().await;
    let own = new_address(&member).await;
    let made = post(&member, "/api/v1/ledger", json!({"address": own})).await;
    assert_eq!((&made["schema"], &made["name"]), (&json!("meshline/ledger-create/1"), &json!("tutorial")));
    (member, own)
}

#[tokio::test]
async fn what_is_sent_and_mined_is_seen_everywhere() {
    let (member, own) = with_ledger().await;
    let mut events = member.stream("/api/v1/events", "").await;
    let other = new_address(&member).await;
    let order = json!({"passphrase": PASSPHRASE, "from": own, "to": other, "amount": "2.5"});
    let sent = post(&member, "/api/v1/wallet/send", order).await;
    let txid = sent["txid"].as_str().unwrap().to_owned();
    let event = events.event().await;
    assert_eq!(
        (event.name.as_str(), &event.data["txid"], &event.data["own"]),
        ("ledger_transaction", &sent["txid"], &json!(true))
    );
    let waiting = get(&member, "/api/v1/ledger/mempool", "/api/v1/ledger/mempool").await;
    assert_eq!((&waiting["count"], &waiting["transactions"][0]["txid"]), (&json!(1), &sent["txid"]));
    let path = format!("/api/v1/ledger/tx/{txid}");
    assert_eq!(get(&member, "/api/v1/ledger/tx/{id}", &path).await["height"], Value::Null);

    let order = json!({"passphrase": PASSPHRASE, "from": own, "to": other, "amount": "1", "mine": true});
    let mined = post(&member, "/api/v1/wallet/send", order).await;
    loop {
        let event = events.event().await;
        if event.name == "ledger_tip" {
            assert_eq!((&event.data["height"], &event.data["own"]), (&json!(1), &json!(true)));
            assert_eq!(event.data["hash"], mined["block"]);
            break;
        }
    }
    let found = get(&member, "/api/v1/ledger/tx/{id}", &path).await;
    assert_eq!((&found["height"], &found["confirmations"], &found["fee"]), (&json!(1), &json!(1), &json!("0")));
    let block = get(&member, "/api/v1/ledger/block/{id}", "/api/v1/ledger/block/1").await;
    assert_eq!((&block["hash"], &block["pow"]), (&mined["block"], &json!(true)));
    assert_eq!(block["transactions"].as_array().unwrap().len(), 3);
    let listed = get(&member, "/api/v1/ledger/blocks", "/api/v1/ledger/blocks?limit=1").await;
    assert_eq!(listed["blocks"][0]["hash"], mined["block"]);
    let of_address = "/api/v1/ledger/address/{id}";
    let told = get(&member, of_address, &format!("/api/v1/ledger/address/{other}")).await;
    assert_eq!((&told["balance"], told["transactions"].as_array().unwrap().len()), (&json!("3.5"), 2));
    let balance = "/api/v1/wallet/balance/{id}";
    let told = get(&member, balance, &format!("/api/v1/wallet/balance/{own}")).await;
    assert_eq!(told["balance"], "16.5");
    for (text, kind) in
        [("1", "block"), (mined["block"].as_str().unwrap(), "block"), (&txid, "transaction"), (&other, "address")]
    {
        let found = get(&member, "/api/v1/ledger/find/{id}", &format!("/api/v1/ledger/find/{text}")).await;
        assert_eq!(found["kind"], kind, "{text}");
    }
    let brief = get(&member, "/api/v1/ledger/blocks", "/api/v1/ledger/blocks?brief=true&from=1&limit=9").await;
    let rows = brief["blocks"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["count"], &rows[0]["transactions"]), (2, &json!(3), &json!([])));
    let history = post(&member, "/api/v1/wallet/history", json!({"passphrase": PASSPHRASE})).await;
    assert_eq!(history["history"].as_array().unwrap().len(), 4, "{history}");
    let list = post(&member, "/api/v1/wallet/list", json!({"passphrase": PASSPHRASE})).await;
    assert_eq!(list["balance"], "20");
    let status = get(&member, "/api/v1/ledger", "/api/v1/ledger").await;
    assert_eq!((&status["height"], &status["running"], &status["wallet"]), (&json!(1), &json!(true), &json!(true)));
    assert_eq!(post(&member, "/api/v1/ledger/verify", json!({})).await["valid"], true);
    assert_eq!(post(&member, "/api/v1/ledger/reindex", json!({})).await["transactions"], 3);
    let idle = get(&member, "/api/v1/ledger/search", "/api/v1/ledger/search").await;
    assert_eq!(idle, json!({"schema": "meshline/ledger-search/1", "search": null}), "nobody waits for a block");
    let metrics = String::from_utf8(member.get("/metrics").await.body).unwrap();
    for line in ["meshline_ledger_height 1", "meshline_ledger_mempool_transactions 0", "meshline_ledger_hash_rate 0"] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn a_payment_is_quoted_before_it_is_sent_and_costs_no_more() {
    let member = Member::start().await;
    let own = new_address(&member).await;
    post(&member, "/api/v1/ledger", json!({"address": own, "least_fee_rate": 1_000})).await;
    let to = new_address(&member).await;
    let order = json!({"passphrase": PASSPHRASE, "to": to, "amount": "2.5"});
    let quote = post(&member, "/api/v1/wallet/quote", order.clone()).await;
    assert_eq!((&quote["fee"], &quote["total"]), (&json!("0.000002"), &json!("2.500002")));
    let low = json!({"passphrase": PASSPHRASE, "to": to, "amount": "2.5", "fee_rate": 1}).to_string();
    assert_eq!(member.post("/api/v1/wallet/quote", &low).await.refusal(422), "ledger_refused");
    let agreed = |fee: &str| {
        let mut order = order.clone();
        order["max_fee"] = json!(fee);
        order
    };
    let less = agreed("0.00000199").to_string();
    assert_eq!(member.post("/api/v1/wallet/send", &less).await.refusal(422), "fee_changed");
    assert_eq!(get(&member, "/api/v1/ledger/mempool", "/api/v1/ledger/mempool").await["count"], 0);
    let sent = post(&member, "/api/v1/wallet/send", agreed("0.000002")).await;
    assert_eq!(sent["fee"], quote["fee"]);
}

#[tokio::test]
async fn an_address_is_drawn_as_a_code_and_nothing_else_is() {
    let (member, own) = with_ledger().await;
    let code = get(&member, "/api/v1/wallet/qr/{id}", &format!("/api/v1/wallet/qr/{own}")).await;
    assert_eq!((&code["text"], &code["size"]), (&json!(own.to_uppercase()), &json!(29)));
    let rows: Vec<&str> = code["rows"].as_array().unwrap().iter().map(|row| row.as_str().unwrap()).collect();
    assert!(rows.len() == 29 && rows.iter().all(|row| row.len() == 29), "{rows:?}");
    // The patterns by which a camera finds three of its corners.
    assert!(rows[0].starts_with("11111110") && rows[0].ends_with("01111111"), "{rows:?}");
    assert!(rows[3].starts_with("10111010") && rows[28].starts_with("11111110"), "{rows:?}");
    assert_eq!(member.get("/api/v1/wallet/qr/hello").await.refusal(400), "invalid_message");
}

#[tokio::test]
async fn the_search_is_switched_and_says_for_whom() {
    let (member, own) = with_ledger().await;
    let path = "/api/v1/ledger/mine";
    assert_eq!(member.post(path, r#"{"on":true}"#).await.refusal(400), "invalid_message");
    assert_eq!(member.post(path, r#"{"on":true,"to":"x"}"#).await.refusal(400), "invalid_message");
    let on = post(&member, path, json!({"on": true, "to": own})).await;
    assert_eq!((&on["on"], &on["searching"], &on["to"]), (&json!(true), &json!(false), &json!(own)), "nothing waits");
    let off = post(&member, path, json!({"on": false})).await;
    assert_eq!(off["on"], false);
}

#[tokio::test]
async fn refusals_of_ledger_and_wallet_have_names() {
    let without = Member::start().await;
    for path in ["/api/v1/ledger", "/api/v1/ledger/blocks", "/api/v1/ledger/mempool", "/api/v1/wallet/balance/x"] {
        assert_eq!(without.get(path).await.refusal(404), "no_ledger", "{path}");
    }
    let send = json!({"passphrase": PASSPHRASE, "to": "x", "amount": "1"}).to_string();
    assert_eq!(without.post("/api/v1/wallet/send", &send).await.refusal(404), "no_ledger");
    let (member, own) = with_ledger().await;
    assert_eq!(
        member.post("/api/v1/ledger", &json!({"address": own}).to_string()).await.refusal(409),
        "ledger_present"
    );
    assert_eq!(member.get("/api/v1/ledger/block/9").await.refusal(404), "no_such_block");
    let zeros = format!("/api/v1/ledger/block/{}", "0".repeat(64));
    assert_eq!(member.get(&zeros).await.refusal(404), "no_such_block", "a hash and no height");
    assert_eq!(member.get("/api/v1/ledger/block/x").await.refusal(400), "invalid_message");
    assert_eq!(member.get(&format!("/api/v1/ledger/tx/{}", "0".repeat(64))).await.refusal(404), "no_such_block");
    for path in ["address/x", "find/x", "find/-1"] {
        assert_eq!(member.get(&format!("/api/v1/ledger/{path}")).await.refusal(400), "invalid_message", "{path}");
    }
    for path in ["find/9".to_owned(), format!("find/{}", "0".repeat(64))] {
        assert_eq!(member.get(&format!("/api/v1/ledger/{path}")).await.refusal(404), "no_such_block", "{path}");
    }
    let wallet = async |body: Value| {
        let mut order = json!({"passphrase": PASSPHRASE, "to": own, "amount": "1"});
        order.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        member.post("/api/v1/wallet/send", &order.to_string()).await
    };
    assert_eq!(wallet(json!({"passphrase": "wrong"})).await.refusal(422), "wrong_passphrase");
    assert_eq!(wallet(json!({"amount": "99"})).await.refusal(422), "payment_refused");
    assert_eq!(wallet(json!({"amount": "0.000000001"})).await.refusal(400), "invalid_message");
    assert_eq!(wallet(json!({"passphrase": ""})).await.refusal(400), "invalid_message");
    let words = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
    let restore = json!({"passphrase": PASSPHRASE, "phrase": words}).to_string();
    assert_eq!(member.post("/api/v1/wallet/restore", &restore).await.refusal(422), "wallet_present");
    let chain_without = Member::start().await;
    post(&chain_without, "/api/v1/ledger", json!({"address": own})).await;
    let status = get(&chain_without, "/api/v1/ledger", "/api/v1/ledger").await;
    assert_eq!(status["wallet"], false);
    let list = json!({"passphrase": PASSPHRASE}).to_string();
    assert_eq!(chain_without.post("/api/v1/wallet/list", &list).await.refusal(422), "no_wallet");
}

#[tokio::test]
async fn who_keeps_a_ledger_and_who_follows_one_say_so_and_where_to_ask() {
    let (full, own) = with_ledger().await;
    let refused = full.get("/api/v1/ledger/light").await;
    assert!(refused.json()["detail"].as_str().unwrap().contains("GET /api/v1/ledger says"), "{refused:?}");
    assert_eq!(refused.refusal(404), "ledger_kept");
    let keys = json!({"ledger": {"genesis": full.folder.path().join("ledger/genesis.json")}});
    let light = Member::start_light(named("light"), 2, keys).await;
    let known = get(&light, "/api/v1/ledger/light", "/api/v1/ledger/light").await;
    assert_eq!(
        (&known["phase"], &known["chain"]),
        (&json!("alone"), &full.get("/api/v1/ledger").await.json()["chain"])
    );
    assert_eq!((&known["height"], &known["tip"]), (&json!(0), &known["chain"]), "the first block is known by its file");
    let of_address = format!("/address/{own}");
    for path in ["", "/blocks", "/block/0", "/find/0", "/mempool", of_address.as_str()] {
        let refused = light.get(&format!("/api/v1/ledger{path}")).await;
        assert!(refused.json()["detail"].as_str().unwrap().contains("GET /api/v1/ledger/light"), "{path}: {refused:?}");
        assert_eq!(refused.refusal(404), "ledger_followed", "{path}");
    }
    for (path, body) in [("verify", json!({})), ("reindex", json!({})), ("mine", json!({"on": true, "to": own}))] {
        let refused = light.post(&format!("/api/v1/ledger/{path}"), &body.to_string()).await;
        assert_eq!(refused.refusal(404), "ledger_followed", "{path}");
    }
    // One that has no genesis file yet makes no chain either, and is not told to.
    let without = Member::start_light(named("without"), 3, json!({})).await;
    for path in ["/api/v1/ledger", "/api/v1/ledger/light"] {
        let refused = without.get(path).await;
        assert!(!refused.json()["detail"].as_str().unwrap().contains("create"), "{refused:?}");
        assert_eq!(refused.refusal(404), "no_ledger", "{path}");
    }
    let order = json!({"address": own}).to_string();
    assert_eq!(without.post("/api/v1/ledger", &order).await.refusal(400), "invalid_message");
}

fn named(name: &str) -> Config {
    Config {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        ..Config::new("lab".parse().unwrap(), name.parse().unwrap())
    }
}

/// The next event of this name, which all others may come before.
async fn next<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    events: &mut crate::support::Client<S>,
    name: &str,
) -> Value {
    let found = async {
        loop {
            let event = events.event().await;
            if event.name == name {
                return event.data;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no event {name}"))
}

#[tokio::test]
async fn linked_members_with_the_same_chain_share_what_is_sent_and_mined() {
    let first = Member::start_as(named("first"), 1).await;
    // One without a ledger, in the middle of it all.
    let without = Member::start_as(Config { peers: first.mesh.listening().to_vec(), ..named("without") }, 3).await;
    let own = new_address(&first).await;
    // While it is linked: a ledger may begin at any time.
    until("the first two are linked", async || first.get("/api/v1/status").await.json()["limits"]["links"] == 1).await;
    let made = post(&first, "/api/v1/ledger", json!({"address": own, "bits": "2000ffff"})).await;
    let alone = get(&first, "/api/v1/ledger", "/api/v1/ledger").await;
    assert_eq!((&alone["sync"]["state"], &alone["sync"]["peers"]), (&json!("alone"), &json!([])));
    let order = json!({"passphrase": PASSPHRASE, "from": own, "to": own, "amount": "1", "mine": true});
    post(&first, "/api/v1/wallet/send", order.clone()).await;

    let peers = [first.mesh.listening(), without.mesh.listening()].concat();
    let keys = json!({"ledger": {"genesis": made["genesis"], "data_dir": first.folder.path().join("of-second")}});
    let second = Member::start_with(Config { peers, ..named("second") }, 2, keys).await;
    let mut events = second.stream("/api/v1/events", "").await;
    until("what was there before", async || second.get("/api/v1/ledger").await.json()["height"] == 1).await;
    let status = get(&second, "/api/v1/ledger", "/api/v1/ledger").await;
    let id = first.get("/api/v1/status").await.json()["id"].clone();
    assert_eq!((&status["sync"]["state"], &status["sync"]["target"]), (&json!("synced"), &json!(1)));
    assert_eq!((&status["sync"]["peers"][0]["peer"], &status["sync"]["peers"][0]["blocks"]), (&id, &json!(1)));
    assert_eq!(status["sync"]["peers"].as_array().unwrap().len(), 1, "one of two linked members has a ledger");

    let sent = json!({"passphrase": PASSPHRASE, "from": own, "to": own, "amount": "2"});
    let sent = post(&first, "/api/v1/wallet/send", sent).await;
    let told = next(&mut events, "ledger_transaction").await;
    assert_eq!((&told["txid"], &told["own"]), (&sent["txid"], &json!(false)));
    let mined = post(&first, "/api/v1/wallet/send", order).await;
    let told = next(&mut events, "ledger_tip").await;
    assert_eq!((&told["height"], &told["own"], &told["hash"]), (&json!(2), &json!(false), &mined["block"]));
    let balance = format!("/api/v1/wallet/balance/{own}");
    assert_eq!(second.get(&balance).await.json()["balance"], "30");

    // And the other way: the second one finds the block.
    for _ in 0..2 {
        let order = json!({"passphrase": PASSPHRASE, "from": own, "to": own, "amount": "1"});
        post(&first, "/api/v1/wallet/send", order).await;
    }
    post(&second, "/api/v1/ledger/mine", json!({"on": true, "to": own})).await;
    until("a block of the second", async || first.get("/api/v1/ledger").await.json()["height"] == 3).await;
    assert_eq!(first.get(&balance).await.json()["balance"], "40");
    let metrics = String::from_utf8(second.get("/metrics").await.body).unwrap();
    for line in [
        "meshline_ledger_sync{state=\"synced\"} 1",
        "meshline_ledger_sync_target 3",
        "meshline_ledger_sync_remaining_seconds 0",
        "meshline_ledger_peers 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    assert_eq!(without.get("/api/v1/ledger").await.refusal(404), "no_ledger");
    for member in [&first, &second] {
        let sync = &member.get("/api/v1/ledger").await.json()["sync"];
        assert_eq!((&sync["offences"], &sync["dropped"]), (&json!({}), &json!({})));
    }
}

#[tokio::test]
async fn members_with_different_chains_say_so_and_stay_linked() {
    let first = Member::start_as(named("first"), 1).await;
    let second = Member::start_as(Config { peers: first.mesh.listening().to_vec(), ..named("second") }, 2).await;
    let mut events = first.stream("/api/v1/events", "").await;
    for member in [&first, &second] {
        let own = new_address(member).await;
        post(member, "/api/v1/ledger", json!({"address": own, "bits": "2000ffff"})).await;
    }
    let told = next(&mut events, "ledger_foreign").await;
    assert_eq!(told["chain"], second.get("/api/v1/ledger").await.json()["chain"]);
    assert_eq!(first.get("/api/v1/ledger").await.json()["sync"]["state"], "alone");
    assert_eq!(first.get("/api/v1/status").await.json()["limits"]["links"], 1);
}
