//! Samples of the ledger.

use super::*;

pub(super) fn ledger_samples() -> Vec<(&'static str, Frame)> {
    let hash = |n: u8| LedgerHash([n; 32]);
    fn ids<const MAX: usize>(n: u8) -> Bounded<LedgerHash, MAX> {
        Bounded::from_first([LedgerHash([n; 32])])
    }
    let said = |message: Ledger| Message::Ledger(message).into();
    let carried = |message: Ledger, body: Vec<u8>| Frame { message: Message::Ledger(message), body: Some(body.into()) };
    let (request, place) = (7, LedgerPlace { part: 1, of: 2 });
    let part = LedgerPart { request: Some(request), place };
    let whole = LedgerPart { request: Some(request), place: LedgerPlace::WHOLE };
    let pushed = LedgerPart { request: None, place: LedgerPlace::WHOLE };
    let mut work = [0; 32];
    work[..2].copy_from_slice(&[0x39, 0x30]);
    let version = LedgerVersion {
        chain: hash(1),
        version: 1,
        height: 12_345,
        tip: hash(2),
        work: LedgerHash(work),
        blocks: true,
        filters: true,
        relay: true,
        reply: true,
    };
    let locate = LedgerLocate { request, locator: ids(2), stop: None };
    let headers = LedgerHeaders { request: Some(request), place: LedgerPlace::WHOLE, tip: hash(2), height: 12_345 };
    let news = LedgerHeaders { request: None, ..headers.clone() };
    let inv = |kind| LedgerInv { request: None, kind, ids: ids(3) };
    let want = |kind| LedgerWant { request, kind, ids: ids(3) };
    let span = || LedgerSpan { request, start: 1, stop: hash(2) };
    vec![
        ("ledger.version", said(Ledger::Version(version.into()))),
        ("ledger.getheaders", said(Ledger::Getheaders(locate.clone()))),
        ("ledger.headers", carried(Ledger::Headers(headers), vec![b'h'; 80])),
        ("ledger.headers.new", carried(Ledger::Headers(news), vec![b'h'; 80])),
        ("ledger.getblocks", said(Ledger::Getblocks(locate))),
        ("ledger.inv", said(Ledger::Inv(inv(LedgerKind::Transaction)))),
        ("ledger.getdata", said(Ledger::Getdata(want(LedgerKind::Block)))),
        ("ledger.block", carried(Ledger::Block(part), b"first part".to_vec())),
        ("ledger.tx", carried(Ledger::Tx(whole), b"transactions".to_vec())),
        ("ledger.notfound", said(Ledger::Notfound(LedgerNotFound { request, ids: ids(3) }))),
        ("ledger.feefilter", said(Ledger::Feefilter(LedgerFee { rate: 1_000 }))),
        ("ledger.sendcmpct", said(Ledger::Sendcmpct(LedgerCompact { push: true }))),
        ("ledger.cmpctblock", carried(Ledger::Cmpctblock(pushed), b"in short".to_vec())),
        (
            "ledger.getblocktxn",
            said(Ledger::Getblocktxn(LedgerIndexes { request, block: hash(2), indexes: Bounded::from_first([3, 17]) })),
        ),
        ("ledger.blocktxn", carried(Ledger::Blocktxn(whole), b"transactions".to_vec())),
        ("ledger.getcfilters", said(Ledger::Getcfilters(span()))),
        ("ledger.cfilter", carried(Ledger::Cfilter(whole), b"filters".to_vec())),
        ("ledger.getcfheaders", said(Ledger::Getcfheaders(span()))),
        ("ledger.cfheaders", carried(Ledger::Cfheaders(whole), [[b'b'; 32], [b'f'; 32]].concat())),
        ("ledger.getproof", said(Ledger::Getproof(LedgerProve { request, block: hash(2), ids: ids(3) }))),
        ("ledger.proof", carried(Ledger::Proof(whole), b"proof".to_vec())),
    ]
}

#[test]
fn full_lists_of_the_ledger_fit_a_line_in_both_encodings() {
    let ids = || Bounded::from_first(std::iter::repeat_n(LedgerHash([0xff; 32]), usize::MAX));
    let (request, block) = (u32::MAX, LedgerHash([0xff; 32]));
    let frames = [
        Ledger::Inv(LedgerInv { request: Some(request), kind: LedgerKind::Transaction, ids: ids() }),
        Ledger::Getdata(LedgerWant { request, kind: LedgerKind::Transaction, ids: ids() }),
        Ledger::Notfound(LedgerNotFound { request, ids: ids() }),
        Ledger::Getblocktxn(LedgerIndexes {
            request,
            block,
            indexes: Bounded::from_first(std::iter::repeat_n(24_528, usize::MAX)),
        }),
    ];
    for message in frames {
        for encoding in [Encoding::Json, Encoding::Bson] {
            let frame = Frame::from(Message::Ledger(message.clone()));
            let bytes = encode(&frame, encoding).expect("fits");
            assert_eq!(decode(&bytes, encoding), Decoded::Frame(frame));
        }
    }
}

#[test]
fn parts_of_the_ledger_out_of_range_are_refused() {
    for (part, of) in [(0, 1), (2, 1), (1, 0), (1, 65), (65, 65), (256, 256)] {
        let line = format!("{{\"len\":1,\"ledger\":{{\"block\":{{\"part\":{part},\"of\":{of}}}}}}}\nx");
        assert!(matches!(decode(line.as_bytes(), Encoding::Json), Decoded::Invalid(_)), "{line}");
    }
    let line = "{\"len\":1,\"ledger\":{\"block\":{\"part\":64,\"of\":64}}}\nx";
    assert!(matches!(decode(line.as_bytes(), Encoding::Json), Decoded::Frame(_)));
}
