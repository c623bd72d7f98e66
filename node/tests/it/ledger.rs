//! The ledger and the wallet on the page: from a chain that has just been made to a payment that is beyond doubt.

use serde_json::{Value, json};

use crate::access::{Report, go_round};
use crate::support::browser::Browser;
use crate::support::http::Request;
use crate::support::node::{Node, single};
use crate::support::page::Page;
use crate::support::wait::until;

const PASSPHRASE: &str = "correct horse <b>battery</b>";

/// An address whose key is nobody's here.
const ELSEWHERE: &str = "mesh1qz9rh4z4pgk9mpjggdsx8rkfxgx8t0xppcs6n3s2";

/// Nor is this one's; who mines to it changes nothing in the wallet.
const MINER: &str = "mesh1qp5sez3punh6d9mwrxw7c29n2u9led8cscggkdkj";

/// A chain with fees whose blocks, empty ones too, take 4,096 hashes: soon found on a machine that has other work.
#[track_caller]
fn make_chain(node: &Node) {
    let order = json!({
        "address": MINER, "bits": "1f0fffff", "mine_empty": true,
        "template_from": 1, "maturity": 1, "least_fee_rate": 1_000, "chain_name": "<img src=x onerror=__pwned=1>",
    });
    let answer = Request::post(node.http, "/api/v1/ledger", order.to_string()).bearer(&node.token()).send();
    let answer = answer.expect("it answers");
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Waits until what stands there is as wanted; what that is.
#[track_caller]
fn wait_for(page: &Page, css: &str, wanted: impl Fn(&str) -> bool) -> String {
    until(&format!("{css} is as wanted"), || {
        let text = page.text(css);
        if wanted(&text) { Ok(text) } else { Err(text) }
    })
}

/// The switch of the search for blocks.
#[track_caller]
fn mine(page: &Page, on: bool) {
    page.click("#mine");
    page.wait_for_count(&format!("#mine[aria-checked={on}]"), 1);
}

/// Writes a payment and asks what it costs.
#[track_caller]
fn review(page: &Page, to: &str, amount: &str) {
    page.paste("#pay-to", to);
    page.paste("#pay-amount", amount);
    page.click("#pay > button[type=submit]");
}

/// Looks for something; the text of what was found.
#[track_caller]
fn find(page: &Page, text: &str, kind: &str) -> String {
    page.paste("#find-text", text);
    page.click("#find button");
    page.wait_for_count(&format!("#detail[data-kind={kind}]"), 1);
    wait_for(page, "#find-said", str::is_empty);
    page.text("#detail")
}

/// A wallet, made by its form, whose words are shown once.
#[track_caller]
fn make_wallet(page: &Page) -> String {
    page.wait_for_count("#wallet-make", 1);
    page.paste("#new-passphrase", PASSPHRASE);
    page.paste("#new-passphrase-again", "another");
    page.click("#wallet-make button");
    wait_for(page, "#wallet-said", |said| said.contains("differ"));
    page.paste("#new-passphrase-again", PASSPHRASE);
    page.click("#wallet-make button");
    page.wait_for_count("#wallet-words", 1);
    assert_eq!(page.text("#words").split_whitespace().count(), 12);
    page.click("#words-done");
    assert_eq!(page.value("document.querySelector('#words').textContent"), "");
    page.wait_for_count("#purse", 1);
    page.wait_for_count("#qr", 1);
    let address = page.text("#receive-address");
    assert_eq!(page.value("document.querySelector('#qr').dataset.address"), address.as_str());
    address
}

/// What is not sent, and why.
#[track_caller]
fn refusals(page: &Page, node: &Node) {
    for (to, amount, why) in [
        (ELSEWHERE, "1,5", "with a point"),
        (ELSEWHERE, "0", "more than 0"),
        (ELSEWHERE, "0.000000001", "8 decimals"),
        ("mesh1qz9rh4z4pgk9mpjggdsx8rkfxgx8t0xppcs6n3s3", "1", "checksum is wrong"),
        ("<b>nobody</b>", "1", "Not an address"),
        (ELSEWHERE, "9999999", "needs 9999999"),
        (ELSEWHERE, "0.00000001", "too little to send"),
    ] {
        review(page, to, amount);
        wait_for(page, "#pay-said", |said| said.contains(why));
    }
    page.run("document.querySelector('#pay details').open = true", &[]);
    page.paste("#pay-rate", "1");
    review(page, ELSEWHERE, "1");
    wait_for(page, "#pay-said", |said| said.contains("at least"));
    page.paste("#pay-rate", "");
    assert_eq!(node.read("/api/v1/ledger/mempool")["count"], 0);
}

/// Pays by the dialog, cancelled once before; the name of the transaction.
#[track_caller]
fn pay(page: &Page, node: &Node, report: &mut Report) -> String {
    review(page, ELSEWHERE, "2.5");
    page.wait_for_count("#confirm[open]", 1);
    assert_eq!(page.value("document.activeElement.id"), "confirm-no", "who presses Enter once more sends nothing");
    let figures = page.text("#confirm-figures");
    let quoted = figures.lines().collect::<Vec<_>>();
    assert_eq!((quoted[0], quoted[1], quoted[6], quoted[7]), ("Amount", "2.5", "To", ELSEWHERE), "{figures}");
    assert!(quoted[3] != "0" && quoted[5].starts_with("2.50000"), "{figures}");
    report.look(page, "ledger-confirm");
    page.click("#confirm-no");
    page.wait_for_count("#confirm", 0);
    assert_eq!(node.read("/api/v1/ledger/mempool")["count"], 0);

    page.click("#pay > button[type=submit]");
    page.wait_for_count("#confirm[open]", 1);
    page.click("#confirm-yes");
    page.wait_for_count("#sent li[data-state=waiting]", 1);
    page.wait_for_count("#mempool tbody tr[data-own]", 1);
    let waiting = node.read("/api/v1/ledger/mempool")["transactions"].take();
    assert_eq!(waiting[0]["fee"], quoted[3], "as it was agreed to");
    assert_eq!(page.value("document.querySelector('#pay-to').value"), "", "nobody sends it twice");
    waiting[0]["txid"].as_str().expect("a name").to_owned()
}

#[test]
fn blocks_come_and_a_payment_is_followed_until_it_is_confirmed() {
    let Some(browser) = Browser::start() else { return };
    for status in ["404", "422", "400", "503"] {
        browser.expect_complaints(&format!("status of {status}"));
    }
    let mut report = Report::default();
    let mut node = single("bobby");
    node.start();
    let page = Page::open(&browser, &node);
    page.turn_to("ledger");
    page.wait_for_count("#no-ledger", 1);
    assert_eq!(page.count("#chain, #wallet, #blocks-part"), 0);
    make_chain(&node);
    let own = make_wallet(&page);

    until("the address is offered", || match page.value("document.querySelector('#mine-to').value") {
        found if found == own.as_str() => Ok(()),
        other => Err(other.to_string()),
    });
    mine(&page, true);
    until("blocks come", || if page.count("#blocks tbody tr") > 3 { Ok(()) } else { Err(page.text("#blocks")) });
    wait_for(&page, "#balance", |balance| balance.len() > 1 && balance.ends_with('0'));
    mine(&page, false);
    refusals(&page, &node);
    let txid = pay(&page, &node, &mut report);
    // Blocks for somebody else: the wallet shows its newest payments only, and how many blocks come is chance.
    page.paste("#mine-to", MINER);
    mine(&page, true);
    until("it is confirmed", || match page.count("#sent li:is([data-state=confirmed], [data-state=final])") {
        1 => Ok(()),
        _ => Err(page.text("#sent")),
    });
    mine(&page, false);
    wait_for(&page, "#history tbody tr:has([title='TXID'])".replace("TXID", &txid).as_str(), |row| {
        row.contains("sent") && row.contains("−2.5 and 0.0000") && row.contains("confirmation")
    });
    searches(&page, &node, &own, &txid);
    report.look(&page, "ledger");
    go_round(&page);
    page.run("document.querySelector('#view-ledger').scrollTop = 1e6", &[]);
    report.look(&page, "ledger-below");
    taken_back(&page);

    page.click("#lock");
    page.wait_for_count("#purse", 0);
    page.paste("#passphrase", "wrong");
    page.click("#wallet-open button");
    wait_for(&page, "#wallet-said", |said| said == "The passphrase does not open this wallet.");
    page.paste("#passphrase", PASSPHRASE);
    page.click("#wallet-open button");
    page.wait_for_count("#purse", 1);
    page.run("const plain = performance.now(); performance.now = () => plain + 16 * 60_000", &[]);
    page.wait_for_count("#purse", 0);
    let kept = page.value("JSON.stringify(sessionStorage) + JSON.stringify(localStorage)").to_string();
    assert!(kept.contains(&txid) && !kept.contains("horse"), "{kept}");
    report.look(&page, "ledger-locked");
    report.judge();
    let stray = page.value("[document.querySelectorAll('main img').length, String(window.__pwned)]");
    assert_eq!(stray, json!([0, "undefined"]));
}

/// Everything has a name by which it is found.
#[track_caller]
fn searches(page: &Page, node: &Node, own: &str, txid: &str) {
    let first = node.read("/api/v1/ledger/block/1");
    let hash = first["hash"].as_str().expect("a hash");
    assert!(find(page, "1", "block").contains(hash));
    assert!(find(page, hash, "block").contains("Block 1"));
    assert!(find(page, ELSEWHERE, "address").contains("+2.5 in block"));
    assert!(find(page, &own.to_uppercase(), "address").contains(own));
    let told = find(page, txid, "transaction");
    assert!(told.contains("confirmation") && told.contains(ELSEWHERE), "{told}");
    page.paste("#find-text", "123456789");
    page.click("#find button");
    wait_for(page, "#find-said", |said| said == "Nothing is known by that name.");
    page.paste("#find-text", "<i>x</i>");
    page.click("#find button");
    wait_for(page, "#find-said", |said| said.starts_with("Not an address"));
    find(page, txid, "transaction");
}

/// The next answers are of another branch, which ends one block below.
const OTHER_BRANCH: &str = "const plain = window.fetch; window.fetch = async (path, options) => {
    const answer = await plain(path, options);
    if (!String(path).includes('/ledger/blocks')) return answer;
    const told = await answer.json();
    told.blocks.shift();
    told.blocks[0].hash = 'f'.repeat(64);
    return new Response(JSON.stringify(told), {status: 200}); }";

#[track_caller]
fn taken_back(page: &Page) {
    let newest =
        page.value("[...document.querySelectorAll('#blocks tr[data-hash]')].slice(0, 2).map(it => it.dataset.hash)");
    page.run(OTHER_BRANCH, &[]);
    page.wait_for_count("#blocks tr[data-gone]", 2);
    let gone = page.value("[...document.querySelectorAll('#blocks tr[data-gone]')].map(it => it.dataset.hash)");
    assert_eq!(gone, newest);
    assert!(page.text("#blocks-said").contains("taken back"), "{}", page.text("#blocks-said"));
    page.picture("ledger-taken-back");
}

/// The pure parts, each with what it is given and what has to come of it.
const PURE: &str = "
    const loaded = performance.getEntriesByType('resource').map(it => it.name);
    const module = name => import(loaded.find(url => url.split('/').at(-1).startsWith(`${name}.`)));
    return Promise.all(['ledger-money', 'ledger-words', 'ledger-receive'].map(module)).then(([money, words, receive]) => {
        const of = (height, headers, sync) => words.progressOf({height, headers, sync});
        const block = (height, hash) => ({height, hash});
        const branch = [block(3, 'c'), block(2, 'b'), block(1, 'a')];
        const hashes = blocks => blocks.map(it => it.hash).join('');
        const row = (inputs, outputs) => ({inputs: inputs.map(address => ({address})),
            outputs: outputs.map(([address, amount]) => ({address, amount}))});
        return {
            units: ['0.1', '21000000', '0.00000001', '1.123456789', '1e3', '-1', '', '01'].map(it => String(money.units(it))),
            sums: [money.sum(['0.1', '0.2']), money.sum(['9007199254740993', '0.00000001']), money.sum([])],
            typed: [' 1.50 ', '.5', '1,5', '1 000', '0', '21000000.00000001', '1.', 'NaN', '0x10', '٣'].map(it =>
                money.typedAmount(it).amount ?? 'refused'),
            rates: ['', '1000', '1.5', '-1', '9'.repeat(16)].map(it => money.typedRate(it).wrong ? 'refused' : money.typedRate(it).rate),
            progress: [of(5, 5).words, of(5, 9).words, of(10, 40, {state: 'blocks', target: 100, blocks_per_s: 4.96,
                remaining_s: 125, peers: [{}, {}]}).words, of(5, 5, {state: 'alone', target: 5, peers: []}).words,
                of(7, 7, {state: 'headers', target: 900, blocks_per_s: 0, remaining_s: null, peers: 1}).words,
                of(5, 5, {state: 'synced', target: 5, remaining_s: 0, peers: [{}]}).words],
            undone: [hashes(words.undone(branch, branch)), hashes(words.undone(branch, [block(4, 'd'), ...branch])),
                hashes(words.undone(branch, [block(3, 'x'), block(2, 'y'), block(1, 'a')])),
                hashes(words.undone(branch, [block(2, 'b'), block(1, 'a')])),
                hashes(words.undone(branch, [block(9, 'z'), block(8, 'w')])), hashes(words.undone(branch, []))],
            effects: [row([], [['a', '1'], ['a', '0.5'], ['b', '7']]), row(['a'], [['b', '1']]), row(['a'], [['a', '0.1']])]
                .map(it => words.effectOn('a', it)),
            standing: [null, {height: null, confirmations: 0}, {height: 0, confirmations: 1}, {height: 9, confirmations: 6}]
                .map(it => words.standingOf(it).state),
            path: receive.pathOf(['101', '011']),
        };
    });";

#[test]
fn money_is_exact_and_progress_is_told() {
    let Some(browser) = Browser::start() else { return };
    browser.expect_complaints("status of 404");
    let mut node = single("bobby");
    node.start();
    let page = Page::open(&browser, &node);
    page.turn_to("ledger");
    page.wait_for_count("#no-ledger", 1);
    let found: Value = page.run(PURE, &[]);
    let wanted = json!({
        "units": ["10000000", "2100000000000000", "1", "null", "null", "null", "null", "100000000"],
        "sums": ["0.3", "9007199254740993.00000001", "0"],
        "typed": ["1.5", "0.5", "refused", "refused", "refused", "refused", "refused", "refused", "refused", "refused"],
        "rates": [null, 1_000, "refused", "refused", "refused"],
        "progress": [
            "",
            "Catching up: 5 of 9 blocks",
            "Catching up: 10 of 100 blocks · 5 blocks/s · 2 min 5 s left · from 2 members",
            "No linked member has this chain.",
            "Reading headers: 7 of 900 blocks · from 1 member",
            "Up to date with 1 member",
        ],
        "undone": ["", "", "cb", "c", "", ""],
        "effects": ["+1.5", "spent", "spent, 0.1 back"],
        "standing": ["gone", "waiting", "confirmed", "final"],
        "path": "M4 4h1v1h-1zM6 4h1v1h-1zM5 5h2v1h-2z",
    });
    assert_eq!(found, wanted);
}
